// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_RAFT_ELECTOR_REQUEST_BOOK_HPP
#define SEAWALL_ELECTION_RAFT_ELECTOR_REQUEST_BOOK_HPP

// The requests of one replica's users on their way to whoever leads: which to send, and to send again until
// an answer or a deadline comes. A session makes repeats harmless. Told the time; the network and the core
// are the driver's.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "seawall/core/backoff.hpp"
#include "seawall/election/raft_elector/map_request.hpp"
#include "seawall/election/raft_types.hpp"
#include "seawall/election/replicated_map.hpp"
#include "seawall/random.hpp"
#include "seawall/status.hpp"
#include "seawall/time.hpp"

namespace seawall::detail {

struct request_book_options {
  map_limits limits = {};
  duration repeat_after = {};    ///< what was sent to another replica is sent again after so long
  backoff_options backoff = {};  ///< after a refusal, nothing is sent for so long
};

/// Something to be sent to the leader. Empty: a read.
struct request_to_send {
  std::uint64_t ticket =
      0;  ///< of this sending: never given twice, so that no answer is taken for another one's
  std::string command = {};
};

/// Thread safety: none of its own.
/// Cost: a request takes a few look-ups in trees; bounded by how many the driver lets in.
class request_book {
 public:
  /// `seed`: another one each time that a replica is started.
  request_book(request_book_options options, std::uint64_t seed)
      : options_(std::move(options)), random_(seed), last_ticket_(random_.next() >> 8U) {}

  void add(std::unique_ptr<map_write> w) {
    const std::uint64_t id = ++last_id_;
    note_deadline(id, w->deadline());
    writes_[id].what = std::move(w);
    ready_.insert(id);
  }
  void add(std::unique_ptr<map_read> r) {
    const std::uint64_t id = ++last_id_;
    note_deadline(id, r->deadline());
    reads_[id].what = std::move(r);
    ready_reads_.insert(id);
  }

  /// All that may be sent now. `own`: to this replica's core, which answers each of them once; else to
  /// another replica, whose answers may be lost.
  std::vector<request_to_send> take(instant now, bool own) {
    std::vector<request_to_send> out;
    if (now < paused_until_) return out;
    take_reads(now, own, out);
    for (const std::uint64_t id : std::exchange(again_, {})) send_write(id, now, own, out);
    if (ready_.empty() || opening_) return out;
    if (session_ == 0) {
      const map_command open{.what = map_command::kind::open_session,
                             .max_sessions = options_.limits.max_sessions};
      opening_ = send({.what = sent::kind::open}, encode(open), now, own, out);
      return out;
    }
    // No more than a session can tell apart.
    while (!ready_.empty() && last_sequence_ + 1 - oldest() < map_session_window) {
      const std::uint64_t id = *ready_.begin();
      ready_.erase(ready_.begin());
      map_command& c = writes_.at(id).what->what;
      c.session = session_;
      c.sequence = ++last_sequence_;
      by_sequence_[{c.session, c.sequence}] = id;
      send_write(id, now, own, out);
    }
    return out;
  }

  // What became of it. A ticket that is not known any more is let pass.

  void refused(std::uint64_t ticket, raft::refusal why, instant now) {
    const auto found = under_way_.find(ticket);
    if (found == under_way_.end()) return;
    if (why == raft::refusal::too_large && found->second.what == sent::kind::write)
      return finish_write(found->second.id, absl::InvalidArgumentError(too_large_text));
    send_again(found);
    paused_until_ =
        now + schedule_.next(options_.backoff, ++refusals_, [this]() -> random_source& { return random_; });
  }
  /// Of a read: once the map has come to `index`, it shows what it has to. Of a command: it has committed
  /// there; `answer`, if it is known already.
  void granted(std::uint64_t ticket, raft::log_index index, const std::optional<map_answer>& answer) {
    const auto found = under_way_.find(ticket);
    if (found == under_way_.end()) return;
    refusals_ = 0;
    switch (found->second.what) {
      case sent::kind::open:
        session_ = index;
        last_sequence_ = 0;
        opening_.reset();
        under_way_.erase(found);
        break;
      case sent::kind::read: {
        for (const std::uint64_t id : found->second.reads) {
          const auto r = reads_.find(id);
          if (r == reads_.end()) continue;
          r->second.awaits = index;
          awaiting_.insert({index, id});
        }
        under_way_.erase(found);
        break;
      }
      case sent::kind::write:
        if (answer) answered(found->second.id, *answer);  // else it comes with the entry
        break;
    }
  }
  /// This replica's map has come to a command.
  void applied(const map_applied& a) {
    const auto found = by_sequence_.find({a.session, a.sequence});
    if (found != by_sequence_.end()) answered(found->second, a.answer);
  }
  /// Serves the reads that may see the map as it is.
  void serve(const replicated_map& map) {
    while (!awaiting_.empty() && awaiting_.begin()->first <= map.index()) {
      const std::uint64_t id = awaiting_.begin()->second;
      reads_.at(id).what->serve(map);
      finish_read(id, absl::OkStatus());
    }
  }

