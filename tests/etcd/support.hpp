// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_ETCD_SUPPORT_HPP
#define SEAWALL_TESTS_ETCD_SUPPORT_HPP

// Candidates of one election on a cluster of the test's.

#include <memory>
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

/// Short enough for a test to wait for an expiry; the shortest that etcd keeps to with its own default settings.
inline etcd_elector_options options_for(const std::string& node, std::vector<std::string> endpoints) {
  return {.etcd = {.endpoints = std::move(endpoints),
                   .connect_timeout = 300ms,
                   .request_timeout = 600ms,
                   .backoff_initial = 20ms,
                   .backoff_max = 200ms},
          .election = "orders",
          .node = node,
          .ttl = 2s,
          .look_every = 500ms,
          .stand_back = 500ms,
          .release_within = 10s};
}

}  // namespace etcd_test

#endif  // SEAWALL_TESTS_ETCD_SUPPORT_HPP
