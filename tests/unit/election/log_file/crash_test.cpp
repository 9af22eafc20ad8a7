// SPDX-License-Identifier: Apache-2.0
// Losses of power: at every byte, with every part of what was not synced, twice, and with a bad sector besides.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "life.hpp"
#include "support.hpp"
#include <doctest/doctest.h>

using namespace log_test;

namespace {

/// Opens what a crash has left; now and then, it goes on.
void check_crash(const lived& l, const contents& left, std::size_t operations, bool goes_on, tally& t) {
  disk d(left);
  logger again(d, l.block_bytes);
  INFO("after operation ", operations, ", acknowledged ", acknowledged(l, operations));
  check_found(l, again.log, operations, t);
  if (goes_on) check_goes_on(d, again, 600, l.block_bytes);
}

/// Calls `f` with choosers that keep any part of what `d` has not synced before `operations`: all parts where
/// there are few, else each one sector or name without the others, the others without it, and some more.
template <class F>
void for_each_part(const disk& d, std::size_t operations, std::size_t partial, F&& f) {
  std::size_t count = 0;
  (void)d.after_crash(operations, partial, [&] { return ++count, true; });
  const auto with = [&](const std::function<bool(std::size_t)>& keeps) {
    std::size_t n = 0;
    f(d.after_crash(operations, partial, [&] { return keeps(n++); }));
  };
  if (count <= 7) {
    for (std::size_t mask = 0; mask < std::size_t{1} << count; ++mask)
      with([&](std::size_t n) { return (mask >> n & 1U) != 0; });
    return;
  }
  for (std::size_t one = 0; one < count; ++one) {
    with([&](std::size_t n) { return n == one; });
    with([&](std::size_t n) { return n != one; });
  }
  for (std::size_t i = 0; i < 32; ++i)
    with([&](std::size_t n) { return ((i * 2654435761U + n * 40503U) >> 7U & 1U) != 0; });
}

/// Which writes go to a file that has no name yet: it is removed, whatever it holds.
std::set<std::size_t> writes_to_unfinished(const disk& d) {
  std::set<std::size_t> out;
  int unfinished = -1;
  for (std::size_t i = 0; i < d.journal().size(); ++i) {
    const operation& op = d.journal()[i];
    if (op.what == operation::create && op.to.ends_with(".tmp")) unfinished = op.inode;
    if (op.what == operation::rename) unfinished = -1;
    if (op.what == operation::write && op.inode == unfinished) out.insert(i);
  }
  return out;
}

/// Of the file that has changed; empty: none, as the same was written again.
std::string written_path(const contents& before, const contents& after) {
  for (const auto& f : after) {
    const auto was = before.find(f.first);
    if (was == before.end() || was->second != f.second) return f.first;
  }
  return {};
}

}  // namespace

TEST_CASE("log_file: power is lost at any byte of any write, in the order in which it was written") {
  tally t;
  for (const std::uint32_t block_bytes : {512U, 1024U}) {
    lived l{.block_bytes = block_bytes};
    REQUIRE(live(l).ok());
    const auto unfinished = writes_to_unfinished(l.d);
    for (std::size_t i = 0; i < l.d.journal().size(); ++i) {
      const operation& op = l.d.journal()[i];
      if (op.what != operation::write) continue;
      contents left = l.d.after_crash(i, 0, all);
      check_crash(l, left, i, true, t);
      const std::string path = written_path(left, l.d.after_crash(i + 1, 0, all));
      if (path.empty()) continue;
      std::string& written = left[path];
      for (std::size_t n = 0; n < op.bytes.size(); ++n) {
        const std::size_t at = op.offset + n;
        if (at < written.size() && written[at] == op.bytes[n]) continue;  // as with a byte less
        put_at(written, at, std::string_view(op.bytes).substr(n, 1));
        if (n % (unfinished.contains(i) ? 101 : one_of) == 0) check_crash(l, left, i, n % 16 == 1, t);
      }
    }
  }
  MESSAGE(t.text());
}

TEST_CASE("log_file: power is lost at any operation, and any part of what was not synced is there") {
  tally t;
  for (const std::uint32_t block_bytes : {512U, 1024U}) {
    lived l{.block_bytes = block_bytes};
    REQUIRE(live(l).ok());
    std::size_t tried = 0;
    for (std::size_t i = 0; i <= l.d.journal().size(); i += one_of) {
      for_each_part(l.d, i, 0, [&](const contents& left) { check_crash(l, left, i, ++tried % 5 == 0, t); });
    }
  }
  MESSAGE(t.text());
}