  /// What was sent to a replica that does not lead any more goes to the next one, without waiting.
  void leader_changed() {
    paused_until_ = {};
    refusals_ = 0;
    for (auto s = under_way_.begin(); s != under_way_.end();) {
      const auto next = std::next(s);
      if (!s->second.own) send_again(s);
      s = next;
    }
    sent_elsewhere_.clear();
  }

  /// Gives up what is past its deadline; sends again what has no answer.
  void on_time(instant now) {
    if (paused_until_ <= now) paused_until_ = {};
    while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
      const std::uint64_t id = deadlines_.begin()->second;
      if (writes_.contains(id)) {
        finish_write(id, out_of_time(writes_.at(id).sendings));
      } else {
        finish_read(id,
                    absl::DeadlineExceededError("replicated map: no answer of a leader before the deadline"));
      }
    }
    while (!sent_elsewhere_.empty() && sent_elsewhere_.front().first + options_.repeat_after <= now) {
      const auto found = under_way_.find(sent_elsewhere_.front().second);
      sent_elsewhere_.pop_front();
      if (found != under_way_.end()) send_again(found);
    }
  }
  /// When `on_time` and `take` are to be called next, as far as the book knows.
  instant wake_at() {
    instant at = deadlines_.empty() ? instant::never() : deadlines_.begin()->first;
    while (!sent_elsewhere_.empty() && !under_way_.contains(sent_elsewhere_.front().second))
      sent_elsewhere_.pop_front();
    if (!sent_elsewhere_.empty()) at = std::min(at, sent_elsewhere_.front().first + options_.repeat_after);
    const bool something = !ready_.empty() || !again_.empty() || !ready_reads_.empty();
    return something && paused_until_ != instant() ? std::min(at, paused_until_) : at;
  }
  /// All that is there, for one reason.
  void fail_all(const absl::Status& why) {
    while (!writes_.empty()) finish_write(writes_.begin()->first, why);
    while (!reads_.empty()) finish_read(reads_.begin()->first, why);
  }

  /// Those that are settled, and are to be told.
  std::vector<std::unique_ptr<map_request>> take_settled() { return std::exchange(settled_, {}); }
  std::size_t size() const noexcept { return writes_.size() + reads_.size(); }
  std::uint64_t session() const noexcept { return session_; }
  std::uint64_t repeats() const noexcept { return repeats_; }

 private:
  struct write {
    std::unique_ptr<map_write> what;
    std::uint32_t sendings = 0;  // in its session
    std::uint64_t ticket = 0;    // of the last one
  };
  struct read {
    std::unique_ptr<map_read> what;
    raft::log_index awaits = 0;  // what the map must have come to, if that is known
  };
  struct sent {
    enum class kind : std::uint8_t { open, write, read };
    kind what = kind::open;
    bool own = false;
    std::uint64_t id = 0;                   // of `write`
    std::vector<std::uint64_t> reads = {};  // of `read`
  };
  using table = std::unordered_map<std::uint64_t, sent>;

  static constexpr const char* too_large_text = "replicated map: the command is larger than the leader takes";

  void note_deadline(std::uint64_t id, instant at) {
    if (at != instant::never()) deadlines_.insert({at, id});
  }

  std::uint64_t send(sent s, std::string command, instant now, bool own, std::vector<request_to_send>& out) {
    const std::uint64_t ticket = ++last_ticket_;
    s.own = own;
    under_way_.emplace(ticket, std::move(s));
    if (!own) sent_elsewhere_.emplace_back(now, ticket);
    out.push_back({ticket, std::move(command)});
    return ticket;
  }

  // All that wait share one look at who leads: it begins after all of them.
  void take_reads(instant now, bool own, std::vector<request_to_send>& out) {
    if (ready_reads_.empty()) return;
    send({.what = sent::kind::read, .reads = {ready_reads_.begin(), ready_reads_.end()}}, {}, now, own, out);
    ready_reads_.clear();
  }

  /// Of this session's: the first that has no answer yet.
  std::uint64_t oldest() const {
    const auto first = by_sequence_.lower_bound({session_, 0});
    return first == by_sequence_.end() ? last_sequence_ + 1 : first->first.second;
  }
  /// One of an earlier session stays in it, and is told that it has expired: in another session it could be done twice.
  void send_write(std::uint64_t id, instant now, bool own, std::vector<request_to_send>& out) {
    write& w = writes_.at(id);
    map_command& c = w.what->what;
    if (c.session == session_) c.awaited = std::min(oldest(), c.sequence);
    if (w.sendings++ > 0) ++repeats_;
    w.ticket = send({.what = sent::kind::write, .id = id}, encode(c), now, own, out);
  }

