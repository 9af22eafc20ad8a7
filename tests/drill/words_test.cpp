// SPDX-License-Identifier: Apache-2.0

// What driver and children say to each other: it must survive the way there, and nonsense must be recognised.

#include <chrono>
#include <string>
#include <thread>

#include "drill/audit.hpp"
#include "drill/fault.hpp"
#include "drill/line_channel.hpp"
#include "drill/shop_stats.hpp"
#include "drill/storefront.hpp"
#include <doctest/doctest.h>

namespace drill {

using std::chrono::milliseconds;

TEST_CASE("words: faults") {
  for (const fault& f :
       {fault{}, fault{.what = fault::kind::slow, .delay = milliseconds(1200)},
        fault{.what = fault::kind::errors, .share = 0.3}, fault{.what = fault::kind::resets, .share = 1}}) {
    CHECK(fault_from_words(to_words(f)) == f);
  }
  for (const char* nonsense :
       {"", "slow", "slow 0", "tired 0 0", "errors 1.1 0", "errors -0.1 0", "slow 0 -1", "slow 0 1 2"}) {
    CAPTURE(nonsense);
    CHECK_FALSE(fault_from_words(nonsense).has_value());
  }
}

TEST_CASE("words: statistics of a storefront") {
  shop_stats s{.payments_queued = 4,
               .payments_captured = 3,
               .payments_refused = 2,
               .payments_in_queue = 1,
               .rendering = std::chrono::microseconds(1234567),
               .chaos = {.calls = 9, .failures = 8, .delays = 7, .hangs = 6, .wrong_answers = 5},
               .recommendations = {.fresh = 12, .stale = 11, .none = 10},
               .service = {.level = level_view::read_only, .by_hand = true, .changes = 13}};
  s.of[dependency::payment] = {77, breaker_view::half_open};
  CHECK(shop_stats_from_words(to_words(s)) == s);
  const std::string counts = " 1 0 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0";
  CHECK(shop_stats_from_words("1 3" + counts + " 3 1 0").has_value());
  CHECK_FALSE(shop_stats_from_words("1 2 3").has_value());
  CHECK_FALSE(shop_stats_from_words("1 3" + counts + " 3 1").has_value());    // one word is missing
  CHECK_FALSE(shop_stats_from_words("1 4" + counts + " 3 1 0").has_value());  // no such state of a breaker
  CHECK_FALSE(shop_stats_from_words("1 3" + counts + " 4 1 0").has_value());  // no such level of service
  CHECK_FALSE(shop_stats_from_words("1 3" + counts + " 3 2 0").has_value());  // neither by hand nor not
}

TEST_CASE("words: a storefront switches its chaos, tells its statistics, and takes no nonsense for either") {
  bool on = false;
  int switched = 0;
  shop s;
  s.stats = [] { return shop_stats{.payments_queued = 4}; };
  s.switch_chaos = [&](bool now_on) { on = now_on, ++switched; };
  CHECK(obey(s, "chaos on") == "done");
  CHECK(on);
  CHECK(obey(s, "chaos off") == "done");
  CHECK_FALSE(on);
  CHECK(obey(s, "chaos") == "unknown");
  CHECK(obey(s, "") == "unknown");
  CHECK(switched == 2);
  CHECK(shop_stats_from_words(obey(s, "stats")) == shop_stats{.payments_queued = 4});
}

TEST_CASE("words: a storefront becomes read-only and writable again, or says that it has no such mode") {
  bool on = false;
  shop s;
  CHECK(obey(s, "read-only on") == no_such_mode);
  CHECK(obey(s, "read-only off") == no_such_mode);
  s.switch_read_only = [&](bool now_on) { on = now_on; };
  CHECK(obey(s, "read-only on") == "done");
  CHECK(on);
  CHECK(obey(s, "read-only off") == "done");
  CHECK_FALSE(on);
  CHECK(obey(s, "read-only") == "unknown");
}

TEST_CASE("words: the books of payment") {
  for (const payment_audit& a :
       {payment_audit{}, payment_audit{9, 8, 7, {}}, payment_audit{3, 0, 1, {5, 6}}}) {
    CHECK(payment_audit_from_words(to_words(a)) == a);
  }
  CHECK_FALSE(payment_audit_from_words("1 2").has_value());
  CHECK_FALSE(payment_audit_from_words("1 2 3 x").has_value());
}

TEST_CASE("words: a channel delivers line by line, and long ones whole") {
  auto [one, other] = line_channel::make_pair();
  line_channel here(std::move(one));
  const std::string longest(300'000, 'x');
  std::thread there([&, fd = std::move(other)]() mutable {
    line_channel channel(std::move(fd));
    channel.write("first");
    channel.write(longest);
    CHECK(channel.read(line_channel::for_ever) == "done");
  });
  CHECK(here.read(line_channel::for_ever) == "first");
  CHECK(here.read(line_channel::for_ever) == longest);
  CHECK_FALSE(here.read(milliseconds(0)).has_value());
  CHECK(here.write("done"));
  there.join();
  CHECK_FALSE(here.read(line_channel::for_ever).has_value());  // the other side has gone
}

}  // namespace drill
