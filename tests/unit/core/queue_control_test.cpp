// SPDX-License-Identifier: Apache-2.0
#include "seawall/core/queue_control.hpp"

#include <chrono>
#include <climits>
#include <vector>

#include "seawall/time.hpp"
#include <doctest/doctest.h>

using namespace std::chrono_literals;
using namespace seawall;
using seawall::core::controlled_delay;
using seawall::core::queue_rules;

namespace {

instant at(duration d) { return instant() + d; }

struct step {
  duration now, sojourn;
  bool last, drops;
};

void check(const codel_options& o, const std::vector<step>& steps) {
  controlled_delay c(o);
  for (const step& s : steps) {
    CAPTURE(s.now.ns());
    CHECK(c.drops(s.sojourn, s.last, at(s.now)) == s.drops);
  }
}

}  // namespace

TEST_CASE("CoDel: off: drops nothing") { check({}, {{0s, 1h, false, false}, {1h, 1h, false, false}}); }

TEST_CASE("CoDel, sojourn: a burst that empties within an interval is left alone") {
  check({.on = true}, {{0ms, 0ms, false, false},
                       {50ms, 50ms, false, false},
                       {99ms, 99ms, false, false},
                       {100ms, 60ms, false, false},  // the first interval had an item that did not wait
                       {150ms, 1ms, false, false},   // the second one as well
                       {200ms, 60ms, false, false}});
}
TEST_CASE(
    "CoDel, sojourn: a standing queue: what has waited longer than twice the target goes, till one did not wait") {
  check({.on = true},
        {{0ms, 6ms, false, false},
         {99ms, 7ms, false, false},
         {100ms, 11ms, false, true},   // the least of the first interval was 6 ms
         {101ms, 10ms, false, false},  // twice the target is tolerated
         {102ms, 10ms + 1ns, false, true},
         {150ms, 5ms, false, false},  // the least of the second is the target: that is not above it
         {199ms, 11ms, false, true},  // but it is judged when it is over
         {200ms, 11ms, false, false}});
}
TEST_CASE(
    "CoDel, sojourn: a queue that empties again and again does not stand, however late its consumer comes") {
  controlled_delay c({.on = true});
  for (int i = 0; i < 100; ++i) {
    CHECK_FALSE(c.drops(20ms, false, at(30ms * i)));
    CHECK_FALSE(c.drops(20ms, true, at(30ms * i)));
  }
}
TEST_CASE("CoDel, RFC 8289: one, and then after interval / sqrt(n)") {
  check({.on = true, .law = codel_law::rfc8289}, {{0ms, 6ms, false, false},
                                                  {99ms, 6ms, false, false},
                                                  {100ms, 6ms, false, true},
                                                  {101ms, 6ms, false, false},
                                                  {199ms, 6ms, false, false},
                                                  {200ms, 6ms, false, true},  // 100 + 100 / sqrt(1)
                                                  {270ms, 6ms, false, false},
                                                  {271ms, 6ms, false, true},  // 200 + 100 / sqrt(2)
                                                  {328ms, 6ms, false, false},
                                                  {329ms, 6ms, false, true},   // 270.7 + 100 / sqrt(3)
                                                  {330ms, 4ms, false, false},  // the end of it
                                                  {331ms, 6ms, false, false}});
}
TEST_CASE("CoDel, RFC 8289: it goes on where it was if it has to begin again soon, and starts over later") {
  const codel_options o{.on = true, .law = codel_law::rfc8289};
  for (const bool soon : {true, false}) {
    controlled_delay c(o);
    for (int ms = 0; ms < 400; ++ms) (void)c.drops(6ms, false, at(1ms * ms));  // 100, 200, 271, 329, 379
    (void)c.drops(0ms, false, at(400ms));
    const duration again = soon ? 500ms : 5s;
    CHECK_FALSE(c.drops(6ms, false, at(again)));
    CHECK(c.drops(6ms, false, at(again + 100ms)));
    // With a count of four the next is after 50 ms, with one after 100.
    CHECK(c.drops(6ms, false, at(again + 151ms)) == soon);
  }
}
TEST_CASE("CoDel, RFC 8289: the last item is never dropped") {
  check({.on = true, .law = codel_law::rfc8289},
        {{0ms, 6ms, false, false}, {100ms, 1h, true, false}, {201ms, 1h, false, false}});
}

TEST_CASE("patience: a share of the time to the deadline, or the time of those that have none") {
  const queue_rules r({.patience_share = 0.5, .patience = 30ms});
  CHECK(r.patience_ends(at(10ms), at(110ms)) == at(60ms));
  CHECK(r.patience_ends(at(10ms), at(5ms)) < at(10ms));
  CHECK(r.patience_ends(at(10ms), instant::never()) == at(40ms));
}
TEST_CASE("expiry: the deadline less the service time; never without a deadline") {
  const queue_rules r({.service_time = 5ms});
  CHECK(r.hopeless_at(at(100ms)) == at(95ms));
  CHECK(r.hopeless_at(instant::never()) == instant::never());
}
TEST_CASE("aging: the extremes of priority do not overflow") {
  const queue_rules r({.aging = 1h});
  CHECK(r.rank(INT_MAX, at(0s)) < r.rank(1, at(0s)));
  CHECK(r.rank(1, at(0s)) < r.rank(0, at(0s)));
  CHECK(r.rank(0, at(0s)) < r.rank(INT_MIN, at(0s)));
  CHECK(r.rank(INT_MIN, at(0s)) <= instant::never());
  CHECK(r.rank(2, at(2h)) == r.rank(0, at(0h)));
}
