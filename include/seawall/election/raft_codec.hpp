// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_RAFT_CODEC_HPP
#define SEAWALL_ELECTION_RAFT_CODEC_HPP

// Raft's messages as bytes. Every message has one encoding and every encoding that is accepted is the one of its message;
// what arrives is taken for hostile, and nothing is allocated that the bytes at hand do not pay for. No I/O: the network is
// transport.hpp.
//
//   frame:       length u32 | body                                        all numbers little-endian
//   body:        version u8 | kind u8 | flags u8 | from u64 | to u64 | term u64 | fields | checksum u32, if agreed on
//   fields:      those that the kind uses, in the order of `detail::numbers`; then entries; members; bytes
//   entries:     count u32, each: term u64 | kind u8 | command as bytes, or members       (their indices follow from `index`)
//   members:     count u32 | voters u64... | count u32 | learners u64...
//   bytes:       count u32 | bytes

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "seawall/core/crc32c.hpp"
#include "seawall/election/raft_types.hpp"
#include "seawall/options.hpp"

namespace seawall::raft {

/// What both sides of a connection agree on. A sender keeps to the bounds, a receiver refuses what does not.
struct codec_options {
  std::uint32_t max_message_bytes = 1U << 20U;  ///< of the body: [1 KiB, 64 MiB]
  std::uint32_t max_entries = 1024;             ///< in a message: [1, 1'000'000]
  std::uint32_t max_members = 64;               ///< voters, and as many learners: [1, 1000]
  /// CRC-32C of the body. For connections without TLS, which has better: TCP's own checksum misses one error in 65,536.
  bool checksum = false;
};

inline std::optional<option_error> validate(const codec_options& o) {
  option_checks checks;
  return checks
      .require(o.max_message_bytes >= 1U << 10U && o.max_message_bytes <= 1U << 26U, "max_message_bytes",
               std::uint64_t{o.max_message_bytes}, "must be at least 1024 and at most 67108864")
      .require(o.max_entries >= 1 && o.max_entries <= 1'000'000, "max_entries", std::uint64_t{o.max_entries},
               "must be at least 1 and at most 1000000")
      .require(o.max_members >= 1 && o.max_members <= 1000, "max_members", std::uint64_t{o.max_members},
               "must be at least 1 and at most 1000")
      .result();
}

/// Before each body.
inline constexpr std::size_t length_bytes = 4;

namespace detail {

inline constexpr std::uint8_t codec_version = 1;
inline constexpr std::uint8_t version_with_checksum = codec_version | 0x80U;
inline constexpr std::size_t checksum_bytes = 4;

enum used : std::uint32_t {
  uses_index = 1U << 0U,
  uses_log_term = 1U << 1U,
  uses_commit = 1U << 2U,
  uses_round = 1U << 3U,
  uses_hint = 1U << 4U,
  uses_offset = 1U << 5U,
  uses_granted = 1U << 6U,
  uses_by_transfer = 1U << 7U,
  uses_last = 1U << 8U,
  uses_entries = 1U << 9U,
  uses_members = 1U << 10U,
  uses_bytes = 1U << 11U,
};

struct kind_row {
  std::string_view name;
  std::uint32_t uses;
};
/// By message_kind. A field that is not named here is not sent, and must be at its default.
inline constexpr std::array<kind_row, 11> kinds{{
    {"pre_vote", uses_index | uses_log_term},
    {"pre_vote_reply", uses_granted},
    {"vote", uses_index | uses_log_term | uses_by_transfer},
    {"vote_reply", uses_granted},
    {"append", uses_index | uses_log_term | uses_commit | uses_round | uses_entries},
    {"append_reply", uses_granted | uses_index | uses_round | uses_hint},
    {"install",
     uses_index | uses_log_term | uses_round | uses_offset | uses_last | uses_members | uses_bytes},
    {"install_reply", uses_granted | uses_index | uses_round | uses_offset},
    {"time_out_now", uses_index},
    {"request", uses_round | uses_bytes},
    {"request_reply", uses_granted | uses_index | uses_round | uses_hint | uses_bytes},
}};

struct number_row {
  std::uint32_t used;
  std::string_view name;
  std::uint64_t message::*where;
};
inline constexpr std::array<number_row, 7> numbers{{
    {uses_index, "index", &message::index},
    {uses_log_term, "log_term", &message::log_term},
    {uses_commit, "commit", &message::commit},
    {uses_round, "round", &message::round},
    {uses_hint, "hint", &message::hint},
    {uses_hint, "hint_term", &message::hint_term},
    {uses_offset, "offset", &message::offset},
}};

struct flag_row {
  std::uint32_t used;
  std::string_view name;
  bool message::*where;
};
/// The first is bit 0.
inline constexpr std::array<flag_row, 3> flags{{
    {uses_granted, "granted", &message::granted},
    {uses_by_transfer, "by_transfer", &message::by_transfer},
    {uses_last, "last", &message::last},
}};

inline option_error bad(std::string_view field, std::uint64_t value, std::string range) {
  return {std::string(field), to_text(value), std::move(range)};
}
inline std::string at_most(std::uint64_t most) { return "must be at most " + to_text(most); }
inline std::string in_entry(std::size_t i, std::string_view field) {
  return "entries[" + std::to_string(i) + "]." + std::string(field);
}

/// One of the two lists.
inline std::optional<option_error> check_list(const std::vector<node_id>& list, std::string_view name,
                                              const codec_options& o) {
  if (list.size() > o.max_members) return bad(name, list.size(), at_most(o.max_members));
  node_id before = nobody;
  for (const node_id id : list) {
    if (id <= before) return bad(name, id, "must be more than the one before it, " + to_text(before));
    before = id;
  }
  return std::nullopt;
}
inline std::optional<option_error> check_members(const membership& m, const codec_options& o) {
  if (auto error = check_list(m.voters, "voters", o)) return error;
  if (auto error = check_list(m.learners, "learners", o)) return error;
  for (const node_id id : m.learners) {
    if (std::binary_search(m.voters.begin(), m.voters.end(), id))
      return bad("learners", id, "must not be a voter");
  }
  return std::nullopt;
}

inline std::optional<option_error> check_entry(const entry& e, const codec_options& o) {
  if (e.kind > entry_kind::members)
    return bad("kind", static_cast<std::uint64_t>(e.kind),
               at_most(static_cast<std::uint64_t>(entry_kind::members)));
  if (e.kind != entry_kind::command && !e.command.empty())
    return bad("command", e.command.size(), "must be empty in an entry of another kind");
  if (e.kind != entry_kind::members && e.members != membership{})
    return bad("members", e.members.voters.size(), "must be empty in an entry of another kind");
  if (e.kind == entry_kind::members && e.members.voters.empty()) return bad("voters", 0, "must not be empty");
  return check_members(e.members, o);
}

/// The log of a leader: without a gap, and its terms do not fall.
inline std::optional<option_error> check_entries(const message& m, const codec_options& o) {
  if (m.entries.size() > o.max_entries) return bad("entries", m.entries.size(), at_most(o.max_entries));
  if (m.index > UINT64_MAX - m.entries.size())
    return bad("index", m.index, at_most(UINT64_MAX - m.entries.size()));
  term_number before = std::max<term_number>(m.log_term, 1);
  for (std::size_t i = 0; i < m.entries.size(); ++i) {
    const entry& e = m.entries[i];
    if (e.index != m.index + 1 + i)
      return bad(in_entry(i, "index"), e.index, "must be " + to_text(m.index + 1 + i));
    if (e.term < before || e.term > m.term)
      return bad(in_entry(i, "term"), e.term,
                 "must be at least " + to_text(before) + " and at most the message's, " + to_text(m.term));
    before = e.term;
    if (auto error = check_entry(e, o)) {
      error->field = in_entry(i, error->field);
      return error;
    }
  }
  return std::nullopt;
}

inline std::optional<option_error> check_unused(const message& m, std::uint32_t uses, std::string_view kind) {
  const auto unused = [kind](std::string_view field, std::uint64_t value) {
    return bad(field, value, "must not be there in a message of kind " + std::string(kind));
  };
  for (const number_row& n : numbers) {
    if ((uses & n.used) == 0 && m.*n.where != 0) return unused(n.name, m.*n.where);
  }
  for (const flag_row& f : flags) {
    if ((uses & f.used) == 0 && m.*f.where) return unused(f.name, 1);
  }
  if ((uses & uses_entries) == 0 && !m.entries.empty()) return unused("entries", m.entries.size());
  if ((uses & uses_members) == 0 && m.members != membership{})
    return unused("members", m.members.voters.size() + m.members.learners.size());
  if ((uses & uses_bytes) == 0 && !m.bytes.empty()) return unused("bytes", m.bytes.size());
  return std::nullopt;
}

class frame_writer {
 public:
  explicit frame_writer(std::string& out) noexcept : out_(out) {}

