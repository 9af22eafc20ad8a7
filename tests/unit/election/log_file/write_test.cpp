// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "support.hpp"
#include "unit/support.hpp"
#include <doctest/doctest.h>

using namespace log_test;
using seawall_test::contains;

namespace {

persist vote(term_number term, node_id to) {
  persist p;
  p.hard = hard_state{term, to};
  return p;
}

persist append(log_index index, term_number term, std::size_t bytes) {
  persist p;
  p.append = {command(index, term, std::string(bytes, 'e'))};
  return p;
}

std::size_t count(const disk& d, operation::kind what, std::size_t from) {
  std::size_t n = 0;
  for (std::size_t i = from; i < d.journal().size(); ++i) n += d.journal()[i].what == what ? 1 : 0;
  return n;
}

}  // namespace

TEST_CASE("log_file: several persists cost one sync, and are there or not there together") {
  disk d;
  logger log(d);
  REQUIRE(log.log.ok());
  const std::size_t before = d.journal().size();
  const stored_state empty = log.model;
  REQUIRE(log.write({vote(1, 2), append(1, 1, 700), append(2, 1, 700)}).ok());
  CHECK(count(d, operation::sync, before) == 1);
  const std::size_t after = d.journal().size();
  for (std::size_t i = before; i < after; ++i) {
    for (unsigned mask = 0; mask < 64; ++mask) {
      unsigned bit = 0;
      disk crashed(
          d.after_crash(i, d.journal()[i].bytes.size(), [&] { return (mask >> bit++ % 6 & 1U) != 0; }));
      const auto found = open(crashed);
      REQUIRE(found.ok());
      CHECK((same(found->state, empty) || same(found->state, log.model)));
    }
  }
}

TEST_CASE("log_file: a sync that has failed is never tried again") {
  for (const auto code : {absl::StatusCode::kUnknown, absl::StatusCode::kResourceExhausted}) {
    disk d;
    logger log(d);
    REQUIRE(log.write(vote(1, 2)).ok());
    d.fail_at(d.journal().size() + 1, code, false);
    const absl::Status first = log.write(append(1, 1, 10));
    CHECK(first.code() == code);
    CHECK(contains(first, "d/0000000000000001.log"));
    const std::size_t done = d.journal().size();
    CHECK(log.write(append(2, 1, 10)) == first);
    CHECK(log.write(vote(2, 1)) == first);
    CHECK(d.journal().size() == done);
  }
}

TEST_CASE("log_file: after a sync that has failed, what is read from the system's cache is written again") {
  disk d;
  {
    logger log(d);
    REQUIRE(log.write(vote(1, 2)).ok());
    d.fail_at(d.journal().size() + 1, absl::StatusCode::kUnknown, false);
    REQUIRE_FALSE(log.write(vote(2, 3)).ok());
  }
  // The process starts again, not the machine.
  const auto found = open(d);
  REQUIRE(found.ok());
  CHECK(found->state.hard == hard_state{2, 3});
  disk crashed(d.after_crash(d.journal().size(), 0, [] { return false; }));
  const auto after = open(crashed);
  REQUIRE(after.ok());
  CHECK(same(after->state, found->state));
}

TEST_CASE(
    "log_file: after any operation that fails nothing more is written, and what was acknowledged is found") {
  const auto story = [](logger& log, std::vector<stored_state>& states) {
    absl::Status s = log.log.status();
    if (!s.ok()) return s;
    states.push_back(log.log->state);
    persist base = vote(3, 1);
    base.base = snapshot{.index = 3, .term = 1, .members = {{1, 2, 3}, {}}, .state = "state"};
    base.keep_entries = true;
    std::vector<persist> writes{vote(1, 2)};
    for (log_index i = 1; i <= 12; ++i) writes.push_back(append(i, 1, 900));
    writes.push_back(base);
    for (log_index i = 13; i <= 20; ++i) writes.push_back(append(i, 3, 900));
    for (const persist& p : writes) {
      s = log.write(p);
      states.push_back(log.model);
      if (!s.ok()) return s;
    }
    return s;
  };
  std::size_t operations = 0;
  {
    disk d;
    logger log(d);
    std::vector<stored_state> states;
    REQUIRE(story(log, states).ok());
    operations = d.journal().size();
  }
  for (std::size_t n = 0; n < operations; ++n) {
    for (const bool half : {false, true}) {
      disk d;
      d.fail_at(n, absl::StatusCode::kResourceExhausted, half);
      logger log(d);
      std::vector<stored_state> states;
      const absl::Status failed = story(log, states);
      INFO("operation ", n, " of ", operations);
      REQUIRE(failed.code() == absl::StatusCode::kResourceExhausted);
      CHECK((contains(failed, "d/") || contains(failed, "d: ")));
      if (log.log.ok()) {
        const std::size_t done = d.journal().size();
        CHECK(log.write(vote(9, 1)) == failed);
        CHECK(d.journal().size() == done);
      }
      for (const bool keeps : {false, true}) {
        disk crashed(d.after_crash(d.journal().size(), 0, [&] { return keeps; }));
        const auto found = open(crashed);
        REQUIRE_MESSAGE(found.ok(), found.status().ToString());
        const bool newest = states.empty() ? same(found->state, {}) : same(found->state, states.back());
        const bool one_before = states.size() > 1 && same(found->state, states[states.size() - 2]);
        REQUIRE((newest || one_before));
      }
    }
  }
}

