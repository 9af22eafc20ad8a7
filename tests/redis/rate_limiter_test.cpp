// SPDX-License-Identifier: Apache-2.0
// A pipeline whose rate_limiter draws on a shared quota.
#include "seawall/rate_limiter.hpp"

#include <chrono>
#include <cstdint>

#include "absl/status/status.h"
#include "redis/support.hpp"
#include "seawall/adapt/redis.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/status.hpp"
#include <doctest/doctest.h>

namespace {

using namespace redis_test;

redis_quota_options ten_an_hour(const redis_server& server) {
  redis_quota_options o = options_for(server, 2);
  o.permits = 10;
  o.per = 1h;
  o.burst = 10;
  o.max_lease = 10;
  return o;
}

TEST_CASE("redis: two pipelines with a quota in common get what it has, and no more") {
  redis_server server;
  redis_quota here(ten_an_hour(server));
  redis_quota there(ten_an_hour(server));
  REQUIRE(here.wait_until_answered(10s));
  REQUIRE(there.wait_until_answered(10s));
  seawall::rate_limiter limit_here({.name = "here", .quota = &here});
  seawall::rate_limiter limit_there({.name = "there", .quota = &there});
  const auto pipeline_here = seawall::compose(seawall::limit_rate(limit_here));
  const auto pipeline_there = seawall::compose(seawall::limit_rate(limit_there));

  int done = 0;
  const auto operation = [&done] {
    ++done;
    return absl::OkStatus();
  };
  // What one of them holds and does not use is the other's only when it is returned.
  CHECK(eventually([&] {
    static_cast<void>(pipeline_here.run(operation));
    return done == 9;
  }));
  CHECK(eventually([&] {
    static_cast<void>(pipeline_there.run(operation));
    return done == 10;
  }));
  for (int i = 0; i < 100; ++i) static_cast<void>(pipeline_there.run(operation));
  CHECK(done == 10);

  const absl::Status rejected = pipeline_here.run(operation);
  CHECK(rejected.code() == absl::StatusCode::kResourceExhausted);
  const auto why = seawall::rejection_of(rejected);
  REQUIRE(why);
  CHECK(why->name == "here");
}

TEST_CASE("redis: a call that may wait for a shared quota gets its permit when the server has one") {
  redis_server server;
  redis_quota_options o = options_for(server, 1);
  o.permits = 100;
  o.burst = 20;
  redis_quota quota(o);
  REQUIRE(quota.wait_until_answered(10s));
  seawall::rate_limiter limiter({.name = "orders", .max_wait = 30s, .quota = &quota});
  const auto pipeline = seawall::compose(seawall::limit_rate(limiter));
  int done = 0;
  for (int i = 0; i < 60; ++i) {
    CHECK(pipeline
              .run([&done] {
                ++done;
                return absl::OkStatus();
              })
              .ok());
  }
  CHECK(done == 60);
}

}  // namespace
