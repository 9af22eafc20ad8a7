// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_FENCE_HPP
#define SEAWALL_ELECTION_FENCE_HPP

// The resource's side of leader election: it knows the newest fencing token that it was shown, and refuses writes under older
// ones. It is what protects the resource from a leader that slept through the end of its lease. Not storage: the user keeps
// the newest token, together with what it protects.

#include <cstdint>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "seawall/core/mutex.hpp"

namespace seawall {

enum class fence_answer : std::uint8_t {
  admitted,
  stale,        ///< a newer token has been here; or it is zero, which no grant has
  not_durable,  ///< the new token could not be kept: nothing was written
};

/// The newest token seen. A write runs to its end before one under a newer token begins: whoever checked first, and wrote
/// after the newer leader had, would be the very mistake that fencing is to prevent. Hence the write is handed over, not
/// permitted.
///
///     fence guard(load_token(file));
///     guard.write(request.token, [&](std::uint64_t t) { return save_token(file, t); },   // durable when it returns true
///                 [&] { append(file, request.line); });
///
/// A new token is durable before the first write under it, so that a resource that restarts does not admit an older one.
/// Storage that can compare by itself needs no fence, as long as comparison and write are one step:
///
///     UPDATE jobs SET state = :state, token = :token WHERE id = :id AND token <= :token
///
/// or an etcd transaction that compares the create revision of the leader's key: see etcd_fenced_writer.
///
/// Thread safety: shared objects safe; one write at a time. Cost: a mutex, held while `persist` and `write` run; these must not call the
/// same fence.
class fence {
 public:
  /// `newest`: what was persisted last, or zero.
  explicit fence(std::uint64_t newest = 0) noexcept : newest_(newest) {}

  /// `persist(token)` returns true once the token is durable; asked only if the token is newer than all before.
  template <class Persist, class Write>
  fence_answer write(std::uint64_t token, Persist&& persist, Write&& write) ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    if (token == 0 || token < newest_) return fence_answer::stale;
    if (token > newest_) {
      if (!std::forward<Persist>(persist)(token)) return fence_answer::not_durable;
      newest_ = token;
    }
    std::forward<Write>(write)();
    return fence_answer::admitted;
  }

  std::uint64_t newest() const ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    return newest_;
  }

 private:
  mutable core::mutex mutex_;
  std::uint64_t newest_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace seawall

#endif  // SEAWALL_ELECTION_FENCE_HPP
