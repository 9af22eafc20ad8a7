// SPDX-License-Identifier: Apache-2.0
// etcd_elector does what every elector does.
#include <map>
#include <memory>
#include <string>

#include "election_conformance/elector_conformance.hpp"
#include "etcd/support.hpp"
#include <doctest/doctest.h>

namespace {

using namespace etcd_test;

/// A server, and for each candidate a way to it.
class etcd_engine {
 public:
  std::unique_ptr<etcd_elector> make(const std::string& node) {
    if (ways_[node] == nullptr) ways_[node] = std::make_unique<tcp_proxy>(cluster_.port());
    return std::make_unique<etcd_elector>(options_for(node, {ways_[node]->endpoint()}));
  }
  void cut_off(const std::string& node) { ways_.at(node)->cut(); }
  void mend(const std::string& node) { ways_.at(node)->mend(); }
  duration lease() const { return 2s; }

 private:
  etcd_cluster cluster_;
  std::map<std::string, std::unique_ptr<tcp_proxy>> ways_;
};

TEST_CASE("etcd: conformance of the elector") {
  for (const auto& row : election_test::elector_conformance<etcd_engine>()) {
    SUBCASE(row.name) {
      etcd_engine engine;
      row.check(engine);
    }
  }
}

}  // namespace
