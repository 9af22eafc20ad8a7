// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "life.hpp"
#include "support.hpp"
#include <doctest/doctest.h>

using namespace log_test;

namespace {

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
