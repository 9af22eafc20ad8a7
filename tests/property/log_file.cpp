// SPDX-License-Identifier: Apache-2.0
// Lives of a node's log, one after another on one disk: random writes, operations that fail and processes that start
// again on what the system's cache holds, a loss of power anywhere in them (what was not synced reaches the disk
// sector by sector, or not), then one bad sector anywhere. What is found must be what was acknowledged, or with what
// was under way.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "property/support.hpp"
#include "unit/election/log_file/support.hpp"
#include <doctest/doctest.h>

using namespace log_test;
using property::dice;

namespace {

entry any_entry(dice& d, log_index index, term_number term) {
  entry e{.index = index,
          .term = term,
          .kind = d.pick({entry_kind::nothing, entry_kind::command, entry_kind::members})};
  if (e.kind == entry_kind::command) e.command.assign(d.below(d.chance(10) ? 3000 : 400), 'c');
  for (char& c : e.command) c = static_cast<char>(d.next());
  if (e.kind == entry_kind::members) e.members = {{1, 2, d.between<node_id>(3, 9)}, {}};
  return e;
}

/// Something that a core could ask for, after what has been.
persist any_persist(dice& d, const stored_state& was) {
  persist p;
  stored_state s = was;
  if (d.chance(25)) {
    const bool next = s.hard.vote != nobody || d.chance(50);
    p.hard = hard_state{s.hard.term + (next ? d.between(1, 3) : 0), d.below(4)};
    s.hard = *p.hard;
  }
  if (d.chance(12)) {
    const auto at = [&](log_index i) {
      return i == s.base.index ? s.base.term : s.entries[i - s.base.index - 1].term;
    };
    p.keep_entries = d.chance(70);
    const log_index index =
        p.keep_entries ? d.between(s.base.index, last_index(s)) : last_index(s) + d.below(20);
    const term_number term = p.keep_entries ? at(index) : s.hard.term;
    p.base = snapshot{
        .index = index, .term = term, .members = {{1, 2, 3}, {}}, .state = std::string(d.below(2000), 's')};
    for (char& c : p.base->state) c = static_cast<char>(d.next());
  }
  persist so_far = p;
  stored_state now = was;
  apply(now, so_far);
  if (!now.entries.empty() && d.chance(15)) {
    p.cut_from = d.between(now.base.index + 1, last_index(now));
    while (last_index(now) >= p.cut_from) now.entries.pop_back();
  }
  const term_number last = now.entries.empty() ? now.base.term : now.entries.back().term;
  for (std::uint64_t n = d.below(4), i = 0, term = last; i < n; ++i) {
    term = d.between(term, now.hard.term);
    p.append.push_back(any_entry(d, last_index(now) + 1 + i, term));
  }
  return p;
}

/// A sector of the files, as it was earlier, as another one is, or as nothing was.
void spoil(dice& d, contents& files, const std::vector<contents>& history) {
  auto f = files.begin();
  std::advance(f, static_cast<std::ptrdiff_t>(d.below(files.size())));
  const std::size_t sectors = f->second.size() / sector;
  if (sectors == 0) return;
  const std::size_t at = d.below(d.chance(50) ? std::min<std::size_t>(sectors, 16) : sectors) * sector;
  std::string bad(sector, '\0');
  const unsigned how = static_cast<unsigned>(d.below(4));
  if (how == 1) {
    for (char& c : bad) c = static_cast<char>(d.next());
  } else if (how >= 2 && !history.empty()) {
    const contents& earlier = history[d.below(history.size())];
    const auto there = how == 2
                           ? earlier.find(f->first)
                           : std::next(earlier.begin(), static_cast<std::ptrdiff_t>(d.below(earlier.size())));
    const std::size_t from = how == 2 ? at : d.below(16) * sector;
    if (there != earlier.end() && from + sector <= there->second.size())
      bad = there->second.substr(from, sector);
  }
  f->second.replace(at, sector, bad);
}

bool any_of(const std::vector<stored_state>& allowed, const stored_state& found) {
  return std::any_of(allowed.begin(), allowed.end(), [&](const stored_state& s) { return same(s, found); });
}

/// What was acknowledged when, and what may be found instead until the next time.
struct point {
  std::size_t at = 0;  ///< operations
  stored_state acknowledged = {};
  stored_state under_way = {};
  contents files = {};  ///< as the system's cache has them
};

/// A disk as long as it has power. Processes open the log, write, and end; some because an operation failed.
struct powered {
  dice& d;
  disk files;
  std::uint32_t block_bytes = sector;
  std::vector<stored_state> allowed = {};  ///< for the next process to find
  std::vector<point> points = {};
  std::uint64_t writes = 0;
  bool failed_to_open = false;

