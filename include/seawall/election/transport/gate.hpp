// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_TRANSPORT_GATE_HPP
#define SEAWALL_ELECTION_TRANSPORT_GATE_HPP

// What stands between a running transport and its user's functions: once it is closed, none of them runs or will run.

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "seawall/core/mutex.hpp"

namespace seawall::raft::detail {

/// Thread safety: `close` from any thread, also from inside a call; `call` by one thread at a time, and not from inside one.
class gate {
 public:
  /// `f`, unless the gate is closed. No lock is held meanwhile. `f` must not throw.
  template <class F>
  bool call(F&& f) noexcept {
    {
      const core::mutex_lock lock(mutex_);
      if (closed_) return false;
      inside_ = std::this_thread::get_id();
    }
    std::forward<F>(f)();
    const core::mutex_lock lock(mutex_);
    inside_ = std::thread::id();
    // Under the lock: whoever waits may end the gate's life.
    left_.notify_all();
    return true;
  }

  /// Waits for a call under way, if that is not the caller's own.
  void close() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    std::unique_lock<core::mutex> lock(mutex_);
    closed_ = true;
    if (inside_ == std::this_thread::get_id()) return;
    while (inside_ != std::thread::id()) left_.wait(lock);
  }

 private:
  core::mutex mutex_;
  std::condition_variable_any left_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread::id inside_ ABSL_GUARDED_BY(mutex_);  // of the call under way
};

}  // namespace seawall::raft::detail

#endif  // SEAWALL_ELECTION_TRANSPORT_GATE_HPP
