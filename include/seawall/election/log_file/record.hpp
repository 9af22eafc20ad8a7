// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_LOG_FILE_RECORD_HPP
#define SEAWALL_ELECTION_LOG_FILE_RECORD_HPP

// What is in a batch: records, each with its length before it. One record is one `persist`, or a checkpoint,
// which says all there is to know without what was written before it. Checksums have been checked when this
// is read; it is parsed all the same as if they had not.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "seawall/election/log_file/bytes.hpp"
#include "seawall/election/raft_types.hpp"

namespace seawall::raft::wal {

/// Where a snapshot's state is kept. The log holds only this; zeros are none.
struct snapshot_place {
  log_index index = 0;
  term_number term = 0;
  std::uint64_t file =
      0;  ///< its number; zero of an index that is not: a later record of the same batch replaces it
  std::uint64_t salt = 0;    ///< the file's, so that no other one is taken for it
  std::uint64_t frames = 0;  ///< batches in the file
  std::uint32_t sum = 0;     ///< of the last of them, and so of all

  friend bool operator==(const snapshot_place&, const snapshot_place&) = default;
};

struct record {
  bool checkpoint = false;  ///< `what` says all: hard state, base and entries
  persist what = {};        ///< its base without members and state
  snapshot_place place = {};
};

namespace records {

enum flag : std::uint8_t { is_checkpoint = 1, has_hard = 2, has_base = 4, keeps_entries = 8, all_flags = 15 };

inline void put_nodes(std::string& out, const std::vector<node_id>& nodes) {
  put(out, static_cast<std::uint32_t>(nodes.size()));
  for (const node_id n : nodes) put(out, n);
}

inline std::vector<node_id> take_nodes(byte_reader& in) {
  const auto count = in.take<std::uint32_t>();
  std::vector<node_id> nodes;
  if (count > in.left() / sizeof(node_id)) in.fail();
  if (in.failed()) return nodes;
  nodes.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) nodes.push_back(in.take<node_id>());
  return nodes;
}

inline void put_entry(std::string& out, const entry& e) {
  put(out, e.index);
  put(out, e.term);
  put(out, static_cast<std::uint8_t>(e.kind));
  if (e.kind == entry_kind::command) put_text(out, e.command);
  if (e.kind != entry_kind::members) return;
  put_nodes(out, e.members.voters);
  put_nodes(out, e.members.learners);
}

inline entry take_entry(byte_reader& in) {
  entry e;
  e.index = in.take<log_index>();
  e.term = in.take<term_number>();
  e.kind = static_cast<entry_kind>(in.take<std::uint8_t>());
  if (e.kind > entry_kind::members) in.fail();
  if (e.kind == entry_kind::command) e.command = in.take_text();
  if (e.kind != entry_kind::members) return e;
  e.members.voters = take_nodes(in);
  e.members.learners = take_nodes(in);
  return e;
}

inline void put_place(std::string& out, const snapshot_place& p) {
  for (const std::uint64_t field : {p.index, p.term, p.file, p.salt, p.frames}) put(out, field);
  put(out, p.sum);
}

inline snapshot_place take_place(byte_reader& in) {
  snapshot_place p;
  for (std::uint64_t* field : {&p.index, &p.term, &p.file, &p.salt, &p.frames})
    *field = in.take<std::uint64_t>();
  p.sum = in.take<std::uint32_t>();
  return p;
}

inline record take_body(byte_reader& in) {
  record r;
  const auto flags = in.take<std::uint8_t>();
  if (flags > all_flags) in.fail();
  r.checkpoint = (flags & is_checkpoint) != 0;
  r.what.keep_entries = (flags & keeps_entries) != 0;
  r.what.number = in.take<std::uint64_t>();
  if ((flags & has_hard) != 0) {
    r.what.hard.emplace();
    r.what.hard->term = in.take<term_number>();
    r.what.hard->vote = in.take<node_id>();
  }
  if ((flags & has_base) != 0) {
    r.place = take_place(in);
    r.what.base.emplace();
    r.what.base->index = r.place.index;
    r.what.base->term = r.place.term;
  }
  r.what.cut_from = in.take<log_index>();
  while (in.left() > 0) r.what.append.push_back(take_entry(in));
  return r;
}

}  // namespace records

/// What the encoding of an entry takes.
inline std::size_t bytes_of(const entry& e) noexcept {
  const std::size_t front = sizeof e.index + sizeof e.term + 1;
  if (e.kind == entry_kind::command) return front + sizeof(std::uint32_t) + e.command.size();
  if (e.kind == entry_kind::nothing) return front;
  const std::size_t nodes = e.members.voters.size() + e.members.learners.size();
  return front + 2 * sizeof(std::uint32_t) + nodes * sizeof(node_id);
}

/// `place` stands for the base of `p`, if it has one. `Entries` is a range of entries.
template <class Entries>
void put_record(std::string& out, bool checkpoint, const persist& p, const snapshot_place& place,
                const Entries& entries) {
  using namespace records;
  const std::size_t start = out.size();
  put(out, std::uint32_t{0});
  const int flags = (checkpoint ? is_checkpoint : 0) | (p.hard ? has_hard : 0) | (p.base ? has_base : 0) |
                    (p.keep_entries ? keeps_entries : 0);
  put(out, static_cast<std::uint8_t>(flags));
  put(out, p.number);
  if (p.hard) {
    put(out, p.hard->term);
    put(out, p.hard->vote);
  }
  if (p.base) put_place(out, place);
  put(out, p.cut_from);
  for (const entry& e : entries) put_entry(out, e);
  std::string length;
  put(length, static_cast<std::uint32_t>(out.size() - start - sizeof(std::uint32_t)));
  out.replace(start, length.size(), length);
}

/// Empty: not a sequence of records.
inline std::optional<std::vector<record>> parse_records(std::string_view payload) {
  std::vector<record> out;
  byte_reader in(payload);
  while (in.left() > 0) {
    byte_reader body(in.take_text());
    out.push_back(records::take_body(body));
    if (in.failed() || body.failed()) return std::nullopt;
  }
  if (in.failed()) return std::nullopt;
  return out;
}

inline std::string put_snapshot(const snapshot& s) {
  std::string out;
  out.reserve(s.state.size() + 256);
  put(out, s.index);
  put(out, s.term);
  records::put_nodes(out, s.members.voters);
  records::put_nodes(out, s.members.learners);
  put(out, static_cast<std::uint64_t>(s.state.size()));
  return out.append(s.state);
}

inline std::optional<snapshot> parse_snapshot(std::string_view bytes) {
  byte_reader in(bytes);
  snapshot s;
  s.index = in.take<log_index>();
  s.term = in.take<term_number>();
  s.members.voters = records::take_nodes(in);
  s.members.learners = records::take_nodes(in);
  const auto size = in.take<std::uint64_t>();
  if (in.failed() || size != in.left()) return std::nullopt;
  s.state = in.take_bytes(in.left());
  return s;
}

}  // namespace seawall::raft::wal

#endif  // SEAWALL_ELECTION_LOG_FILE_RECORD_HPP
