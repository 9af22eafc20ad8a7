// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_REPLICATED_MAP_COMMAND_HPP
#define SEAWALL_ELECTION_REPLICATED_MAP_COMMAND_HPP

// What can be asked of a replicated map, and what it answers; both as values and as bytes, of which there is
// exactly one way to write each value. What a command does is replicated_map.hpp's matter.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "seawall/election/replicated_map/bytes.hpp"
#include "seawall/options.hpp"

namespace seawall {

/// What a map may hold. The bounds travel with each command and are those of whoever sent it, so that
/// replicas which are configured differently, as in the middle of a roll-out, still do the same.
struct map_limits {
  std::uint32_t max_key_bytes = 256;           ///< [1, 4096]
  std::uint32_t max_value_bytes = 16U << 10U;  ///< at most 1 MiB
  std::uint32_t max_entries = 1'000;           ///< [1, 1'000'000]
  std::uint32_t max_bytes = 1U << 20U;         ///< of keys and values: [1, 256 MiB]
  std::uint32_t max_sessions = 256;            ///< [1, 10'000]
};

namespace detail {

// What no command exceeds, whoever sent it.
inline constexpr map_limits map_most{
    .max_key_bytes = 4096,
    .max_value_bytes = 1U << 20U,
    .max_entries = 1'000'000,
    .max_bytes = 256U << 20U,
    .max_sessions = 10'000,
};

}  // namespace detail

inline std::optional<option_error> validate(const map_limits& l) {
  const map_limits& most = detail::map_most;
  detail::option_checks checks;
  const auto check = [&](std::uint32_t value, std::uint32_t least, std::uint32_t limit,
                         std::string_view field) {
    checks.require(value >= least && value <= limit, field, std::uint64_t{value},
                   "must be at least " + std::to_string(least) + " and at most " + std::to_string(limit));
  };
  check(l.max_key_bytes, 1, most.max_key_bytes, "max_key_bytes");
  check(l.max_value_bytes, 0, most.max_value_bytes, "max_value_bytes");
  check(l.max_entries, 1, most.max_entries, "max_entries");
  check(l.max_bytes, 1, most.max_bytes, "max_bytes");
  check(l.max_sessions, 1, most.max_sessions, "max_sessions");
  return checks.result();
}

/// What has to hold of a key's entry for a command to change it.
struct map_condition {
  enum class kind : std::uint8_t { none, absent, present, revision, value };

  kind what = kind::none;
  std::uint64_t revision = 0;  ///< of `revision`: that of the entry's latest change
  std::string value = {};      ///< of `value`

  static map_condition absent() { return {.what = kind::absent}; }
  static map_condition present() { return {.what = kind::present}; }
  /// Zero: there is no entry.
  static map_condition at(std::uint64_t revision) {
    return revision == 0 ? absent() : map_condition{.what = kind::revision, .revision = revision};
  }
  static map_condition equals(std::string value) { return {.what = kind::value, .value = std::move(value)}; }

  friend bool operator==(const map_condition&, const map_condition&) = default;
};

/// So many commands of one session can be without an answer: a sequence number is less than that beyond the
/// first of them.
inline constexpr std::uint64_t map_session_window = 1024;

/// One struct for all kinds; the fields that a kind does not use are at their defaults, and not written.
struct map_command {
  enum class kind : std::uint8_t {
    open_session = 1,  ///< its answer's revision is the session's number
    close_session,
    put,
    erase,
  };

  kind what = kind::put;
  /// Zero: none; then the command does what it does as often as it is in the log.
  std::uint64_t session = 0;
  /// Of the session's commands, from 1. One that was seen before does nothing; its answer is the first one's.
  std::uint64_t sequence = 0;
  /// The first sequence number for whose answer the session still waits: [1, sequence], less than
  /// `map_session_window` away. What lies before is forgotten.
  std::uint64_t awaited = 0;
  map_condition when = {};
  std::string key = {};    ///< never empty
  std::string value = {};  ///< of `put`

  std::uint32_t max_sessions = 0;  ///< of `open_session`: beyond, the one that was used least recently ends
  std::uint32_t max_entries = 0;   ///< of `put`
  std::uint32_t max_bytes = 0;     ///< of `put`

  friend bool operator==(const map_command&, const map_command&) = default;
};

enum class map_outcome : std::uint8_t {
  done,
  conflict,         ///< the condition does not hold
  no_room,          ///< there would be too many entries, or too many bytes
  session_expired,  ///< no such session (any more): whether the command was done before is not known
  forgotten,        ///< the session has said that it has the answer already
  malformed,        ///< no command; or none that could have been meant
};
inline constexpr std::size_t map_outcome_count = 6;

constexpr std::string_view to_string(map_outcome o) noexcept {
  constexpr std::string_view names[] = {"done",      "conflict", "no_room", "session_expired",
                                        "forgotten", "malformed"};
  return names[static_cast<std::size_t>(o)];
}

struct map_answer {
  map_outcome how = map_outcome::malformed;
  /// `done`: of the change, or zero if there was nothing to erase; for `open_session`, the session.
  /// `conflict`: of the entry as it is, or zero if there is none.
  std::uint64_t revision = 0;