  static bool was_made_to_fail(const absl::Status& s) {
    return s.message().find("made to fail") != std::string_view::npos;
  }

  void acknowledge(const stored_state& s) {
    points.push_back({files.journal().size(), s, s, files.now()});
    allowed = {s};
  }

  /// Empty: as it should be. `again`: the next process begins with what the system's cache holds.
  std::optional<std::string> process(bool& again) {
    again = d.chance(10);
    if (d.chance(15))
      files.fail_at(files.journal().size() + d.below(40), absl::StatusCode::kUnknown, d.chance(50));
    logger log(files, block_bytes);
    if (!log.log.ok()) {
      again = failed_to_open = was_made_to_fail(log.log.status());
      return again ? std::nullopt : std::optional(log.log.status().ToString());
    }
    if (!any_of(allowed, log.log->state)) return "finds " + to_text(log.log->state);
    acknowledge(log.model);
    for (std::uint64_t n = d.below(14); n > 0; --n) {
      std::vector<persist> batch;
      stored_state after = log.model;
      for (std::uint64_t i = d.between(1, 3); i > 0; --i) {
        batch.push_back(any_persist(d, after));
        apply(after, batch.back());
      }
      points.back().under_way = after;
      const auto s = log.write(batch);
      if (!s.ok()) {
        allowed.push_back(after);
        again = was_made_to_fail(s);
        return again ? std::nullopt : std::optional(s.ToString());
      }
      acknowledge(after);
      ++writes;
    }
    return std::nullopt;
  }
};

std::optional<std::string> lives(dice& d, std::uint64_t& operations) {
  contents files;
  std::vector<contents> history;
  std::vector<stored_state> allowed(1);
  bool sound = true;
  for (int life = 0; life < 8; ++life) {
    powered now{.d = d, .files = disk(files), .block_bytes = d.pick({512U, 512U, 1024U}), .allowed = allowed};
    for (bool again = true; again;) {
      if (const auto error = now.process(again)) return property::text("life ", life, ": ", *error);
    }
    operations += now.writes;
    const auto& journal = now.files.journal();
    const std::size_t opened = now.points.front().at;
    const std::size_t end =
        d.chance(80) ? d.between(d.chance(90) ? opened : 0, journal.size()) : journal.size();
    const std::size_t partial = end < journal.size() ? d.below(journal[end].bytes.size() + 1) : 0;
    const unsigned kept = d.pick({0U, 50U, 90U, 100U});
    files = now.files.after_crash(end, partial, [&] { return d.chance(kept); });
    for (const point& p : now.points) {
      if (p.at > end) break;
      allowed = {p.acknowledged, p.under_way};
      history.push_back(p.files);
    }
    if (!files.empty()) history.push_back(files);
    // One bad sector at a time: an opening that was not finished has not mended the last one, and one that
    // came after it has seen what the cache held.
    if (end >= opened && (sound || !now.failed_to_open)) sound = true;
    if (sound && !files.empty() && d.chance(60)) {
      spoil(d, files, history);
      sound = false;
    }
    if (history.size() > 30) history.erase(history.begin(), history.end() - 20);
  }
  return std::nullopt;
}

}  // namespace

TEST_CASE("log_file: lives with losses of power, failed operations and bad sectors, against the model") {
  property::run_sequences(1000, lives);
}
