// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_LOG_FILE_BLOCK_HPP
#define SEAWALL_ELECTION_LOG_FILE_BLOCK_HPP

// The log's files consist of blocks of one size, and what is written at once, a batch, of whole blocks: n of
// data and one of parity. Any one block of a batch can be lost and is made again from the others. So nobody
// ever has to guess whether a batch with one bad block was acknowledged; one with two was not, as far as one
// bad sector can be to blame.
//
//   crc32c | kind | salt | batch | epoch | before | sum | place | blocks | bytes (48 bytes in all) | payload
//
// Each block says where it belongs: the file by its salt, the position by the checksum, the batch by its
// number, the sum of the batch before it and its own. What a file held earlier, or another one, is never
// taken for what it should hold.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "seawall/core/crc32c.hpp"
#include "seawall/election/log_file/bytes.hpp"

namespace seawall::raft::wal {

inline constexpr std::size_t block_header_bytes = 48;

enum class block_kind : std::uint32_t {
  data = 1,
  parity = 2,  ///< the payloads of the data blocks, combined by exclusive or
  durable =
      3,  ///< behind the last batch: all up to `batch` are durable. Written late, and over by the next batch
  continued = 4,  ///< as `durable`, and there is a next file
};

struct block_header {
  block_kind kind = block_kind::data;
  std::uint64_t salt = 0;   ///< of the file
  std::uint64_t batch = 0;  ///< counts up by one over all files
  std::uint32_t epoch =
      0;  ///< counts how often the log was opened: of two batches with one number the later is true
  std::uint32_t before = 0;  ///< the sum of the batch before
  std::uint32_t sum = 0;     ///< of this batch: crc32c of `before`, `batch` and the payload
  std::uint32_t place = 0;   ///< within the batch; that of the parity block is `blocks`
  std::uint32_t blocks = 0;  ///< of data
  std::uint32_t bytes = 0;   ///< of payload, in all of the batch

  bool marks() const noexcept { return kind == block_kind::durable || kind == block_kind::continued; }
};

inline std::uint32_t batch_sum(std::uint32_t before, std::uint64_t batch, std::string_view payload) {
  std::string front;
  put(front, before);
  put(front, batch);
  return core::crc32c(payload, core::crc32c(front));
}

/// How many blocks of data a payload takes; there is at least one.
inline std::uint64_t blocks_for(std::size_t payload_bytes, std::size_t block_bytes) noexcept {
  const std::size_t room = block_bytes - block_header_bytes;
  return std::max<std::uint64_t>((payload_bytes + room - 1) / room, 1);
}

/// A block at `position`, counted in blocks from the start of its file. `payload` is filled up with zeros.
inline std::string make_block(const block_header& h, std::uint64_t position, std::string_view payload,
                              std::size_t block_bytes) {
  std::string rest;
  rest.reserve(block_bytes);
  put(rest, static_cast<std::uint32_t>(h.kind));
  put(rest, h.salt);
  put(rest, h.batch);
  for (const std::uint32_t field : {h.epoch, h.before, h.sum, h.place, h.blocks, h.bytes}) put(rest, field);
  rest.append(payload);
  rest.resize(block_bytes - sizeof(std::uint32_t), '\0');
  std::string where;
  put(where, position);
  std::string block;
  block.reserve(block_bytes);
  put(block, core::crc32c(rest, core::crc32c(where)));
  return block.append(rest);
}

/// Empty: this is not a block of that file at that position.
inline std::optional<block_header> parse_block(std::string_view block, std::uint64_t position,
                                               std::uint64_t salt) {
  byte_reader in(block);
  const auto crc = in.take<std::uint32_t>();
  block_header h;
  h.kind = static_cast<block_kind>(in.take<std::uint32_t>());
  h.salt = in.take<std::uint64_t>();
  h.batch = in.take<std::uint64_t>();
  for (std::uint32_t* field : {&h.epoch, &h.before, &h.sum, &h.place, &h.blocks, &h.bytes})
    *field = in.take<std::uint32_t>();
  if (in.failed() || h.salt != salt || h.kind < block_kind::data || h.kind > block_kind::continued)
    return std::nullopt;
  std::string where;
  put(where, position);
  if (crc != core::crc32c(block.substr(sizeof crc), core::crc32c(where))) return std::nullopt;
  return h;
}

inline void combine(std::string& parity, std::string_view payload) noexcept {
  for (std::size_t i = 0; i < payload.size(); ++i) parity[i] = static_cast<char>(parity[i] ^ payload[i]);
}

/// The blocks of a batch, to be written at `position`. Of `h`, the file's salt, the number, the epoch and
/// `before` are the caller's; the rest is filled in, so that `h.sum` is what the next batch has to be told.
inline std::string make_batch(block_header& h, std::uint64_t position, std::string_view payload,
                              std::size_t block_bytes) {
  const std::size_t room = block_bytes - block_header_bytes;
  h.kind = block_kind::data;
  h.sum = batch_sum(h.before, h.batch, payload);
  h.blocks = static_cast<std::uint32_t>(blocks_for(payload.size(), block_bytes));
  h.bytes = static_cast<std::uint32_t>(payload.size());
  std::string out;
  out.reserve((h.blocks + std::size_t{1}) * block_bytes);
  std::string parity(room, '\0');
  for (h.place = 0; h.place < h.blocks; ++h.place) {
    const std::string_view part = payload.substr(std::min(payload.size(), h.place * room), room);
    combine(parity, part);
    out.append(make_block(h, position + h.place, part, block_bytes));
  }
  h.kind = block_kind::parity;
  return out.append(make_block(h, position + h.place, parity, block_bytes));
}

/// A file in memory, or as much of it as can be read, and what its blocks say of themselves.
struct image {
  std::string bytes = {};
  std::size_t block_bytes = 0;
  std::uint64_t salt = 0;
  std::vector<bool> unreadable = {};                      ///< the device gave an error; its bytes are zeros
  std::vector<std::optional<block_header>> headers = {};  ///< empty: nothing that belongs there

