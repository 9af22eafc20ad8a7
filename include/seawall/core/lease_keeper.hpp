// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_LEASE_KEEPER_HPP
#define SEAWALL_CORE_LEASE_KEEPER_HPP

// Keeps a lease_pool filled from a quota that lives elsewhere: when to ask, for how much, what to return,
// what an answer or its absence means. Told the time; whoever owns a connection asks it what to send and
// tells it what came of that.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string_view>

#include "seawall/core/lease_pool.hpp"
#include "seawall/random.hpp"
#include "seawall/time.hpp"

namespace seawall {

/// What a process grants by itself while the quota that it shares with others cannot be asked.
enum class quota_fallback : std::uint8_t {
  /// Nothing: once its lease is used up or has expired, it refuses.
  deny,
  /// Its part, rate / processes, as soon as the quota is slow. It is on top of what the quota grants to those
  /// that it still answers: for as long as only some have lost it, and, after all have, until the last has
  /// noticed that it is back.
  share,
  /// Its part, which the quota keeps back from the others for as long as it does not hear from this process;
  /// used only when it does so, a lease's time after it last heard. Nothing is on top. Where fewer than
  /// `processes` are running, a part of the rate is not used.
  reserved_share,
};

/// How a process stands with the quota it shares with others.
enum class quota_state : std::uint8_t {
  starting,  ///< has not been answered yet
  healthy,
  slow,  ///< answers take longer than `slow_after`
  down,  ///< the last attempt failed
};

constexpr std::string_view to_string(quota_state s) noexcept {
  switch (s) {
    case quota_state::starting: return "starting";
    case quota_state::healthy: return "healthy";
    case quota_state::slow: return "slow";
    case quota_state::down: return "down";
  }
  return "?";
}

namespace core {

struct lease_terms {
  std::uint32_t min_lease = 1;   ///< at least 1
  std::uint32_t max_lease = 20;  ///< at least `min_lease`
  duration lease_time = std::chrono::seconds(1);
  duration slow_after = std::chrono::milliseconds(20);
  duration probe_initial = std::chrono::milliseconds(50);
  duration probe_max = std::chrono::seconds(2);
  quota_fallback fallback = quota_fallback::reserved_share;
  std::uint64_t local_burst = 1;
};

/// What to ask for. All of it is carried out as one, in this order: settle, return, grant.
struct lease_request {
  std::uint64_t settled = 0;   ///< permits that were granted locally and are to be counted
  std::uint64_t returned = 0;  ///< permits that were granted and will not be used
  std::uint64_t wanted = 0;    ///< new ones
  /// Since the place answered; `infinite()` if it never has. A place that knows nothing of the quota any more
  /// has lost its state, and may have granted a whole burst just before it was last heard.
  duration silent = duration::infinite();
};

struct lease_reply {
  std::uint64_t granted = 0;
  duration retry_after = {};  ///< if less than wanted was granted: when there will be another permit
};

/// The life of a lease: asked for when half of the last one is gone, as large as what is used up in a quarter
/// of its time, within its bounds; renewed three times in that time, so that it expires only when the place
/// is lost; what is left of an expired one is returned.
///
/// What was granted locally is settled with the next request; after a loss of the place, up to the part of
/// the burst that belongs to this process: so much has come back there meanwhile, and would be granted twice.
///
/// Thread safety: none; one thread's, beside those that take from the pool.
class lease_keeper {
 public:
  lease_keeper(lease_terms terms, lease_pool& pool, instant now, random_source random) noexcept
      : terms_(terms),
        pool_(pool),
        random_(random),
        due_(now),
        heartbeat_(now),
        adapted_at_(now),
        heard_at_(now) {}

  /// The first moment from which the pool may grant locally.
  static instant local_from(const lease_terms& terms, instant now) noexcept {
    return now + (terms.fallback == quota_fallback::reserved_share ? terms.lease_time : terms.slow_after);
  }

  /// When to contact the place. Sooner if the pool asks: look again when it does.
  instant wake_at() const noexcept {
    if (state_ == quota_state::down || state_ == quota_state::starting) return due_;
    return pool_.asked() ? due_ : std::max(due_, heartbeat_);
  }
  quota_state state() const noexcept { return state_; }
  /// After a failure, whoever answers must be looked at before anything is asked for: a place that was
  /// stopped carries out what it was sent meanwhile, for nobody.
  bool must_probe() const noexcept { return state_ != quota_state::healthy && state_ != quota_state::slow; }
  std::uint64_t target() const noexcept { return target_; }
  duration round_trip() const noexcept { return round_trip_; }

  /// A contact begins: from here on it counts as outstanding.
  void begin(instant now) noexcept {
    if (!must_probe()) pool_.allow_local(now + (reserved() ? terms_.lease_time * 2 : terms_.slow_after));
  }

