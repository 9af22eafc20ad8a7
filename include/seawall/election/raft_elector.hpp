// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_RAFT_ELECTOR_HPP
#define SEAWALL_ELECTION_RAFT_ELECTOR_HPP

// Leader election among the replicas of a service, and a small map that they share, with nothing else to run:
// Raft, embedded. For 3 to 7 replicas and a few KiB of state; beyond that, take an engine (adapt/etcd.hpp).
// What is promised is in docs/election.md.

#include <signal.h>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "seawall/election/elector.hpp"
#include "seawall/election/log_file.hpp"
#include "seawall/election/raft_elector/answer_thread.hpp"
#include "seawall/election/raft_elector/change_book.hpp"
#include "seawall/election/raft_elector/grant_keeper.hpp"
#include "seawall/election/raft_elector/intake.hpp"
#include "seawall/election/raft_elector/map_request.hpp"
#include "seawall/election/raft_elector/options.hpp"
#include "seawall/election/raft_elector/replica.hpp"
#include "seawall/election/raft_types.hpp"
#include "seawall/election/replicated_map.hpp"
#include "seawall/election/teller.hpp"
#include "seawall/election/tenure.hpp"
#include "seawall/election/transport.hpp"
#include "seawall/options.hpp"
#include "seawall/status.hpp"
#include "seawall/time.hpp"
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>

namespace seawall {

/// What a look at the map may show.
enum class map_consistency : std::uint8_t {
  /// All that was answered before the look began. Costs the leader a round to most of the others.
  linearisable,
  /// The same, as long as clocks drift by no more than `raft.max_clock_drift`: a leader with a lease asks
  /// nobody.
  lease,
  /// Whatever this replica has seen: at once, also without a leader, and as old as it may be.
  local,
};

struct map_list_options {
  std::string after = {};             ///< only keys greater than this one
  std::size_t max_entries = 100;      ///< at least 1
  std::size_t max_bytes = 1U << 20U;  ///< of keys and values; one entry may exceed it
};

namespace detail {

inline auto look_at(std::string key) {
  return [key = std::move(key)](const replicated_map& m) { return m.get(key); };
}
inline auto look_through(std::string prefix, map_list_options which) {
  return [prefix = std::move(prefix), which = std::move(which)](const replicated_map& m) {
    return m.list(prefix, which.after, std::max<std::size_t>(which.max_entries, 1), which.max_bytes);
  };
}

}  // namespace detail

/// For as long as it lives, somebody watches a map. Move-only. The elector must outlive it.
///
/// Thread safety: distinct objects safe.
class map_watch {
 public:
  map_watch(detail::answer_thread& by, std::uint64_t number) noexcept : by_(&by), number_(number) {}
  map_watch(map_watch&& other) noexcept : by_(std::exchange(other.by_, nullptr)), number_(other.number_) {}
  map_watch& operator=(map_watch&& other) noexcept {
    if (this != &other) {
      end();
      by_ = std::exchange(other.by_, nullptr);
      number_ = other.number_;
    }
    return *this;
  }
  ~map_watch() { end(); }

  /// Once it has returned, the function is not called any more, and does not run, unless it is the caller.
  void end() {
    if (by_ != nullptr) std::exchange(by_, nullptr)->unwatch(number_);
  }

 private:
  detail::answer_thread* by_;
  std::uint64_t number_;
};

/// A replica of the embedded Raft: an `elector`, and a replicated map.
///
/// Four threads of its own: one for network and consensus, one for the disk, one on which the election's
/// callbacks run, and one for the answers of the map's asynchronous functions and for those who watch; so
/// neither a slow disk nor what users do in callbacks holds up a heartbeat. Not the program's event loop, for
/// the same reason.
///
/// Writes go through a session, which makes it harmless that they are sent again when a leader or a
/// connection is lost: each is done at most once. A follower forwards requests to its leader. Time-outs of
/// the map are by `steady_clock`, the lease by `boot_clock`.
///
/// Errors of the map's functions, where nothing else is said:
/// - INVALID_ARGUMENT: key or value is out of `map_limits`;
/// - RESOURCE_EXHAUSTED: too many requests are under way, or the map has no room;
/// - DEADLINE_EXCEEDED: no answer came in time. Of a write: it may have been done, or be done yet, unless the
///   status is `not_executed`;
/// - UNKNOWN: a write that may have been done: the session has expired meanwhile;
/// - UNAVAILABLE: the elector was not started, is being destroyed, or its disk has failed: then it must be
///   made anew.
///
/// Thread safety: all functions from any thread, but `start`, once, before all others, and the destructor,
/// after all others.
/// Cancellation: the deadline; the destructor ends what is under way.
/// Cost: a write is a round trip to most of the replicas and a sync on their disks, shared by those that come
/// together.
class raft_elector {
 public:
  using options_type = raft_elector_options;
  static constexpr std::string_view policy_name = detail::raft_elector_name;