  std::uint64_t blocks() const noexcept { return headers.size(); }
  std::string_view block(std::uint64_t position) const noexcept {
    return std::string_view(bytes).substr(position * block_bytes, block_bytes);
  }
  std::string_view payload(std::uint64_t position) const noexcept {
    return block(position).substr(block_header_bytes);
  }
  /// Looks at all blocks from `first` on.
  void parse(std::uint64_t first) {
    headers.assign(bytes.size() / block_bytes, std::nullopt);
    for (std::uint64_t i = first; i < headers.size(); ++i) headers[i] = parse_block(block(i), i, salt);
  }
};

/// A batch that was read; the blocks that had to be made again are to be written again.
struct read_batch {
  block_header header = {};
  std::string payload = {};
  std::optional<std::uint64_t> mended = {};  ///< position

  std::uint64_t length() const noexcept { return header.blocks + std::uint64_t{1}; }
};

namespace blocks {

/// True if `h`, at `position`, is of a batch that begins at `start`, goes on from `before` and fits into the
/// file.
inline bool starts_at(const block_header& h, std::uint64_t position, std::uint64_t start,
                      const block_header& expected, const image& file) noexcept {
  const std::uint64_t room = file.block_bytes - block_header_bytes;
  return !h.marks() && h.batch == expected.batch && h.before == expected.before && h.blocks >= 1 &&
         start + h.place == position && h.place <= h.blocks && h.blocks < file.blocks() - start &&
         (h.kind == block_kind::parity) == (h.place == h.blocks) && h.bytes <= h.blocks * room &&
         (h.bytes > (h.blocks - 1) * room || (h.blocks == 1 && h.bytes == 0));
}

inline bool same_batch(const block_header& a, const block_header& b) noexcept {
  return !a.marks() && a.batch == b.batch && a.epoch == b.epoch && a.before == b.before && a.sum == b.sum &&
         a.blocks == b.blocks && a.bytes == b.bytes;
}

/// The blocks of `h`'s batch that are not there; no more than two are looked for.
inline std::vector<std::uint64_t> missing(const image& file, std::uint64_t start, const block_header& h) {
  std::vector<std::uint64_t> out;
  for (std::uint64_t i = 0; i <= h.blocks && out.size() < 2; ++i) {
    const auto& at = file.headers[start + i];
    const auto kind = i == h.blocks ? block_kind::parity : block_kind::data;
    if (!at || !same_batch(*at, h) || at->place != i || at->kind != kind) out.push_back(start + i);
  }
  return out;
}

}  // namespace blocks

/// The batch at `start`, whole or mended. `expected` says its number and the sum before it. Empty: two blocks
/// or more of it are missing, or it was never written.
inline std::optional<read_batch> find_batch(const image& file, std::uint64_t start,
                                            const block_header& expected) {
  // At most one block is missing of what can be read: one of the first two tells what it is.
  std::optional<block_header> h;
  for (std::uint64_t at = start; at < file.blocks() && at < start + 2; ++at) {
    const auto& found = file.headers[at];
    if (found && blocks::starts_at(*found, at, start, expected, file) && (!h || found->epoch > h->epoch))
      h = found;
  }
  if (!h) return std::nullopt;
  const std::vector<std::uint64_t> missing = blocks::missing(file, start, *h);
  if (missing.size() > 1) return std::nullopt;

  read_batch out;
  out.header = *h;
  if (!missing.empty()) out.mended = missing.front();
  std::string mended(file.block_bytes - block_header_bytes, '\0');
  for (std::uint64_t at = start; out.mended && at <= start + h->blocks; ++at) {
    if (at != *out.mended) combine(mended, file.payload(at));
  }
  for (std::uint64_t at = start; at < start + h->blocks; ++at)
    out.payload.append(at == out.mended ? std::string_view(mended) : file.payload(at));
  out.payload.resize(h->bytes);
  if (batch_sum(h->before, h->batch, out.payload) != h->sum) return std::nullopt;
  return out;
}

/// Where, from `start` on, a block stands that was written after batch number `batch` was durable. Empty:
/// nothing says so.
inline std::optional<std::uint64_t> find_evidence(const image& file, std::uint64_t start,
                                                  std::uint64_t batch) noexcept {
  for (std::uint64_t at = start; at < file.blocks(); ++at) {
    const auto& h = file.headers[at];
    if (h && (h->batch > batch || (h->batch == batch && h->marks()))) return at;
  }
  return std::nullopt;
}

}  // namespace seawall::raft::wal

#endif  // SEAWALL_ELECTION_LOG_FILE_BLOCK_HPP
