// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ADAPT_ETCD_FENCED_WRITER_HPP
#define SEAWALL_ADAPT_ETCD_FENCED_WRITER_HPP

// Writes to etcd that only the present leader of an election can make: comparison and write are one transaction. For whoever
// was given a token; it need not be the leader's own process.

#include <signal.h>

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "seawall/adapt/etcd/client.hpp"
#include "seawall/adapt/etcd/messages.hpp"
#include "seawall/adapt/etcd/options.hpp"
#include "seawall/core/mutex.hpp"
#include "seawall/options.hpp"

namespace seawall {

struct etcd_fenced_writer_options {
  etcd_connection_options etcd = {};
  std::string prefix = "seawall/election/";  ///< as the electors have it
  std::string election = {};                 ///< likewise
};

inline std::optional<option_error> validate(const etcd_fenced_writer_options& o) {
  if (auto error = detail::check_election(o.prefix, o.election)) return error;
  detail::option_checks checks;
  checks.require(validate(o.etcd), "etcd");
  return checks.result();
}

namespace detail {

/// Keeps SIGPIPE from the calling thread: libcurl before 7.88 lets OpenSSL write to connections that are gone.
class without_sigpipe {
 public:
  without_sigpipe() noexcept : was_pending_(is_pending()) {
    sigset_t pipe;
    ::sigemptyset(&pipe);
    ::sigaddset(&pipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe, &before_);
  }
  ~without_sigpipe() {
    if (!was_pending_ && is_pending()) {
      sigset_t pipe;
      ::sigemptyset(&pipe);
      ::sigaddset(&pipe, SIGPIPE);
      int which = 0;
      ::sigwait(&pipe, &which);
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  without_sigpipe(const without_sigpipe&) = delete;
  without_sigpipe& operator=(const without_sigpipe&) = delete;

 private:
  static bool is_pending() noexcept {
    sigset_t pending;
    ::sigemptyset(&pending);
    ::sigpending(&pending);
    return ::sigismember(&pending, SIGPIPE) == 1;
  }

  const bool was_pending_;
  sigset_t before_{};
};

}  // namespace detail

/// Errors: `put` says FAILED_PRECONDITION if the token does not lead, and has written nothing then; UNAVAILABLE if it is unknown
/// whether it has written; INVALID_ARGUMENT or PERMISSION_DENIED if etcd refuses the request.
/// Thread safety: shared objects safe; one request at a time. Cost: one round trip; blocks for `request_timeout` at most.
class etcd_fenced_writer {
 public:
  using options_type = etcd_fenced_writer_options;
  static constexpr std::string_view policy_name = "etcd_fenced_writer";

  explicit etcd_fenced_writer(etcd_fenced_writer_options options)
      : options_(detail::checked(policy_name, std::move(options))),
        keys_(options_.prefix, options_.election),
        requests_(keys_),
        client_(options_.etcd, never_) {}

  static absl::StatusOr<std::unique_ptr<etcd_fenced_writer>> create(etcd_fenced_writer_options options) {
    if (const auto error = validate(options)) return absl::InvalidArgumentError(error->text(policy_name));
    return std::make_unique<etcd_fenced_writer>(std::move(options));
  }

  /// `token`: of the leadership under which it is written.
  absl::Status put(std::string_view key, std::string_view value, std::uint64_t token)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    using kind = detail::etcd_answer::kind;
    if (key.empty() || key == keys_.leader || key == keys_.heir)
      return absl::InvalidArgumentError("the key is empty, or the election's own");
    // Zero would compare equal with a key that nobody has.
    if (token == 0 || token > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
      return absl::FailedPreconditionError("token " + std::to_string(token) + " is none of a grant");
    const detail::without_sigpipe guard;
    const core::mutex_lock lock(mutex_);
    const detail::etcd_answer a =
        client_.ask("/v3/kv/txn", requests_.fenced_put(static_cast<std::int64_t>(token), key, value),
                    options_.etcd.request_timeout);
    if (a.what == kind::refused) {
      return a.code == 7 || a.code == 16 ? absl::PermissionDeniedError(a.error)
                                         : absl::InvalidArgumentError(a.error);
    }
    const auto written =
        a.what == kind::given ? detail::etcd_answers::succeeded(a.body) : std::optional<bool>();
    if (!written)
      return absl::UnavailableError(a.error.empty() ? "etcd: not an answer to a transaction" : a.error);
    if (!*written)
      return absl::FailedPreconditionError("token " + std::to_string(token) + " does not lead " +
                                           options_.election);
    return absl::OkStatus();
  }

 private:
  const etcd_fenced_writer_options options_;
  const detail::etcd_election_keys keys_;
  const detail::etcd_requests requests_;
  const std::atomic<bool> never_{false};
  core::mutex mutex_;
  detail::etcd_client client_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace seawall

#endif  // SEAWALL_ADAPT_ETCD_FENCED_WRITER_HPP
