// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_RAFT_ELECTOR_REPLICA_HPP
#define SEAWALL_ELECTION_RAFT_ELECTOR_REPLICA_HPP

// One replica at work: carries out what the core says, on one thread, and tells it what has happened. What it
// knows of the user are his grants and his requests; the public face is raft_elector.hpp.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "seawall/core/mutex.hpp"
#include "seawall/election/elector.hpp"
#include "seawall/election/log_file.hpp"
#include "seawall/election/raft_core.hpp"
#include "seawall/election/raft_elector/answer_thread.hpp"
#include "seawall/election/raft_elector/change_book.hpp"
#include "seawall/election/raft_elector/disk_thread.hpp"
#include "seawall/election/raft_elector/forwarded.hpp"
#include "seawall/election/raft_elector/grant_keeper.hpp"
#include "seawall/election/raft_elector/intake.hpp"
#include "seawall/election/raft_elector/map_request.hpp"
#include "seawall/election/raft_elector/options.hpp"
#include "seawall/election/raft_elector/request_book.hpp"
#include "seawall/election/raft_types.hpp"
#include "seawall/election/replicated_map.hpp"
#include "seawall/election/tenure.hpp"
#include "seawall/election/transport.hpp"
#include "seawall/event.hpp"
#include "seawall/random.hpp"
#include "seawall/status.hpp"
#include "seawall/time.hpp"
#include <asio/error_code.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

namespace seawall::detail {

/// What a replica works with. All outlive it.
struct replica_surroundings {
  asio::io_context& io;
  shared_map& map;
  tenure& grants;
  answer_thread& answers;
  intake& requests;
  std::function<void()> poke_teller;
  std::function<void()> over;  ///< after `close`: nothing more will happen
};

/// Thread safety: functions marked "any thread"; all others on the one that runs `io`.
class raft_replica {
 public:
  /// `o`, completed. The map has been restored from the log's snapshot.
  raft_replica(raft_elector_options o, raft::opened_log log, replica_surroundings around)
      : options_(std::move(o)),
        around_(std::move(around)),
        timer_(around_.io),
        core_(options_.raft, std::move(log.state), boot_clock::now(), entropy_seed()),
        keeper_(around_.grants, options_.raft.election_timeout * 2),
        book_({.limits = options_.map,
               .repeat_after = options_.raft.election_timeout,
               .backoff = options_.backoff},
              entropy_seed()),
        forwarded_(options_.max_forwarded),
        disk_(std::move(log.log),
              [this](disk_report r) { asio::post(around_.io, [this, r = std::move(r)] { on_disk(r); }); }) {
    seen_.name = options_.name;
    compacted_ = {.index = core_.base_index(), .log_bytes = core_.log_bytes()};
  }

  /// Requests are taken from now on.
  void open() {
    around_.requests.open();
    changes_.open();
  }
  /// The network is there.
  void begin(raft::transport& network) {
    network_ = &network;
    step(raft::input::tick{});
    settle();
  }

  // Any thread.

  void submit(std::unique_ptr<map_write> w) {
    if (around_.requests.add(std::move(w))) post([this] { take_in(); });
  }
  void submit(std::unique_ptr<map_read> r, bool by_lease) {
    if (around_.requests.add(std::move(r), by_lease)) post([this] { take_in(); });
  }
  void submit(const change_request& c) {
    if (changes_.submit(c)) post([this] { take_changes(); });
  }
  /// Nothing, if there is no leadership to give up.
  void give_up(grant_demand how, std::string why) {
    if (!keeper_.give_up(how, std::move(why))) return;
    around_.poke_teller();
    told();  // he may have heard of it already, and what is to be done is known only now
  }
  /// The user has heard something.
  void told() {
    post([this] { settle(); });
  }
  /// No more requests; leadership is handed over. Then `over` is called.
  void close() {
    around_.requests.close(absl::UnavailableError("replicated map: the elector is being destroyed"));
    changes_.close(absl::UnavailableError("raft_elector: it is being destroyed"));
    resign_for_good();
    post([this] {
      closing_ = true;
      settle();
    });
  }
  raft_elector_snapshot snapshot() const ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    return seen_;
  }

  // On the thread.

  void on_message(raft::message m) {
    if (m.kind == raft::message_kind::request) {
      on_request(std::move(m));
    } else if (m.kind == raft::message_kind::request_reply) {
      on_reply(m);
    } else {
      step(raft::input::received{std::move(m)});
    }
    settle();
  }

