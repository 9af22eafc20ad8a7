// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_LOG_FILE_RECOVERY_HPP
#define SEAWALL_ELECTION_LOG_FILE_RECOVERY_HPP

// Reads a log from its files: from the newest segment that begins with a checkpoint to the last one. Looks at
// everything before it changes anything, so that a refusal leaves the files as they were found.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "seawall/election/log_file/block.hpp"
#include "seawall/election/log_file/file_system.hpp"
#include "seawall/election/log_file/live_log.hpp"
#include "seawall/election/log_file/record.hpp"
#include "seawall/election/log_file/snapshot_file.hpp"
#include "seawall/election/log_file/stored_file.hpp"
#include "seawall/election/raft_types.hpp"

namespace seawall::raft {

/// What opening has found and done.
struct log_file_recovery {
  std::uint64_t segments = 0;  ///< read
  std::uint64_t batches = 0;   ///< read: each was written with one sync
  /// Bad blocks that were made again from the others and written anew. Not zero: the disk loses data.
  std::uint64_t mended_blocks = 0;
  std::uint64_t torn_blocks = 0;  ///< of a last batch that was never acknowledged, and has been cut off
};

namespace wal {

struct segment {
  std::uint64_t number = 0;
  std::uint64_t bytes = 0;
};

/// The segment that is written to, and where.
struct log_end {
  std::unique_ptr<file> handle = {};
  std::string path = {};
  file_header header = {};
  std::uint64_t position = header_blocks;  ///< in blocks
  std::uint64_t batch = 0;                 ///< the last that is durable
  std::uint32_t sum = 0;                   ///< of that one
};

struct recovered {
  live_log live = {};
  snapshot base = {};
  std::vector<segment> segments = {};
  log_end end = {};
  std::uint32_t epoch = 0;  ///< of what is written from now on
  log_file_recovery report = {};
};

/// The files of a directory that are ours, by kind, the numbers ascending.
struct inventory {
  std::vector<std::uint64_t> segments = {};
  std::vector<std::uint64_t> snapshots = {};
  std::vector<std::string> unfinished = {};  ///< paths
};

inline absl::StatusOr<inventory> take_inventory(file_system& files, const std::string& directory) {
  auto names = files.list(directory);
  if (!names.ok()) return names.status();
  std::sort(names->begin(), names->end());
  inventory out;
  for (const std::string& text : *names) {
    const auto name = parse_file_name(text);
    if (!name) continue;
    if (name->unfinished)
      out.unfinished.push_back(directory + "/" + text);
    else
      (name->kind == file_kind::segment ? out.segments : out.snapshots).push_back(name->number);
  }
  return out;
}

/// One reading of a log. Thread safety: distinct objects safe, shared objects unsafe.
class recovery {
 public:
  recovery(file_system& files, const std::string& directory, const identity& owner)
      : files_(files), directory_(directory), owner_(owner) {}

  /// `present` has at least one segment. Errors: DATA_LOSS, where anything that may have been acknowledged
  /// cannot be read; FAILED_PRECONDITION, another node's disk or another format; those of the file system.
  absl::StatusOr<recovered> run(const inventory& present) {
    if (auto s = open_segments(present.segments); !s.ok()) return s;
    for (std::size_t i = 0; i < opened_.size(); ++i) {
      if (auto s = read_segment(i); !s.ok()) return s;
    }
    if (auto s = read_base(); !s.ok()) return s;
    // Names that were given may not be durable yet; they have to be before anything relies on them.
    if (auto s = files_.sync_directory(directory_); !s.ok()) return s;
    if (auto s = mend(); !s.ok()) return s;
    if (auto s = settle_end(); !s.ok()) return s;
    if (auto s = remove_others(present); !s.ok()) return s;
    out_.report.segments = opened_.size();
    out_.end.handle = std::move(opened_.back().handle);
    out_.end.path = opened_.back().path;
    out_.end.header = opened_.back().header;
    return std::move(out_);
  }

 private:
  struct repair {
    std::size_t segment = 0;
    std::uint64_t offset = 0;
    std::string bytes = {};
  };

  std::string path_of(std::uint64_t number) const {
    return file_path(directory_, file_kind::segment, number);
  }

