// SPDX-License-Identifier: Apache-2.0

// The table: an admission whose places are taken. Who else is inside entered before the call, or is the caller before.

#include "seawall/admission.hpp"

#include <memory>

#include "conformance/conform.hpp"
#include "conformance/scenario.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include <doctest/doctest.h>

using namespace conformance;

namespace {

// Room for one, and one may wait.
seawall::admission_options one_waits(stage& s) {
  return {.name = "a",
          .max_concurrent = 1,
          .max_waiting = 1,
          .max_wait = s(100ms),
          .order = seawall::queue_order::fifo};
}

struct one {
  seawall::admission admission;
  seawall::admission::permit taken = {};  // by a call of somebody else that does not end
};

seawall::admission& made(stage& s, const seawall::admission_options& o) {
  return s.keep(std::make_shared<one>(one{seawall::admission(o)}))->admission;
}
seawall::admission& occupied(stage& s, const seawall::admission_options& o) {
  one& all = *s.keep(std::make_shared<one>(one{seawall::admission(o)}));
  all.taken = all.admission.try_acquire(s.at({}));
  return all.admission;
}
auto with(seawall::admission& a) { return seawall::compose(seawall::admit(a)); }

}  // namespace

TEST_CASE("admission: one may wait") {
  conform(
      {
          .name = "waits, and gets the place",
          .script = "ok after 60ms, ok after 10ms",
          .callers = {{}, {.at = 30ms}},
          .trace = R"(
              0s attempt 1
              60ms attempt 1: OK
              60ms = OK 42
              report: 1 attempt in 60ms
              60ms B: attempt 1
              70ms B: attempt 1: OK
              70ms B: = OK 42
              B: report: 1 attempt in 40ms)",
          .blocking = "-",
          // On threads, who is told first is anybody's guess.
          .only_virtual = true,
      },
      [](stage& s) { return with(made(s, one_waits(s))); });
  conform(
      {
          .name = "a second one that would wait is rejected, and the first one goes before its turn",
          .script = "ok",
          .callers = {{.at = 10ms, .stops = 60ms}, {.at = 30ms}},
          .trace = R"(
              30ms B: rejected by admission 'a': queue_full
              30ms B: = RESOURCE_EXHAUSTED by admission 'a': queue_full
              B: report: 0 attempts in 0s, rejected by admission: queue_full
              60ms rejected by caller: cancelled
              60ms = CANCELLED by caller: cancelled
              report: 0 attempts in 50ms, rejected by caller: cancelled)",
          .blocking = "-",
      },
      [](stage& s) { return with(occupied(s, one_waits(s))); });
  conform(
      {
          .name = "makes room for a newer one",
          .script = "ok",
          .callers = {{.at = 10ms}, {.at = 30ms, .stops = 60ms}},
          .trace = R"(
              30ms rejected by admission 'a': queue_full
              30ms = RESOURCE_EXHAUSTED by admission 'a': queue_full
              report: 0 attempts in 20ms, rejected by admission: queue_full
              60ms B: rejected by caller: cancelled
              60ms B: = CANCELLED by caller: cancelled
              B: report: 0 attempts in 30ms, rejected by caller: cancelled)",
          .blocking = "-",
      },
      [](stage& s) {
        auto o = one_waits(s);
        o.when_full = seawall::queue_full::drop_oldest;
        return with(occupied(s, o));
      });
}

TEST_CASE("admission: what ends a wait") {
  conform(
      {
          .name = "as long as it may",
          .script = "ok",
          .callers = {{.at = 30ms}},
          .trace = R"(
              130ms rejected by admission 'a': wait_timed_out
              130ms = RESOURCE_EXHAUSTED by admission 'a': wait_timed_out
              report: 0 attempts in 100ms, rejected by admission: wait_timed_out)",
      },
      [](stage& s) { return with(occupied(s, one_waits(s))); });
  conform(
      {
          .name = "the call cannot meet its deadline any more",
          .script = "ok",
          .callers = {{.at = 30ms, .deadline = 110ms}},
          .trace = R"(
              90ms rejected by admission 'a': wait_timed_out
              90ms = RESOURCE_EXHAUSTED by admission 'a': wait_timed_out
              report: 0 attempts in 60ms, rejected by admission: wait_timed_out)",
      },
      [](stage& s) {
        auto o = one_waits(s);
        o.service_time = s(20ms);
        return with(occupied(s, o));
      });
  conform(
      {
          .name = "the retry outside waits again",
          .script = "ok",
          .trace = R"(
              100ms rejected by admission 'a': wait_timed_out
              100ms retry in 20ms
              220ms rejected by admission 'a': wait_timed_out
              220ms gave up: max_attempts
              220ms = RESOURCE_EXHAUSTED by admission 'a': wait_timed_out
              report: 0 attempts in 220ms, gave up: max_attempts, rejected by admission: wait_timed_out)",
      },
      [](stage& s) {
        return seawall::compose(seawall::retry({.max_attempts = 2, .backoff = constant(s(20ms))}),
                                seawall::admit(occupied(s, one_waits(s))));
      });
}