 private:
  // A core's request number says whose it is.
  enum class whose : std::uint64_t { book, forwarded, change };
  static constexpr std::uint64_t owners = 3;
  static constexpr std::uint64_t number_for(std::uint64_t number, whose w) noexcept {
    return number * owners + static_cast<std::uint64_t>(w);
  }

  template <class F>
  void post(F f) {
    asio::post(around_.io, std::move(f));
  }

  // The core.

  void step(raft::any_input in) { carry_out(core_.step(boot_clock::now(), std::move(in))); }

  void carry_out(raft::effects e) {
    if (e.store) disk_.write(*std::move(e.store));
    for (const raft::message& m : e.send) network_->send(m);
    if (e.restore) restore(*e.restore);
    applied_now_.clear();
    if (!e.apply.empty()) apply(e.apply);
    for (const raft::answer& a : e.answers) on_answer(a);
    wake_at_ = e.wake_at;
  }

  void restore(const raft::snapshot& s) {
    bool taken = false;
    {
      const core::mutex_lock lock(around_.map.mutex);
      taken = around_.map.map.restore(s.index, s.state);
    }
    ++counts_.restores;
    changed_ = true;
    compacted_ = {.index = s.index, .log_bytes = core_.log_bytes()};
    if (!taken) halt("the leader's snapshot is not a state of the map");
  }

  void apply(const std::vector<raft::entry>& entries) {
    const core::mutex_lock lock(around_.map.mutex);
    replicated_map& map = around_.map.map;
    for (const raft::entry& e : entries) {
      if (e.kind != raft::entry_kind::command) {
        map.pass(e.index);
        continue;
      }
      const map_applied a = map.apply(e.index, e.command);
      if (a.session != 0) book_.applied(a);
      applied_now_.emplace_back(e.index, a.answer);
    }
    changed_ = true;
  }

  void on_answer(const raft::answer& a) {
    const std::uint64_t number = a.request / owners;
    switch (static_cast<whose>(a.request % owners)) {
      case whose::book:
        if (a.refused) return book_.refused(number, *a.refused, steady_clock::now());
        return book_.granted(number, a.index, answer_at(a.index));
      case whose::forwarded: {
        const auto from = forwarded_.take(number);
        if (!from) return;
        return reply(a.refused ? refused_request(*from, *a.refused)
                               : granted_request(*from, a.index, answer_at(a.index)));
      }
      case whose::change: return changes_.answered(number, a, leader_name());
    }
  }
  std::optional<map_answer> answer_at(raft::log_index index) const {
    const auto found = std::lower_bound(applied_now_.begin(), applied_now_.end(), index,
                                        [](const auto& a, raft::log_index i) { return a.first < i; });
    return found != applied_now_.end() && found->first == index ? std::optional(found->second) : std::nullopt;
  }

  void on_disk(const disk_report& r) {
    if (!r.status.ok()) {
      halt(r.status.ToString());
    } else {
      ++counts_.syncs;
      counts_.persists += r.persists;
      counts_.slowest_sync = std::max(counts_.slowest_sync, r.took);
      step(raft::input::persisted{r.number});
    }
    settle();
  }
  /// For good: what the disk holds is not known, or the state machine's state is not.
  void halt(std::string why) {
    if (!halted_by_.empty()) return;
    halted_by_ = std::move(why);
    const absl::Status s =
        absl::UnavailableError(to_absl("replicated map: this replica has halted: " + halted_by_));
    around_.requests.close(s);
    book_.fail_all(s);
    step(raft::input::persist_failed{});
  }

  // Requests.

  bool leads() const { return core_.current_role() == raft::role::leader; }

  void take_in() {
    taken_in in = around_.requests.take();
    for (auto& w : in.writes) book_.add(std::move(w));
    for (auto& r : in.reads) book_.add(std::move(r));
    counts_.writes += in.writes.size();
    counts_.reads += in.reads.size() + in.lease_reads.size();
    const bool by_lease = holds_lease();
    for (auto& r : in.lease_reads) {
      if (!by_lease) {
        book_.add(std::move(r));
        continue;
      }
      const core::mutex_lock lock(around_.map.mutex);
      r->serve(around_.map.map);
      settled_.push_back(std::move(r));
      ++counts_.lease_reads;
    }
    if (!halted_by_.empty())
      book_.fail_all(absl::UnavailableError("replicated map: this replica has halted"));
    settle();
  }
  /// Nobody else can have changed the map, and all that was committed is in it.
  bool holds_lease() const {
    const std::optional<instant> until = core_.lease_until();
    return until && core_.applied_index() == core_.commit_index() && boot_clock::now() < *until;
  }

