// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "redis/support.hpp"
#include "seawall/adapt/redis.hpp"
#include "seawall/status.hpp"
#include <doctest/doctest.h>

namespace {

using namespace redis_test;

struct row {
  void (*spoil)(redis_quota_options&);
  const char* field;
  const char* value;
  const char* range;
};

TEST_CASE("redis: bad options are refused with field, value and range") {
  const row table[] = {
      {[](auto& o) { o.host = ""; }, "host", "empty", "must not be, unless there is a unix_socket"},
      {[](auto& o) { o.key = ""; }, "key", "0 bytes", "must be at least 1 and at most 512"},
      {[](auto& o) { o.key = std::string(513, 'k'); }, "key", "513 bytes",
       "must be at least 1 and at most 512"},
      {[](auto& o) { o.port = 0; }, "port", "0", "must be at least 1"},
      {[](auto& o) { o.max_lease = 0; }, "max_lease", "0", "must be at least 1 and at most 1000000"},
      {[](auto& o) { o.max_lease = 1'000'001; }, "max_lease", "1000001",
       "must be at least 1 and at most 1000000"},
      {[](auto& o) { o.min_lease = 0; }, "min_lease", "0", "must be at least 1 and at most max_lease, 20"},
      {[](auto& o) { o.min_lease = 21; }, "min_lease", "21", "must be at least 1 and at most max_lease, 20"},
      {[](auto& o) { o.processes = 0; }, "processes", "0",
       "must be at least 1 and at most 10000: a process that has lost the quota divides the rate by it"},
      {[](auto& o) { o.processes = 10'001; }, "processes", "10001",
       "must be at least 1 and at most 10000: a process that has lost the quota divides the rate by it"},
      {[](auto& o) { o.permits = 0; }, "permits", "0", "must be at least 1 and at most 1000000000"},
      {[](auto& o) { o.permits = 1'000'000'001; }, "permits", "1000000001",
       "must be at least 1 and at most 1000000000"},
      {[](auto& o) { o.per = 999us; }, "per", "999us",
       "must be at least 1ms, at most 24h, and whole microseconds"},
      {[](auto& o) { o.per = 25h; }, "per", "25h",
       "must be at least 1ms, at most 24h, and whole microseconds"},
      {[](auto& o) { o.per = 1'000'001ns; }, "per", "1ms",
       "must be at least 1ms, at most 24h, and whole microseconds"},
      {[](auto& o) { o.burst = 19; }, "burst", "19", "must be at least max_lease, 20"},
      {[](auto& o) { o.burst = 1'125'899'907; }, "burst", "1125899907",
       "must be at most 1125899906 with this per"},
      {[](auto& o) {
         o.fallback = quota_fallback::reserved_share;
         o.processes = 1000;
         o.burst = 1'125'900;
       },
       "burst", "1125900", "must be at most 1125899 with this per"},
      {[](auto& o) { o.lease_time = 99ms; }, "lease_time", "99ms", "must be at least 100ms and at most 1h"},
      {[](auto& o) { o.connect_timeout = 0s; }, "connect_timeout", "0s", "must be positive and at most 1min"},
      {[](auto& o) { o.command_timeout = 501ms; }, "command_timeout", "501ms",
       "must be positive and at most half of lease_time, 500ms"},
      {[](auto& o) { o.slow_after = 101ms; }, "slow_after", "101ms",
       "must be positive and at most command_timeout, 100ms"},
      {[](auto& o) { o.probe_max = 11min; }, "probe_max", "11min", "must be at most 10min"},
      {[](auto& o) { o.probe_initial = 3s; }, "probe_initial", "3s",
       "must be at least 1ms and at most probe_max, 2s"},
  };
  for (const row& r : table) {
    CAPTURE(r.field);
    CAPTURE(r.value);
    redis_quota_options o{.key = "orders", .processes = 1};
    r.spoil(o);
    const auto error = validate(o);
    REQUIRE(error);
    CHECK(error->field == r.field);
    CHECK(error->value == r.value);
    CHECK(error->range == r.range);
    CHECK_THROWS_WITH_AS(redis_quota{o}, error->text("redis_quota").c_str(), std::invalid_argument);
    const absl::Status status = redis_quota::create(o).status();
    CHECK(status == absl::InvalidArgumentError(error->text("redis_quota")));
  }
}

TEST_CASE("redis: good options at the edges of their ranges are accepted") {
  redis_quota_options o{.key = "k", .permits = 1'000'000'000, .per = 24h, .burst = 13'031};
  o.fallback = quota_fallback::deny;
  CHECK_FALSE(validate(o));
  o.host = "";
  o.unix_socket = "/run/redis.sock";
  o.port = 0;
  CHECK_FALSE(validate(o));
}

}  // namespace
