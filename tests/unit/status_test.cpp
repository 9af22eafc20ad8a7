// SPDX-License-Identifier: Apache-2.0
// absl::Status as a result: the table of codes, and what travels in payloads.
#include "seawall/status.hpp"

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include <doctest/doctest.h>

using namespace seawall;
using namespace std::chrono_literals;

namespace {

absl::Status with_payload(absl::Status s, std::string_view url, const std::string& text) {
  s.SetPayload(detail::to_absl(url), absl::Cord(detail::to_absl(text)));
  return s;
}
absl::Status claims(const std::string& payload) {
  return with_payload(absl::UnavailableError("x"), "seawall/rejection", payload);
}

std::string message(const absl::Status& s) { return std::string(detail::from_absl(s.message())); }

}  // namespace

TEST_CASE("status: what each code means, one by one") {
  struct row {
    absl::StatusCode code;
    verdict means;
  };
  using code = absl::StatusCode;
  constexpr verdict over_quota{.health = health::silent, .again = again::if_idempotent};
  const row rows[] = {{code::kOk, verdict::ok()},
                      {code::kCancelled, verdict::cancelled()},
                      {code::kUnknown, verdict::transient()},
                      {code::kInvalidArgument, verdict::refused()},
                      {code::kDeadlineExceeded, verdict::transient()},
                      {code::kNotFound, verdict::refused()},
                      {code::kAlreadyExists, verdict::refused()},
                      {code::kPermissionDenied, verdict::refused()},
                      {code::kResourceExhausted, over_quota},
                      {code::kFailedPrecondition, verdict::refused()},
                      {code::kAborted, verdict::refused()},
                      {code::kOutOfRange, verdict::refused()},
                      {code::kUnimplemented, verdict::refused()},
                      {code::kInternal, verdict::transient()},
                      {code::kUnavailable, verdict::transient()},
                      {code::kDataLoss, verdict::permanent()},
                      {code::kUnauthenticated, verdict::refused()}};
  CHECK(std::size(rows) == 17);
  for (int i = 0; i < 17; ++i) {
    CAPTURE(i);
    CHECK(static_cast<int>(rows[i].code) == i);
    CHECK(classify(rows[i].code) == rows[i].means);
    const absl::Status s(rows[i].code, "text");
    CHECK(outcome_traits<absl::Status>::classify(s) == rows[i].means);
    if (!s.ok())
      CHECK(outcome_traits<absl::StatusOr<int>>::classify(absl::StatusOr<int>(s)) == rows[i].means);
  }
}

TEST_CASE("status: a code of the future counts as unknown") {
  for (const int code : {17, 42, -1}) {
    CHECK(classify(static_cast<absl::StatusCode>(code)) == verdict::transient());
  }
  CHECK(classify(absl::Status(static_cast<absl::StatusCode>(42), "?")) == verdict::transient());
}

TEST_CASE("status: a StatusOr with a value is a success") {
  CHECK(outcome_traits<absl::StatusOr<int>>::classify(absl::StatusOr<int>(0)) == verdict::ok());
}

TEST_CASE("status: the code of each rejection") {
  using code = absl::StatusCode;
  CHECK(code_of(reason::none) == code::kUnavailable);
  CHECK(code_of(reason::open) == code::kUnavailable);
  CHECK(code_of(reason::half_open) == code::kUnavailable);
  CHECK(code_of(reason::recovering) == code::kUnavailable);
  CHECK(code_of(reason::isolated) == code::kUnavailable);
  CHECK(code_of(reason::deadline_exceeded) == code::kDeadlineExceeded);
  CHECK(code_of(reason::deadline_expired) == code::kDeadlineExceeded);
  CHECK(code_of(reason::timed_out) == code::kDeadlineExceeded);
  CHECK(code_of(reason::cancelled) == code::kCancelled);
  CHECK(code_of(reason::limit_reached) == code::kResourceExhausted);
  CHECK(code_of(reason::queue_full) == code::kResourceExhausted);
  CHECK(code_of(reason::wait_timed_out) == code::kResourceExhausted);
  CHECK(code_of(reason::throttled) == code::kResourceExhausted);
  CHECK(code_of(reason::degraded) == code::kFailedPrecondition);
  CHECK(code_of(reason::injected) == code::kUnavailable);
  CHECK(code_of(reason::no_answer) == code::kUnknown);
  CHECK(code_of(reason::threw) == code::kUnknown);
  CHECK(code_of(reason::shut_down) == code::kUnavailable);
  CHECK(code_of(reason::wrong_driver) == code::kFailedPrecondition);
  CHECK(code_of(reason::custom) == code::kUnavailable);
}

