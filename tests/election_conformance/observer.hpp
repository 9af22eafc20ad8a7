// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_ELECTION_CONFORMANCE_OBSERVER_HPP
#define SEAWALL_TESTS_ELECTION_CONFORMANCE_OBSERVER_HPP

// What candidates were told, in the order in which they were, and somebody who asks all of them all the time whether they lead.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "seawall/election/elector.hpp"
#include "seawall/time.hpp"

namespace election_test {

/// Of all candidates of a test.
class election_log {
 public:
  enum class what { elected, lost };
  struct entry {
    std::string node;
    what happened;
    std::uint64_t token;
    seawall::instant at;
    std::string why = {};
  };

  void add(entry e) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      entries_.push_back(std::move(e));
    }
    more_.notify_all();
  }
  std::vector<entry> entries() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return entries_;
  }
  std::size_t count(what w, const std::string& node = "") const {
    std::size_t n = 0;
    for (const entry& e : entries()) n += e.happened == w && (node.empty() || node == e.node) ? 1 : 0;
    return n;
  }
  /// Waits for the n-th (from 1) of its kind, half a minute at most.
  std::optional<entry> wait(what w, std::size_t n, const std::string& node = "") {
    std::unique_lock<std::mutex> lock(mutex_);
    std::optional<entry> found;
    more_.wait_for(lock, std::chrono::seconds(30), [&] {
      std::size_t seen = 0;
      for (const entry& e : entries_)
        if (e.happened == w && (node.empty() || node == e.node) && ++seen == n) found = e;
      return found.has_value();
    });
    return found;
  }
  /// Empty: each node's elections are followed by one loss each, its tokens increase, and nobody else has them. Else what is wrong.
  /// In which order two nodes hear of what happened to them is up to the machine.
  std::string contradiction() const {
    std::map<std::string, told> all;
    std::set<std::uint64_t> tokens;
    for (const entry& e : entries()) {
      told& t = all[e.node];
      if (t.leads == (e.happened == what::elected))
        return e.node + (t.leads ? " was elected twice" : " lost what it had not");
      t.leads = !t.leads;
      if (!t.leads) continue;
      if (e.token <= t.newest || !tokens.insert(e.token).second)
        return e.node + " has an old token, " + std::to_string(e.token);
      t.newest = e.token;
    }
    for (const auto& [node, t] : all)
      if (t.leads) return node + " was never told of its loss";
    return "";
  }

 private:
  struct told {
    bool leads = false;
    std::uint64_t newest = 0;
  };

  mutable std::mutex mutex_;
  std::condition_variable more_;
  std::vector<entry> entries_;
};

/// Callbacks that write into the log; `before_lost` runs within on_lost.
inline seawall::election_callbacks logged(election_log& log, const std::string& node,
                                          std::function<void()> before_lost = {}) {
  auto token = std::make_shared<std::atomic<std::uint64_t>>(0);
  return {.on_elected =
              [&log, node, token](const seawall::leadership& l) {
                token->store(l.token());
                log.add({node, election_log::what::elected, l.token(), seawall::boot_clock::now()});
              },
          .on_lost =
              [&log, node, token, before_lost](std::string_view why) {
                if (before_lost) before_lost();
                log.add({node, election_log::what::lost, token->load(), seawall::boot_clock::now(),
                         std::string(why)});
              }};
}

/// Asks in a thread of its own until it is destroyed.
class observer {
 public:
  using candidate = std::function<std::optional<seawall::leadership>()>;

  explicit observer(std::vector<candidate> all) : all_(std::move(all)), thread_([this] { run(); }) {}
  ~observer() { end(); }
  observer(const observer&) = delete;
  observer& operator=(const observer&) = delete;

  /// After a last look.
  void end() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  /// Pairs of leaderships that were valid at one moment, and those with an older token than one that was valid before.
  std::uint64_t overlaps() const { return overlaps_; }
  std::uint64_t looks() const { return looks_; }

 private:
  void run() {
    do {
      for (std::size_t i = 0; i < all_.size(); ++i) {
        if (const auto one = all_[i]()) compare(*one, i);
      }
      ++looks_;
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    } while (!stop_);
  }
  void compare(const seawall::leadership& one, std::size_t i) {
    // It was valid after all that were seen before.
    if (one.token() < newest_) ++overlaps_;
    newest_ = std::max(newest_, one.token());
    for (std::size_t k = 0; k < all_.size(); ++k) {
      const auto other = k == i ? std::nullopt : all_[k]();
      // The first was valid before and after the other one was.
      if (other && other->valid() && one.valid()) ++overlaps_;
    }
  }

  const std::vector<candidate> all_;
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> overlaps_{0};
  std::atomic<std::uint64_t> looks_{0};
  std::uint64_t newest_ = 0;  // the thread's
  std::thread thread_;
};

}  // namespace election_test

#endif  // SEAWALL_TESTS_ELECTION_CONFORMANCE_OBSERVER_HPP