  void dispatch() {
    while (halted_by_.empty()) {
      const bool own = leads();
      const raft::node_id leader = core_.leader();
      if (!own && (leader == raft::nobody || leader == options_.self)) return;
      std::vector<request_to_send> out = book_.take(steady_clock::now(), own);
      if (out.empty()) return;
      for (request_to_send& r : out) own ? hand_to_core(std::move(r)) : send_to(leader, std::move(r));
    }
  }
  void hand_to_core(request_to_send r) {
    const std::uint64_t number = number_for(r.ticket, whose::book);
    if (r.command.empty())
      step(raft::input::read{number});
    else
      step(raft::input::proposed{number, std::move(r.command)});
  }
  void send_to(raft::node_id leader, request_to_send r) {
    network_->send({.kind = raft::message_kind::request,
                    .from = options_.self,
                    .to = leader,
                    .term = core_.term(),
                    .round = r.ticket,
                    .bytes = std::move(r.command)});
  }

  void on_request(raft::message m) {
    const forwarded_from from{.node = m.from, .round = m.round};
    if (!m.bytes.empty() && !parse_map_command(m.bytes)) return;
    if (!leads()) return reply(refused_request(from, raft::refusal::not_leader));
    const auto number = forwarded_.add(from);
    if (!number) return reply(refused_request(from, raft::refusal::too_many));
    const std::uint64_t request = number_for(*number, whose::forwarded);
    if (m.bytes.empty())
      step(raft::input::read{request});
    else
      step(raft::input::proposed{request, std::move(m.bytes)});
  }
  void on_reply(const raft::message& m) {
    const std::optional<map_answer> answer = m.bytes.empty() ? std::nullopt : parse_map_answer(m.bytes);
    const std::optional<raft::refusal> why = refusal_of(m);
    if (m.granted)
      book_.granted(m.round, m.index, answer);
    else if (why)
      book_.refused(m.round, *why, steady_clock::now());
  }
  void reply(raft::message m) {
    m.from = options_.self;
    m.term = core_.term();
    network_->send(m);
  }

  void take_changes() {
    for (const change_request& c : changes_.take()) {
      const auto number = changes_.add(c);
      if (number) step(raft::input::change{number_for(*number, whose::change), c.to});
    }
    settle();
  }

  // After whatever has happened.

  void settle() {
    if (over_) return;
    note_leader();
    look_after_grant();
    const instant now = steady_clock::now();
    book_.on_time(now);
    changes_.on_time(now);
    dispatch();
    compact();
    serve();
    // What was dispatched may have changed that.
    note_leader();
    look_after_grant();
    publish();
    if (closing_ && nothing_to_hand_over()) return end();
    tell();
    arm();
  }

  std::optional<std::string> leader_name() const {
    const raft_node* const n = find_node(options_, core_.leader());
    return n == nullptr ? std::nullopt : std::optional(n->name);
  }
  void note_leader() {
    const raft::role part = core_.current_role();
    if (part != part_ && options_.events != nullptr) {
      options_.events->on(
          event::state_changed{.policy = raft_elector_name,
                               .name = options_.name,
                               .key = std::to_string(core_.term()),
                               .from = to_string(part_),
                               .to = to_string(part),
                               .why = halted_by_.empty() ? std::string_view("raft") : halted_by_,
                               .at = steady_clock::now()});
    }
    part_ = part;
    if (core_.leader() == leader_ && core_.term() == leader_term_) return;
    if (core_.leader() != leader_) {
      around_.grants.note_leader(leader_name());
      around_.poke_teller();
    }
    leader_ = core_.leader();
    leader_term_ = core_.term();
    book_.leader_changed();
  }

  void look_after_grant() {
    const core_facts facts{.now = boot_clock::now(),
                           .term = core_.term(),
                           .leads = leads(),
                           .lease = core_.lease_until(),
                           .caught_up = core_.applied_index() == core_.commit_index()};
    const grant_demand d = keeper_.look(facts);
    if (around_.grants.has_news()) around_.poke_teller();
    if (d.what == grant_demand::kind::resign) step(raft::input::resign{});
    if (d.what == grant_demand::kind::transfer) step(raft::input::transfer{d.to});
  }

  void compact() {
    const raft::log_index applied = core_.applied_index();
    const bool many = applied >= compacted_.index + options_.snapshot_entries;
    const bool long_log =
        core_.log_bytes() >= compacted_.log_bytes + options_.snapshot_bytes && applied > compacted_.index;
    if (!many && !long_log) return;
    std::string state;
    {
      const core::mutex_lock lock(around_.map.mutex);
      state = around_.map.map.state();
    }
    step(raft::input::compacted{applied, std::move(state)});
    compacted_ = {.index = applied, .log_bytes = core_.log_bytes()};
    ++counts_.snapshots;
  }