  /// Reads the log, and listens. Others hear of this replica once it was started.
  /// Errors: INVALID_ARGUMENT: options, certificates; UNAVAILABLE: cannot listen; those of
  /// `raft::log_file::open`; FAILED_PRECONDITION: the log has other founders; DATA_LOSS: its snapshot is none
  /// of a map.
  static absl::StatusOr<std::unique_ptr<raft_elector>> open(raft_elector_options options) {
    if (const auto error = validate(options)) return absl::InvalidArgumentError(error->text(policy_name));
    options = detail::completed(std::move(options));
    auto log = open_log(options);
    if (!log.ok()) return log.status();
    if (const std::string wrong = raft::contradiction(log->state); !wrong.empty())
      return absl::DataLossError(detail::to_absl(options.directory + ": " + wrong));
    std::unique_ptr<raft_elector> e(new raft_elector(options));
    if (auto s = e->set_up(*std::move(log)); !s.ok()) return s;
    return e;
  }

  /// Resigns, waits for `on_lost`, and hands leadership over if there is somebody to take it. Requests under
  /// way fail.
  ~raft_elector() {
    if (loop_.joinable()) {
      replica_->close();
      loop_.join();
    }
    if (network_) network_->stop();
    teller_.reset();  // tells the rest
  }
  raft_elector(const raft_elector&) = delete;
  raft_elector& operator=(const raft_elector&) = delete;

  // An elector: see elector.hpp.

  /// A candidate from now on, if it is a member.
  void start(election_callbacks callbacks = {}) {
    teller_ = std::make_unique<detail::teller>(grants_, std::move(callbacks), [this] { replica_->told(); });
    replica_->open();
    asio::post(io_, [this] { replica_->begin(*network_); });
    loop_ = std::thread([this] { run(); });
  }
  std::optional<leadership> current() const { return grants_.current(); }
  void resign() { replica_->give_up({.what = detail::grant_demand::kind::resign}, "resigned"); }
  /// To a node of that name that votes; others, and the own one, are not heeded.
  void transfer_to(const std::string& node) {
    const auto found = std::find_if(options_.nodes.begin(), options_.nodes.end(),
                                    [&](const raft_node& n) { return n.name == node; });
    if (found == options_.nodes.end() || found->id == options_.self) return;
    const raft::membership members = replica_->snapshot().members;
    if (!std::binary_search(members.voters.begin(), members.voters.end(), found->id)) return;
    replica_->give_up({.what = detail::grant_demand::kind::transfer, .to = found->id},
                      "transferred to " + node);
  }

  // The map. Functions that begin with `async` call `done` with what the others return, once: on the
  // elector's thread for answers, or before they return, if the request is refused at once.

  /// `revision` of the answer is that of the change.
  absl::StatusOr<map_answer> put(std::string key, std::string value, instant deadline) {
    return compare_and_set(std::move(key), {}, std::move(value), deadline);
  }
  /// If `when` holds. Else the answer is `conflict`, with the revision of the entry as it is.
  absl::StatusOr<map_answer> compare_and_set(std::string key, map_condition when, std::string value,
                                             instant deadline) {
    detail::awaited_result<map_answer> r;
    write(put_of(std::move(key), std::move(when), std::move(value)), deadline, &r);
    return r.wait();
  }
  absl::StatusOr<map_answer> erase(std::string key, instant deadline, map_condition when = {}) {
    detail::awaited_result<map_answer> r;
    write(erase_of(std::move(key), std::move(when)), deadline, &r);
    return r.wait();
  }
  absl::StatusOr<std::optional<map_entry>> get(std::string key, instant deadline,
                                               map_consistency how = map_consistency::linearisable) {
    detail::awaited_result<std::optional<map_entry>> r;
    read<std::optional<map_entry>>(detail::look_at(std::move(key)), deadline, how, &r);
    return r.wait();
  }
  /// Entries whose keys begin with `prefix`, in order.
  absl::StatusOr<map_page> list(std::string prefix, instant deadline, map_list_options which = {},
                                map_consistency how = map_consistency::linearisable) {
    detail::awaited_result<map_page> r;
    read<map_page>(detail::look_through(std::move(prefix), std::move(which)), deadline, how, &r);
    return r.wait();
  }

