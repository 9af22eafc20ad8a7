// SPDX-License-Identifier: Apache-2.0
// The script itself, on a real server, which has the only clock.
#include "seawall/adapt/redis/script.hpp"

#include <chrono>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "redis/redis_server.hpp"
#include "seawall/core/lease_keeper.hpp"
#include "seawall/time.hpp"
#include <doctest/doctest.h>
#include <hiredis/hiredis.h>

namespace {

using namespace redis_test;
using seawall::duration;
using seawall::core::lease_request;
using seawall::detail::redis_quota_arguments;
using seawall::detail::redis_rate;

struct answer {
  std::int64_t granted = -1;
  std::int64_t retry_us = -1;
};

/// The script as one of `members` (0: no shares are reserved) sees it; one connection for all.
class asked {
 public:
  asked(const redis_server& server, redis_rate rate)
      : rate_(rate), connection_(redisConnectWithTimeout("127.0.0.1", server.port(), timeval{5, 0})) {
    REQUIRE(connection_ != nullptr);
    REQUIRE(connection_->err == 0);
  }
  ~asked() { redisFree(connection_); }
  asked(const asked&) = delete;
  asked& operator=(const asked&) = delete;

  std::string say(const std::vector<std::string>& words) const {
    std::vector<const char*> starts;
    std::vector<std::size_t> sizes;
    for (const std::string& word : words) {
      starts.push_back(word.data());
      sizes.push_back(word.size());
    }
    auto* const r = static_cast<redisReply*>(
        redisCommandArgv(connection_, static_cast<int>(words.size()), starts.data(), sizes.data()));
    REQUIRE(r != nullptr);
    std::string text;
    if (r->type == REDIS_REPLY_ARRAY)
      for (std::size_t i = 0; i < r->elements; ++i)
        text += std::string(r->element[i]->str, r->element[i]->len) + " ";
    else if (r->str != nullptr)
      text.assign(r->str, r->len);
    freeReplyObject(r);
    return text;
  }
  answer operator()(const lease_request& request, std::uint64_t members = 0, const std::string& me = "me",
                    duration gone_after = 10s, bool leaving = false) const {
    const redis_quota_arguments a(rate_, request, 60s, members, me, gone_after, leaving);
    std::vector<std::string> words{"EVAL", std::string(seawall::detail::redis_quota_script), "2", "q", "m"};
    words.insert(words.end(), a.values.begin(), a.values.end());
    std::istringstream said(say(words));
    answer out;
    said >> out.granted >> out.retry_us;
    REQUIRE(said.eof());
    return out;
  }
  std::int64_t now_us() const {
    std::istringstream said(say({"TIME"}));
    std::int64_t seconds = 0;
    std::int64_t us = 0;
    said >> seconds >> us;
    return seconds * 1'000'000 + us;
  }
  std::int64_t debt() const { return std::stoll(say({"HGET", "q", "debt"})); }

