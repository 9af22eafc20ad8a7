// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
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

/// `f(path, offset)` for each whole sector.
template <class F>
void for_each_sector(const contents& files, F&& f) {
  for (const auto& file : files) {
    for (std::size_t at = 0; at + sector <= file.second.size(); at += sector) f(file.first, at);
  }
}

/// `f(path, offset, path, offset)` for each two sectors.
template <class F>
void for_each_pair(const contents& files, F&& f) {
  for_each_sector(files, [&](const std::string& a, std::size_t at) {
    for_each_sector(files, [&](const std::string& b, std::size_t to) {
      if (a < b || (a == b && at < to)) f(a, at, b, to);
    });
  });
}

contents with_sector(contents files, const std::string& path, std::size_t at, std::string_view bytes) {
  files[path].replace(at, sector, bytes);
  return files;
}

void check_is(const absl::StatusOr<opened_log>& opened, const stored_state& state, tally& t) {
  REQUIRE_MESSAGE(opened.ok(), opened.status().ToString());
  REQUIRE_MESSAGE(same(opened->state, state), to_text(opened->state));
  ++t.as_acknowledged;
}

/// True if one of these operations has written the sector.
bool was_written(const lived& l, std::size_t from, std::size_t to, const std::string& bytes) {
  return std::any_of(l.d.journal().begin() + static_cast<std::ptrdiff_t>(from),
                     l.d.journal().begin() + static_cast<std::ptrdiff_t>(to), [&](const operation& op) {
                       return op.what == operation::write && op.bytes.find(bytes) != bytes.npos;
                     });
}

}  // namespace

TEST_CASE("log_file: any one bad sector of the files is mended, also of what was acknowledged last") {
  tally t;
  lived l;
  REQUIRE(live(l).ok());
  for (std::size_t write = 0; write < l.states.size(); write += one_of) {
    // With the mark behind the last batch and without it.
    for (const auto& keeps : {disk::chooser(all), disk::chooser(none)}) {
      const contents good = l.d.after_crash(l.acknowledged_at[write], 0, keeps);
      for_each_sector(good, [&](const std::string& path, std::size_t at) {
        const std::string was = good.at(path).substr(at, sector);
        for (const std::string& now : bad_contents(l, l.acknowledged_at[write], at, was)) {
          disk d(with_sector(good, path, at, now));
          INFO(path, " at ", at, " after write ", write);
          check_is(open(d), l.states[write], t);
        }
      });
    }
  }
  MESSAGE(t.text());
}

TEST_CASE("log_file: a sector that was written where another one belongs is mended") {
  tally t;
  lived l;
  REQUIRE(live(l).ok());
  for (std::size_t write = 4; write < l.states.size(); write += 7) {
    const contents good = l.d.after_crash(l.acknowledged_at[write], 0, none);
    for_each_sector(good, [&](const std::string& from, std::size_t source) {
      const std::string strayed = good.at(from).substr(source, sector);
      for_each_sector(good, [&](const std::string& path, std::size_t at) {
        disk d(with_sector(good, path, at, strayed));
        INFO(from, " at ", source, " is written to ", path, " at ", at, " after write ", write);
        check_is(open(d), l.states[write], t);
      });
    });
  }
  MESSAGE(t.text());
}

TEST_CASE("log_file: any one wrong bit of a sector is mended, at every byte of every file") {
  tally t;
  lived l;
  REQUIRE(live(l).ok());
  for (const std::size_t write : {std::size_t{16}, l.states.size() - 1}) {
    const contents good = l.d.after_crash(l.acknowledged_at[write], 0, none);
    contents files = good;
    for (auto& f : files) {
      for (std::size_t at = 0; at < f.second.size(); at += one_of) {
        f.second[at] = static_cast<char>(f.second[at] ^ 1 << at % 8);
        disk d(files);
        INFO(f.first, " at ", at, " after write ", write);
        check_is(open(d), l.states[write], t);
        f.second[at] = good.at(f.first)[at];
      }
    }
  }
  MESSAGE(t.text());
}