  template <class U>
  void number(U value) {
    for (std::size_t i = 0; i < sizeof value; ++i)
      out_.push_back(static_cast<char>(static_cast<std::uint8_t>(value >> (8 * i))));
  }
  void bytes(std::string_view b) {
    number(static_cast<std::uint32_t>(b.size()));
    out_.append(b);
  }
  void ids(const std::vector<node_id>& list) {
    number(static_cast<std::uint32_t>(list.size()));
    for (const node_id id : list) number(id);
  }
  void members(const membership& m) {
    ids(m.voters);
    ids(m.learners);
  }
  void entries(const std::vector<entry>& list) {
    number(static_cast<std::uint32_t>(list.size()));
    for (const entry& e : list) {
      number(e.term);
      number(static_cast<std::uint8_t>(e.kind));
      if (e.kind == entry_kind::command) bytes(e.command);
      if (e.kind == entry_kind::members) members(e.members);
    }
  }

 private:
  std::string& out_;
};

/// Reads until something is wrong, which `error` then says; what is read after that is nothing.
class body_reader {
 public:
  body_reader(std::string_view bytes, const codec_options& o) noexcept : left_(bytes), options_(o) {}

  template <class U>
  U number(std::string_view field) {
    U value = 0;
    if (!has(field, sizeof value)) return value;
    for (std::size_t i = 0; i < sizeof value; ++i)
      value |= static_cast<U>(static_cast<U>(static_cast<unsigned char>(left_[i])) << (8 * i));
    left_.remove_prefix(sizeof value);
    return value;
  }
  std::string bytes(std::string_view field) {
    const auto size = number<std::uint32_t>(field);
    if (!has(field, size)) return {};
    std::string out(left_.substr(0, size));
    left_.remove_prefix(size);
    return out;
  }
  membership members() {
    membership m;
    m.voters = ids("voters");
    m.learners = ids("learners");
    return m;
  }
  std::vector<entry> entries(const message& m) {
    const auto n = count("entries", options_.max_entries, smallest_entry);
    std::vector<entry> list;
    list.reserve(n);
    for (std::uint32_t i = 0; i < n && !error; ++i) {
      entry& e = list.emplace_back();
      e.index = m.index + 1 + i;
      e.term = number<std::uint64_t>("term");
      e.kind = static_cast<entry_kind>(number<std::uint8_t>("kind"));
      if (e.kind == entry_kind::command) e.command = bytes("command");
      if (e.kind == entry_kind::members) e.members = members();
      if (error) error->field = in_entry(i, error->field);
    }
    return list;
  }
  std::size_t left() const noexcept { return left_.size(); }

