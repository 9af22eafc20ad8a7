// SPDX-License-Identifier: Apache-2.0
#include "node_process.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "drill/child_process.hpp"
#include "observer.hpp"
#include "record.hpp"
#include "seawall/election/elector.hpp"
#include "seawall/election/raft_elector.hpp"
#include "seawall/time.hpp"
#include "settings.hpp"

namespace drill::election {
namespace {

using namespace std::chrono_literals;
using seawall::boot_clock;
using seawall::duration;
using seawall::instant;
using seawall::raft_elector;

std::string flag(std::span<const std::string_view> arguments, std::string_view name) {
  for (std::size_t i = 0; i + 1 < arguments.size(); ++i) {
    if (arguments[i] == name) return std::string(arguments[i + 1]);
  }
  throw std::runtime_error(std::string(name) + " is missing");
}

std::string node_name(node n) { return "n" + std::to_string(n + 1); }

seawall::raft_elector_options options_of(node self, const std::string& folder, const std::string& ports) {
  seawall::raft_elector_options o{.cluster = "drill", .self = self + 1};
  std::istringstream in(ports);
  std::string port;
  for (node n = 0; std::getline(in, port, ','); ++n) {
    o.nodes.push_back({.id = n + 1,
                       .name = node_name(n),
                       .host = "127.0.0.1",
                       .port = static_cast<std::uint16_t>(std::stoi(port)),
                       .identity = "DNS:" + node_name(n)});
  }
  const std::string mine = folder + "/" + node_name(self);
  o.directory = mine;
  o.raft.heartbeat = heartbeat;
  o.raft.election_timeout = election_timeout;
  o.raft.election_jitter = election_jitter;
  o.transport.tls = {
      .ca_file = folder + "/ca.pem", .certificate_file = mine + ".pem", .private_key_file = mine + ".key"};
  return o;
}

/// Tells the observer what a user of the elector sees.
class witness {
 public:
  witness(node self, const std::string& observer) : self_(self), to_(observer) {}

  /// Only what is certain: that it was valid at a moment between taking the value and asking it.
  void look(const seawall::leadership& l) {
    const instant at = boot_clock::now();
    const instant until = l.valid_until();
    if (l.valid()) say(record::kind::valid, l.token(), at, until);
  }
  void ended(std::uint64_t token) { say(record::kind::ended, token, boot_clock::now()); }
  void wrote(std::uint64_t token) { say(record::kind::wrote, token, boot_clock::now()); }

 private:
  void say(record::kind what, std::uint64_t token, instant at, instant until = {}) {
    to_.say({.from = self_, .what = what, .token = token, .at = at, .until = until});
  }

  const node self_;
  const reporter to_;
};

/// Looks every millisecond, and tells of each renewal.
class sampler {
 public:
  sampler(const raft_elector& e, witness& w) : elector_(e), witness_(w), thread_([this] { run(); }) {}
  ~sampler() {
    stop_ = true;
    thread_.join();
  }
  sampler(const sampler&) = delete;
  sampler& operator=(const sampler&) = delete;

 private:
  void run() {
    instant told{};
    while (!stop_) {
      if (const auto l = elector_.current(); l && l->valid_until() != told) {
        told = l->valid_until();
        witness_.look(*l);
      }
      std::this_thread::sleep_for(1ms);
    }
  }

  const raft_elector& elector_;
  witness& witness_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

/// On the elector's own threads.
seawall::election_callbacks watched(raft_elector& e, witness& w, const std::string& name) {
  auto token = std::make_shared<std::uint64_t>(0);
  return {.on_elected =
              [&e, &w, name, token](const seawall::leadership& l) {
                *token = l.token();
                w.look(l);
                // The first thing that a new leader does: what its users wait for.
                e.async_put("leader", name, seawall::steady_clock::now() + 10s,
                            [&w, t = l.token()](const absl::StatusOr<seawall::map_answer>& a) {
                              if (a.ok()) w.wrote(t);
                            });
              },
          .on_lost = [&w, token](std::string_view) { w.ended(*token); }};
}

/// Keeps writes under way; each that is answered is followed by another one.
class map_load {
 public:
  map_load(raft_elector& e, std::size_t in_flight, std::chrono::milliseconds length)
      : elector_(e), value_(value_bytes, 'x'), in_flight_(in_flight), length_(length) {}

  load_figures run() {
    begun_ = seawall::steady_clock::now();
    until_ = begun_ + length_;
    std::unique_lock<std::mutex> lock(mutex_);
    under_way_ = in_flight_;
    lock.unlock();
    for (std::size_t i = 0; i < in_flight_; ++i) write();
    lock.lock();
    over_.wait(lock, [this] { return under_way_ == 0; });
    const double s = static_cast<double>((last_ - begun_).ns()) * 1e-9;
    return {.in_flight = in_flight_,
            .per_second = s > 0 ? static_cast<double>(took_.size()) / s : 0,
            .failed = failed_,
            .latency = summarise(std::move(took_))};
  }

 private:
  void write() {
    const instant sent = seawall::steady_clock::now();
    elector_.async_put(key(next_.fetch_add(1)), value_, sent + 10s,
                       [this, sent](const absl::StatusOr<seawall::map_answer>& a) { done(sent, a.ok()); });
  }
  void done(instant sent, bool ok) {
    const instant now = seawall::steady_clock::now();
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      ok ? took_.push_back(now - sent) : static_cast<void>(++failed_);
      last_ = now;
      // Failures come at once, and would never end.
      if (now >= until_ || failed_ > 1000) {
        if (--under_way_ == 0) over_.notify_all();
        return;
      }
    }
    write();
  }

  raft_elector& elector_;
  const std::string value_;
  const std::size_t in_flight_;
  const duration length_;
  instant begun_, until_, last_;
  std::atomic<std::size_t> next_{0};
  std::mutex mutex_;
  std::condition_variable over_;
  std::size_t under_way_ = 0;
  std::uint64_t failed_ = 0;
  std::vector<duration> took_;
};

std::string status_of(const raft_elector& e) {
  const seawall::raft_elector_snapshot s = e.snapshot();
  return to_line(node_status{.part = s.halted ? "halted" : std::string(seawall::to_string(s.part)),
                             .leader = s.leader.value_or("-"),
                             .term = s.term,
                             .committed = s.committed,
                             .applied = s.applied});
}

std::string answer(raft_elector& e, std::string_view question) {
  std::istringstream words{std::string(question)};
  std::string what;
  std::size_t in_flight = 0;
  long ms = 0;
  words >> what;
  if (what == "status") return status_of(e);
  if (what == "load" && words >> in_flight >> ms)
    return to_line(map_load(e, in_flight, std::chrono::milliseconds(ms)).run());
  return "?";
}

}  // namespace

int serve_node(std::span<const std::string_view> arguments) {
  const auto self = static_cast<node>(std::stoul(flag(arguments, "--self")));
  witness w(self, flag(arguments, "--observer"));
  auto e = raft_elector::open(options_of(self, flag(arguments, "--folder"), flag(arguments, "--ports")));
  if (!e.ok()) throw std::runtime_error(e.status().ToString());
  (*e)->start(watched(**e, w, node_name(self)));
  {
    const sampler s(**e, w);
    serve_driver([&](std::string_view question) { return answer(**e, question); });
  }
  return 0;
}

}  // namespace drill::election