 private:
  redis_rate rate_;
  redisContext* connection_;
};

constexpr std::uint64_t all = 1'000'000;

TEST_CASE("redis script: its digest is the one by which the server knows it") {
  redis_server server;
  CHECK(server.ask({"SCRIPT", "LOAD", std::string(seawall::detail::redis_quota_script)}) ==
        seawall::detail::redis_quota_digest);
}

TEST_CASE("redis script: a fractional rate, polled hard, loses and gains nothing") {
  redis_server server;
  // 2000 in 0.999983 s: no whole number of anything.
  const redis_rate rate = redis_rate::of(2000, 999'983us, 10'000, 1);
  const asked quota(server, rate);
  const std::int64_t before = quota.now_us();
  std::int64_t granted = quota({.wanted = all}).granted;
  CHECK(granted == 10'000);
  const std::int64_t begun = quota.now_us();
  while (quota.now_us() < begun + 1'000'000) granted += quota({.wanted = 1}).granted;
  const std::int64_t almost = quota.now_us();
  granted += quota({.wanted = all}).granted;
  const std::int64_t after = quota.now_us();
  // Between what the shortest and the longest time would give.
  const auto permits_in = [](std::int64_t us) { return us * 2000 / 999'983; };
  CHECK(granted >= 10'000 + permits_in(almost - begun));
  CHECK(granted <= 10'000 + permits_in(after - before));
}

TEST_CASE("redis script: settle, return and grant are one step, in this order") {
  redis_server server;
  const asked quota(server, redis_rate::of(1, 1h, 10, 1));
  CHECK(quota({.wanted = 4}).granted == 4);
  CHECK(quota({.settled = 3, .wanted = all}).granted == 3);
  CHECK(quota({.wanted = 1}).granted == 0);
  CHECK(quota({.returned = 2, .wanted = all}).granted == 2);
  CHECK(quota({.settled = 5, .wanted = 1}).granted == 0);
  CHECK(quota({.returned = 5, .wanted = 1}).granted == 0);
  CHECK(quota({.returned = 5, .wanted = all}).granted == 5);
}

TEST_CASE("redis script: returns never make more than the burst, settlements never more than two of debt") {
  redis_server server;
  const asked quota(server, redis_rate::of(1, 1h, 10, 1));
  CHECK(quota({.returned = all, .wanted = all}).granted == 10);
  CHECK(quota({.settled = all}).granted == 0);
  CHECK(quota({.returned = 20, .wanted = all}).granted == 10);
}

TEST_CASE("redis script: who is refused is told when there will be a permit, to the microsecond") {
  redis_server server;
  const asked quota(server, redis_rate::of(1, 100s, 2, 1));
  quota({.wanted = 2});
  const answer none = quota({.wanted = 1});
  CHECK(none.granted == 0);
  CHECK(none.retry_us <= 100'000'000);
  CHECK(none.retry_us >= 90'000'000);
  CHECK(quota({.settled = 1, .wanted = 1}).retry_us > 190'000'000);
}

TEST_CASE("redis script: a state that was lost is worth no burst to those who were answered lately") {
  redis_server server;
  const asked quota(server, redis_rate::of(10, 1s, 10, 1));
  quota({.wanted = 10});
  quota.say({"FLUSHALL"});
  CHECK(quota({.wanted = all, .silent = 0s}).granted == 0);
  quota.say({"FLUSHALL"});
  CHECK(quota({.wanted = all, .silent = 500ms}).granted == 5);
  quota.say({"FLUSHALL"});
  CHECK(quota({.wanted = all, .silent = 1h}).granted == 10);
  quota.say({"FLUSHALL"});
  CHECK(quota({.wanted = all}).granted == 10);
}

TEST_CASE("redis script: a clock that is set back neither floods nor starves") {
  redis_server server;
  const asked quota(server, redis_rate::of(1000, 1s, 10, 1));
  quota({.wanted = 10});
  // As though it had been written an hour from now.
  quota.say({"HSET", "q", "at", std::to_string(quota.now_us() + 3'600'000'000)});
  CHECK(quota({.wanted = all}).granted == 0);
  CHECK(eventually([&] { return quota({.wanted = 1}).granted == 1; }));
}

TEST_CASE("redis script: a debt outlives a change of the rate") {
  redis_server server;
  const asked slow(server, redis_rate::of(1, 1h, 10, 1));
  slow({.wanted = 6});
  const asked other(server, redis_rate::of(7, 5h, 10, 1));
  CHECK(other({.wanted = all}).granted == 4);
}

TEST_CASE("redis script: a state that is nonsense is a state that is gone") {
  redis_server server;
  const asked quota(server, redis_rate::of(1, 1h, 10, 1));
  for (const std::string field : {"debt", "at", "unit"}) {
    quota({.wanted = 3});
    quota.say({"HSET", "q", field, "nonsense"});
    CHECK(quota({.wanted = all}).granted == 10);
    quota.say({"DEL", "q"});
  }
}

TEST_CASE("redis script: the shares of those it does not hear from are kept back") {
  redis_server server;
  const std::uint64_t members = 4;
  const asked quota(server, redis_rate::of(1000, 1s, 100, members));
  const auto drained_in = [&](duration gone_after, std::initializer_list<const char*> heard) {
    quota.say({"FLUSHALL"});
    for (const char* who : heard) quota({}, members, who, gone_after);
    quota({.wanted = all}, members, "a", gone_after);
    const std::int64_t begun = quota.now_us();
    const std::int64_t debt = quota.debt();
    while (quota.now_us() < begun + 40'000) {
    }
    quota({}, members, "a", gone_after);
    // In permits for each member that is heard, per millisecond.
    const double ms = static_cast<double>(quota.now_us() - begun) / 1000;
    return static_cast<double>(debt - quota.debt()) /
           static_cast<double>(redis_rate::of(1000, 1s, 100, members).unit) / ms;
  };
  // A machine that stands still between two questions counts for more: the nearest of a few tries.
  const auto nearest = [&](double share, std::initializer_list<const char*> heard) {
    double best = -1;
    for (int tries = 0; tries < 5 && std::abs(best - share) > 0.1 * share; ++tries)
      best = drained_in(10s, heard);
    return best;
  };
  CHECK(nearest(0.25, {"a"}) == doctest::Approx(0.25).epsilon(0.1));
  CHECK(nearest(0.5, {"a", "b"}) == doctest::Approx(0.5).epsilon(0.1));
  CHECK(nearest(1, {"a", "b", "c", "d"}) == doctest::Approx(1.0).epsilon(0.1));
  // One more than agreed on is no reason for more than the rate.
  CHECK(nearest(1, {"a", "b", "c", "d", "e"}) == doctest::Approx(1.0).epsilon(0.1));
  // All were last heard longer ago than a process may be silent, the asking one too.
  CHECK(drained_in(20ms, {"a", "b", "c", "d"}) == doctest::Approx(0.0));
}

TEST_CASE("redis script: who leaves gives its share up at once") {
  redis_server server;
  const asked quota(server, redis_rate::of(1000, 1s, 100, 2));
  quota({}, 2, "a");
  quota({}, 2, "b");
  CHECK(server.ask({"ZCARD", "m"}) == "2");
  quota({}, 2, "b", 10s, true);
  CHECK(server.ask({"ZCARD", "m"}) == "1");
}

TEST_CASE("redis rate: the largest figures are whole numbers of Lua's still") {
  const redis_rate r = redis_rate::of(999'999'937, 24h, 13'031, 1);
  CHECK(r.unit == 86'400'000'000);
  CHECK(r.cap <= redis_rate::most);
  CHECK(redis_rate::of(100, 1s, 100, 1).unit == 10'000);
  CHECK(redis_rate::of(100, 1s, 100, 1).drain == 1);
}

}  // namespace