  friend bool operator==(const map_answer&, const map_answer&) = default;
};

namespace detail {

inline constexpr std::uint8_t map_format = 1;

inline void write(byte_writer& out, const map_condition& c) {
  out.u8(static_cast<std::uint8_t>(c.what));
  if (c.what == map_condition::kind::revision) out.u64(c.revision);
  if (c.what == map_condition::kind::value) out.text(c.value);
}

inline map_condition read_condition(byte_reader& in) {
  map_condition c;
  const std::uint8_t what = in.u8();
  if (what > static_cast<std::uint8_t>(map_condition::kind::value)) in.fail();
  c.what = static_cast<map_condition::kind>(what);
  if (c.what == map_condition::kind::revision) {
    c.revision = in.u64();
    if (c.revision == 0) in.fail();  // that is `absent`
  }
  if (c.what == map_condition::kind::value) c.value = in.text(map_most.max_value_bytes);
  return c;
}

// Within [1, most].
inline std::uint32_t read_bound(byte_reader& in, std::uint32_t most) {
  const std::uint32_t bound = in.u32();
  if (bound < 1 || bound > most) in.fail();
  return bound;
}

inline void read_sequence(byte_reader& in, map_command& c) {
  c.session = in.u64();
  c.sequence = in.u64();
  c.awaited = in.u64();
  if (c.session == 0) {
    if (c.sequence != 0 || c.awaited != 0) in.fail();
  } else if (c.awaited < 1 || c.awaited > c.sequence || c.sequence - c.awaited >= map_session_window) {
    in.fail();
  }
}

inline void read_write(byte_reader& in, map_command& c) {
  read_sequence(in, c);
  c.when = read_condition(in);
  c.key = in.text(map_most.max_key_bytes);
  if (c.key.empty()) in.fail();
  if (c.what != map_command::kind::put) return;
  c.value = in.text(map_most.max_value_bytes);
  c.max_entries = read_bound(in, map_most.max_entries);
  c.max_bytes = read_bound(in, map_most.max_bytes);
}

}  // namespace detail

/// The command must be one that `parse_map_command` takes.
/// Cost: one string.
inline std::string encode(const map_command& c) {
  detail::byte_writer out;
  out.u8(detail::map_format);
  out.u8(static_cast<std::uint8_t>(c.what));
  switch (c.what) {
    case map_command::kind::open_session: out.u32(c.max_sessions); break;
    case map_command::kind::close_session: out.u64(c.session); break;
    case map_command::kind::put:
    case map_command::kind::erase:
      out.u64(c.session);
      out.u64(c.sequence);
      out.u64(c.awaited);
      detail::write(out, c.when);
      out.text(c.key);
      if (c.what == map_command::kind::erase) break;
      out.text(c.value);
      out.u32(c.max_entries);
      out.u32(c.max_bytes);
  }
  return out.take();
}

/// Nothing if `bytes` are not what `encode` writes for some command.
/// Cost: bounded by the length of `bytes`.
inline std::optional<map_command> parse_map_command(std::string_view bytes) {
  detail::byte_reader in(bytes);
  if (in.u8() != detail::map_format) return std::nullopt;
  map_command c;
  c.what = static_cast<map_command::kind>(in.u8());
  switch (c.what) {
    case map_command::kind::open_session:
      c.max_sessions = detail::read_bound(in, detail::map_most.max_sessions);
      break;
    case map_command::kind::close_session:
      c.session = in.u64();
      if (c.session == 0) in.fail();
      break;
    case map_command::kind::put:
    case map_command::kind::erase: detail::read_write(in, c); break;
    default: in.fail();
  }
  if (!in.ended()) return std::nullopt;
  return c;
}

/// The longest command that these limits allow, a condition on the value included.
constexpr std::size_t max_command_bytes(const map_limits& l) noexcept {
  constexpr std::size_t fixed = 64;
  return fixed + l.max_key_bytes + std::size_t{2} * l.max_value_bytes;
}

inline std::string encode(const map_answer& a) {
  detail::byte_writer out;
  out.u8(static_cast<std::uint8_t>(a.how));
  out.u64(a.revision);
  return out.take();
}

inline std::optional<map_answer> parse_map_answer(std::string_view bytes) noexcept {
  detail::byte_reader in(bytes);
  const std::uint8_t how = in.u8();
  const std::uint64_t revision = in.u64();
  if (!in.ended() || how >= map_outcome_count) return std::nullopt;
  return map_answer{.how = static_cast<map_outcome>(how), .revision = revision};
}

}  // namespace seawall

#endif  // SEAWALL_ELECTION_REPLICATED_MAP_COMMAND_HPP
