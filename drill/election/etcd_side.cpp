// SPDX-License-Identifier: Apache-2.0
#include "etcd_side.hpp"

#include <cstdint>
#include <thread>
#include <vector>

#include "etcd/etcd_server.hpp"
#include "etcd_client.hpp"
#include "settings.hpp"

namespace drill::election {
namespace {

using namespace std::chrono_literals;

class etcd_cluster final : public etcd_side {
 public:
  const std::string& version() const override { return version_; }

  std::optional<std::size_t> settled(std::chrono::milliseconds patience) override {
    const auto until = std::chrono::steady_clock::now() + patience;
    while (std::chrono::steady_clock::now() < until) {
      if (const auto l = leader(); l && all_write()) return l;
      std::this_thread::sleep_for(10ms);
    }
    return std::nullopt;
  }

  void kill(std::size_t m) override { servers_.kill_now(m); }
  void restart(std::size_t m) override { servers_.restart(m); }
  void suspend(std::size_t m) override { servers_.suspend(m); }
  void resume(std::size_t m) override { servers_.resume(m); }

  std::optional<seawall::instant> first_write_without(std::size_t m,
                                                      std::chrono::milliseconds patience) override {
    std::vector<std::size_t> others;
    for (std::size_t i = 0; i < nodes; ++i) {
      if (i != m) others.push_back(i);
    }
    return client_.first_write(others, patience);
  }
  load_figures load(std::size_t m, std::size_t in_flight, std::chrono::milliseconds length) override {
    return client_.load(m, in_flight, length);
  }

 private:
  /// If all say the same.
  std::optional<std::size_t> leader() {
    std::optional<std::uint64_t> said;
    std::optional<std::size_t> found;
    for (std::size_t i = 0; i < nodes; ++i) {
      const auto s = client_.status(i);
      if (!s || s->leader == 0 || (said && *said != s->leader)) return std::nullopt;
      said = s->leader;
      version_ = s->version;
      if (s->id == s->leader) found = i;
    }
    return found;
  }
  bool all_write() {
    for (std::size_t i = 0; i < nodes; ++i) {
      if (!client_.writes(i)) return false;
    }
    return true;
  }
  static std::vector<std::string> addresses(const etcd_test::etcd_cluster& c) {
    std::vector<std::string> all;
    for (std::size_t i = 0; i < c.size(); ++i) all.push_back("127.0.0.1:" + std::to_string(c.port(i)));
    return all;
  }

  etcd_test::etcd_cluster servers_{{.members = nodes, .heartbeat = heartbeat, .election = election_timeout}};
  etcd_client client_{addresses(servers_)};
  std::string version_;
};

}  // namespace

std::unique_ptr<etcd_side> etcd_side::start() {
  if (std::string_view(SEAWALL_TEST_ETCD_SERVER).empty()) return nullptr;
  return std::make_unique<etcd_cluster>();
}

}  // namespace drill::election
