// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ADAPT_ETCD_HPP
#define SEAWALL_ADAPT_ETCD_HPP

// Leader election on an etcd cluster (3.4 or later, over its JSON gateway): a key with a lease, taken by a transaction. Not
// etcd's own /v3/election, which does not notice that its session has expired; nor a client of etcd. Link seawall::etcd.

#include <signal.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "seawall/adapt/etcd/candidate.hpp"
#include "seawall/adapt/etcd/fenced_writer.hpp"
#include "seawall/election/elector.hpp"
#include "seawall/election/teller.hpp"
#include "seawall/election/tenure.hpp"
#include "seawall/options.hpp"

namespace seawall {

/// A candidate of an election that etcd decides; an `elector`.
///
/// The token is the create revision of the leader's key. A lease counts from when it was asked for, with the TTL that was
/// answered, less the drift of two clocks. What rests on etcd alone: it must not end a lease before its TTL. Releases before 3.4.31 and
/// 3.5.13 can, after a member of theirs that led the cluster stood still for a while (its issue 15247); the watch on the
/// key tells within milliseconds then, and the token protects what must be protected, as always.
///
/// `transfer_to` reserves the next leadership, in the transaction that gives up this one, for at most the rest of the lease: the others
/// do not campaign meanwhile, and their transactions would fail. If that node is not there, the election is open after it.
///
/// Errors: a cluster that cannot be reached, or says no, is no error but a state; see `snapshot`.
/// Thread safety: shared objects safe. It has two threads: one talks to etcd, the other calls the callbacks.
/// Cost: a leader's request in a third of the TTL, everybody's in `look_every`, and a connection for the watch.
class etcd_elector {
 public:
  using options_type = etcd_elector_options;
  static constexpr std::string_view policy_name = "etcd_elector";

  explicit etcd_elector(etcd_elector_options options)
      : options_(detail::checked(policy_name, std::move(options))), candidate_(options_, tenure_, [this] {
          if (tenure_.has_news()) teller_->poke();
        }) {}

  static absl::StatusOr<std::unique_ptr<etcd_elector>> create(etcd_elector_options options) {
    if (const auto error = validate(options)) return absl::InvalidArgumentError(error->text(policy_name));
    return std::make_unique<etcd_elector>(std::move(options));
  }

  /// Resigns, waits until `on_lost` has returned, and releases the lease if etcd answers; else it runs out. Not from a callback.
  ~etcd_elector() {
    if (!started_.load(std::memory_order_acquire)) return;
    tenure_.end("the elector was destroyed");
    teller_->poke();
    candidate_.stop();
    thread_.join();
  }
  etcd_elector(const etcd_elector&) = delete;
  etcd_elector& operator=(const etcd_elector&) = delete;

  /// From here on it is a candidate. Once; a second time is refused as bad options are.
  void start(election_callbacks callbacks) {
    if (started_.exchange(true, std::memory_order_acq_rel)) detail::refuse("etcd_elector: started twice");
    teller_.emplace(tenure_, std::move(callbacks), [this] { candidate_.wake(); });
    thread_ = std::thread([this] { run(); });
  }

  std::optional<leadership> current() const { return tenure_.current(); }

  /// If it leads: not any more, when this returns. It stands again after `stand_back`.
  void resign() { step_down({}, "resigned"); }
  /// As `resign`, and the election is reserved for `node`.
  void transfer_to(const std::string& node) {
    if (node != options_.node) step_down(node, "handed over to " + node);
  }

  etcd_elector_snapshot snapshot() const { return candidate_.snapshot(); }
  const std::string& node() const noexcept { return options_.node; }

 private:
  void step_down(std::string heir, std::string why) {
    if (!tenure_.current()) return;
    candidate_.set_heir(std::move(heir));
    if (!tenure_.end(std::move(why))) return;
    teller_->poke();
    candidate_.wake();
  }

  void run() {
    // Signals are for the program's own threads; and one that writes to a connection that is gone must not end it.
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
    candidate_.run();
  }

  const etcd_elector_options options_;
  detail::tenure tenure_;
  detail::etcd_candidate candidate_;
  std::optional<detail::teller> teller_;
  std::atomic<bool> started_{false};
  std::thread thread_;
};

static_assert(elector<etcd_elector>);

}  // namespace seawall

#endif  // SEAWALL_ADAPT_ETCD_HPP