  void send_again(table::iterator s) {
    switch (s->second.what) {
      case sent::kind::open: opening_.reset(); break;
      case sent::kind::write:
        if (writes_.contains(s->second.id)) again_.insert(s->second.id);
        break;
      case sent::kind::read:
        for (const std::uint64_t id : s->second.reads) {
          if (reads_.contains(id)) ready_reads_.insert(id);
        }
        break;
    }
    under_way_.erase(s);
  }

  void answered(std::uint64_t id, const map_answer& a) {
    refusals_ = 0;
    write& w = writes_.at(id);
    switch (a.how) {
      case map_outcome::done:
      case map_outcome::conflict: w.what->answer(a); return finish_write(id, absl::OkStatus());
      case map_outcome::no_room:
        return finish_write(id, absl::ResourceExhaustedError("replicated map: there is no room for it"));
      case map_outcome::session_expired:
        if (w.what->what.session == session_) session_ = 0;
        if (w.sendings == 1) return begin_anew(id, w);
        return finish_write(
            id, absl::UnknownError("replicated map: the session has expired; it may have been done"));
      default:
        return finish_write(id, absl::InternalError("replicated map: " + std::string(to_string(a.how))));
    }
  }
  // It was in the log once, and nothing was done.
  void begin_anew(std::uint64_t id, write& w) {
    by_sequence_.erase({w.what->what.session, w.what->what.sequence});
    under_way_.erase(w.ticket);
    again_.erase(id);
    w.what->what.session = 0;
    w.sendings = 0;
    ready_.insert(id);
  }

  void finish_write(std::uint64_t id, absl::Status s) {
    const auto found = writes_.find(id);
    map_write& w = *found->second.what;
    if (!s.ok()) w.fail(std::move(s));
    if (w.what.session != 0) by_sequence_.erase({w.what.session, w.what.sequence});
    deadlines_.erase({w.deadline(), id});
    under_way_.erase(found->second.ticket);
    ready_.erase(id);
    again_.erase(id);
    settled_.push_back(std::move(found->second.what));
    writes_.erase(found);
  }
  void finish_read(std::uint64_t id, absl::Status s) {
    const auto found = reads_.find(id);
    read& r = found->second;
    if (!s.ok()) r.what->fail(std::move(s));
    deadlines_.erase({r.what->deadline(), id});
    ready_reads_.erase(id);
    awaiting_.erase({r.awaits, id});
    settled_.push_back(std::move(r.what));
    reads_.erase(found);
  }

  static absl::Status out_of_time(std::uint32_t sendings) {
    if (sendings == 0)
      return not_executed(absl::DeadlineExceededError("replicated map: nobody has led before the deadline"));
    return absl::DeadlineExceededError(
        "replicated map: no answer before the deadline; it may have been done, or be done yet");
  }

  const request_book_options options_;
  random_source random_;
  core::backoff_schedule schedule_;
  std::uint32_t refusals_ = 0;  // one after another
  instant paused_until_;

  std::uint64_t last_id_ = 0;
  // Begins anywhere: an answer to this replica before it was restarted must not be taken for one to a later
  // question.
  std::uint64_t last_ticket_;
  std::uint64_t repeats_ = 0;
  std::unordered_map<std::uint64_t, write> writes_;
  std::unordered_map<std::uint64_t, read> reads_;
  std::set<std::pair<instant, std::uint64_t>> deadlines_;

  // Nothing is left here of a request that was settled: where nobody leads, nobody else would clear it away.
  std::set<std::uint64_t> ready_;  // writes that are in no session yet, the oldest first
  std::set<std::uint64_t> again_;  // ... that were sent, and are to be sent again
  std::set<std::uint64_t> ready_reads_;
  std::set<std::pair<raft::log_index, std::uint64_t>>
      awaiting_;     // reads that wait for the map to come so far
  table under_way_;  // by ticket
  std::deque<std::pair<instant, std::uint64_t>> sent_elsewhere_;  // tickets, the oldest first

  std::uint64_t session_ = 0;
  std::optional<std::uint64_t> opening_;  // its ticket
  std::uint64_t last_sequence_ = 0;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint64_t> by_sequence_;  // those that have one

  std::vector<std::unique_ptr<map_request>> settled_;
};

}  // namespace seawall::detail

#endif  // SEAWALL_ELECTION_RAFT_ELECTOR_REQUEST_BOOK_HPP
