// SPDX-License-Identifier: Apache-2.0
// Which results say that the dependency did not accept the request.
#include <utility>

#include "absl/status/status.h"
#include "seawall/outcome.hpp"
#include "seawall/status.hpp"
#include "support/hand_driven_throttle.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;
using core::throttle_sign;

namespace {

struct row {
  const char* name;
  absl::Status result;
  throttle_sign refusals;
  throttle_sign failures;
};

constexpr auto accepted = throttle_sign::accepted;
constexpr auto refused = throttle_sign::refused;
constexpr auto nothing = throttle_sign::nothing;

absl::Status rejected_for(reason why) {
  return outcome_traits<absl::Status>::reject({.policy = "p", .why = why, .retry_after = duration(1s)},
                                              nullptr);
}

const row rows[] = {
    {"success", absl::OkStatus(), accepted, accepted},
    {"an answer that is no", absl::NotFoundError(""), accepted, accepted},
    {"a quota", absl::ResourceExhaustedError(""), refused, refused},
    {"a quota, with a wish", with_retry_after(absl::ResourceExhaustedError(""), duration(1s)), refused,
     refused},
    {"a failure with a wish", with_retry_after(absl::UnavailableError(""), duration(1s)), refused, refused},
    {"a failure with a wish and a no",
     do_not_retry(with_retry_after(absl::UnavailableError(""), duration(1s))), refused, refused},
    {"no connection", not_executed(absl::UnavailableError("")), refused, refused},
    {"a failure", absl::UnavailableError(""), accepted, refused},
    {"no answer in time", absl::DeadlineExceededError(""), accepted, refused},
    {"lost data", absl::DataLossError(""), accepted, refused},
    {"cancelled", absl::CancelledError(""), nothing, nothing},
    {"rejected further in: open", rejected_for(reason::open), nothing, nothing},
    {"rejected further in: limit", rejected_for(reason::limit_reached), nothing, nothing},
    {"rejected further in: throttled", rejected_for(reason::throttled), nothing, nothing},
    {"out of time further in", rejected_for(reason::deadline_exceeded), nothing, nothing},
};

}  // namespace

TEST_CASE("throttle: each kind of result is an acceptance, a refusal or nothing, as the table says") {
  for (const row& r : rows) {
    CAPTURE(r.name);
    CHECK(core::sign_of(classify(r.result), throttle_counts::refusals) == r.refusals);
    CHECK(core::sign_of(classify(r.result), throttle_counts::failures) == r.failures);
  }
}

TEST_CASE("throttle: counts as its options say, and as they are changed to") {
  hand_driven_throttle t;
  t.ends(3, verdict::transient());
  CHECK(t.seen().accepts == 3);
  auto changed = without_floor();
  changed.counts = throttle_counts::failures;
  REQUIRE_FALSE(t.throttle.reconfigure(changed));
  t.ends(2, verdict::transient());
  CHECK(t.seen().requests == 5);
  CHECK(t.seen().accepts == 3);
}

TEST_CASE("throttle: what says nothing is neither a request nor accepted") {
  hand_driven_throttle t;
  t.ends(5, verdict::cancelled());
  CHECK(t.seen().requests == 0);
}

TEST_CASE("throttle: a permit that is dropped, moved from or released says nothing") {
  hand_driven_throttle t;
  CHECK(t.throttle.try_acquire(t.now));  // dropped at once
  auto p = t.throttle.try_acquire(t.now);
  auto q = std::move(p);
  CHECK_FALSE(p);
  p.accepted(t.now);
  q.release();
  q.accepted(t.now);
  CHECK(t.seen().requests == 0);
  q = t.throttle.try_acquire(t.now);
  q.refused(t.now);
  q.refused(t.now);  // settled already
  CHECK(t.seen().requests == 1);
  CHECK(t.seen().accepts == 0);
}
