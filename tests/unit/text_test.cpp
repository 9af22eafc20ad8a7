// SPDX-License-Identifier: Apache-2.0
// Words for people: exact, so that nobody's log parser breaks by accident.
#include "seawall/text.hpp"

#include <chrono>
#include <limits>
#include <set>
#include <string>

#include <doctest/doctest.h>

using namespace seawall;
using namespace std::chrono_literals;

TEST_CASE("text: durations in their largest unit, to three places") {
  struct row {
    duration d;
    const char* text;
  };
  for (const auto& [d, text] :
       {row{0s, "0s"}, row{1ns, "1ns"}, row{999ns, "999ns"}, row{1us, "1us"}, row{1500ns, "1.5us"},
        row{1001ns, "1.001us"}, row{1ms, "1ms"}, row{812ms, "812ms"}, row{1s, "1s"}, row{1230ms, "1.23s"},
        row{59999ms, "59.999s"}, row{1min, "1min"}, row{90s, "1.5min"}, row{1h, "1h"}, row{36h, "36h"},
        row{-3ns, "-3ns"}, row{-1500ms, "-1.5s"}, row{duration::infinite(), "infinite"}}) {
    CHECK(to_text(d) == text);
  }
}

TEST_CASE("text: the most negative duration is printed like others") {
  CHECK(to_text(duration::from_ns(std::numeric_limits<std::int64_t>::min())) == "-2562047.788h");
}

TEST_CASE("text: numbers as people write them") {
  CHECK(to_text(0.5) == "0.5");
  CHECK(to_text(1e-9) == "1e-09");
  CHECK(to_text(std::uint64_t{1} << 63) == "9223372036854775808");
}

TEST_CASE("text: a bad option names policy, field, value and range") {
  CHECK(option_error{"half_open.of", "0", "must be at least 1"}.text("circuit_breaker") ==
        "circuit_breaker: half_open.of is 0; must be at least 1");
}

TEST_CASE("text: every reason and every ending has a word of its own") {
  std::set<std::string_view> words;
  for (int i = 0; i <= static_cast<int>(reason::custom); ++i) words.insert(to_string(static_cast<reason>(i)));
  CHECK(words.size() == static_cast<std::size_t>(reason::custom) + 1);
  CHECK_FALSE(words.contains("?"));
  words.clear();
  for (int i = 0; i <= static_cast<int>(give_up::nested); ++i)
    words.insert(to_string(static_cast<give_up>(i)));
  CHECK(words.size() == static_cast<std::size_t>(give_up::nested) + 1);
  CHECK_FALSE(words.contains("?"));
  CHECK(to_string(static_cast<reason>(200)) == "?");
  CHECK(to_string(static_cast<give_up>(200)) == "?");
}

TEST_CASE("text: each rejection in words") {
  struct row {
    rejection r;
    const char* text;
  };
  for (const auto& [r, text] :
       {row{{.policy = "circuit_breaker", .name = "quotes", .why = reason::open, .retry_after = 4200ms},
            "circuit_breaker 'quotes' is open for another 4.2s"},
        row{{.policy = "circuit_breaker",
        .name = "q",
        .why = reason::open,
        .detail = "eu-1",
        .retry_after = 1s},
            "circuit_breaker 'q' (eu-1) is open for another 1s"},
        row{{.policy = "circuit_breaker", .why = reason::half_open},
            "circuit_breaker is half-open, and all its probes are under way"},
        row{{.policy = "circuit_breaker", .why = reason::recovering},
            "circuit_breaker is recovering, and admits a part of the calls"},
        row{{.policy = "circuit_breaker", .why = reason::isolated}, "circuit_breaker is isolated"},
        row{{.policy = "deadline", .why = reason::deadline_exceeded, .attempts = 2, .elapsed = 2s},
            "deadline exceeded, after 2 attempts in 2s"},
        row{{.policy = "deadline", .why = reason::deadline_exceeded, .elapsed = 2s}, "deadline exceeded"},
        row{{.policy = "deadline", .why = reason::deadline_expired},
            "deadline had passed before the first attempt"},
        row{{.policy = "attempt_timeout", .why = reason::timed_out, .attempts = 1, .elapsed = 250ms},
            "attempt_timeout: no answer in time, after 1 attempt in 250ms"},
        row{{.policy = "caller", .why = reason::cancelled}, "the call was cancelled by its caller"},
        row{{.policy = "bulkhead", .why = reason::limit_reached}, "bulkhead: limit reached"},
        row{{.policy = "bulkhead", .why = reason::queue_full},
            "bulkhead: limit reached, and too many calls wait already"},
        row{{.policy = "bulkhead", .why = reason::wait_timed_out},
            "bulkhead: limit reached, and no place became free in time"},
        row{{.policy = "throttle", .why = reason::throttled},
            "throttle holds the call back, as the dependency rejects too much"},
        row{{.policy = "degradation", .name = "shop", .why = reason::degraded, .detail = "read-only"},
            "degradation 'shop' (read-only) does not serve the call now"},
        row{{.policy = "chaos", .why = reason::injected}, "chaos injected a fault"},
        row{{.policy = "operation", .why = reason::no_answer}, "operation ended without a result"},
        row{{.policy = "operation", .why = reason::threw}, "operation threw"},
        row{{.policy = "operation", .why = reason::threw, .detail = "out of range"},
            "operation threw: out of range"},
        row{{.policy = "scheduler", .why = reason::shut_down}, "scheduler has shut down"},
        row{{.policy = "mine", .why = reason::custom, .detail = "too hot"}, "mine: too hot"},
        row{{.policy = "mine", .why = reason::custom}, "mine rejected the call"},
        row{{.policy = "run", .why = reason::wrong_driver, .detail = "not here"}, "run: not here"},
        row{{.policy = "run", .why = reason::wrong_driver}, "run rejected the call"},
        row{{.policy = "mine", .why = reason::none}, "mine rejected the call"}}) {
    CHECK(describe(r) == text);
  }
}

TEST_CASE("text: each ending in words") {
  struct row {
    give_up why;
    const char* text;
  };
  for (const auto& [why, text] :
       {row{give_up::max_attempts, ""}, row{give_up::none, ""},
        row{give_up::max_duration, ", the next one would exceed its max_duration"},
        row{give_up::deadline, ", the next one would start after the deadline"},
        row{give_up::budget, ", the retry budget is spent"},
        row{give_up::pushback, ", a longer pause is asked for than allowed"},
        row{give_up::not_repeatable, ", the operation is not idempotent and may have been executed"},
        row{give_up::nested, ", the enclosing call retries"}}) {
    CHECK(describe(ending{.why = why, .attempts = 4, .elapsed = 812ms}) ==
          std::string("retry gave up after 4 attempts in 812ms") + text);
  }
  CHECK(describe(ending{.why = give_up::max_attempts, .name = "q", .attempts = 1, .elapsed = 1s}) ==
        "retry 'q' gave up after 1 attempt in 1s");
}
