// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_RAFT_ELECTOR_DISK_THREAD_HPP
#define SEAWALL_ELECTION_RAFT_ELECTOR_DISK_THREAD_HPP

// Writes to the log on a thread of its own, so that no heartbeat waits for a disk; all that has come
// meanwhile with one sync.

#include <signal.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "seawall/core/mutex.hpp"
#include "seawall/election/log_file.hpp"
#include "seawall/election/raft_types.hpp"
#include "seawall/time.hpp"

namespace seawall::detail {

/// What one sync has made durable, or why nothing is any more.
struct disk_report {
  absl::Status status = {};
  std::uint64_t number = 0;  ///< of the last persist
  std::uint64_t persists = 0;
  duration took = {};
};

/// Destroyed, it finishes what it is at, and forgets the rest: nobody was told that it is durable.
///
/// Thread safety: `write` from any thread. `done` is called on this thread. How much waits is bounded by the
/// core.
class disk_thread {
 public:
  disk_thread(raft::log_file log, std::function<void(disk_report)> done)
      : log_(std::move(log)), done_(std::move(done)), thread_([this] { run(); }) {}
  ~disk_thread() {
    {
      const core::mutex_lock lock(mutex_);
      stop_ = true;
    }
    there_.notify_one();
    thread_.join();
  }
  disk_thread(const disk_thread&) = delete;
  disk_thread& operator=(const disk_thread&) = delete;

  void write(raft::persist p) ABSL_LOCKS_EXCLUDED(mutex_) {
    {
      const core::mutex_lock lock(mutex_);
      waiting_.push_back(std::move(p));
    }
    there_.notify_one();
  }

 private:
  void run() {
    // Signals are for the program's own threads.
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
    for (;;) {
      const std::vector<raft::persist> batch = take();
      if (batch.empty()) return;
      const instant began = steady_clock::now();
      disk_report r{.status = log_.write(batch), .number = batch.back().number, .persists = batch.size()};
      r.took = steady_clock::now() - began;
      const bool failed = !r.status.ok();
      done_(std::move(r));
      if (failed) return;
    }
  }
  // Empty: to end.
  std::vector<raft::persist> take() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    std::unique_lock<core::mutex> lock(mutex_);
    there_.wait(lock, [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return stop_ || !waiting_.empty(); });
    return stop_ ? std::vector<raft::persist>() : std::exchange(waiting_, {});
  }

  raft::log_file log_;  // the thread's
  const std::function<void(disk_report)> done_;
  core::mutex mutex_;
  std::condition_variable_any there_;
  std::vector<raft::persist> waiting_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses everything above
};

}  // namespace seawall::detail

#endif  // SEAWALL_ELECTION_RAFT_ELECTOR_DISK_THREAD_HPP