  template <std::invocable<absl::StatusOr<map_answer>> Done>
  void async_put(std::string key, std::string value, instant deadline, Done done) {
    async_compare_and_set(std::move(key), {}, std::move(value), deadline, std::move(done));
  }
  template <std::invocable<absl::StatusOr<map_answer>> Done>
  void async_compare_and_set(std::string key, map_condition when, std::string value, instant deadline,
                             Done done) {
    write(put_of(std::move(key), std::move(when), std::move(value)), deadline, std::move(done));
  }
  template <std::invocable<absl::StatusOr<map_answer>> Done>
  void async_erase(std::string key, instant deadline, map_condition when, Done done) {
    write(erase_of(std::move(key), std::move(when)), deadline, std::move(done));
  }
  template <std::invocable<absl::StatusOr<std::optional<map_entry>>> Done>
  void async_get(std::string key, instant deadline, map_consistency how, Done done) {
    read<std::optional<map_entry>>(detail::look_at(std::move(key)), deadline, how, std::move(done));
  }
  template <std::invocable<absl::StatusOr<map_page>> Done>
  void async_list(std::string prefix, instant deadline, map_list_options which, map_consistency how,
                  Done done) {
    read<map_page>(detail::look_through(std::move(prefix), std::move(which)), deadline, how, std::move(done));
  }

  /// Tells `f` of the changes that this replica sees, of keys that begin with `prefix`, from the revision
  /// `from` on: after a `list`, the one behind `map_page::revision`. In order, each once; or
  /// `too_far_behind`, and then those from `next` on: `list` again.
  /// Errors: RESOURCE_EXHAUSTED: `max_watches`.
  /// Thread safety: `f` runs on the elector's thread for answers; it must not throw. What blocks there holds
  /// up other answers.
  absl::StatusOr<map_watch> watch(std::string prefix, std::uint64_t from,
                                  std::function<void(const map_changes&)> f) {
    const auto number = answers_.watch(std::move(prefix), from, std::move(f));
    if (!number) return absl::ResourceExhaustedError("replicated map: too many watch it");
    return map_watch(answers_, *number);
  }

  /// Changes the membership by one voter at most, and learners at will; leader only. Who becomes a member
  /// must be one of `nodes`, and run, as a learner first; see docs/election.md. Returns the index of the
  /// entry.
  /// Errors: FAILED_PRECONDITION: does not lead, and who does; INVALID_ARGUMENT: more than one step;
  /// UNAVAILABLE: another change is under way, or the leader is new: again later; DEADLINE_EXCEEDED, UNKNOWN:
  /// it may have been done.
  absl::StatusOr<raft::log_index> change_members(raft::membership to, instant deadline) {
    for (const auto* ids : {&to.voters, &to.learners}) {
      for (const raft::node_id id : *ids) {
        if (detail::find_node(options_, id) == nullptr)
          return absl::InvalidArgumentError(
              detail::to_absl("raft_elector: there is no node " + std::to_string(id)));
      }
    }
    detail::awaited_result<raft::log_index> r;
    replica_->submit(detail::change_request{.to = std::move(to), .deadline = deadline, .whom = &r});
    return r.wait();
  }

  /// Reads the files that `transport.tls` names again. All connections are then made anew: who is not trusted
  /// any more is not connected any more. Returns what is wrong with them, in which case nothing has changed.
  std::optional<option_error> reload_certificates() { return network_->reload(); }

  raft_elector_snapshot snapshot() const { return replica_->snapshot(); }
  /// On which it listens.
  std::uint16_t port() const noexcept { return network_->port(); }
  raft::transport_stats network() const { return network_->stats(); }
  const std::string& name() const noexcept { return options_.name; }

 private:
  explicit raft_elector(raft_elector_options o)
      : options_(std::move(o)),
        map_(options_.history),
        answers_(map_, options_.max_watches),
        requests_(answers_, options_.max_requests) {}