TEST_CASE("log_file: power is lost again while what the first loss has left is opened") {
  tally t;
  lived l;
  REQUIRE(live(l).ok());
  for (std::size_t i = 0; i < l.d.journal().size(); i += 2) {
    const std::size_t half = l.d.journal()[i].bytes.size() / 2;
    disk first(l.d.after_crash(i, half, all));
    INFO("after operation ", i);
    const absl::StatusOr<opened_log> found = open(first);
    REQUIRE_MESSAGE(found.ok(), found.status().ToString());
    for (std::size_t j = 0; j <= first.journal().size(); ++j) {
      for (const auto& keeps : {disk::chooser(all), disk::chooser(none)}) {
        disk second(first.after_crash(j, j < first.journal().size() ? first.journal()[j].bytes.size() / 2 : 0,
                                      keeps));
        const absl::StatusOr<opened_log> again = open(second);
        REQUIRE_MESSAGE(again.ok(), again.status().ToString());
        REQUIRE(same(again->state, found->state));
        check_found(l, again, i, t);
      }
    }
  }
  MESSAGE(t.text());
}

TEST_CASE("log_file: power is lost at any operation, and one sector of any file is bad besides") {
  tally t;
  lived l;
  REQUIRE(live(l).ok());
  for (std::size_t i = 0; i <= l.d.journal().size(); i += one_of) {
    for (const auto& keeps : {disk::chooser(all), disk::chooser(none)}) {
      const contents left = l.d.after_crash(i, 0, keeps);
      for (const auto& f : left) {
        for (std::size_t at = 0; at + sector <= f.second.size(); at += sector) {
          contents files = left;
          files[f.first].replace(at, sector, sector, '\0');
          disk d(files);
          INFO(f.first, " at ", at, " after operation ", i);
          check_found(l, open(d), i, t);
        }
      }
    }
  }
  MESSAGE(t.text());
}

TEST_CASE("log_file: power is lost while a bad sector is mended, and it is mended after that") {
  tally t;
  lived l;
  REQUIRE(live(l).ok());
  for (std::size_t write = 1; write < l.states.size(); write += 3) {
    const std::size_t end = l.acknowledged_at[write];
    const contents good = l.d.after_crash(end, 0, none);
    for (const auto& f : good) {
      for (std::size_t at = 0; at + sector <= f.second.size(); at += sector) {
        contents files = good;
        files[f.first].replace(at, sector, sector, '?');
        disk first(files);
        REQUIRE(open(first).ok());
        for (std::size_t j = 0; j < first.journal().size(); ++j) {
          const std::size_t partial = first.journal()[j].bytes.size() / 3;
          for (const auto& keeps : {disk::chooser(all), disk::chooser(none)}) {
            disk second(first.after_crash(j, partial, keeps));
            INFO(f.first, " at ", at, " after write ", write, ", operation ", j, " of the mending");
            check_found(l, open(second), end, t);
          }
        }
      }
    }
  }
  MESSAGE(t.text());
}

TEST_CASE("log_file: power is lost while a process opens what one has left whose operation had failed") {
  tally t;
  std::size_t operations = 0;
  {
    lived l;
    REQUIRE(live(l).ok());
    operations = l.d.journal().size();
  }
  for (std::size_t n = 0; n < operations; n += one_of) {
    for (const bool half : {false, true}) {
      lived l;
      l.d.fail_at(n, absl::StatusCode::kUnknown, half);
      REQUIRE(live(l).code() == absl::StatusCode::kUnknown);
      const std::size_t failed = l.d.journal().size();
      // The process starts again, not the machine.
      const absl::StatusOr<opened_log> found = open(l.d);
      INFO("operation ", n, " of ", operations);
      check_found(l, found, failed, t);
      const std::size_t opened = l.d.journal().size();
      for (std::size_t i = failed; i <= opened; ++i) {
        for_each_part(l.d, i, 0, [&](const contents& left) {
          disk d(left);
          const absl::StatusOr<opened_log> again = open(d);
          check_found(l, again, i, t);
          if (i == opened) REQUIRE(same(again->state, found->state));
        });
      }
    }
  }
  MESSAGE(t.text());
}

TEST_CASE("log_file: after a loss of power at any operation, a file that is gone later is missed") {
  tally t;
  lived l;
  REQUIRE(live(l).ok());
  for (std::size_t i = l.acknowledged_at.front(); i <= l.d.journal().size(); ++i) {
    for (const auto& keeps : {disk::chooser(all), disk::chooser(none)}) {
      disk first(l.d.after_crash(i, 0, keeps));
      logger log(first);
      INFO("after operation ", i);
      check_found(l, log.log, i, t);
      check_goes_on(first, log, 100, sector);
      const contents good = first.now();
      for (const auto& f : good) {
        if (f.first == "d/lock") continue;
        contents files = good;
        files.erase(f.first);
        disk robbed(files);
        INFO(f.first, " is gone");
        const auto opened = open(robbed);
        REQUIRE(opened.status().code() == absl::StatusCode::kDataLoss);
        ++t.refused;
      }
    }
  }
  MESSAGE(t.text());
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
    for_each_part(second, i, 0, [&](const contents& files) {
      disk crashed(files);
      const auto found = open(crashed);
      INFO("operation ", i);
      REQUIRE_MESSAGE(found.ok(), found.status().ToString());
    });
  }
}