TEST_CASE("log_file: what contradicts the log, or leaves out a number, is not written") {
  disk d;
  logger log(d);
  REQUIRE(log.write(vote(2, 2)).ok());
  const std::size_t before = d.journal().size();
  const absl::Status s = log.write(vote(2, 1));
  CHECK(s.code() == absl::StatusCode::kInvalidArgument);
  CHECK(contains(s, "persist 2: the vote of one term changes from 2 to 1"));
  CHECK(log.write(vote(3, 1)) == s);
  CHECK(d.journal().size() == before);

  disk e;
  logger other(e);
  other.number = 1;
  CHECK(contains(other.write(vote(1, 1)), "persist 2: after number 0"));
}

TEST_CASE("log_file: bounds on the log and on snapshots are met, and nothing is written beyond them") {
  disk d;
  log_file_options o = small_options(d);
  o.max_log_bytes = 4096;
  o.max_snapshot_bytes = 4096;
  auto opened = log_file::open("d", o);
  REQUIRE(opened.ok());
  persist p = vote(1, 1);
  p.number = 1;
  p.append = {command(1, 1, std::string(4096 - 21, 'x'))};
  REQUIRE(opened->log.write(std::vector<persist>{p}).ok());
  CHECK(opened->log.usage().entry_bytes == 4096);
  const std::size_t before = d.journal().size();
  persist more;
  more.number = 2;
  more.append = {{.index = 2, .term = 1}};
  CHECK(opened->log.write(std::vector<persist>{more}).code() == absl::StatusCode::kResourceExhausted);
  CHECK(d.journal().size() == before);

  disk e;
  o.files = &e;
  auto second = log_file::open("d", o);
  persist large = vote(1, 1);
  large.number = 1;
  large.base = snapshot{.index = 1, .term = 1, .state = std::string(4097, 's')};
  CHECK(second->log.write(std::vector<persist>{large}).code() == absl::StatusCode::kResourceExhausted);
}

TEST_CASE("log_file: the disk is bounded by what the log holds, however long it is written to") {
  disk d;
  logger log(d);
  REQUIRE(log.log.ok());
  REQUIRE(log.write(vote(1, 1)).ok());
  std::size_t most_files = 0;
  std::uint64_t most_bytes = 0;
  log_index next = 1;
  for (int round = 0; round < 400; ++round) {
    REQUIRE(log.write(append(next, 1, 500)).ok());
    if (next++ % 10 == 0) {
      persist p;
      p.base = snapshot{.index = next - 3, .term = 1, .state = std::string(1000, 's')};
      p.keep_entries = true;
      REQUIRE(log.write(p).ok());
    }
    most_bytes = std::max(most_bytes, log.log->log.usage().segment_bytes);
    most_files = std::max(most_files, d.now().size());
  }
  CHECK(most_bytes <= 3 * 13 * 521 + 3 * 16 * sector);
  CHECK(most_files <= 6);
  // Votes alone fill segments as well.
  for (term_number t = 2; t < 300; ++t) REQUIRE(log.write(vote(t, 2)).ok());
  CHECK(log.log->log.usage().segment_bytes <= 3 * 13 * 521 + 3 * 16 * sector);
  disk again(d.now());
  const auto found = open(again);
  REQUIRE(found.ok());
  CHECK(same(found->state, log.model));
}

