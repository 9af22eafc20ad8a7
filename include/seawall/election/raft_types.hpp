// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_RAFT_TYPES_HPP
#define SEAWALL_ELECTION_RAFT_TYPES_HPP

// What Raft's parts say to each other: entries, messages, what is to be kept on disk, what comes out of a step. Values
// only. The machine is raft_core.hpp, the disk log_file.hpp, the network transport.hpp.

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "seawall/time.hpp"

namespace seawall::raft {

/// A replica, for as long as the cluster lives: never given to another one. Zero is nobody.
using node_id = std::uint64_t;
inline constexpr node_id nobody = 0;

/// Counted from 1; zero is before the first.
using term_number = std::uint64_t;
using log_index = std::uint64_t;

/// Who belongs to the cluster. Both lists ascend, without repetition; nobody is in both.
struct membership {
  std::vector<node_id> voters = {};
  std::vector<node_id> learners = {};  ///< are sent the log, do not count

  friend bool operator==(const membership&, const membership&) = default;
};

enum class entry_kind : std::uint8_t {
  nothing,  ///< a leader's first: commits what earlier terms have left
  command,  ///< for the state machine
  members,  ///< a membership, in force from when it is appended; the very first entry of a log is one
};

struct entry {
  log_index index = 0;
  term_number term = 0;
  entry_kind kind = entry_kind::nothing;
  std::string command = {};  ///< of `command`
  membership members = {};   ///< of `members`

  friend bool operator==(const entry&, const entry&) = default;
};

/// One record, so that the one is never kept without the other.
struct hard_state {
  term_number term = 0;
  node_id vote = nobody;

  friend bool operator==(const hard_state&, const hard_state&) = default;
};

/// Takes the place of all entries up to `index`.
struct snapshot {
  log_index index = 0;
  term_number term = 0;
  membership members = {};
  std::string state = {};  ///< the state machine's

  friend bool operator==(const snapshot&, const snapshot&) = default;
};

/// What a disk holds, when a node starts.
struct stored_state {
  hard_state hard = {};
  snapshot base = {};               ///< index 0 where there is none; its membership is the first one
  std::vector<entry> entries = {};  ///< base.index + 1, and on without a gap
};

/// What must be on the disk, in the order of the fields. Numbers count up by one from 1.
struct persist {
  std::uint64_t number = 0;
  std::optional<hard_state> hard = {};  ///< perhaps what is there already: an idle leader tries its disk
  std::optional<snapshot> base = {};    ///< in place of all entries up to its index
  bool keep_entries = false;            ///< of `base`: entries behind it stay; else the log is empty after it
  /// Entries from this index on are cut off before `append`; zero: none.
  log_index cut_from = 0;
  std::vector<entry> append = {};
};

enum class message_kind : std::uint8_t {
  pre_vote,  ///< would you vote for me in `term`?
  pre_vote_reply,
  vote,
  vote_reply,
  append,  ///< entries behind (`index`, `log_term`), or none: a heartbeat
  append_reply,
  install,  ///< a part of a snapshot: bytes from `offset`
  install_reply,
  time_out_now,  ///< a transfer: campaign at once
  // Between drivers; a core knows nothing of these.
  request,  ///< to the leader: propose `bytes`, or, if there are none, say what must be applied before a read
  request_reply,  ///< of the same `round`. Granted: committed at `index`, with the state machine's answer in `bytes`; of a read, the
                  ///< index to be applied first. Else `hint` is a `refusal`
};

/// One struct for all kinds; the fields that a kind does not use are at their defaults, and refused by the parser otherwise.
struct message {
  message_kind kind = message_kind::append;
  node_id from = nobody;
  node_id to = nobody;
  term_number term = 0;

  /// vote and time_out_now: last of the log; append: before the first; append_reply: last that matches, or the one that is
  /// refused; install: of the snapshot; install_reply, granted: last that matches.
  log_index index = 0;
  term_number log_term = 0;  ///< the term of the entry at `index`
  log_index commit = 0;      ///< append
  bool granted = false;      ///< replies
  bool by_transfer =
      false;  ///< vote: the leader asked for it, so that nobody refuses for having heard of a leader
  /// Of append and install; comes back in the reply. Counts what the leader has sent, so that an answer proves that the sender
  /// followed after it was sent: leases and reads are built on it.
  /// Of a request: the sender's number for it, never given twice.
  std::uint64_t round = 0;
  log_index hint = 0;         ///< append_reply, refused: where the follower's log may agree
  term_number hint_term = 0;  ///< its term there
  std::vector<entry> entries = {};

  membership members = {};   ///< install
  std::uint64_t offset = 0;  ///< install: of `bytes` in the state; install_reply: what has come so far
  bool last = false;         ///< install: the state ends with `bytes`
  std::string bytes = {};    ///< install, request, request_reply

  friend bool operator==(const message&, const message&) = default;
};

enum class role : std::uint8_t { follower, pre_candidate, candidate, leader, learner };

/// Why a request to a core came to nothing. None of these has left a trace, but `unknown`.
enum class refusal : std::uint8_t {
  not_leader,
  too_many,      ///< a bound on what is under way is reached
  too_large,     ///< an entry beyond max_entry_bytes
  transferring,  ///< leadership is being handed over
  not_ready,     ///< no entry of the own term has committed yet, or the membership changes already
  not_a_member,
  bad_change,  ///< a membership that contradicts itself, has no voters, or is more than one voter away
  halted,      ///< the disk has failed: this process must start again
  unknown,     ///< leadership was lost meanwhile: it may be committed yet, or never
};

// What goes into a step.
namespace input {
struct tick {};  ///< `now` has come, nothing else
struct received {
  message what;
};
struct persisted {
  std::uint64_t number;
};                         ///< all up to it are durable
struct persist_failed {};  ///< the node halts, for good
struct proposed {
  std::uint64_t request;
  std::string command;
};
struct read {
  std::uint64_t request;
};  ///< linearisable: answered with the index that must be applied first
struct transfer {
  node_id to;
};  ///< `nobody`: to whoever is nearest
struct change {
  std::uint64_t request;
  membership to;
};                 ///< differs by one voter at most; learners at will
struct resign {};  ///< steps down, and lets somebody else lead
struct compacted {
  log_index index;
  std::string state;
};  ///< the state machine's snapshot as of `index`, which was applied
}  // namespace input
using any_input =
    std::variant<input::tick, input::received, input::persisted, input::persist_failed, input::proposed,
                 input::read, input::transfer, input::change, input::resign, input::compacted>;

/// What became of a `proposed`, `read` or `change`. Exactly one for each.
struct answer {
  std::uint64_t request = 0;
  std::optional<refusal> refused = {};
  log_index index = 0;  ///< of the entry, which has committed; of a read: to be applied before it is answered
  term_number term = 0;
};

/// What comes out of a step, to be done in the order of the fields. What must not leave before something is durable is kept back by
/// the core until `persisted`: whatever is here can be sent at once.
struct effects {
  std::optional<persist> store = {};
  std::vector<message> send = {};
  std::optional<snapshot> restore = {};  ///< the state machine starts again from here, before `apply`
  std::vector<entry> apply = {};         ///< committed, in order, each once, all kinds
  std::vector<answer> answers = {};
  instant wake_at = instant::never();  ///< a tick is wanted then
};

}  // namespace seawall::raft

#endif  // SEAWALL_ELECTION_RAFT_TYPES_HPP
