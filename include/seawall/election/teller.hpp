// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_TELLER_HPP
#define SEAWALL_ELECTION_TELLER_HPP

// The thread on which a user hears of its grants, for electors without a scheduler: whatever a callback does, leases are renewed
// elsewhere meanwhile.

#include <signal.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "seawall/core/mutex.hpp"
#include "seawall/election/elector.hpp"
#include "seawall/election/tenure.hpp"

namespace seawall::detail {

/// Delivers what a tenure has to tell. Destroyed, it delivers the rest first.
///
/// Thread safety: `poke` from any thread. `after` is called on the teller's thread, after each callback.
class teller {
 public:
  teller(tenure& t, election_callbacks callbacks, std::function<void()> after)
      : tenure_(t), callbacks_(std::move(callbacks)), after_(std::move(after)), thread_([this] { run(); }) {}
  ~teller() {
    {
      const core::mutex_lock lock(mutex_);
      stop_ = true;
    }
    poked_.notify_one();
    thread_.join();
  }
  teller(const teller&) = delete;
  teller& operator=(const teller&) = delete;

  void poke() ABSL_LOCKS_EXCLUDED(mutex_) {
    {
      const core::mutex_lock lock(mutex_);
      look_ = true;
    }
    poked_.notify_one();
  }

 private:
  void run() {
    // Signals are for the program's own threads.
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
    bool last = false;
    while (!last) {
      last = wait();
      while (tenure_.deliver(callbacks_)) after_();
    }
  }
  bool wait() ABSL_LOCKS_EXCLUDED(mutex_) {
    std::unique_lock<core::mutex> lock(mutex_);
    poked_.wait(lock, [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return look_ || stop_; });
    return take();
  }
  bool take() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    look_ = false;
    return stop_;
  }

  tenure& tenure_;
  const election_callbacks callbacks_;
  const std::function<void()> after_;
  core::mutex mutex_;
  std::condition_variable_any poked_;
  bool look_ ABSL_GUARDED_BY(mutex_) = false;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses everything above
};

}  // namespace seawall::detail

#endif  // SEAWALL_ELECTION_TELLER_HPP