  /// From the last one back to the newest that begins with a checkpoint. What is older than that is of no
  /// interest.
  absl::Status open_segments(const std::vector<std::uint64_t>& numbers) {
    for (auto number = numbers.rbegin(); number != numbers.rend(); ++number) {
      if (!opened_.empty() && *number + 1 != opened_.back().header.number)
        return damage(path_of(opened_.back().header.number - 1), 0, "this file of the log is not there");
      auto f = open_file(files_, directory_, file_kind::segment, *number, owner_);
      if (!f.ok()) return f.status();
      opened_.push_back(*std::move(f));
      if (!opened_.back().header.root) continue;
      std::reverse(opened_.begin(), opened_.end());
      return absl::OkStatus();
    }
    return damage(path_of(numbers.front()), 0,
                  "the log does not begin here, and what was before is not there");
  }

  absl::Status read_segment(std::size_t which) {
    stored_file& f = opened_[which];
    if (auto s = read_content(f); !s.ok()) return s;
    const file_header& h = f.header;
    if (which == 0) {
      out_.end.batch = h.first_batch - 1;
      out_.end.sum = h.before;
    } else if (h.first_batch != out_.end.batch + 1 || h.before != out_.end.sum) {
      return damage(f.path, 0, "this file does not go on where the one before it ends");
    }
    if (auto s = read_batches(which); !s.ok()) return s;
    out_.segments.push_back({h.number, h.blocks * h.block_bytes});
    if (auto s = check_end(which); !s.ok()) return s;
    if (which + 1 < opened_.size()) f.content = image();  // one at a time in memory
    return absl::OkStatus();
  }

  absl::Status read_batches(std::size_t which) {
    stored_file& f = opened_[which];
    std::uint64_t& position = out_.end.position;
    position = header_blocks;
    last_batch_.reset();
    while (true) {
      block_header expected;
      expected.batch = out_.end.batch + 1;
      expected.before = out_.end.sum;
      const auto b = find_batch(f.content, position, expected);
      if (!b) break;
      const std::uint64_t offset = position * f.header.block_bytes;
      if (b->mended) {
        repairs_.push_back({which, *b->mended * f.header.block_bytes, mended_block(f, position, *b)});
        ++out_.report.mended_blocks;
      }
      if (auto error = replay(b->payload, f.header.root && position == header_blocks))
        return damage(f.path, offset, "the checksums are right, but " + *error);
      out_.end.batch = b->header.batch;
      out_.end.sum = b->header.sum;
      last_batch_ = {position, b->length()};
      position += b->length();
      ++out_.report.batches;
    }
    if (f.header.root && position == header_blocks)
      return damage(f.path, position * f.header.block_bytes,
                    "the checkpoint that the file begins with cannot be read");
    return absl::OkStatus();
  }

  std::optional<std::string> replay(std::string_view payload, bool root) {
    const auto records = parse_records(payload);
    if (!records) return "these are not records";
    if (root && (records->empty() || !records->front().checkpoint)) return "this is not a checkpoint";
    for (const record& r : *records) {
      if (auto error = out_.live.accept(r)) return error;
    }
    return std::nullopt;
  }

  /// Behind the last batch that can be read: was there one that was acknowledged?
  absl::Status check_end(std::size_t which) {
    const stored_file& f = opened_[which];
    const std::uint64_t position = out_.end.position;
    const std::uint64_t offset = position * f.header.block_bytes;
    const std::uint64_t next = out_.end.batch + 1;
    if (which + 1 < opened_.size()) {
      if (opened_[which + 1].header.first_batch != next)
        return damage(
            f.path, offset,
            "batch " + std::to_string(next) + " cannot be read, and the next file begins behind it");
      if (!says_continued(f, position) && position < f.content.blocks())
        repairs_.push_back({which, offset, end_mark(f, block_kind::continued, position, f.header.epoch)});
      return absl::OkStatus();
    }
    if (const auto at = find_evidence(f.content, position, next))
      return damage(f.path, offset,
                    "batch " + std::to_string(next) + " cannot be read, and offset " +
                        std::to_string(*at * f.header.block_bytes) + " shows that it was acknowledged");
    if (says_continued(f, position))
      return damage(path_of(f.header.number + 1), 0, "this file, the last of the log, is not there");
    // One bad sector may lie behind the end; of two, one cannot say what they have held.
    if (std::count(f.content.unreadable.begin() + static_cast<std::ptrdiff_t>(position),
                   f.content.unreadable.end(), true) > 1)
      return damage(f.path, offset, "the device gives errors behind the last batch that can be read");
    return absl::OkStatus();
  }

  /// False of a file that has a next one: power was lost between the two.
  static bool says_continued(const stored_file& f, std::uint64_t end) {
    const auto from = f.content.headers.begin() + static_cast<std::ptrdiff_t>(end);
    return std::any_of(from, f.content.headers.end(),
                       [](const auto& h) { return h && h->kind == block_kind::continued; });
  }

