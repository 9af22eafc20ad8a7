// SPDX-License-Identifier: Apache-2.0
#include "raft_side.hpp"

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>
#include <utility>

#include "election/certificates.hpp"
#include "etcd/etcd_server.hpp"
#include "seawall/election/elector.hpp"
#include "settings.hpp"
#include <fmt/format.h>

namespace drill::election {
namespace {

using namespace std::chrono_literals;

std::string name(node n) { return fmt::format("n{}", n + 1); }

void save(const std::string& file, const std::string& text) {
  std::ofstream out(file);
  out << text;
  if (!out.flush()) throw std::runtime_error("cannot write " + file);
}

void make_certificates(const std::string& folder) {
  const election_test::authority ca;
  save(folder + "/ca.pem", ca.pem());
  for (node n = 0; n < nodes; ++n) {
    const auto tls = ca.tls({.names = "DNS:" + name(n), .to_seconds = 86'400});
    save(folder + "/" + name(n) + ".pem", tls.certificate);
    save(folder + "/" + name(n) + ".key", tls.private_key);
  }
}

}  // namespace

raft_side::raft_side(std::string folder, observer& o) : folder_(std::move(folder)), observer_(o) {
  make_certificates(folder_);
  processes_.resize(nodes);
  // Somebody else may be quicker at a port.
  for (int tries = 0;; ++tries) {
    ports_ = fmt::format("{},{},{}", etcd_test::free_port(), etcd_test::free_port(), etcd_test::free_port());
    try {
      start_all();
      return;
    } catch (const std::runtime_error&) {
      if (tries == 5) throw;
    }
    for (node n = 0; n < nodes; ++n) {
      processes_[n].kill_now();
      std::filesystem::remove_all(folder_ + "/" + name(n));
    }
  }
}

void raft_side::start_all() {
  for (node n = 0; n < nodes; ++n) restart(n);
}

void raft_side::restart(node n) {
  processes_[n] = child_process::start(name(n), {"serve-node", "--self", std::to_string(n), "--folder",
                                                 folder_, "--observer", observer_.path(), "--ports", ports_});
}

std::optional<node_status> raft_side::status(node n) {
  const auto line = processes_[n].ask("status", 1s);
  return line ? status_from(*line) : std::nullopt;
}

bool raft_side::agree() {
  std::optional<node_status> first;
  for (node n = 0; n < nodes; ++n) {
    auto s = status(n);
    if (!s || s->leader == "-" || s->applied != s->committed) return false;
    s->part.clear();
    if (first && *first != *s) return false;
    first = std::move(s);
  }
  return true;
}

std::optional<record> raft_side::settled(std::chrono::milliseconds patience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (std::chrono::steady_clock::now() < until) {
    if (agree()) {
      const auto newest = observer_.newest();
      if (newest && seawall::boot_clock::now() < newest->until) return newest;
    }
    std::this_thread::sleep_for(5ms);
  }
  return std::nullopt;
}

std::string raft_side::describe() {
  std::string text;
  for (node n = 0; n < nodes; ++n) {
    const auto s = status(n);
    text += fmt::format("  {}: {}\n", name(n), s ? to_line(*s) : "no answer");
  }
  return text;
}

std::optional<load_figures> raft_side::load(node n, std::size_t in_flight, std::chrono::milliseconds length) {
  const auto line = processes_[n].ask(fmt::format("load {} {}", in_flight, length.count()), length + 15s);
  return line ? load_from(*line) : std::nullopt;
}

}  // namespace drill::election
