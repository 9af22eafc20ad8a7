// SPDX-License-Identifier: Apache-2.0
// What is behind the checksums of the log's files: records, snapshots, headers, blocks and names that hold
// anything. What is taken is written again as it was, and a log that has taken it says the same after a
// checkpoint. Without files, so that many inputs can be tried; log_file_bytes.cpp has the files.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "must.hpp"
#include "seawall/core/crc32c.hpp"
#include "seawall/election/log_file/block.hpp"
#include "seawall/election/log_file/live_log.hpp"
#include "seawall/election/log_file/record.hpp"
#include "seawall/election/log_file/stored_file.hpp"
#include <fuzzer/FuzzedDataProvider.h>

using namespace seawall::raft;
using namespace seawall::raft::wal;

namespace {

constexpr std::size_t block_bytes = 64;  // smaller than any disk's: it is the headers that matter

bool same(const live_log& a, const live_log& b) {
  return a.hard() == b.hard() && a.base() == b.base() && a.entries() == b.entries() && a.bytes() == b.bytes();
}

void try_records(std::string_view bytes) {
  const auto read = parse_records(bytes);
  if (!read) return;
  std::string again;
  live_log log;
  bool accepted = true;
  for (const record& r : *read) {
    put_record(again, r.checkpoint, r.what, r.place, r.what.append);
    accepted = accepted && !log.accept(r);
  }
  must(again == bytes, "there is one way to write records");
  if (!accepted) return;
  const auto checkpoint = parse_records(log.checkpoint());
  must(checkpoint && checkpoint->size() == 1, "a checkpoint is a record");
  live_log other;
  must(!other.accept(checkpoint->front()), "a checkpoint is accepted");
  must(same(log, other), "a checkpoint says all");
}

void try_snapshot(std::string_view bytes) {
  const auto read = parse_snapshot(bytes);
  if (read) must(put_snapshot(*read) == bytes, "there is one way to write a snapshot");
}

void try_header(FuzzedDataProvider& in) {
  const std::uint64_t offset = in.PickValueInArray<std::uint64_t>({0, 512, 1024, 65536, 777});
  std::string bytes(in.ConsumeBool() ? magic : std::string_view("something else!"));
  bytes += in.ConsumeRemainingBytesAsString();
  bytes.resize(header_copy_bytes - sizeof(std::uint32_t), '\0');
  std::string where;
  put(where, offset);
  put(bytes, seawall::core::crc32c(bytes, seawall::core::crc32c(where)));
  const auto read = headers::parse_copy(bytes, offset);
  if (!read.header) return;
  const auto again = headers::parse_copy(headers::make_copy(*read.header, offset), offset);
  must(again.header.has_value(), "a header that was read can be written");
  must(again.header->owner == read.header->owner && again.header->blocks == read.header->blocks &&
           again.header->salt == read.header->salt && again.header->root == read.header->root,
       "and is the same");
}

/// Blocks that are right as far as one block can be.
image any_image(FuzzedDataProvider& in) {
  image out;
  out.block_bytes = block_bytes;
  out.salt = 1;
  out.bytes.assign(header_blocks * block_bytes, '\0');
  const auto few = [&](std::uint32_t most) { return in.ConsumeIntegralInRange<std::uint32_t>(0, most); };
  for (auto n = few(9); n > 0; --n) {
    const std::uint64_t position = out.bytes.size() / block_bytes;
    block_header h;
    h.salt = out.salt;
    if (in.ConsumeBool()) {
      h.batch = few(2);
      h.before = few(1);
      h.epoch = few(2);
      out.bytes += make_batch(h, position, std::string(few(60), static_cast<char>(few(255))), block_bytes);
      continue;
    }
    h.kind = static_cast<block_kind>(few(5));
    h.batch = few(2);
    h.before = few(1);
    h.epoch = few(2);
    h.sum = in.ConsumeIntegral<std::uint32_t>();
    h.place = in.ConsumeBool() ? few(4) : in.ConsumeIntegral<std::uint32_t>();
    h.blocks = in.ConsumeBool() ? few(4) : in.ConsumeIntegral<std::uint32_t>();
    h.bytes = in.ConsumeBool() ? few(64) : in.ConsumeIntegral<std::uint32_t>();
    out.bytes += make_block(h, position, in.ConsumeRandomLengthString(8), block_bytes);
  }
  for (auto n = few(3); n > 0; --n) {
    const auto at = in.ConsumeIntegralInRange<std::size_t>(0, out.bytes.size() - 1);
    out.bytes[at] = static_cast<char>(out.bytes[at] ^ 1);
  }
  out.parse(header_blocks);
  return out;
}

void try_blocks(FuzzedDataProvider& in) {
  const image file = any_image(in);
  block_header expected;
  for (expected.batch = 0; expected.batch < 3; ++expected.batch) {
    for (expected.before = 0; expected.before < 2; ++expected.before) {
      for (std::uint64_t at = header_blocks; at <= file.blocks(); ++at) {
        const auto evidence = find_evidence(file, at, expected.batch);
        must(!evidence || (*evidence >= at && *evidence < file.blocks()), "evidence lies in the file");
        const auto found = find_batch(file, at, expected);
        if (!found) continue;
        must(at + found->length() <= file.blocks(), "a batch lies in the file");
        must(found->payload.size() == found->header.bytes, "a batch has the bytes that it says");
        must(!found->mended || (*found->mended >= at && *found->mended < at + found->length()),
             "the block that was mended is of the batch");
        if (!found->mended) continue;
        block_header h = found->header;
        image whole = file;
        whole.bytes.replace(at * block_bytes, found->length() * block_bytes,
                            make_batch(h, at, found->payload, block_bytes));
        whole.parse(header_blocks);
        const auto again = find_batch(whole, at, expected);
        must(again && !again->mended && again->payload == found->payload, "once mended, a batch is whole");
      }
    }
  }
}

void try_name(std::string_view text) {
  const auto name = parse_file_name(text);
  if (!name) return;
  const std::string path = file_path("d", name->kind, name->number) + (name->unfinished ? ".tmp" : "");
  must(path.substr(2) == text, "there is one name for a file");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzedDataProvider in(data, size);
  switch (in.ConsumeIntegralInRange(0, 4)) {
    case 0: try_records(in.ConsumeRemainingBytesAsString()); break;
    case 1: try_snapshot(in.ConsumeRemainingBytesAsString()); break;
    case 2: try_header(in); break;
    case 3: try_blocks(in); break;
    default: try_name(in.ConsumeRemainingBytesAsString());
  }
  return 0;
}
