// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_REPLICATED_MAP_SESSIONS_HPP
#define SEAWALL_ELECTION_REPLICATED_MAP_SESSIONS_HPP

// Which commands have been done, and what came of them, so that one that comes twice is done once: the
// sessions of Ongaro's thesis, 6.3. They are replicated state: all that is decided here is decided by the
// log, never by a clock.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "seawall/election/replicated_map/bytes.hpp"
#include "seawall/election/replicated_map/command.hpp"

namespace seawall::detail {

/// A session's number is the index of the entry that has opened it: never given twice.
///
/// Cost: a look-up for each command; a walk over all sessions where one has to end.
class map_sessions {
 public:
  std::size_t size() const noexcept { return sessions_.size(); }

  /// Where there are `most`, the one that was used least recently ends.
  void open(std::uint64_t index, std::uint32_t most) {
    while (sessions_.size() >= most) sessions_.erase(least_recent());
    sessions_[index].used = index;
  }
  bool close(std::uint64_t number) { return sessions_.erase(number) != 0; }

  /// The answer of a command that is not to be done; nothing if it is.
  std::optional<map_answer> answered(std::uint64_t index, const map_command& c) {
    if (c.session == 0) return std::nullopt;
    const auto found = sessions_.find(c.session);
    if (found == sessions_.end()) return map_answer{.how = map_outcome::session_expired};
    session& s = found->second;
    s.used = index;
    if (c.awaited > s.awaited) {
      s.awaited = c.awaited;
      s.answers.erase(s.answers.begin(), s.answers.lower_bound(c.awaited));
    }
    if (c.sequence < s.awaited) return map_answer{.how = map_outcome::forgotten};
    const auto before = s.answers.find(c.sequence);
    return before == s.answers.end() ? std::nullopt : std::optional(before->second);
  }
  /// What came of one that was done.
  void keep(const map_command& c, const map_answer& a) {
    if (c.session != 0) sessions_.find(c.session)->second.answers.emplace(c.sequence, a);
  }

  void write(byte_writer& out) const {
    out.u32(static_cast<std::uint32_t>(sessions_.size()));
    for (const auto& [number, s] : sessions_) {
      out.u64(number);
      out.u64(s.used);
      out.u64(s.awaited);
      out.u32(static_cast<std::uint32_t>(s.answers.size()));
      for (const auto& [sequence, a] : s.answers) {
        out.u64(sequence);
        out.u8(static_cast<std::uint8_t>(a.how));
        out.u64(a.revision);
      }
    }
  }
  /// As of `index`. What is not as `write` has it, of sessions that could be, fails.
  void read(byte_reader& in, std::uint64_t index) {
    const std::uint32_t count = in.u32();
    if (count > map_most.max_sessions) in.fail();
    std::uint64_t before = 0;
    for (std::uint32_t i = 0; i < count && !in.failed(); ++i) {
      const std::uint64_t number = in.u64();
      session s{.used = in.u64(), .awaited = in.u64(), .answers = {}};
      if (number <= before || s.used < number || s.used > index || s.awaited < 1) in.fail();
      read_answers(in, s, index);
      sessions_.emplace_hint(sessions_.end(), number, std::move(s));
      before = number;
    }
  }

 private:
  struct session {
    std::uint64_t used = 0;     // the index of its latest command
    std::uint64_t awaited = 1;  // the first sequence number whose answer it may not have
    std::map<std::uint64_t, map_answer> answers = {};  // less than a window from there
  };
  using table = std::map<std::uint64_t, session>;

  table::iterator least_recent() {
    return std::min_element(sessions_.begin(), sessions_.end(),
                            [](const auto& a, const auto& b) { return a.second.used < b.second.used; });
  }

  static void read_answers(byte_reader& in, session& s, std::uint64_t index) {
    const std::uint32_t count = in.u32();
    if (count > map_session_window) in.fail();
    std::uint64_t least = s.awaited;
    for (std::uint32_t i = 0; i < count && !in.failed(); ++i) {
      const std::uint64_t sequence = in.u64();
      const std::uint8_t how = in.u8();
      const map_answer a{.how = static_cast<map_outcome>(how), .revision = in.u64()};
      if (sequence < least || sequence - s.awaited >= map_session_window || a.revision > index) in.fail();
      // The others are never kept.
      if (how > static_cast<std::uint8_t>(map_outcome::no_room)) in.fail();
      s.answers.emplace_hint(s.answers.end(), sequence, a);
      least = sequence + 1;
    }
  }

  table sessions_;
};

}  // namespace seawall::detail

#endif  // SEAWALL_ELECTION_REPLICATED_MAP_SESSIONS_HPP
