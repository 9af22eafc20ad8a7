// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_UNIT_ELECTION_LOG_FILE_LIFE_HPP
#define SEAWALL_TESTS_UNIT_ELECTION_LOG_FILE_LIFE_HPP

// A node's life on a disk, what was acknowledged when, and what may be found after something went wrong.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "property/support.hpp"
#include "support.hpp"
#include <doctest/doctest.h>

namespace log_test {

/// Everything that a log does: votes, entries, a conflict, snapshots taken and installed, large batches,
/// segments that fill up.
inline std::vector<std::vector<persist>> life() {
  std::vector<std::vector<persist>> out;
  persist p;
  p.base = snapshot{.index = 0, .members = {{1, 2, 3}, {}}};
  out.push_back({p});
  p = {};
  p.hard = hard_state{1, 2};
  out.push_back({p});
  for (log_index i = 1; i <= 4; ++i) {
    p = {};
    p.append = {command(i, 1, std::string(i * 100, static_cast<char>('a' + i)))};
    out.push_back({p});
  }
  persist vote, conflict;
  vote.hard = hard_state{2, 0};
  conflict.cut_from = 3;
  conflict.append = {{.index = 3, .term = 2}, command(4, 2, std::string(1500, 'x'))};
  out.push_back({vote, conflict});
  p = {};
  p.append = {{.index = 5, .term = 2, .kind = entry_kind::members, .members = {{1, 2}, {3}}}};
  out.push_back({p});
  p = {};
  p.base = snapshot{.index = 4, .term = 2, .members = {{1, 2, 3}, {}}, .state = std::string(700, 's')};
  p.keep_entries = true;
  out.push_back({p});
  for (log_index i = 6; i <= 16; ++i) {
    p = {};
    p.append = {command(i, 2, std::string(i * 40, 'b'))};
    out.push_back({p});
  }
  p = {};
  p.hard = hard_state{3, 1};
  p.base = snapshot{.index = 40, .term = 3, .members = {{1, 2}, {}}, .state = "installed"};
  p.append = {command(41, 3, "after it")};
  out.push_back({p});
  return out;
}

/// Of places where something can go wrong, one of so many is tried: under a sanitizer not every one.
constexpr std::size_t one_of = property::slowdown > 1 ? 5 : 1;

struct lived {
  disk d = {};
  std::uint32_t block_bytes = sector;
  std::vector<std::size_t> acknowledged_at = {};  ///< length of the journal, after each write
  std::vector<stored_state> states = {};          ///< after each write; the first one: after opening
};

/// The process starts again after every seventh write, so that there are several epochs. Ends early with the
/// first error; the write that had it is the last of `states`, and never acknowledged.
inline absl::Status live(lived& l) {
  std::optional<logger> log(std::in_place, l.d, l.block_bytes);
  if (!log->log.ok()) return log->log.status();
  l.acknowledged_at.push_back(l.d.journal().size());
  l.states.push_back(log->model);
  for (const auto& batch : life()) {
    if (l.states.size() % 7 == 0) {
      log.reset();
      log.emplace(l.d, l.block_bytes);
      if (!log->log.ok()) return log->log.status();
      REQUIRE(same(log->model, l.states.back()));
    }
    const absl::Status s = log->write(batch);
    l.acknowledged_at.push_back(s.ok() ? l.d.journal().size() : SIZE_MAX);
    l.states.push_back(log->model);
    if (!s.ok()) return s;
  }
  return absl::OkStatus();
}

inline bool all() { return true; }
inline bool none() { return false; }

/// The last write that had been acknowledged after so many operations; zero also if the first opening had not
/// ended.
inline std::size_t acknowledged(const lived& l, std::size_t operations) {
  std::size_t last = 0;
  while (last + 1 < l.states.size() && l.acknowledged_at[last + 1] <= operations) ++last;
  return last;
}

/// What came out of many tries.
struct tally {
  std::size_t as_acknowledged = 0;  ///< found as it was acknowledged last
  std::size_t as_under_way = 0;     ///< with the write that was under way, wholly
  std::size_t refused = 0;          ///< with an error, and nothing was changed

  std::size_t tried() const { return as_acknowledged + as_under_way + refused; }
  std::string text() const {
    return std::to_string(tried()) + " tried: " + std::to_string(as_acknowledged) + " as acknowledged, " +
           std::to_string(as_under_way) + " with the write under way, " + std::to_string(refused) +
           " refused";
  }
};

/// What `opened` has found is what was acknowledged after so many operations, or with what was under way.
inline void check_found(const lived& l, const absl::StatusOr<opened_log>& opened, std::size_t operations,
                        tally& t) {
  REQUIRE_MESSAGE(opened.ok(), opened.status().ToString());
  const std::size_t last = acknowledged(l, operations);
  const bool as_acknowledged = same(opened->state, l.states.empty() ? stored_state() : l.states[last]);
  const bool any = !l.states.empty() && operations >= l.acknowledged_at.front();
  const bool as_under_way = any && last + 1 < l.states.size() && same(opened->state, l.states[last + 1]);
  REQUIRE_MESSAGE((as_acknowledged || as_under_way), to_text(opened->state));
  ++(as_acknowledged ? t.as_acknowledged : t.as_under_way);
}

/// As above; or it is a refusal that says where and what to do, and has changed nothing.
inline void check_found_or_refused(const lived& l, const disk& d, const absl::StatusOr<opened_log>& opened,
                                   std::size_t operations, tally& t) {
  if (opened.ok()) return check_found(l, opened, operations, t);
  const std::string text(opened.status().message());
  INFO(text);
  REQUIRE(opened.status().code() == absl::StatusCode::kDataLoss);
  REQUIRE(text.starts_with("d"));
  REQUIRE(text.find(", offset ") != std::string::npos);
  REQUIRE(text.find("the log is not opened and nothing was changed: repair the disk") != std::string::npos);
  REQUIRE(d.journal().empty());
  ++t.refused;
}

/// What was opened goes on: another write, and that is found.
inline void check_goes_on(disk& d, logger& log, std::size_t bytes, std::uint32_t block_bytes) {
  persist p;
  const term_number next = log.model.hard.term + 1;
  p.hard = hard_state{next, 9};
  p.append = {command(last_index(log.model) + 1, next, std::string(bytes, 'z'))};
  REQUIRE(log.write(p) == absl::OkStatus());
  disk reopened(d.now());
  const logger last(reopened, block_bytes);
  REQUIRE_MESSAGE(last.log.ok(), last.log.status().ToString());
  REQUIRE(same(last.log->state, log.model));
}

}  // namespace log_test

#endif  // SEAWALL_TESTS_UNIT_ELECTION_LOG_FILE_LIFE_HPP
