// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "seawall/election/log_file/block.hpp"
#include "seawall/election/log_file/live_log.hpp"
#include "seawall/election/log_file/record.hpp"
#include "seawall/election/log_file/stored_file.hpp"
#include <doctest/doctest.h>

using namespace seawall::raft;
using namespace seawall::raft::wal;

namespace {

constexpr std::size_t block_bytes = 512;
constexpr std::size_t room = block_bytes - block_header_bytes;

image image_of(const std::string& blocks, std::uint64_t salt) {
  image out;
  out.block_bytes = block_bytes;
  out.salt = salt;
  out.bytes = std::string(2 * block_bytes, '\0') + blocks;
  out.bytes.resize(out.bytes.size() + 4 * block_bytes, '\0');
  out.parse(2);
  return out;
}

block_header header(std::uint64_t batch, std::uint32_t before) {
  block_header h;
  h.salt = 99;
  h.batch = batch;
  h.epoch = 1;
  h.before = before;
  return h;
}

}  // namespace

TEST_CASE("block: a batch of any size is found, with any one block missing, and not with two") {
  for (const std::size_t bytes :
       {std::size_t{0}, std::size_t{1}, room - 1, room, room + 1, 3 * room, 3 * room + 7}) {
    CAPTURE(bytes);
    std::string payload(bytes, 'p');
    for (std::size_t i = 0; i < bytes; ++i) payload[i] = static_cast<char>(i * 31);
    block_header h = header(5, 17);
    const std::string blocks = make_batch(h, 2, payload, block_bytes);
    const block_header expected = header(5, 17);
    CHECK(blocks.size() == (blocks_for(bytes, block_bytes) + 1) * block_bytes);
    const auto whole = find_batch(image_of(blocks, 99), 2, expected);
    REQUIRE(whole.has_value());
    CHECK(whole->payload == payload);
    CHECK_FALSE(whole->mended.has_value());
    for (std::size_t a = 0; a < blocks.size(); a += block_bytes) {
      std::string one = blocks;
      one[a + 77] = static_cast<char>(one[a + 77] ^ 1);
      const auto found = find_batch(image_of(one, 99), 2, expected);
      REQUIRE(found.has_value());
      CHECK(found->payload == payload);
      CHECK(found->mended == a / block_bytes + 2);
      for (std::size_t b = a + block_bytes; b < blocks.size(); b += block_bytes) {
        std::string two = one;
        two[b] = static_cast<char>(two[b] ^ 1);
        CHECK_FALSE(find_batch(image_of(two, 99), 2, expected).has_value());
      }
    }
  }
}

TEST_CASE(
    "block: of another file, at another position, behind another batch, with another number: not taken") {
  block_header h = header(5, 17);
  const std::string blocks = make_batch(h, 2, "payload", block_bytes);
  CHECK(find_batch(image_of(blocks, 99), 2, header(5, 17)).has_value());
  CHECK_FALSE(find_batch(image_of(blocks, 98), 2, header(5, 17)).has_value());
  CHECK_FALSE(find_batch(image_of(blocks, 99), 2, header(5, 18)).has_value());
  CHECK_FALSE(find_batch(image_of(blocks, 99), 2, header(6, 17)).has_value());
  const std::string moved = std::string(block_bytes, '\0') + blocks;
  CHECK_FALSE(find_batch(image_of(moved, 99), 3, header(5, 17)).has_value());
}

TEST_CASE("block: of two batches with one number, the one that was written after a later opening is true") {
  block_header old = header(5, 17);
  const std::string before = make_batch(old, 2, "not acknowledged", block_bytes);
  block_header h = header(5, 17);
  h.epoch = 2;
  const std::string after = make_batch(h, 2, "acknowledged", block_bytes);
  // Either block of the new one has fallen back to what was there before.
  for (const std::string& mixed : {before.substr(0, block_bytes) + after.substr(block_bytes),
                                   after.substr(0, block_bytes) + before.substr(block_bytes)}) {
    const auto found = find_batch(image_of(mixed, 99), 2, header(5, 17));
    REQUIRE(found.has_value());
    CHECK(found->payload == "acknowledged");
  }
}

TEST_CASE("record: what is written is read") {
  persist p;
  p.number = 4;
  p.hard = hard_state{3, 2};
  p.base = snapshot{.index = 7, .term = 2};
  p.keep_entries = true;
  p.cut_from = 9;
  p.append = {{.index = 9, .term = 2},
              {.index = 10, .term = 3, .kind = entry_kind::command, .command = std::string("a\0b", 3)},
              {.index = 11, .term = 3, .kind = entry_kind::members, .members = {{1, 2}, {3}}}};
  const snapshot_place place{7, 2, 5, 6, 1, 8};
  std::string bytes;
  put_record(bytes, false, p, place, p.append);
  put_record(bytes, true, persist(), place, std::vector<entry>());
  const auto read = parse_records(bytes);
  REQUIRE(read.has_value());
  REQUIRE(read->size() == 2);
  const record& r = read->front();
  CHECK(r.place == place);
  CHECK(r.what.number == 4);
  CHECK(r.what.hard == p.hard);
  CHECK(r.what.keep_entries);
  CHECK(r.what.cut_from == 9);
  CHECK(r.what.append == p.append);
  CHECK((*read)[1].checkpoint);
  std::size_t entries = 0;
  for (const entry& e : p.append) entries += bytes_of(e);
  std::string without;
  put_record(without, false, p, place, std::vector<entry>());
  std::string with;
  put_record(with, false, p, place, p.append);
  CHECK(with.size() - without.size() == entries);
  for (std::size_t n = 1; n < with.size(); ++n) CHECK_FALSE(parse_records(with.substr(0, n)).has_value());
}

