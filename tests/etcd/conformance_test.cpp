// SPDX-License-Identifier: Apache-2.0
// etcd_elector does what every elector does.
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "election_conformance/elector_conformance.hpp"
#include "etcd/support.hpp"
#include <doctest/doctest.h>

namespace {

using namespace etcd_test;

/// An election on a server, and for each candidate a way to it.
class etcd_engine {
 public:
  etcd_engine(const etcd_cluster& cluster, std::string election)
      : cluster_(cluster), election_(std::move(election)) {}

  std::unique_ptr<etcd_elector> make(const std::string& node) {
    if (ways_[node] == nullptr) ways_[node] = std::make_unique<tcp_proxy>(cluster_.port());
    auto o = options_for(node, {ways_[node]->endpoint()});
    o.election = election_;
    o.ttl = 5s;
    o.etcd.connect_timeout = o.etcd.request_timeout = 1500ms;
    o.stand_back = 10s;
    return std::make_unique<etcd_elector>(o);
  }
  void cut_off(const std::string& node) { ways_.at(node)->cut(); }
  void mend(const std::string& node) { ways_.at(node)->mend(); }
  duration lease() const { return 5s; }

 private:
  const etcd_cluster& cluster_;
  const std::string election_;
  std::map<std::string, std::unique_ptr<tcp_proxy>> ways_;
};

/// Every fourth row, from the given one: so that they take their time at the same time.
void check_rows(std::size_t first) {
  const auto rows = election_test::elector_conformance<etcd_engine>();
  const etcd_cluster cluster;
  for (std::size_t i = first; i < rows.size(); i += 4) {
    CAPTURE(rows[i].name);
    etcd_engine engine(cluster, std::to_string(i));
    rows[i].check(engine);
  }
}

TEST_CASE("etcd: conformance of the elector, rows 0, 4, 8...") { check_rows(0); }
TEST_CASE("etcd: conformance of the elector, rows 1, 5, 9...") { check_rows(1); }
TEST_CASE("etcd: conformance of the elector, rows 2, 6, 10...") { check_rows(2); }
TEST_CASE("etcd: conformance of the elector, rows 3, 7, 11...") { check_rows(3); }

}  // namespace