  /// What to ask for. What is returned has left the pool, whatever comes of the request.
  lease_request request(instant now) noexcept {
    pool_.clear_asked();
    sent_ = now;
    adapt(now);
    lease_request r;
    locally_taken_ = pool_.locally_taken();
    r.settled = must_probe() ? std::min(locally_taken_, terms_.local_burst) : locally_taken_;
    r.returned = unreturned_;
    unreturned_ = 0;
    const std::uint64_t held = pool_.left();
    const std::uint64_t keep = pool_.expires() <= now ? 0 : held > 2 * target_ ? target_ : held;
    if (held > keep) r.returned += pool_.withdraw(held - keep);
    const std::uint64_t left = pool_.left();
    r.wanted = target_ > left ? target_ - left : 0;
    r.silent = silent(now);
    wanted_ = r.wanted;
    return r;
  }

  /// The request was carried out.
  void succeeded(instant now, const lease_reply& reply) noexcept {
    note_round_trip(now - sent_);
    // From when it was sent: the place may have answered at once, and the answer been long on its way.
    unreturned_ = pool_.deposit(std::min(reply.granted, wanted_), sent_ + terms_.lease_time);
    held_after_ = pool_.left();
    pool_.settle(locally_taken_);
    pool_.allow_local(instant::never());
    state_ = now - sent_ > terms_.slow_after ? quota_state::slow : quota_state::healthy;
    failures_ = 0;
    answered_ = true;
    answered_at_ = now;
    heard_at_ = now;
    heartbeat_ = now + terms_.lease_time / 3;
    due_ = now + shortest_pause;
    if (reply.granted < wanted_) {
      // Those who wait for the same permits must not all come at once, nor too often.
      const duration pause = std::min(std::max(reply.retry_after, empty_pause), terms_.lease_time / 3);
      due_ = now + pause + part_of(pause / 2);
    }
    pool_.promise(due_ + round_trip_);
  }

  /// Nothing came of the contact; `sent` says whether the request may have been carried out all the same.
  void failed(instant now, bool sent) noexcept {
    if (sent) heard_at_ = now;
    if (!reserved())
      pool_.allow_local(std::min(pool_.local_from(), now));
    else if (sent || !must_probe())
      // Not before the place has given up hope of this process.
      pool_.allow_local(std::max(now, heard_at_ + terms_.lease_time));
    state_ = quota_state::down;
    const std::int64_t factor = std::int64_t{1} << std::min(failures_, 30U);
    ++failures_;
    const duration pause = std::min(terms_.probe_initial * factor, terms_.probe_max);
    due_ = now + pause / 2 + part_of(pause / 2);
    pool_.promise(due_ + round_trip_);
  }

  /// At the end: all that can be returned.
  lease_request farewell(instant now) noexcept {
    return {.settled = pool_.locally_taken(),
            .returned = unreturned_ + pool_.withdraw(pool_.left()),
            .wanted = 0,
            .silent = silent(now)};
  }

 private:
  // Commands a second are bounded, whatever the traffic.
  static constexpr duration shortest_pause = std::chrono::milliseconds(1);
  static constexpr duration empty_pause = std::chrono::milliseconds(2);

  duration part_of(duration d) noexcept {
    return duration::from_ns(static_cast<std::int64_t>(
        random_.up_to(static_cast<std::uint64_t>(std::max(d.ns(), std::int64_t{0})))));
  }

  duration silent(instant now) const noexcept {
    return answered_ ? now - answered_at_ : duration::infinite();
  }
  bool reserved() const noexcept { return terms_.fallback == quota_fallback::reserved_share; }

  /// The next lease: what the demand takes in a quarter of its time, or during four round trips.
  void adapt(instant now) noexcept {
    const std::uint64_t left = pool_.left();
    const std::uint64_t used = (held_after_ > left ? held_after_ - left : 0) + pool_.collect_refused();
    const double seconds = std::max((now - adapted_at_).seconds(), 1e-3);
    adapted_at_ = now;
    // Up at once, down by half in each lease time.
    const double faded = per_second_ * std::exp2(-seconds / terms_.lease_time.seconds());
    per_second_ = std::max(static_cast<double>(used) / seconds, faded);
    const duration horizon = std::max(terms_.lease_time / 4, round_trip_ * 4);
    const double needed = std::min(std::ceil(per_second_ * horizon.seconds()), 1e9);
    const auto wanted = std::max<std::uint64_t>(static_cast<std::uint64_t>(needed), pool_.collect_widest());
    target_ = std::clamp<std::uint64_t>(wanted, terms_.min_lease, terms_.max_lease);
  }

  void note_round_trip(duration d) noexcept {
    round_trip_ = answered_ ? round_trip_ + (d - round_trip_) / 8 : d;
  }

  const lease_terms terms_;
  lease_pool& pool_;
  random_source random_;
  quota_state state_ = quota_state::starting;
  instant due_;
  instant heartbeat_;
  instant sent_ = {};
  instant answered_at_ = {};
  instant adapted_at_;
  instant heard_at_;  // the last moment at which the place may have heard of this process
  bool answered_ = false;
  unsigned failures_ = 0;
  std::uint64_t target_ = 0;
  std::uint64_t wanted_ = 0;
  std::uint64_t locally_taken_ = 0;
  std::uint64_t held_after_ = 0;
  std::uint64_t unreturned_ = 0;
  double per_second_ = 0;
  duration round_trip_ = std::chrono::milliseconds(1);
};

}  // namespace core
}  // namespace seawall

#endif  // SEAWALL_CORE_LEASE_KEEPER_HPP