  std::optional<option_error> error;

 private:
  static constexpr std::size_t smallest_entry = sizeof(std::uint64_t) + 1;

  bool has(std::string_view field, std::size_t wanted) {
    if (!error && wanted > left_.size())
      error = bad(field, wanted,
                  "must be at most as many bytes as are left, " + to_text(std::uint64_t{left_.size()}));
    return !error;
  }
  std::uint32_t count(std::string_view field, std::uint32_t most, std::size_t bytes_each) {
    const auto n = number<std::uint32_t>(field);
    if (!error && n > most) error = bad(field, n, at_most(most));
    return has(field, n * bytes_each) ? n : 0;
  }
  std::vector<node_id> ids(std::string_view field) {
    const auto n = count(field, options_.max_members, sizeof(node_id));
    std::vector<node_id> list(n);
    for (node_id& id : list) id = number<node_id>(field);
    return list;
  }

  std::string_view left_;
  const codec_options& options_;
};

inline std::uint8_t expected_version(const codec_options& o) noexcept {
  return o.checksum ? version_with_checksum : codec_version;
}

/// Takes the version off the front, and the checksum off the end.
inline std::optional<option_error> unwrap(std::string_view& body, const codec_options& o) {
  if (body.size() > o.max_message_bytes) return bad("length", body.size(), at_most(o.max_message_bytes));
  if (body.empty()) return bad("length", 0, "must be at least 1");
  const auto version = static_cast<std::uint8_t>(body.front());
  if (version != expected_version(o))
    return bad("version", version, "must be " + to_text(std::uint64_t{expected_version(o)}));
  if (o.checksum) {
    if (body.size() <= checksum_bytes) return bad("length", body.size(), "must be more than a checksum's, 4");
    const std::string_view covered = body.substr(0, body.size() - checksum_bytes);
    const auto sum = body_reader(body.substr(covered.size()), o).number<std::uint32_t>("checksum");
    if (sum != core::crc32c(covered))
      return bad("checksum", sum, "must be " + to_text(std::uint64_t{core::crc32c(covered)}));
    body = covered;
  }
  body.remove_prefix(1);
  return std::nullopt;
}

/// Puts length and version around what `write` appends, and the checksum behind it.
template <class Write>
std::optional<option_error> wrap(std::string& out, const codec_options& o, Write&& write) {
  const std::size_t begin = out.size();
  frame_writer w(out);
  w.number(std::uint32_t{0});
  w.number(expected_version(o));
  write(w);
  const std::size_t body = begin + length_bytes;
  if (o.checksum) w.number(core::crc32c(std::string_view(out).substr(body)));
  const std::size_t length = out.size() - body;
  if (length > o.max_message_bytes) {
    out.resize(begin);
    return bad("length", length, at_most(o.max_message_bytes));
  }
  for (std::size_t i = 0; i < length_bytes; ++i)
    out[begin + i] = static_cast<char>(static_cast<std::uint8_t>(length >> (8 * i)));
  return std::nullopt;
}

/// No fewer bytes than the encoding has, but for what is bounded and small.
inline std::size_t payload_bytes(const message& m) noexcept {
  std::size_t sum = m.bytes.size();
  for (const entry& e : m.entries) sum += e.command.size();
  return sum;
}

/// At least as many bytes as the frame has, and few more: to make room at once.
inline std::size_t most_frame_bytes(const message& m) noexcept {
  const auto ids = [](const membership& list) {
    return 2 * sizeof(std::uint32_t) + (list.voters.size() + list.learners.size()) * sizeof(node_id);
  };
  std::size_t sum = length_bytes + 3 + (3 + numbers.size()) * sizeof(std::uint64_t) + ids(m.members) +
                    2 * sizeof(std::uint32_t) + m.bytes.size() + checksum_bytes;
  for (const entry& e : m.entries)
    sum += sizeof(std::uint64_t) + 1 + ids(e.members) + sizeof(std::uint32_t) + e.command.size();
  return sum;
}

}  // namespace detail

/// What must hold for every message, whether it is to be sent or has come.
inline std::optional<option_error> validate(const message& m, const codec_options& o) {
  using detail::bad;
  const auto kind = static_cast<std::size_t>(m.kind);
  if (kind >= detail::kinds.size()) return bad("kind", kind, detail::at_most(detail::kinds.size() - 1));
  if (m.from == nobody) return bad("from", m.from, "must not be 0");
  if (m.to == nobody) return bad("to", m.to, "must not be 0");
  if (m.to == m.from) return bad("to", m.to, "must not be the sender");
  if (auto error = detail::check_unused(m, detail::kinds[kind].uses, detail::kinds[kind].name)) return error;
  if (m.offset > UINT64_MAX - m.bytes.size())
    return bad("offset", m.offset, detail::at_most(UINT64_MAX - m.bytes.size()));
  if (auto error = detail::check_members(m.members, o)) return error;
  return detail::check_entries(m, o);
}

/// Appends the frame of a message. Errors: `out` is as it was.
/// Cost: one pass; allocates only for `out` to grow.
inline std::optional<option_error> encode(const message& m, const codec_options& o, std::string& out) {
  if (auto error = validate(m, o)) return error;
  if (const std::size_t bytes = detail::payload_bytes(m); bytes > o.max_message_bytes)
    return detail::bad("length", bytes, detail::at_most(o.max_message_bytes));
  return detail::wrap(out, o, [&m](detail::frame_writer& w) {
    const std::uint32_t uses = detail::kinds[static_cast<std::size_t>(m.kind)].uses;
    std::uint8_t bits = 0;
    for (std::size_t i = 0; i < detail::flags.size(); ++i)
      bits |= static_cast<std::uint8_t>((m.*detail::flags[i].where ? 1U : 0U) << i);
    w.number(static_cast<std::uint8_t>(m.kind));
    w.number(bits);
    w.number(m.from);
    w.number(m.to);
    w.number(m.term);
    for (const detail::number_row& n : detail::numbers) {
      if ((uses & n.used) != 0) w.number(m.*n.where);
    }
    if ((uses & detail::uses_entries) != 0) w.entries(m.entries);
    if ((uses & detail::uses_members) != 0) w.members(m.members);
    if ((uses & detail::uses_bytes) != 0) w.bytes(m.bytes);
  });
}

/// How long the body behind these four bytes is.
constexpr std::uint32_t frame_length(std::string_view four_bytes) noexcept {
  std::uint32_t length = 0;
  for (std::size_t i = 0; i < length_bytes; ++i)
    length |= static_cast<std::uint32_t>(static_cast<unsigned char>(four_bytes[i])) << (8 * i);
  return length;
}

/// Reads a body, the frame without its length. Errors: `m` is not to be used.
/// Cost: one pass; allocates what the message holds, at most some ten times the size of the body (entries without a command).
inline std::optional<option_error> parse(std::string_view body, const codec_options& o, message& m) {
  m = message{};
  if (auto error = detail::unwrap(body, o)) return error;
  detail::body_reader r(body, o);
  const auto kind = r.number<std::uint8_t>("kind");
  if (!r.error && kind >= detail::kinds.size())
    return detail::bad("kind", kind, detail::at_most(detail::kinds.size() - 1));
  m.kind = static_cast<message_kind>(kind);
  const std::uint32_t uses = detail::kinds[kind].uses;
  const auto bits = r.number<std::uint8_t>("flags");
  if (bits >> detail::flags.size() != 0)
    return detail::bad("flags", bits, detail::at_most((1U << detail::flags.size()) - 1));
  for (std::size_t i = 0; i < detail::flags.size(); ++i) m.*detail::flags[i].where = (bits >> i & 1U) != 0;
  m.from = r.number<node_id>("from");
  m.to = r.number<node_id>("to");
  m.term = r.number<term_number>("term");
  for (const detail::number_row& n : detail::numbers) {
    if ((uses & n.used) != 0) m.*n.where = r.number<std::uint64_t>(n.name);
  }
  if ((uses & detail::uses_entries) != 0) m.entries = r.entries(m);
  if ((uses & detail::uses_members) != 0) m.members = r.members();
  if ((uses & detail::uses_bytes) != 0) m.bytes = r.bytes("bytes");
  if (r.error) return std::move(r.error);
  if (r.left() != 0) return detail::bad("length", r.left(), "must not be more than the message needs");
  return validate(m, o);
}

}  // namespace seawall::raft

#endif  // SEAWALL_ELECTION_RAFT_CODEC_HPP
