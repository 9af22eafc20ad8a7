// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ADAPT_ETCD_ELECTOR_OPTIONS_HPP
#define SEAWALL_ADAPT_ETCD_ELECTOR_OPTIONS_HPP

// What a candidate on etcd is told, and what it tells of itself.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "seawall/adapt/etcd/options.hpp"
#include "seawall/options.hpp"
#include "seawall/time.hpp"

namespace seawall {

struct etcd_elector_options {
  etcd_connection_options etcd = {};
  std::string prefix = "seawall/election/";  ///< of the keys; the same for all candidates: at most 512 bytes
  std::string election = {};  ///< whoever has the same one stands against each other: 1 to 512 bytes
  std::string node = {};      ///< this candidate, as the others see it: 1 to 256 bytes, unique

  /// A leader that is gone is missed for so long, and up to a second more. etcd may raise a small one (to 2 s, with its own default
  /// election time-out): what it answers counts. Whole seconds in [1 s, 1 h], at least three times `etcd.request_timeout`.
  duration ttl = std::chrono::seconds(5);
  /// By how much the rate of this machine's clock, or of etcd's, may be off: [0, 0.1].
  double max_clock_drift = 0.005;
  /// The election is watched; for the case that the watch has died unnoticed it is looked at so often, too: [100 ms, 1 h].
  duration look_every = std::chrono::seconds(5);
  /// Who has resigned lets the others go first for so long: [0, 1 h].
  duration stand_back = std::chrono::seconds(2);
  /// The lease of a leader that resigns is renewed so long while `on_lost` has not returned; then it runs out: [0, 1 h].
  duration release_within = std::chrono::seconds(30);
};

inline std::optional<option_error> validate(const etcd_elector_options& o) {
  if (auto error = detail::check_election(o.prefix, o.election)) return error;
  if (o.node.empty() || o.node.size() > 256)
    return option_error{"node", std::to_string(o.node.size()) + " bytes",
                        "must be at least 1 and at most 256"};
  const duration none = duration::zero();
  const duration hour = std::chrono::hours(1);
  detail::option_checks checks;
  checks.require(validate(o.etcd), "etcd")
      .require(o.ttl >= std::chrono::seconds(1) && o.ttl <= hour && o.ttl.ns() % 1'000'000'000 == 0, "ttl",
               o.ttl, "must be at least 1s, at most 1h, and whole seconds")
      .require(o.etcd.request_timeout <= o.ttl / 3, "etcd.request_timeout", o.etcd.request_timeout,
               "must be at most a third of ttl, " + to_text(o.ttl / 3))
      .require(detail::within(o.max_clock_drift, 0, 0.1), "max_clock_drift", o.max_clock_drift,
               "must be at least 0 and at most 0.1")
      .require(o.look_every >= std::chrono::milliseconds(100) && o.look_every <= hour, "look_every",
               o.look_every, "must be at least 100ms and at most 1h")
      .require(o.stand_back >= none && o.stand_back <= hour, "stand_back", o.stand_back,
               "must be at least 0s and at most 1h")
      .require(o.release_within >= none && o.release_within <= hour, "release_within", o.release_within,
               "must be at least 0s and at most 1h");
  return checks.result();
}

enum class etcd_elector_state : std::uint8_t {
  starting,
  following,    ///< somebody leads, or is let go first
  campaigning,  ///< or finding out what came of it
  leading,
  leaving,      ///< leads no more, and `on_lost` has not returned, or the lease is not released
  unreachable,  ///< no endpoint gives an answer
};

constexpr std::string_view to_string(etcd_elector_state s) noexcept {
  switch (s) {
    case etcd_elector_state::starting: return "starting";
    case etcd_elector_state::following: return "following";
    case etcd_elector_state::campaigning: return "campaigning";
    case etcd_elector_state::leading: return "leading";
    case etcd_elector_state::leaving: return "leaving";
    case etcd_elector_state::unreachable: return "unreachable";
  }
  return "";
}

struct etcd_elector_snapshot {
  etcd_elector_state state = etcd_elector_state::starting;
  std::string leader = {};    ///< the node that leads, as last seen; empty: none
  std::string endpoint = {};  ///< which is asked at present
  std::uint64_t campaigns = 0;
  std::uint64_t grants = 0;
  std::uint64_t unknown_outcomes = 0;  ///< of campaigns: found out by looking
  std::uint64_t renewals = 0;
  std::uint64_t failures = 0;   ///< requests that came to nothing
  std::string last_error = {};  ///< at most 512 bytes
};

}  // namespace seawall

#endif  // SEAWALL_ADAPT_ETCD_ELECTOR_OPTIONS_HPP