  void serve() {
    const core::mutex_lock lock(around_.map.mutex);
    book_.serve(around_.map.map);
  }
  void tell() {
    for (auto& r : book_.take_settled()) settled_.push_back(std::move(r));
    if (!settled_.empty()) around_.answers.tell(std::exchange(settled_, {}));
    if (std::exchange(changed_, false)) around_.answers.map_changed();
  }

  void publish() ABSL_LOCKS_EXCLUDED(mutex_) {
    raft_elector_snapshot s = counts_;
    s.part = part_;
    s.term = core_.term();
    s.leader = leader_name();
    s.members = core_.members();
    s.halted = !halted_by_.empty();
    s.halted_by = halted_by_;
    s.base = core_.base_index();
    s.last = core_.last_index();
    s.committed = core_.commit_index();
    s.applied = core_.applied_index();
    s.log_bytes = core_.log_bytes();
    s.grants = keeper_.count();
    s.requests = around_.answers.under_way();
    s.repeats = book_.repeats();
    s.forwarded = forwarded_.count();
    s.name = options_.name;
    {
      const core::mutex_lock lock(around_.map.mutex);
      s.entries = around_.map.map.size();
      s.bytes = around_.map.map.bytes();
      s.sessions = around_.map.map.sessions();
    }
    const core::mutex_lock lock(mutex_);
    seen_ = std::move(s);
  }

  void resign_for_good() { give_up({.what = grant_demand::kind::resign}, "the elector is being destroyed"); }
  /// The user's work has stopped, and somebody else leads, or can.
  bool nothing_to_hand_over() {
    if (!leads()) return true;
    resign_for_good();  // a grant that has begun meanwhile
    if (keeper_.gives_up() || !around_.grants.settled()) return false;
    const instant now = boot_clock::now();
    if (!close_by_) {
      step(raft::input::resign{});
      close_by_ = now + options_.raft.election_timeout * 2;
    }
    return !leads() || now >= *close_by_;
  }
  void end() {
    over_ = true;
    taken_in late = around_.requests.take();
    for (auto& w : late.writes) book_.add(std::move(w));
    for (auto* reads : {&late.reads, &late.lease_reads}) {
      for (auto& r : *reads) book_.add(std::move(r));
    }
    book_.fail_all(
        absl::UnavailableError("replicated map: the elector is being destroyed; it may have been done"));
    changes_.fail_all();
    tell();
    timer_.cancel();
    around_.over();
  }

  void arm() {
    const instant boot = boot_clock::now(), steady = steady_clock::now();
    instant at = book_.wake_at();
    at = std::min(at, changes_.wake_at());
    at = std::min(
        at, steady + (std::min({wake_at_, keeper_.wake_at(), close_by_.value_or(instant::never())}) - boot));
    if (at >= armed_for_) return;  // it looks then, and arms for what is left
    armed_for_ = at;
    timer_.expires_at(at.to_chrono());
    timer_.async_wait([this](const asio::error_code& error) {
      if (error || over_) return;
      armed_for_ = instant::never();
      step(raft::input::tick{});
      settle();
    });
  }

  const raft_elector_options options_;
  const replica_surroundings around_;
  raft::transport* network_ = nullptr;
  asio::steady_timer timer_;
  instant armed_for_ = instant::never();  // by `steady_clock`
  raft::raft_core core_;
  instant wake_at_ = instant::never();  // the core's wish, by `boot_clock`
  grant_keeper keeper_;
  request_book book_;
  forwarded_requests forwarded_;
  change_book changes_;

  std::vector<std::pair<raft::log_index, map_answer>> applied_now_;  // in this step
  std::vector<std::unique_ptr<map_request>> settled_;
  bool changed_ = false;  // the map, since those who watch were told
  struct compaction {
    raft::log_index index = 0;
    std::size_t log_bytes = 0;  // that were left
  } compacted_;

  raft::role part_ = raft::role::follower;
  raft::node_id leader_ = raft::nobody;
  raft::term_number leader_term_ = 0;
  std::string halted_by_;
  bool closing_ = false;
  std::optional<instant> close_by_;  // by `boot_clock`
  bool over_ = false;
  raft_elector_snapshot counts_;  // those of its fields that count
  mutable core::mutex mutex_;
  raft_elector_snapshot seen_ ABSL_GUARDED_BY(mutex_);
  disk_thread disk_;  // last: it uses everything above
};

}  // namespace seawall::detail

#endif  // SEAWALL_ELECTION_RAFT_ELECTOR_REPLICA_HPP
