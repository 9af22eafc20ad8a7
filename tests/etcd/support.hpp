// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_ETCD_SUPPORT_HPP
#define SEAWALL_TESTS_ETCD_SUPPORT_HPP

// Candidates of one election on a cluster of the test's.

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "election_conformance/observer.hpp"
#include "etcd/etcd_server.hpp"
#include "etcd/tcp_proxy.hpp"
#include "seawall/adapt/etcd.hpp"

namespace etcd_test {

using election_test::election_log;
using election_test::logged;
using election_test::observer;
using seawall::boot_clock;
using seawall::duration;
using seawall::etcd_elector;
using seawall::etcd_elector_options;
using seawall::instant;
using what = election_log::what;

inline const std::string leader_key = "seawall/election/orders/leader";
inline const std::string heir_key = "seawall/election/orders/heir";

/// So long that the machine may stand still for some seconds, and nothing comes of it.
inline etcd_elector_options options_for(const std::string& node, std::vector<std::string> endpoints) {
  return {.etcd = {.endpoints = std::move(endpoints),
                   .connect_timeout = 3s,
                   .request_timeout = 3s,
                   .backoff_initial = 20ms,
                   .backoff_max = 200ms},
          .election = "orders",
          .node = node,
          .ttl = 10s,
          .look_every = 500ms,
          .stand_back = 500ms,
          .release_within = 10s};
}
/// For who waits for a lease to end: the shortest that etcd keeps to with its own default settings. A machine that stands still
/// costs the leadership then, at any moment, and the test must bear that.
inline etcd_elector_options short_options_for(const std::string& node, std::vector<std::string> endpoints,
                                              duration ttl = 2s) {
  etcd_elector_options o = options_for(node, std::move(endpoints));
  o.ttl = ttl;
  o.etcd.connect_timeout = o.etcd.request_timeout = ttl / 4;
  return o;
}

/// Of who leads, or will.
inline std::optional<seawall::leadership> grant_of(const etcd_elector& e) {
  std::optional<seawall::leadership> l;
  static_cast<void>(eventually([&] { return (l = e.current()).has_value(); }));
  return l;
}

}  // namespace etcd_test

#endif  // SEAWALL_TESTS_ETCD_SUPPORT_HPP