  /// A log keeps who has founded the cluster, until a snapshot says who the members are. Another list, later,
  /// would change the membership behind Raft's back, and two quorums might have nobody in common.
  static absl::StatusOr<raft::opened_log> open_log(const raft_elector_options& o) {
    {
      auto log = raft::log_file::open(o.directory, o.log);
      if (!log.ok() || log->state.base.index != 0) return log;
      const std::vector<raft::node_id>& kept = log->state.base.members.voters;
      if (kept == o.founders) return log;
      if (!kept.empty()) {
        const std::string text = o.directory + ": founders are " + detail::listed(o.founders) +
                                 ", but the cluster was founded by " + detail::listed(kept);
        return absl::FailedPreconditionError(detail::to_absl(text));
      }
      raft::persist first{.number = 1, .keep_entries = true};
      first.base.emplace().members.voters = o.founders;
      if (auto s = log->log.write({&first, 1}); !s.ok()) return s;
    }
    return raft::log_file::open(o.directory, o.log);
  }

  absl::Status set_up(raft::opened_log log) {
    const raft::snapshot& base = log.state.base;
    if (base.index != 0) {
      const core::mutex_lock lock(map_.mutex);
      if (!map_.map.restore(base.index, base.state))
        return absl::DataLossError(
            detail::to_absl(options_.directory + ": the snapshot is not a state of the map"));
    }
    replica_ = std::make_unique<detail::raft_replica>(
        options_, std::move(log),
        detail::replica_surroundings{.io = io_,
                                     .map = map_,
                                     .grants = grants_,
                                     .answers = answers_,
                                     .requests = requests_,
                                     .poke_teller = [this] { teller_->poke(); },
                                     .over = [this] { io_.stop(); }});
    auto network = raft::transport::create(io_, options_.transport,
                                           [this](raft::message m) { replica_->on_message(std::move(m)); });
    if (!network.ok()) return network.status();
    network_ = *std::move(network);
    return absl::OkStatus();
  }

  void run() {
    // Signals are for the program's own threads.
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
    const auto work = asio::make_work_guard(io_);
    io_.run();
  }

  map_command put_of(std::string key, map_condition when, std::string value) const {
    return {.what = map_command::kind::put,
            .when = std::move(when),
            .key = std::move(key),
            .value = std::move(value),
            .max_entries = options_.map.max_entries,
            .max_bytes = options_.map.max_bytes};
  }
  static map_command erase_of(std::string key, map_condition when) {
    return {.what = map_command::kind::erase, .when = std::move(when), .key = std::move(key)};
  }

  absl::Status fits(const map_command& c) const {
    const map_limits& l = options_.map;
    if (c.key.empty() || c.key.size() > l.max_key_bytes)
      return absl::InvalidArgumentError(
          "replicated map: the key must have at least 1 byte and at most max_key_bytes");
    if (c.value.size() > l.max_value_bytes || c.when.value.size() > l.max_value_bytes)
      return absl::InvalidArgumentError("replicated map: the value must have at most max_value_bytes");
    return absl::OkStatus();
  }

  template <class Done>
  void write(map_command c, instant deadline, Done done) {
    absl::Status s = fits(c);
    auto w = std::make_unique<detail::map_write_for<Done>>(std::move(c), deadline, std::move(done));
    if (s.ok()) return replica_->submit(std::move(w));
    w->fail(not_executed(std::move(s)));
    w->tell();
  }
  template <class T, class Look, class Done>
  void read(Look look, instant deadline, map_consistency how, Done done) {
    auto r =
        std::make_unique<detail::map_read_for<T, Look, Done>>(std::move(look), deadline, std::move(done));
    if (how != map_consistency::local) return replica_->submit(std::move(r), how == map_consistency::lease);
    {
      const core::mutex_lock lock(map_.mutex);
      r->serve(map_.map);
    }
    r->tell();
  }

  const raft_elector_options options_;
  asio::io_context io_{1};
  detail::tenure grants_;
  detail::shared_map map_;
  detail::answer_thread answers_;
  detail::intake requests_;
  std::unique_ptr<detail::raft_replica> replica_;
  std::unique_ptr<raft::transport> network_;
  std::unique_ptr<detail::teller> teller_;
  std::thread loop_;
};

}  // namespace seawall

#endif  // SEAWALL_ELECTION_RAFT_ELECTOR_HPP
