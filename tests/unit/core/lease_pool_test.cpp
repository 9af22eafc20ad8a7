// SPDX-License-Identifier: Apache-2.0
#include "seawall/core/lease_pool.hpp"

#include <chrono>
#include <cstdint>

#include "seawall/time.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using seawall::duration;
using seawall::instant;
using seawall::core::lease_pool;
using seawall::core::local_share;

instant at(duration d) { return instant() + d; }

struct pool_of : lease_pool {
  explicit pool_of(std::uint32_t most, unsigned stripes = 4)
      : lease_pool(most, 10ms, 5, instant::never(), stripes) {}
  std::uint64_t take_all(instant now) {
    std::uint64_t taken = 0;
    while (take(1, now).granted) ++taken;
    return taken;
  }
};

TEST_CASE("lease_pool: takes are what was deposited, to the last permit, whatever the stripes") {
  for (const unsigned stripes : {1U, 2U, 8U, 32U}) {
    for (const std::uint64_t permits : {1U, 2U, 7U, 100U}) {
      CAPTURE(stripes);
      CAPTURE(permits);
      pool_of pool(100, stripes);
      CHECK(pool.deposit(permits, at(1s)) == 0);
      CHECK(pool.left() == permits);
      CHECK(pool.take_all(at(0s)) == permits);
      CHECK(pool.left() == 0);
    }
  }
}

TEST_CASE("lease_pool: all or none of what one call wants") {
  pool_of pool(100);
  pool.deposit(7, at(1s));
  CHECK(pool.take(4, at(0s)).granted);
  CHECK_FALSE(pool.take(4, at(0s)).granted);
  CHECK(pool.left() == 3);
  CHECK(pool.take(3, at(0s)).granted);
}

TEST_CASE("lease_pool: nothing is taken from a lease at or after its end; renewed, it is good again") {
  pool_of pool(100);
  CHECK_FALSE(pool.take(1, at(0s)).granted);
  pool.deposit(10, at(1s));
  CHECK(pool.take(1, at(1s - 1ns)).granted);
  CHECK_FALSE(pool.take(1, at(1s)).granted);
  CHECK(pool.left() == 9);
  pool.deposit(0, at(2s));
  CHECK(pool.take(1, at(1s)).granted);
}

TEST_CASE("lease_pool: never holds more than a lease; what does not fit comes back") {
  pool_of pool(10);
  CHECK(pool.deposit(15, at(1s)) == 5);
  CHECK(pool.left() == 10);
  pool.give_back(3);
  CHECK(pool.left() == 10);
  CHECK(pool.take(4, at(0s)).granted);
  pool.give_back(9);
  CHECK(pool.left() == 10);
}

TEST_CASE("lease_pool: asks once when half of a lease is gone, and again only after it was heard") {
  pool_of pool(100);
  pool.deposit(100, at(1s));
  int asks = 0;
  int taken = 0;
  while (asks == 0 && taken < 100) {
    asks += pool.take(1, at(0s)).ask ? 1 : 0;
    ++taken;
  }
  CHECK(asks == 1);
  CHECK(pool.asked());
  CHECK(taken >= 25);
  CHECK(taken <= 75);
  while (pool.take(1, at(0s)).granted) CHECK_FALSE(pool.take(1, at(0s)).ask);
  pool.clear_asked();
  CHECK(pool.take(1, at(0s)).ask);
}

TEST_CASE(
    "lease_pool: a call that wants more than any lease is told that waiting is in vain, and is no demand") {
  pool_of pool(10);
  const auto answer = pool.take(11, at(0s));
  CHECK_FALSE(answer.granted);
  CHECK_FALSE(answer.ask);
  CHECK(answer.retry_after == duration::infinite());
  CHECK(pool.collect_refused() == 0);
  CHECK(pool.collect_widest() == 0);
}

TEST_CASE("lease_pool: refusals are counted as demand, with the widest") {
  pool_of pool(10);
  pool.take(2, at(0s));
  pool.take(7, at(0s));
  pool.take(3, at(0s));
  CHECK(pool.collect_refused() == 12);
  CHECK(pool.collect_refused() == 0);
  CHECK(pool.collect_widest() == 7);
  CHECK(pool.collect_widest() == 0);
}

TEST_CASE("lease_pool: who is refused is told when more is expected, at least a little later") {
  pool_of pool(10);
  CHECK(pool.take(1, at(0s)).retry_after == duration(1ms));
  pool.promise(at(70ms));
  CHECK(pool.take(1, at(20ms)).retry_after == duration(50ms));
  CHECK(pool.take(1, at(100ms)).retry_after == duration(1ms));
}

TEST_CASE("lease_pool: a lease is used up before anything is granted locally") {
  pool_of pool(10);
  pool.deposit(3, at(1s));
  pool.allow_local(at(0s));
  for (int i = 0; i < 3; ++i) CHECK(pool.take(1, at(500ms)).granted);
  CHECK(pool.locally_granted() == 0);
  CHECK(pool.take(1, at(500ms)).granted);
  CHECK(pool.locally_granted() == 1);
  CHECK(pool.locally_taken() == 1);
}

TEST_CASE("lease_pool: what was granted locally and is given back is not settled, and is no lease") {
  pool_of pool(10);
  pool.allow_local(at(0s));
  CHECK(pool.take(3, at(500ms)).granted);
  pool.give_back(2);
  CHECK(pool.locally_taken() == 1);
  CHECK(pool.left() == 0);
  pool.give_back(4);
  CHECK(pool.locally_taken() == 0);
  CHECK(pool.left() == 3);
}

TEST_CASE("lease_pool: what is withdrawn cannot be taken") {
  pool_of pool(10);
  pool.deposit(10, at(1s));
  CHECK(pool.take(1, at(0s)).granted);
  CHECK(pool.withdraw(4) == 4);
  CHECK(pool.take_all(at(0s)) == 5);
  CHECK(pool.withdraw(1) == 0);
}

TEST_CASE("local_share: begins empty, so that a burst is not granted twice") {
  local_share share(10ms, 5);
  CHECK(share.take(1, at(1s), at(1s)) == duration(10ms));
  CHECK(share.take(1, at(1s), at(1s + 10ms)) == duration::zero());
  CHECK(share.take(1, at(1s), at(1s + 10ms)) == duration(10ms));
  // Idle, it fills up to its burst and no further.
  int granted = 0;
  while (share.take(1, at(1s), at(60s)) == duration::zero()) ++granted;
  CHECK(granted == 5);
  // Lost anew: empty again.
  CHECK(share.take(1, at(100s), at(100s)) == duration(10ms));
}

TEST_CASE("local_share: who wants more than the burst waits for all of it, and is served") {
  local_share share(10ms, 5);
  CHECK(share.take(8, at(0s), at(50ms)) == duration(30ms));
  CHECK(share.take(8, at(0s), at(80ms)) == duration::zero());
  CHECK(share.take(1, at(0s), at(80ms)) > duration::zero());
}

TEST_CASE("local_share: without a share nothing is granted, ever") {
  local_share none(duration::infinite(), 1);
  CHECK(none.take(1, at(0s), at(1h)) == duration::infinite());
}

}  // namespace