TEST_CASE("log_file: a sector for which the device gives an error is mended, and can be read then") {
  lived l;
  REQUIRE(live(l).ok());
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

TEST_CASE("log_file: a file that is shorter or longer than it was is never a shorter log") {
  tally t;
  lived l;
  REQUIRE(live(l).ok());
  for (std::size_t write = 0; write < l.states.size(); write += one_of) {
    const std::size_t step = write % 10 == 5 ? one_of : 101;  // every prefix, where there is most
    for (const auto& keeps : {disk::chooser(all), disk::chooser(none)}) {
      const contents good = l.d.after_crash(l.acknowledged_at[write], 0, keeps);
      contents files = good;
      for (auto& f : files) {
        const std::string whole = f.second;
        const auto check = [&] {
          disk d(files);
          const auto opened = open(d);
          INFO(f.first, " of ", f.second.size(), " bytes after write ", write);
          if (opened.ok()) REQUIRE(same(opened->state, l.states[write]));
          check_found_or_refused(l, d, opened, l.acknowledged_at[write], t);
        };
        for (std::size_t size = whole.size(); size-- > 0;) {
          f.second.resize(size);
          if (size % step == 0) check();
        }
        for (const std::size_t more : {std::size_t{1}, sector, 16 * sector}) {
          f.second = whole + std::string(more, '\0');
          check();
        }
        f.second = whole;
      }
    }
  }
  MESSAGE(t.text());
  CHECK(t.refused > t.as_acknowledged);
}

TEST_CASE("log_file: two files that are shorter than they were are never a shorter log") {
  tally t;
  lived l;
  REQUIRE(live(l).ok());
  for (std::size_t write = 0; write < l.states.size(); write += 2 * one_of) {
    const contents good = l.d.after_crash(l.acknowledged_at[write], 0, all);
    for (auto a = good.begin(); a != good.end(); ++a) {
      for (auto b = std::next(a); b != good.end(); ++b) {
        for (std::size_t i = 0; i < 24; ++i) {
          for (std::size_t j = 0; j < 24; ++j) {
            contents files = good;
            files[a->first].resize(a->second.size() * i / 24);
            files[b->first].resize(b->second.size() * j / 24);
            disk d(files);
            const auto opened = open(d);
            INFO(a->first, " cut to ", i, "/24, ", b->first, " to ", j, "/24 after write ", write);
            REQUIRE_FALSE(opened.ok());
            check_found_or_refused(l, d, opened, l.acknowledged_at[write], t);
          }
        }
      }
    }
  }
  MESSAGE(t.text());
}

TEST_CASE("log_file: any two bad sectors are mended or refused, once the last batch's mark is on the disk") {
  tally t;
  lived l;
  REQUIRE(live(l).ok());
  for (std::size_t write = 1; write < l.states.size(); write += 2) {
    const contents good = l.d.after_crash(l.acknowledged_at[write], 0, all);
    for_each_pair(good, [&](const std::string& a, std::size_t at, const std::string& b, std::size_t to) {
      const std::string zeros(sector, '\0');
      const std::string first = good.at(a).substr(at, sector), second = good.at(b).substr(to, sector);
      // Lost, or each in the other's place.
      for (const bool swapped : {false, true}) {
        disk d(
            with_sector(with_sector(good, a, at, swapped ? second : zeros), b, to, swapped ? first : zeros));
        const auto opened = open(d);
        INFO(a, " at ", at, ", ", b, " at ", to, " after write ", write);
        if (opened.ok()) REQUIRE(same(opened->state, l.states[write]));
        if (a != b) REQUIRE(opened.ok());
        check_found_or_refused(l, d, opened, l.acknowledged_at[write], t);
      }
    });
  }
  MESSAGE(t.text());
  CHECK(t.refused > 0);
}

// What the documentation says that nobody can see, and nothing beyond it.
TEST_CASE("log_file: of two bad sectors, without a mark, no more than the last batch can be cut off") {
  tally t;
  std::size_t cut = 0;
  lived l;
  REQUIRE(live(l).ok());
  for (std::size_t write = 1; write < l.states.size(); write += 2) {
    const std::size_t end = l.acknowledged_at[write];
    const contents good = l.d.after_crash(end, 0, none);
    for_each_pair(good, [&](const std::string& a, std::size_t at, const std::string& b, std::size_t to) {
      const std::string zeros(sector, '\0');
      disk d(with_sector(with_sector(good, a, at, zeros), b, to, zeros));
      const auto opened = open(d);
      INFO(a, " at ", at, ", ", b, " at ", to, " after write ", write);
      const bool shorter = opened.ok() && same(opened->state, l.states[write - 1]);
      if (!shorter) return check_found_or_refused(l, d, opened, end, t);
      ++cut;
      // Both were written by the last write.
      REQUIRE(a == b);
      REQUIRE(was_written(l, l.acknowledged_at[write - 1], end, good.at(a).substr(at, sector)));
      REQUIRE(was_written(l, l.acknowledged_at[write - 1], end, good.at(a).substr(to, sector)));
    });
  }
  MESSAGE(t.text(), "; and ", cut, " times the last batch was cut off");
}

TEST_CASE("log_file: each file that is gone is missed") {
  lived l;
  REQUIRE(live(l).ok());
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
