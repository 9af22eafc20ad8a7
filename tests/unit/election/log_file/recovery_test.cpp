// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "support.hpp"
#include <doctest/doctest.h>

using namespace log_test;

namespace {

/// A node's life, with everything that a log does in it: votes, entries, a conflict, snapshots taken and
/// installed, large batches, segments that fill up.
std::vector<std::vector<persist>> life() {
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

struct lived {
  disk d = {};
  std::vector<std::size_t> acknowledged_at = {};  ///< length of the journal, after each write
  std::vector<stored_state> states = {};          ///< after each write; the first one: after opening
};

void live(lived& l) {
  logger log(l.d);
  REQUIRE(log.log.ok());
  l.acknowledged_at.push_back(l.d.journal().size());
  l.states.push_back(log.model);
  for (const auto& batch : life()) {
    REQUIRE(log.write(batch) == absl::OkStatus());
    l.acknowledged_at.push_back(l.d.journal().size());
    l.states.push_back(log.model);
  }
}

/// Opens what a crash has left. Nothing older than what was acknowledged, nothing newer than what was under
/// way; and what was opened `goes_on`.
void check_crash(const lived& l, const contents& left, std::size_t operations, bool goes_on = true) {
  std::size_t acknowledged = 0;
  bool any = false;
  for (std::size_t i = 0; i < l.acknowledged_at.size() && l.acknowledged_at[i] <= operations; ++i) {
    acknowledged = i;
    any = true;
  }
  disk d(left);
  logger again(d);
  INFO("after operation ", operations, ", acknowledged ", acknowledged);
  REQUIRE_MESSAGE(again.log.ok(), again.log.status().ToString());
  const stored_state& found = again.log->state;
  const bool as_acknowledged = same(found, l.states[acknowledged]);
  const bool as_under_way =
      any && acknowledged + 1 < l.states.size() && same(found, l.states[acknowledged + 1]);
  REQUIRE_MESSAGE((as_acknowledged || as_under_way), to_text(found));

  if (!goes_on) return;
  persist p;
  p.hard = hard_state{found.hard.term + 1, 9};
  p.append = {command(last_index(found) + 1, found.hard.term + 1, std::string(600, 'z'))};
  REQUIRE(again.write(p) == absl::OkStatus());
  disk reopened(d.now());
  const logger last(reopened);
  REQUIRE_MESSAGE(last.log.ok(), last.log.status().ToString());
  REQUIRE(same(last.log->state, again.model));
}

bool all() { return true; }
bool none() { return false; }

/// What a bad sector may hold: nothing, noise, one wrong bit, what was there before `operations`, and what
/// was elsewhere.
std::set<std::string> bad_contents(const lived& l, std::size_t operations, std::size_t at,
                                   const std::string& good) {
  std::set<std::string> out{std::string(sector, '\0'), std::string(sector, '\xff')};
  std::string noise(sector, '\0');
  std::uint32_t x = static_cast<std::uint32_t>(at) + 12345;
  for (char& c : noise) c = static_cast<char>((x = x * 1664525 + 1013904223) >> 24U);
  out.insert(noise);
  std::string flipped = good;
  flipped[at % 509] = static_cast<char>(flipped[at % 509] ^ 4);
  out.insert(flipped);
  for (std::size_t i = 0; i < operations; ++i) {
    const auto& op = l.d.journal()[i];
    const bool here = op.offset <= at && at + sector <= op.offset + op.bytes.size();
    if (here) out.insert(op.bytes.substr(at - op.offset, sector));
    if (i % 7 == 3 && op.bytes.size() >= sector) out.insert(op.bytes.substr(0, sector));
  }
  out.erase(good);
  return out;
}

}  // namespace

TEST_CASE("log_file: power is lost at any byte of any write, in the order in which it was written") {
  lived l;
  live(l);
  const auto& journal = l.d.journal();
  for (std::size_t i = 0; i <= journal.size(); ++i) {
    check_crash(l, l.d.after_crash(i, 0, all), i);
    check_crash(l, l.d.after_crash(i, 0, none), i);
    if (i == journal.size() || journal[i].what != operation::write) continue;
    // A file that has no name yet is zeros for the most part.
    const std::size_t step = journal[i].bytes.size() > 4 * sector ? 101 : 1;
    for (std::size_t n = 1; n <= journal[i].bytes.size(); n += step)
      check_crash(l, l.d.after_crash(i, n, all), i, n % 16 == 1);
  }
}

TEST_CASE("log_file: any one bad sector of the files is mended, also of what was acknowledged last") {
  lived l;
  live(l);
  std::size_t tried = 0;
  for (std::size_t write = 0; write < l.states.size(); ++write) {
    // With the mark behind the last batch and without it.
    for (const auto& keeps : {disk::chooser(all), disk::chooser(none)}) {
      const contents good = l.d.after_crash(l.acknowledged_at[write], 0, keeps);
      for (const auto& f : good) {
        for (std::size_t at = 0; at < f.second.size(); at += sector) {
          const std::string was = f.second.substr(at, sector);
          if (was.size() < sector) continue;
          for (const std::string& now : bad_contents(l, l.acknowledged_at[write], at, was)) {
            contents files = good;
            files[f.first].replace(at, sector, now);
            disk d(files);
            const auto opened = open(d);
            INFO(f.first, " at ", at, " after write ", write);
            REQUIRE_MESSAGE(opened.ok(), opened.status().ToString());
            REQUIRE_MESSAGE(same(opened->state, l.states[write]), to_text(opened->state));
            ++tried;
          }
        }
      }
    }
  }
  MESSAGE(tried, " corruptions");
}

TEST_CASE("log_file: a sector for which the device gives an error is mended, and can be read then") {
  lived l;
  live(l);
  for (std::size_t write = 0; write < l.states.size(); write += 3) {
    const contents good = l.d.after_crash(l.acknowledged_at[write], 0, none);
    for (const auto& f : good) {
      for (std::size_t at = 0; at + sector <= f.second.size(); at += sector) {
        disk d(good);
        d.make_unreadable(f.first, at);
        INFO(f.first, " at ", at, " after write ", write);
        const auto opened = open(d);
        REQUIRE_MESSAGE(opened.ok(), opened.status().ToString());
        REQUIRE(same(opened->state, l.states[write]));
        disk again(d.now());
        REQUIRE(open(again).ok());
      }
    }
  }
}

TEST_CASE("log_file: a file that is shorter than it was is never a shorter log") {
  lived l;
  live(l);
  for (std::size_t write = 0; write < l.states.size(); write += 2) {
    const contents good = l.d.after_crash(l.acknowledged_at[write], 0, all);
    for (const auto& f : good) {
      for (std::size_t size = 0; size < f.second.size(); size += (f.second.size() < 100 ? 1 : 37)) {
        contents files = good;
        files[f.first].resize(size);
        disk d(files);
        const auto opened = open(d);
        INFO(f.first, " cut to ", size, " after write ", write);
        if (f.first == "d/lock")
          REQUIRE(opened.ok());
        else
          REQUIRE(opened.status().code() == absl::StatusCode::kDataLoss);
        if (opened.ok()) REQUIRE(same(opened->state, l.states[write]));
      }
    }
  }
}

TEST_CASE("log_file: any two bad sectors are mended or refused, once the last batch's mark is on the disk") {
  lived l;
  live(l);
  std::size_t mended = 0;
  std::size_t refused = 0;
  for (std::size_t write = 1; write < l.states.size(); write += 2) {
    const contents good = l.d.after_crash(l.acknowledged_at[write], 0, all);
    for (const auto& f : good) {
      for (std::size_t a = 0; a + sector <= f.second.size(); a += sector) {
        for (std::size_t b = a + sector; b + sector <= f.second.size(); b += sector) {
          contents files = good;
          files[f.first].replace(a, sector, sector, '\0');
          files[f.first].replace(b, sector, sector, '\0');
          disk d(files);
          const auto opened = open(d);
          INFO(f.first, " at ", a, " and ", b, " after write ", write, ": ", opened.status().ToString());
          if (opened.ok()) REQUIRE(same(opened->state, l.states[write]));
          if (!opened.ok()) REQUIRE(opened.status().code() == absl::StatusCode::kDataLoss);
          if (!opened.ok()) REQUIRE(d.journal().empty());
          ++(opened.ok() ? mended : refused);
        }
      }
    }
  }
  MESSAGE(mended, " mended, ", refused, " refused");
  CHECK(refused > 0);
}

TEST_CASE("log_file: each file that is gone is missed") {
  lived l;
  live(l);
  for (std::size_t write = 1; write < l.states.size(); ++write) {
    const contents good = l.d.after_crash(l.acknowledged_at[write], 0, all);
    for (const auto& f : good) {
      if (f.first == "d/lock") continue;
      contents files = good;
      files.erase(f.first);
      disk d(files);
      INFO(f.first, " after write ", write);
      CHECK(open(d).status().code() == absl::StatusCode::kDataLoss);
      CHECK(d.journal().empty());
    }
  }
}

TEST_CASE("log_file: an earlier header, of a file that never got its name, hides nothing acknowledged") {
  disk d;
  logger log(d);
  persist p;
  p.hard = hard_state{1, 1};
  REQUIRE(log.write(p).ok());
  const auto fill = [&](logger& l) {
    persist e;
    e.append = {command(last_index(l.model) + 1, 1, std::string(700, 'f'))};
    REQUIRE(l.write(e).ok());
  };
  std::size_t at = 0;
  while (log.log->log.usage().segments == 1) {
    at = d.journal().size();
    fill(log);
  }
  // Power is lost when the second segment is all there, but for its name; then it is made again.
  while (d.journal()[at].what != operation::rename) ++at;
  const contents left = d.after_crash(at, 0, all);
  const std::string unfinished = left.at("d/0000000000000002.log.tmp");
  disk again(left);
  logger second(again);
  REQUIRE(second.log.ok());
  fill(second);
  fill(second);
  contents now = again.now();
  for (const std::size_t copy : {std::size_t{0}, sector}) {
    contents files = now;
    REQUIRE(files.at("d/0000000000000002.log").substr(copy, sector) != unfinished.substr(copy, sector));
    files["d/0000000000000002.log"].replace(copy, sector, unfinished, copy, sector);
    disk bad(files);
    const auto found = open(bad);
    REQUIRE_MESSAGE(found.ok(), found.status().ToString());
    CHECK(same(found->state, second.model));
    CHECK(found->found.mended_blocks == 1);
  }
}

TEST_CASE("log_file: what a first opening has left unfinished never gets the log's name") {
  disk first;
  { REQUIRE(logger(first).log.ok()); }
  std::size_t at = 0;
  while (first.journal()[at].what != operation::write) ++at;
  const contents left = first.after_crash(at, 100, all);
  REQUIRE(left.contains("d/0000000000000001.log.tmp"));
  disk second(left);
  { REQUIRE(logger(second).log.ok()); }
  for (std::size_t i = 0; i < second.journal().size(); ++i) {
    for (unsigned mask = 0; mask < 16; ++mask) {
      unsigned bit = 0;
      disk crashed(second.after_crash(i, 0, [&] { return (mask >> bit++ % 4 & 1U) != 0; }));
      const auto found = open(crashed);
      INFO("operation ", i, ", names ", mask);
      REQUIRE_MESSAGE(found.ok(), found.status().ToString());
    }
  }
}
