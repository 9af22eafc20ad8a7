// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_LOG_FILE_SNAPSHOT_FILE_HPP
#define SEAWALL_ELECTION_LOG_FILE_SNAPSHOT_FILE_HPP

// A snapshot, in a file of its own: the same blocks as the log's, in batches of about a megabyte. Written
// whole and durable before the log says a word of it; so whatever is wrong with one that the log names is
// damage.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "seawall/election/log_file/block.hpp"
#include "seawall/election/log_file/file_system.hpp"
#include "seawall/election/log_file/record.hpp"
#include "seawall/election/log_file/stored_file.hpp"
#include "seawall/election/raft_types.hpp"

namespace seawall::raft::wal {

/// Writes `s`. Of `h`, the number, the salt, the size of a block and the owner are the caller's. Returns what
/// the log has to say.
inline absl::StatusOr<snapshot_place> write_snapshot(file_system& files, const std::string& directory,
                                                     file_header h, const snapshot& s) {
  static constexpr std::size_t payload_at_once = std::size_t{1} << 20U;
  const std::string bytes = put_snapshot(s);
  std::string batches;
  block_header b;
  b.salt = h.salt;
  for (std::size_t at = 0; at < bytes.size(); at += payload_at_once) {
    ++b.batch;
    const std::uint64_t position = header_blocks + batches.size() / h.block_bytes;
    batches.append(
        make_batch(b, position, std::string_view(bytes).substr(at, payload_at_once), h.block_bytes));
    b.before = b.sum;
  }
  h.kind = file_kind::snapshot;
  h.blocks = header_blocks + batches.size() / h.block_bytes;
  if (auto made = create_file(files, directory, h, batches); !made.ok()) return made;
  return snapshot_place{s.index, s.term, h.number, h.salt, b.batch, b.before};
}

struct read_snapshot_file {
  snapshot what = {};
  std::uint64_t mended = 0;  ///< blocks, which are now written again
};

/// Reads the snapshot that the log names. `mend` writes bad blocks again.
inline absl::StatusOr<read_snapshot_file> read_snapshot(file_system& files, const std::string& directory,
                                                        const identity& owner, const snapshot_place& place) {
  auto f = open_file(files, directory, file_kind::snapshot, place.file, owner);
  if (f.status().code() == absl::StatusCode::kNotFound)
    return damage(file_path(directory, file_kind::snapshot, place.file), 0,
                  "the snapshot that the log begins with is not there");
  if (!f.ok()) return f.status();
  if (auto s = read_content(*f); !s.ok()) return s;
  if (f->header.salt != place.salt) return damage(f->path, 0, "this is another snapshot than the log names");

  read_snapshot_file out;
  std::string bytes;
  std::vector<std::pair<std::uint64_t, std::string>> again;
  block_header expected;
  std::uint64_t position = header_blocks;
  while (position < f->header.blocks) {
    ++expected.batch;
    const auto b = find_batch(f->content, position, expected);
    if (!b)
      return damage(f->path, position * f->header.block_bytes, "the snapshot cannot be read from here on");
    if (b->mended) again.emplace_back(*b->mended * f->header.block_bytes, mended_block(*f, position, *b));
    bytes.append(b->payload);
    expected.before = b->header.sum;
    position += b->length();
  }
  auto parsed = parse_snapshot(bytes);
  if (expected.batch != place.frames || expected.before != place.sum || !parsed ||
      parsed->index != place.index || parsed->term != place.term)
    return damage(f->path, 0, "the snapshot is not what the log says of it");
  out.what = *std::move(parsed);
  out.mended = again.size() + (f->header_mended ? 1 : 0);
  for (const auto& block : again) {
    if (auto s = write_again(*f, block.first, block.second); !s.ok()) return s;
  }
  if (f->header_mended) {
    if (auto s = mend_header(*f); !s.ok()) return s;
  }
  return out;
}

}  // namespace seawall::raft::wal

#endif  // SEAWALL_ELECTION_LOG_FILE_SNAPSHOT_FILE_HPP
