// SPDX-License-Identifier: Apache-2.0
#include "seawall/core/lease_keeper.hpp"

#include <chrono>
#include <cstdint>

#include "seawall/core/lease_pool.hpp"
#include "seawall/random.hpp"
#include "seawall/time.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using seawall::duration;
using seawall::instant;
using seawall::quota_fallback;
using seawall::quota_state;
using seawall::core::lease_keeper;
using seawall::core::lease_pool;
using seawall::core::lease_reply;
using seawall::core::lease_request;
using seawall::core::lease_terms;

/// A keeper, its pool, and a place that answers as the test says.
struct kept {
  explicit kept(lease_terms t = {.min_lease = 2, .fallback = quota_fallback::share, .local_burst = 4})
      : terms(t),
        pool(t.max_lease, t.fallback == quota_fallback::deny ? duration::infinite() : duration(10ms),
             t.local_burst, lease_keeper::local_from(t, now), 2),
        keeper(t, pool, now, seawall::random_source(1)) {}

  /// A contact that takes `round_trip` and gives all that is wanted, at most `most`.
  lease_request answered(duration round_trip = 1ms, std::uint64_t most = 1'000'000,
                         duration retry_after = {}) {
    keeper.begin(now);
    const lease_request r = keeper.request(now);
    now = now + round_trip;
    keeper.succeeded(now, {.granted = std::min(r.wanted, most), .retry_after = retry_after});
    return r;
  }
  void refused(duration after = 1ms) {
    keeper.begin(now);
    now = now + after;
    keeper.failed(now, false);
  }
  lease_request lost(duration after = 100ms) {
    keeper.begin(now);
    const lease_request r = keeper.request(now);
    now = now + after;
    keeper.failed(now, true);
    return r;
  }
  void to_next_contact() { now = keeper.wake_at(); }

  lease_terms terms;
  instant now = instant() + 1h;
  lease_pool pool;
  lease_keeper keeper;
};

TEST_CASE("lease_keeper: asks at once, for the least, and renews three times in the life of a lease") {
  kept k;
  CHECK(k.keeper.state() == quota_state::starting);
  CHECK(k.keeper.wake_at() == k.now);
  CHECK(k.answered().wanted == 2);
  CHECK(k.keeper.state() == quota_state::healthy);
  for (int i = 0; i < 20; ++i) {
    const instant last = k.now;
    k.to_next_contact();
    CHECK(k.now - last <= duration(1s) / 3);
    CHECK(k.pool.take(1, k.now).granted);
    k.pool.give_back(1);
    k.answered();
    CHECK(k.pool.expires() > k.now + duration(900ms));
  }
}

TEST_CASE("lease_keeper: leases grow with the demand at once, and shrink by half in their time") {
  kept k;
  k.answered();
  // A thousand a second, refused or not: more than the largest lease in a quarter of a second.
  for (int i = 0; i < 100; ++i) k.pool.take(1, k.now);
  k.now = k.now + 100ms;
  CHECK(k.answered().wanted == 20);
  CHECK(k.keeper.target() == 20);
  k.now = k.now + 4s;
  k.answered();
  CHECK(k.keeper.target() < 20);
  CHECK(k.keeper.target() > 2);
  k.now = k.now + 20s;
  k.answered();
  CHECK(k.keeper.target() == 2);
}

TEST_CASE("lease_keeper: a heavy call that was refused is worth a lease of its weight") {
  kept k;
  k.answered();
  k.now = k.now + 10s;
  CHECK_FALSE(k.pool.take(17, k.now).granted);
  CHECK(k.keeper.wake_at() <= k.now);
  k.answered();
  CHECK(k.pool.take(17, k.now).granted);
}

TEST_CASE("lease_keeper: a lease counts from when it was asked for, not from when the answer came") {
  kept k;
  const instant sent = k.now;
  k.answered(90ms);
  CHECK(k.pool.expires() == sent + k.terms.lease_time);
}

TEST_CASE("lease_keeper: what is left of an expired lease is returned, and not used in between") {
  kept k;
  k.answered();
  k.now = k.now + 1s;
  k.keeper.begin(k.now);
  const lease_request r = k.keeper.request(k.now);
  CHECK(r.returned == 2);
  CHECK(r.wanted == 2);
  CHECK(k.pool.left() == 0);
}

TEST_CASE("lease_keeper: what the place grants beyond what was asked for, or does not fit, is not kept") {
  kept k;
  k.keeper.begin(k.now);
  CHECK(k.keeper.request(k.now).wanted == 2);
  k.keeper.succeeded(k.now, {.granted = 1000});
  CHECK(k.pool.left() == 2);
}

TEST_CASE(
    "lease_keeper: when there is nothing to be had, it comes back when there is, not sooner and not never") {
  kept k;
  k.answered(1ms, 0, 80ms);
  k.pool.take(1, k.now);
  CHECK(k.keeper.wake_at() >= k.now + duration(80ms));
  CHECK(k.keeper.wake_at() <= k.now + duration(120ms));
  k.to_next_contact();
  k.answered(1ms, 0, 1us);
  k.pool.take(1, k.now);
  CHECK(k.keeper.wake_at() >= k.now + duration(2ms));
  k.to_next_contact();
  k.answered(1ms, 0, 1h);
  k.pool.take(1, k.now);
  CHECK(k.keeper.wake_at() <= k.now + duration(1s) / 2);
}