  /// Behind the last batch that was read, at `position`.
  std::string end_mark(const stored_file& f, block_kind kind, std::uint64_t position,
                       std::uint32_t epoch) const {
    block_header mark;
    mark.kind = kind;
    mark.salt = f.header.salt;
    mark.batch = out_.end.batch;
    mark.epoch = epoch;
    mark.sum = out_.end.sum;
    return make_block(mark, position, {}, f.header.block_bytes);
  }

  absl::Status read_base() {
    const snapshot_place& place = out_.live.base();
    if (place.file == 0) {
      if (place.index == 0) return absl::OkStatus();
      return damage(opened_.back().path, 0, "the log names no file for the snapshot that it begins with");
    }
    auto read = read_snapshot(files_, directory_, owner_, place);
    if (!read.ok()) return read.status();
    out_.base = std::move(read->what);
    out_.report.mended_blocks += read->mended;
    return absl::OkStatus();
  }

  absl::Status mend() {
    for (const repair& r : repairs_) {
      if (auto s = write_again(opened_[r.segment], r.offset, r.bytes); !s.ok()) return s;
    }
    for (stored_file& f : opened_) {
      if (!f.header_mended) continue;
      ++out_.report.mended_blocks;
      if (auto s = mend_header(f); !s.ok()) return s;
    }
    return absl::OkStatus();
  }

  /// Makes what was read durable before anybody relies on it, and takes away what was not acknowledged, so
  /// that it cannot be mixed up with what is written next.
  absl::Status settle_end() {
    stored_file& f = opened_.back();
    const std::size_t block_bytes = f.header.block_bytes;
    const std::uint64_t end = out_.end.position;
    // After a sync that failed, the cache of the system may hold what the disk does not, and believe them
    // equal.
    if (last_batch_) {
      const auto [start, length] = *last_batch_;
      std::string bytes = f.content.bytes.substr(start * block_bytes, length * block_bytes);
      for (const repair& r : repairs_) {
        if (r.segment + 1 == opened_.size() && r.offset >= start * block_bytes)
          bytes.replace(r.offset - start * block_bytes, r.bytes.size(), r.bytes);
      }
      // Synced by itself: the mark behind it says that it is durable.
      if (auto s = write_again(f, start * block_bytes, bytes); !s.ok()) return s;
    }
    out_.epoch = epoch_seen() + 1;
    if (auto s = clear_from(end); !s.ok()) return s;
    return f.handle->sync();
  }

  std::uint32_t epoch_seen() const {
    std::uint32_t epoch = opened_.back().header.epoch;
    for (const auto& h : opened_.back().content.headers) {
      if (h) epoch = std::max(epoch, h->epoch);
    }
    return epoch;
  }

  absl::Status clear_from(std::uint64_t end) {
    stored_file& f = opened_.back();
    const image& content = f.content;
    if (end >= content.blocks()) return absl::OkStatus();
    std::uint64_t used = content.blocks();
    const auto is_used = [&](std::uint64_t at) {
      return content.unreadable[at] || content.block(at).find_first_not_of('\0') != std::string_view::npos;
    };
    while (used > end && !is_used(used - 1)) --used;
    for (std::uint64_t at = end; at < used; ++at) {
      const auto& h = content.headers[at];
      if (is_used(at) && !(h && h->marks())) ++out_.report.torn_blocks;
    }
    std::string bytes = end_mark(f, block_kind::durable, end, out_.epoch);
    bytes.resize(std::max(used - end, std::uint64_t{1}) * content.block_bytes, '\0');
    return f.handle->write_at(end * content.block_bytes, bytes);
  }

  absl::Status remove_others(const inventory& present) {
    std::vector<std::string> paths = present.unfinished;
    for (const std::uint64_t n : present.segments) {
      if (n < out_.segments.front().number) paths.push_back(path_of(n));
    }
    for (const std::uint64_t n : present.snapshots) {
      if (n != out_.live.base().file) paths.push_back(file_path(directory_, file_kind::snapshot, n));
    }
    if (paths.empty()) return absl::OkStatus();
    for (const std::string& path : paths) {
      if (auto s = files_.remove(path); !s.ok()) return s;
    }
    return files_.sync_directory(directory_);
  }

  file_system& files_;
  const std::string& directory_;
  const identity& owner_;
  std::vector<stored_file> opened_;
  std::vector<repair> repairs_;
  std::optional<std::pair<std::uint64_t, std::uint64_t>> last_batch_;  // of the last file: position, length
  recovered out_;
};

}  // namespace wal
}  // namespace seawall::raft

#endif  // SEAWALL_ELECTION_LOG_FILE_RECOVERY_HPP
