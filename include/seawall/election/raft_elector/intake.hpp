// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_RAFT_ELECTOR_INTAKE_HPP
#define SEAWALL_ELECTION_RAFT_ELECTOR_INTAKE_HPP

// Where users' requests come in, from any thread, for the one that serves them; not more of them than the
// options say.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "seawall/core/mutex.hpp"
#include "seawall/election/raft_elector/answer_thread.hpp"
#include "seawall/election/raft_elector/map_request.hpp"
#include "seawall/status.hpp"

namespace seawall::detail {

/// What has come in since the last time.
struct taken_in {
  std::vector<std::unique_ptr<map_write>> writes = {};
  std::vector<std::unique_ptr<map_read>> reads = {};
  std::vector<std::unique_ptr<map_read>> lease_reads = {};
};

/// Thread safety: all functions from any thread. A request that is refused is told so before the function
/// returns, there and then: it takes no room anywhere.
class intake {
 public:
  intake(answer_thread& answers, std::uint32_t most) noexcept : answers_(answers), most_(most) {}

  /// True: somebody must `take`.
  [[nodiscard]] bool add(std::unique_ptr<map_write> w) { return add(std::move(w), &taken_in::writes); }
  [[nodiscard]] bool add(std::unique_ptr<map_read> r, bool by_lease) {
    return add(std::move(r), by_lease ? &taken_in::lease_reads : &taken_in::reads);
  }
  taken_in take() ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    awaited_ = false;
    return std::exchange(in_, {});
  }

  void open() { set_closed(absl::OkStatus()); }
  /// From now on, all are refused.
  void close(absl::Status why) { set_closed(std::move(why)); }

 private:
  template <class Request>
  bool add(std::unique_ptr<Request> r, std::vector<std::unique_ptr<Request>> taken_in::*where) {
    absl::Status refused = absl::OkStatus();
    if (!answers_.enter(most_)) {
      refused = absl::ResourceExhaustedError("replicated map: too many requests are under way");
    } else {
      const core::mutex_lock lock(mutex_);
      if (closed_.ok()) {
        (in_.*where).push_back(std::move(r));
        return !std::exchange(awaited_, true);
      }
      refused = closed_;
      answers_.leave();
    }
    r->fail(not_executed(std::move(refused)));
    r->tell();
    return false;
  }
  void set_closed(absl::Status s) ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    closed_ = std::move(s);
  }

  answer_thread& answers_;
  const std::uint32_t most_;
  core::mutex mutex_;
  taken_in in_ ABSL_GUARDED_BY(mutex_);
  bool awaited_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status closed_ ABSL_GUARDED_BY(mutex_) =
      absl::UnavailableError("replicated map: the elector was not started");
};

}  // namespace seawall::detail

#endif  // SEAWALL_ELECTION_RAFT_ELECTOR_INTAKE_HPP