TEST_CASE("status: every rejection can be read back from its status") {
  for (int why = 0; why <= static_cast<int>(reason::custom); ++why) {
    for (const duration left :
         {verdict::no_pushback(), duration::zero(), duration(3s), duration::infinite()}) {
      const rejection r{.policy = "bulkhead",
                        .name = "a; \n name;\n",
                        .why = static_cast<reason>(why),
                        .retry_after = left};
      const absl::Status s = outcome_traits<absl::Status>::reject(r, nullptr);
      const auto back = rejection_of(s);
      REQUIRE(back);
      CHECK(back->policy == "bulkhead");
      CHECK(back->name == "a; \n name;\n");
      CHECK(back->why == r.why);
      CHECK(back->retry_after.has_value() == r.has_retry_after());
      CHECK(retry_after_of(s) == back->retry_after);
      CHECK(classify(s) == verdict_of(r));
      const absl::StatusOr<int> either = outcome_traits<absl::StatusOr<int>>::reject(r, nullptr);
      CHECK(either.status() == s);
    }
  }
}

TEST_CASE("status: a rejection with the code alone carries nothing else") {
  const rejection r{
      .policy = "p", .why = reason::open, .detail_level = rejection_detail::code_only, .retry_after = 1s};
  const absl::Status s = outcome_traits<absl::Status>::reject(r, nullptr);
  CHECK(s == absl::Status(absl::StatusCode::kUnavailable, ""));
  CHECK_FALSE(rejection_of(s));
}

TEST_CASE("status: a rejection keeps the words of the last real error") {
  const absl::Status last = absl::InternalError("disk full");
  const rejection r{.policy = "circuit_breaker", .name = "db", .why = reason::isolated};
  CHECK(message(outcome_traits<absl::Status>::reject(r, &last)) ==
        "circuit_breaker 'db' is isolated; last error: INTERNAL: disk full");
  const absl::StatusOr<int> last_or = last;
  CHECK(message(outcome_traits<absl::StatusOr<int>>::reject(r, &last_or).status()) ==
        "circuit_breaker 'db' is isolated; last error: INTERNAL: disk full");
  const absl::StatusOr<int> good = 1;
  CHECK(message(outcome_traits<absl::StatusOr<int>>::reject(r, &good).status()) ==
        "circuit_breaker 'db' is isolated");
}

TEST_CASE("status: what was no rejection is not read as one") {
  CHECK_FALSE(rejection_of(absl::OkStatus()));
  CHECK_FALSE(rejection_of(absl::UnavailableError("circuit_breaker is open")));
}

TEST_CASE("status: hostile payloads are no rejections, and the code counts") {
  for (const std::string& hostile :
       {std::string(), std::string(";"), std::string(";;;"), std::string("1"), std::string("x;0;p;n"),
        std::string("-1;0;p;n"), std::string("11;0;p;n"), std::string("OPEN;0;p;n"),
        std::string("99999999999999999999;0;p;n"), std::string("open;;p;n"), std::string("open;x;p;n"),
        std::string("open;99999999999999999999;p;n"), std::string("open ;0;p;n"), std::string(" open;0;p;n"),
        std::string("open;0x;p;n"), std::string("0x1;0;p;n"), std::string("\0;\0;", 4)}) {
    CAPTURE(hostile);
    CHECK_FALSE(rejection_of(claims(hostile)));
    CHECK(classify(claims(hostile)) == verdict::transient());
  }
}