TEST_CASE(
    "lease_keeper: an answer that takes long lets calls go on locally meanwhile, and is settled in full") {
  kept k;
  k.answered();
  k.pool.withdraw(2);
  k.keeper.begin(k.now);
  const instant begun = k.now;
  const lease_request first = k.keeper.request(begun);
  CHECK(first.settled == 0);
  CHECK_FALSE(k.pool.take(1, begun + 20ms).granted);
  for (int i = 0; i < 7; ++i) CHECK(k.pool.take(1, begun + 30ms + duration(10ms) * i).granted);
  k.now = begun + 90ms;
  k.keeper.succeeded(k.now, {.granted = first.wanted});
  CHECK(k.keeper.state() == quota_state::slow);
  // More than the local burst of 4: the place was there all the time, and granted to others.
  CHECK(k.answered().settled == 7);
  CHECK(k.keeper.state() == quota_state::healthy);
  CHECK(k.answered().settled == 0);
}

TEST_CASE("lease_keeper: after a loss no more is settled than has come back at the place meanwhile") {
  kept k;
  k.answered();
  k.lost();
  k.pool.withdraw(100);
  for (int i = 0; i < 50; ++i) k.pool.take(1, k.now + duration(10ms) * (i + 1));
  CHECK(k.pool.locally_taken() > 20);
  k.now = k.now + 1s;
  CHECK(k.answered().settled == 4);
  CHECK(k.pool.locally_taken() == 0);
}

TEST_CASE("lease_keeper: a settlement whose answer was lost is made again") {
  kept k;
  k.answered();
  k.lost();
  k.pool.withdraw(100);
  CHECK(k.pool.take(1, k.now + 50ms).granted);
  k.now = k.now + 100ms;
  CHECK(k.lost().settled == 1);
  CHECK(k.answered().settled == 1);
  CHECK(k.answered().settled == 0);
}

TEST_CASE(
    "lease_keeper: probes are further and further apart, up to a limit, and end with the first answer") {
  kept k;
  k.answered();
  duration longest;
  for (int i = 0; i < 100; ++i) {
    k.refused();
    CHECK(k.keeper.state() == quota_state::down);
    CHECK(k.keeper.must_probe());
    const duration pause = k.keeper.wake_at() - k.now;
    const duration nominal =
        std::min(k.terms.probe_initial * (std::int64_t{1} << std::min(i, 20)), k.terms.probe_max);
    CHECK(pause >= nominal / 2);
    CHECK(pause <= nominal);
    longest = std::max(longest, pause);
    k.pool.take(1, k.now);  // who asks does not hurry it
    CHECK(k.keeper.wake_at() == k.now + pause);
    k.to_next_contact();
  }
  CHECK(longest > k.terms.probe_max / 2);
  k.answered();
  CHECK_FALSE(k.keeper.must_probe());
  k.refused();
  CHECK(k.keeper.wake_at() - k.now <= k.terms.probe_initial);
}

TEST_CASE("lease_keeper: a probe does not begin the local share anew") {
  kept k;
  k.answered();
  k.lost();
  const instant from = k.pool.local_from();
  CHECK(from <= k.now);
  for (int i = 0; i < 5; ++i) {
    k.to_next_contact();
    k.lost();
    CHECK(k.pool.local_from() == from);
  }
  k.to_next_contact();
  k.answered();
  CHECK(k.pool.local_from() == instant::never());
}

TEST_CASE("lease_keeper: a process that starts without the place has its share, too") {
  kept k;
  CHECK_FALSE(k.pool.take(1, k.now).granted);
  CHECK(k.pool.take(1, k.now + k.terms.slow_after + 10ms).granted);
}

TEST_CASE("lease_keeper: a reserved share is not used before the place has given this process up") {
  kept k({.fallback = quota_fallback::reserved_share, .local_burst = 4});
  CHECK(k.pool.local_from() == k.now + k.terms.lease_time);
  k.answered();
  // It may have been heard by the last moment of a contact that came to nothing.
  k.lost();
  CHECK(k.pool.local_from() == k.now + k.terms.lease_time);
  // A connection that was refused was heard by nobody.
  const instant from = k.pool.local_from();
  k.to_next_contact();
  k.refused();
  CHECK(k.pool.local_from() == from);
  k.now = from + 1s;
  k.lost();
  CHECK(k.pool.local_from() == k.now + k.terms.lease_time);
}

TEST_CASE("lease_keeper: without a fallback nothing is granted locally") {
  kept k({.fallback = quota_fallback::deny});
  k.answered();
  k.pool.withdraw(100);
  k.lost();
  CHECK_FALSE(k.pool.take(1, k.now + 1h).granted);
  CHECK(k.pool.locally_granted() == 0);
}

TEST_CASE("lease_keeper: says for how long it has heard nothing, so that a lost state is noticed") {
  kept k;
  CHECK(k.answered().silent == duration::infinite());
  k.now = k.now + 300ms;
  CHECK(k.answered().silent == duration(300ms));
}

TEST_CASE("lease_keeper: the farewell returns all that is held") {
  kept k;
  k.answered();
  const lease_request r = k.keeper.farewell(k.now);
  CHECK(r.returned == 2);
  CHECK(r.wanted == 0);
  CHECK(k.pool.left() == 0);
}

}  // namespace