TEST_CASE("log_file: a batch that is larger than a segment gets one of its size") {
  disk d;
  logger log(d);
  REQUIRE(log.write({vote(1, 1), append(1, 1, 100'000)}).ok());
  REQUIRE(log.write(append(2, 1, 100)).ok());
  disk again(d.now());
  const auto found = open(again);
  REQUIRE(found.ok());
  CHECK(same(found->state, log.model));
}

TEST_CASE("log_file: a disk of another node, of another cluster or of another format is refused") {
  disk d;
  { REQUIRE(logger(d).write(vote(1, 2)).ok()); }
  const contents files = d.now();
  log_file_options o = small_options(d);
  o.node = 4;
  auto s = log_file::open("d", o).status();
  CHECK(s.code() == absl::StatusCode::kFailedPrecondition);
  CHECK(contains(s, "belongs to node 3 of cluster \"orders\", and this is node 4 of cluster \"orders\""));
  o = small_options(d);
  o.cluster = "stock";
  CHECK(log_file::open("d", o).status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(d.now() == files);

  contents newer = files;
  std::string& f = newer["d/0000000000000001.log"];
  for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{sector}}) {
    std::string copy = f.substr(offset, sector - 4);
    copy[16] = 2;
    std::string where, sum;
    wal::put(where, offset);
    wal::put(sum, seawall::core::crc32c(copy, seawall::core::crc32c(where)));
    f.replace(offset, sector, copy + sum);
  }
  disk e(newer);
  s = open(e).status();
  CHECK(s.code() == absl::StatusCode::kFailedPrecondition);
  CHECK(contains(s, "is of format version 2; this program reads version 1"));
}

TEST_CASE("log_file: other sizes of blocks and segments are taken up with the next segment") {
  disk d;
  stored_state model;
  std::uint64_t last = 0;
  for (const std::uint32_t block : {512U, 4096U, 1024U, 65536U, 512U}) {
    log_file_options o = small_options(d);
    o.block_bytes = block;
    o.segment_bytes = 16 * block;
    auto opened = log_file::open("d", o);
    REQUIRE_MESSAGE(opened.ok(), opened.status().ToString());
    REQUIRE(same(opened->state, model));
    for (std::uint64_t n = 1; n <= 30; ++n) {
      persist p = vote(1, 1);
      p.number = n;
      p.append = {command(++last, 1, std::string(300, 'c'))};
      apply(model, p);
      REQUIRE(opened->log.write(std::vector<persist>{p}).ok());
    }
  }
}

TEST_CASE("log_file: a directory whose log is gone is no new one; none is made unasked") {
  disk d;
  { REQUIRE(logger(d).write(vote(1, 2)).ok()); }
  contents files = d.now();
  files.erase("d/0000000000000001.log");
  disk robbed(files);
  CHECK(contains(open(robbed).status(), "there was a log here, and its files are gone"));
  disk empty;
  log_file_options o = small_options(empty);
  o.create = false;
  CHECK(log_file::open("d", o).status().code() == absl::StatusCode::kNotFound);
  disk there(d.now());
  o.files = &there;
  CHECK(log_file::open("d", o).ok());
}

TEST_CASE("log_file: options that make no sense are refused with field, value and range") {
  disk d;
  struct row {
    const char* field;
    void (*spoil)(log_file_options&);
  };
  const row rows[] = {
      {"node", [](log_file_options& o) { o.node = nobody; }},
      {"cluster", [](log_file_options& o) { o.cluster.clear(); }},
      {"cluster", [](log_file_options& o) { o.cluster.assign(65, 'c'); }},
      {"block_bytes", [](log_file_options& o) { o.block_bytes = 256; }},
      {"block_bytes", [](log_file_options& o) { o.block_bytes = 1000; }},
      {"block_bytes", [](log_file_options& o) { o.block_bytes = 131072; }},
      {"segment_bytes", [](log_file_options& o) { o.segment_bytes = 15 * sector; }},
      {"segment_bytes", [](log_file_options& o) { o.segment_bytes = (1U << 30U) + 1; }},
      {"max_log_bytes", [](log_file_options& o) { o.max_log_bytes = 4095; }},
      {"max_snapshot_bytes", [](log_file_options& o) { o.max_snapshot_bytes = 4095; }},
  };
  for (const row& r : rows) {
    log_file_options o = small_options(d);
    r.spoil(o);
    const auto s = log_file::open("d", o).status();
    CHECK(s.code() == absl::StatusCode::kInvalidArgument);
    CHECK(contains(s, std::string("log_file: ") + r.field + " is "));
  }
  CHECK(d.journal().empty());
}

TEST_CASE("log_file: what opening has mended and cut off is told") {
  disk d;
  logger log(d);
  REQUIRE(log.write(vote(1, 2)).ok());
  const std::size_t before = d.journal().size();
  const stored_state acknowledged = log.model;
  REQUIRE(log.write(append(1, 1, 1500)).ok());
  // Of four blocks and one of parity two have not reached the disk.
  unsigned n = 0;
  contents files = d.after_crash(before, 5 * sector, [&] { return ++n % 3 != 0; });
  files["d/0000000000000001.log"].replace(2 * sector, sector, sector, '?');
  disk torn(files);
  const auto found = open(torn);
  REQUIRE(found.ok());
  CHECK(same(found->state, acknowledged));
  CHECK(found->found.segments == 1);
  CHECK(found->found.batches == 2);
  CHECK(found->found.mended_blocks == 1);
  CHECK(found->found.torn_blocks > 0);
  disk again(torn.now());
  const auto clean = open(again);
  REQUIRE(clean.ok());
  CHECK(clean->found.mended_blocks == 0);
  CHECK(clean->found.torn_blocks == 0);
}
