// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_RAFT_ELECTOR_ANSWER_THREAD_HPP
#define SEAWALL_ELECTION_RAFT_ELECTOR_ANSWER_THREAD_HPP

// The thread on which users hear of their requests to the replicated map and of its changes, so that whatever
// they do then holds up no heartbeat. And the map itself, behind its mutex.

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "seawall/core/mutex.hpp"
#include "seawall/election/raft_elector/map_request.hpp"
#include "seawall/election/replicated_map.hpp"

namespace seawall::detail {

/// One thread changes it, others look.
struct shared_map {
  explicit shared_map(const map_history_limits& history) : map(history) {}

  mutable core::mutex mutex;
  replicated_map map ABSL_GUARDED_BY(mutex);
};

/// Destroyed, it tells first what is to be told.
///
/// Thread safety: all functions from any thread.
class answer_thread {
 public:
  using watcher = std::function<void(const map_changes&)>;

  answer_thread(shared_map& map, std::uint32_t max_watches)
      : map_(map), max_watches_(max_watches), thread_([this] { run(); }) {}
  ~answer_thread() {
    {
      const core::mutex_lock lock(mutex_);
      stop_ = true;
    }
    poked_.notify_all();
    thread_.join();
  }
  answer_thread(const answer_thread&) = delete;
  answer_thread& operator=(const answer_thread&) = delete;

  /// One more request is under way. False: there are `most` already.
  bool enter(std::uint32_t most) noexcept {
    // Relaxed: a count that nothing else depends on.
    if (under_way_.fetch_add(1, std::memory_order_relaxed) < most) return true;
    leave();
    return false;
  }
  void leave() noexcept { under_way_.fetch_sub(1, std::memory_order_relaxed); }
  std::uint32_t under_way() const noexcept { return under_way_.load(std::memory_order_relaxed); }

  /// Those for whom somebody waits at once, the others on this thread; then they are not under way any more.
  void tell(std::vector<std::unique_ptr<map_request>> settled) ABSL_LOCKS_EXCLUDED(mutex_) {
    bool poke = false;
    {
      const core::mutex_lock lock(mutex_);
      for (auto& r : settled) {
        if (r->told_at_once()) continue;
        to_tell_.push_back(std::move(r));
        poke = true;
      }
    }
    if (poke) poked_.notify_all();
    for (const auto& r : settled) {
      if (r != nullptr) tell_one(*r);
    }
  }
  void map_changed() ABSL_LOCKS_EXCLUDED(mutex_) {
    {
      const core::mutex_lock lock(mutex_);
      if (watches_.empty()) return;
      look_ = true;
    }
    poked_.notify_all();
  }

  /// Nothing: there are too many already.
  std::optional<std::uint64_t> watch(std::string prefix, std::uint64_t from, watcher w)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    std::uint64_t number = 0;
    {
      const core::mutex_lock lock(mutex_);
      if (watches_.size() >= max_watches_) return std::nullopt;
      number = ++last_watch_;
      watches_.push_back({number, std::move(prefix), from, std::make_shared<watcher>(std::move(w))});
      look_ = true;
    }
    poked_.notify_all();
    return number;
  }
  /// After it has returned the watcher does not run any more, unless it is the caller.
  void unwatch(std::uint64_t number) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    std::list<watched> ended;  // what the user's function holds ends without the lock
    std::unique_lock<core::mutex> lock(mutex_);
    const auto found = std::find_if(watches_.begin(), watches_.end(),
                                    [number](const watched& w) { return w.number == number; });
    if (found != watches_.end()) ended.splice(ended.end(), watches_, found);
    if (std::this_thread::get_id() == thread_.get_id()) return;
    poked_.wait(lock, [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return inside_ != number; });
  }

 private:
  struct watched {
    std::uint64_t number;
    std::string prefix;
    std::uint64_t next;
    std::shared_ptr<watcher> whom;  // held by the thread while it runs
  };
  static constexpr std::size_t changes_at_once = 64;

  void run() {
    // Signals are for the program's own threads.
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
    bool last = false;
    while (!last) {
      last = wait();
      for (const auto& r : take()) tell_one(*r);
      for (std::uint64_t number = 0; !last && (number = next_watch(number)) != 0;) show(number);
    }
  }
  bool wait() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    std::unique_lock<core::mutex> lock(mutex_);
    poked_.wait(lock,
                [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return stop_ || look_ || !to_tell_.empty(); });
    looking_ = std::exchange(look_, false);
    return stop_;
  }
  void tell_one(map_request& r) {
    leave();  // first: whoever hears of it may send the next one
    r.tell();
  }
  std::vector<std::unique_ptr<map_request>> take() ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    return std::exchange(to_tell_, {});
  }

  // The next one in order, if the map has changed; 0: no more.
  std::uint64_t next_watch(std::uint64_t after) ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    if (!looking_) return 0;
    const auto w = std::find_if(watches_.begin(), watches_.end(),
                                [after](const watched& x) { return x.number > after; });
    return w == watches_.end() ? 0 : w->number;
  }
  // A few at a time: then requests have their turn.
  void show(std::uint64_t number) ABSL_LOCKS_EXCLUDED(mutex_) {
    std::shared_ptr<watcher> whom;
    map_changes seen;
    {
      const core::mutex_lock lock(mutex_);
      const auto w = std::find_if(watches_.begin(), watches_.end(),
                                  [number](const watched& x) { return x.number == number; });
      if (w == watches_.end()) return;
      seen = changes_for(*w);
      w->next = seen.next;
      if (seen.changes.empty() && !seen.too_far_behind) return;
      whom = w->whom;
      inside_ = number;
    }
    (*whom)(seen);
    whom.reset();
    {
      const core::mutex_lock lock(mutex_);
      inside_ = 0;
    }
    poked_.notify_all();
  }
  map_changes changes_for(const watched& w) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const core::mutex_lock lock(map_.mutex);
    map_changes seen = map_.map.changes(w.next, w.prefix, changes_at_once);
    if (seen.too_far_behind) seen.next = map_.map.index() + 1;
    if (seen.next <= map_.map.index()) look_ = true;
    return seen;
  }

  shared_map& map_;
  const std::uint32_t max_watches_;
  std::atomic<std::uint32_t> under_way_{0};
  core::mutex mutex_;  // before the map's
  std::condition_variable_any poked_;
  std::vector<std::unique_ptr<map_request>> to_tell_ ABSL_GUARDED_BY(mutex_);
  std::list<watched> watches_ ABSL_GUARDED_BY(mutex_);  // ascending
  std::uint64_t last_watch_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t inside_ ABSL_GUARDED_BY(mutex_) = 0;  // the watcher that runs
  bool look_ ABSL_GUARDED_BY(mutex_) = false;
  bool looking_ ABSL_GUARDED_BY(mutex_) = false;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses everything above
};

}  // namespace seawall::detail

#endif  // SEAWALL_ELECTION_RAFT_ELECTOR_ANSWER_THREAD_HPP