TEST_CASE("record: counts that nothing stands behind are refused, and allocate nothing") {
  std::string body(1, '\0');                          // flags
  body.append(16, '\0');                              // number, cut_from
  body.append(16, '\0').append(1, '\2');              // an entry of members
  body.append("\xff\xff\xff\xff", 4).append(8, 'n');  // with many voters
  std::string bytes;
  put_text(bytes, body);
  CHECK_FALSE(parse_records(bytes).has_value());
  CHECK_FALSE(parse_snapshot(std::string(16, '\0') + std::string(4, '\xff')).has_value());
}

TEST_CASE("live_log: what contradicts what was written before is an error") {
  live_log base;
  persist p;
  p.hard = hard_state{3, 2};
  p.base = snapshot{.index = 5, .term = 2};
  p.append = {{.index = 6, .term = 2}, {.index = 7, .term = 3}};
  REQUIRE_FALSE(base.accept(p, {5, 2, 1}));
  CHECK(base.last_index() == 7);
  struct row {
    const char* name;
    persist what;
    snapshot_place place = {};
    bool fine = false;
  };
  const auto hard = [](hard_state h) {
    persist q;
    q.hard = h;
    return q;
  };
  const auto snap = [](log_index i, term_number t, bool keep) {
    persist q;
    q.base = snapshot{.index = i, .term = t};
    q.keep_entries = keep;
    return q;
  };
  const auto appended = [](log_index cut, entry e) {
    persist q;
    q.cut_from = cut;
    q.append = {e};
    return q;
  };
  const row rows[] = {
      {"term goes back", hard({2, 2})},
      {"vote taken back", hard({3, 0})},
      {"vote changed", hard({3, 1})},
      {"vote repeated", hard({3, 2}), {}, true},
      {"next term", hard({4, 0}), {}, true},
      {"older snapshot", snap(4, 2, true), {4, 2, 2}},
      {"snapshot of an older term", snap(6, 1, true), {6, 1, 2}},
      {"snapshot of a term that is not yet", snap(9, 4, false), {9, 4, 2}},
      {"entries kept behind another term", snap(6, 3, true), {6, 3, 2}},
      {"entries kept", snap(6, 2, true), {6, 2, 2}, true},
      {"entries not kept", snap(6, 3, false), {6, 3, 2}, true},
      {"gap", appended(0, {.index = 9, .term = 3})},
      {"entry again", appended(0, {.index = 7, .term = 3})},
      {"entry instead", appended(7, {.index = 7, .term = 3}), {}, true},
      {"term of entries goes back", appended(0, {.index = 8, .term = 2})},
      {"entry of a term that is not yet", appended(0, {.index = 8, .term = 4})},
      {"cut into the snapshot", appended(5, {.index = 5, .term = 3})},
  };
  for (const row& r : rows) {
    live_log log = base;
    INFO(r.name);
    CHECK(log.accept(r.what, r.place).has_value() == !r.fine);
  }
}

TEST_CASE("live_log: a checkpoint says all there is, and its bytes are counted") {
  live_log log;
  persist p;
  p.hard = hard_state{3, 2};
  p.base = snapshot{.index = 5, .term = 2};
  p.append = {{.index = 6, .term = 2},
              {.index = 7, .term = 3, .kind = entry_kind::command, .command = "seven"}};
  REQUIRE_FALSE(log.accept(p, {5, 2, 1, 2, 3, 4}));
  CHECK(log.bytes() == bytes_of(p.append[0]) + bytes_of(p.append[1]));
  const auto read = parse_records(log.checkpoint());
  REQUIRE(read.has_value());
  live_log other;
  persist something;
  something.hard = hard_state{9, 9};
  REQUIRE_FALSE(other.accept(something, {}));
  REQUIRE_FALSE(other.accept(read->front()));
  CHECK(other.hard() == log.hard());
  CHECK(other.base() == log.base());
  CHECK(other.entries() == log.entries());
  CHECK(other.bytes() == log.bytes());
}

TEST_CASE("stored_file: names of files, ours and others") {
  CHECK(file_path("d", file_kind::segment, 31) == "d/000000000000001f.log");
  const auto name = parse_file_name("00000000deadbeef.snapshot.tmp");
  REQUIRE(name.has_value());
  CHECK(name->number == 0xdeadbeef);
  CHECK(name->unfinished);
  CHECK(name->kind == file_kind::snapshot);
  for (const char* other : {"lock", "", ".tmp", "000000000000001f", "000000000000001F.log", "1f.log",
                            "000000000000001f.log.bak", "000000000000001f.logs"})
    CHECK_FALSE(parse_file_name(other).has_value());
}
