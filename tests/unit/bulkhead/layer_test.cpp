// SPDX-License-Identifier: Apache-2.0
// The layer: what a rejection says, what it costs those outside, one bulkhead for each key.
#include <optional>
#include <string>
#include <utility>

#include "seawall/any_pipeline.hpp"
#include "seawall/bulkhead.hpp"
#include "seawall/circuit_breaker.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include "seawall/status.hpp"
#include "seawall/testing/virtual_clock.hpp"
#include "support/hand_driven_bulkhead.hpp"
#include "unit/support.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;

namespace {

const auto ok = [] { return absl::OkStatus(); };

}  // namespace

TEST_CASE("bulkhead: a rejection names policy, instance and reason, and is silent about the dependency") {
  bulkhead b({.name = "quotes", .max_concurrent = 1});
  auto held = b.try_acquire();
  const auto pipe = compose(limit_concurrency(b));
  const absl::Status s = pipe.run(ok);
  CHECK(s.code() == absl::StatusCode::kResourceExhausted);
  CHECK(contains(s, "bulkhead 'quotes': limit reached"));
  const auto why = rejection_of(s);
  REQUIRE(why);
  CHECK(why->policy == "bulkhead");
  CHECK(why->why == reason::limit_reached);
  hand_driven_call call(pipe, instant());
  CHECK(call.start(instant()).v == verdict{.health = health::silent, .again = again::always});
}

TEST_CASE("bulkhead: a rejection by code alone has no text") {
  bulkhead b({.name = "quotes", .max_concurrent = 1, .rejections = rejection_detail::code_only});
  auto held = b.try_acquire();
  const absl::Status s = compose(limit_concurrency(b)).run(ok);
  CHECK(s.code() == absl::StatusCode::kResourceExhausted);
  CHECK(s.message().empty());
}

TEST_CASE("bulkhead: a breaker outside does not count rejections") {
  bulkhead b({.max_concurrent = 1});
  auto held = b.try_acquire();
  circuit_breaker outside({.over_time = {.failure_rate = 0}, .consecutive_failures = 1});
  const auto pipe = compose(breaker(outside), limit_concurrency(b));
  CHECK_FALSE(pipe.run(ok).ok());
  CHECK(outside.snapshot().state == breaker_state::closed);
}

TEST_CASE("bulkhead: inside a retry each attempt takes its own permit, and none is held during the pause") {
  bulkhead b({.max_concurrent = 1});
  testing::virtual_clock clock;
  const auto pipe = compose(retry({.max_attempts = 3}), limit_concurrency(b));
  std::uint64_t most = 0;
  const absl::Status s =
      testing::run(clock, pipe, idempotent([&](const attempt& a) {
                     most = std::max(most, b.snapshot(clock.now()).in_use);
                     return a.number() < 3 ? absl::UnavailableError("no") : absl::OkStatus();
                   }));
  CHECK(s.ok());
  CHECK(most == 1);
  CHECK(b.snapshot(clock.now()).in_use == 0);
}

TEST_CASE("bulkhead: a call weighs what the function says, on the way in and on the way out") {
  bulkhead b({.max_concurrent = 5, .weight_of = [](const call& c) noexcept -> std::uint32_t {
                return c.attribute("bulk") ? 4 : 1;
              }});
  const auto pipe = compose(limit_concurrency(b));
  const attribute bulk[] = {{.name = "bulk", .value = "yes"}};
  absl::Status inner, inner_bulk;
  CHECK(pipe.run({.attributes = bulk},
                 [&] {
                   CHECK(b.snapshot().in_use == 4);
                   inner = pipe.run(ok);
                   inner_bulk = pipe.run({.attributes = bulk}, ok);
                   return absl::OkStatus();
                 })
            .ok());
  CHECK(inner.ok());
  CHECK_FALSE(inner_bulk.ok());
  CHECK(b.snapshot().in_use == 0);
}

TEST_CASE("bulkhead: the weight that counts at the end is the one it had at the beginning") {
  bulkhead b({.max_concurrent = 5, .weight_of = [](const call&) noexcept -> std::uint32_t { return 3; }});
  const auto pipe = compose(limit_concurrency(b));
  CHECK(pipe.run([&] {
              b.reconfigure({.max_concurrent = 5});
              return absl::OkStatus();
            })
            .ok());
  CHECK(b.snapshot().in_use == 0);
}

TEST_CASE("bulkhead: one for each key, and a full one does not refuse the others") {
  keyed<bulkhead> shards({.name = "shards", .max_concurrent = 1});
  const auto pipe = compose(limit_concurrency(shards));
  auto held = shards.get("a")->try_acquire();
  const absl::Status s = pipe.run({.key = "a"}, ok);
  CHECK(contains(s, "bulkhead 'shards'"));
  CHECK(contains(s, "a"));
  CHECK(pipe.run({.key = "b"}, ok).ok());
  held.release();
  CHECK(pipe.run({.key = "a"}, ok).ok());
  REQUIRE_FALSE(shards.reconfigure({.name = "shards", .max_concurrent = 2}));
  CHECK(shards.get("a")->snapshot().max_concurrent == 2);
}

TEST_CASE("bulkhead: a key whose permits are in use is not forgotten") {
  keyed<bulkhead> shards({.max_concurrent = 1}, {.max_keys = 1});
  auto held = shards.get("a")->try_acquire();
  shards.get("b");
  CHECK_FALSE(shards.get("a")->try_acquire());
  held.release();
  CHECK(shards.get("a")->try_acquire());
  shards.get("b");
  CHECK(shards.size() == 1);
}

TEST_CASE("bulkhead: behind virtual functions it does the same") {
  bulkhead b({.max_concurrent = 1});
  const any_pipeline<absl::Status> pipe = compose(limit_concurrency(b));
  absl::Status second;
  CHECK(pipe.run(idempotent([&] {
              second = pipe.run(idempotent(ok));
              return absl::OkStatus();
            }))
            .ok());
  CHECK_FALSE(second.ok());
  CHECK(b.snapshot().in_use == 0);
}