TEST_CASE("status: a short payload with a reason and a time is read, without names") {
  const auto r = rejection_of(claims("open;5"));
  REQUIRE(r);
  CHECK(r->why == reason::open);
  CHECK(r->retry_after == duration(5ns));
  CHECK(r->policy.empty());
  CHECK(r->name.empty());
}

TEST_CASE("status: a negative time left is no time left, the largest is the largest") {
  CHECK_FALSE(rejection_of(claims("open;-1;p;n"))->retry_after.has_value());
  CHECK_FALSE(rejection_of(claims("open;-9223372036854775808;p;n"))->retry_after.has_value());
  CHECK(rejection_of(claims("open;9223372036854775807;p;n"))->retry_after == duration::infinite());
}

TEST_CASE("status: the dependency's wish travels with the status") {
  const absl::Status s = with_retry_after(absl::UnavailableError("busy"), 3s);
  CHECK(retry_after_of(s) == duration(3s));
  CHECK(classify(s) == verdict::transient().with_retry_after(3s));
  CHECK(message(s) == "busy");
  CHECK(classify(with_retry_after(absl::ResourceExhaustedError(""), 0s)).has_pushback());
  CHECK_FALSE(retry_after_of(absl::UnavailableError("busy")).has_value());
}

TEST_CASE("status: a wish that is no wish is ignored") {
  CHECK_FALSE(retry_after_of(with_retry_after(absl::UnavailableError(""), -1s)).has_value());
  CHECK_FALSE(retry_after_of(with_retry_after(absl::OkStatus(), 3s)).has_value());
  for (const char* hostile : {"", "soon", "3s", "-1", " 3", "99999999999999999999"}) {
    CAPTURE(hostile);
    CHECK_FALSE(
        retry_after_of(with_payload(absl::UnavailableError(""), "seawall/retry-after", hostile)).has_value());
  }
}

TEST_CASE("status: the wish of the dependency comes before the time left of a rejection") {
  CHECK(retry_after_of(with_retry_after(claims("open;5;p;n"), 7ns)) == duration(7ns));
}

TEST_CASE("status: saying why nothing more was tried keeps code and payloads") {
  absl::Status s = with_retry_after(with_payload(absl::UnavailableError("refused"), "theirs", "kept"), 3s);
  outcome_traits<absl::Status>::annotate(
      s, {.why = give_up::max_attempts, .name = "quotes", .attempts = 4, .elapsed = 812ms});
  CHECK(s.code() == absl::StatusCode::kUnavailable);
  CHECK(message(s) == "retry 'quotes' gave up after 4 attempts in 812ms: refused");
  CHECK(retry_after_of(s) == duration(3s));
  CHECK(detail::payload(s, "theirs") == "kept");

  absl::StatusOr<int> either = absl::InternalError("x");
  outcome_traits<absl::StatusOr<int>>::annotate(either,
                                                {.why = give_up::budget, .attempts = 1, .elapsed = 1s});
  CHECK(message(either.status()) == "retry gave up after 1 attempt in 1s, the retry budget is spent: x");
}

TEST_CASE("status: a wish not to be asked again stops repetitions, and says nothing else") {
  const absl::Status sick = do_not_retry(absl::UnavailableError("restarting"));
  CHECK(classify(sick).again == again::never);
  CHECK(classify(sick).health == health::unhealthy);
  CHECK(!classify(sick).has_pushback());
  CHECK(message(sick) == "restarting");
  // Stronger than what is known about the request, whichever came first.
  CHECK(classify(not_executed(sick)).again == again::never);
  CHECK(classify(do_not_retry(not_executed(absl::UnavailableError("x")))).again == again::never);
  CHECK(do_not_retry(absl::OkStatus()).ok());
}
