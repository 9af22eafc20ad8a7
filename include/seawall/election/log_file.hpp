// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_LOG_FILE_HPP
#define SEAWALL_ELECTION_LOG_FILE_HPP

// Where a node of the embedded Raft keeps what it must not forget: a write-ahead log in segments, and the
// newest snapshot in a file of its own. Either gives back what was acknowledged or refuses to start. Not a
// database, and not for several processes: the directory belongs to one.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "seawall/election/log_file/block.hpp"
#include "seawall/election/log_file/file_system.hpp"
#include "seawall/election/log_file/live_log.hpp"
#include "seawall/election/log_file/posix_file_system.hpp"
#include "seawall/election/log_file/record.hpp"
#include "seawall/election/log_file/recovery.hpp"
#include "seawall/election/log_file/snapshot_file.hpp"
#include "seawall/election/log_file/stored_file.hpp"
#include "seawall/election/raft_types.hpp"
#include "seawall/options.hpp"
#include "seawall/random.hpp"
#include "seawall/status.hpp"

namespace seawall::raft {

struct log_file_options {
  node_id node = nobody;     ///< whose log it is: not `nobody`. A disk of another node is refused
  std::string cluster = {};  ///< the same for all its nodes, and different for every other one: 1 to 64 bytes
  /// Make a new log where there is none. A member whose disk was emptied forgets its vote: false, once it has
  /// been a member.
  bool create = true;

  /// The unit in which a disk loses data, in bytes: a power of two in [512, 65'536], not less than the disk's
  /// physical sector. One block of each batch can be lost. Of files that are there, their own size holds.
  std::uint32_t block_bytes = 4096;
  /// A file of the log, in bytes: at least 16 blocks, at most 1 GiB. A larger batch gets a file of its size.
  std::uint64_t segment_bytes = std::uint64_t{8} << 20U;
  /// The entries behind the snapshot, in bytes as written: [4096, 2^30]. The disk holds about three times as
  /// much at most, three segments and two snapshots.
  std::uint64_t max_log_bytes = std::uint64_t{64} << 20U;
  std::uint64_t max_snapshot_bytes = std::uint64_t{64} << 20U;  ///< [4096, 2^30]

  std::uint64_t seed = 0;        ///< of the numbers that tell files apart; zero: from the kernel
  file_system* files = nullptr;  ///< outlives the log; none: the operating system's
};

inline std::optional<option_error> validate(const log_file_options& o) {
  constexpr std::uint64_t most = std::uint64_t{1} << 30U;
  if (o.cluster.empty() || o.cluster.size() > 64)
    return option_error{"cluster", std::to_string(o.cluster.size()) + " bytes",
                        "must be at least 1 and at most 64"};
  const bool block_fits = o.block_bytes >= wal::least_block_bytes && o.block_bytes <= wal::most_block_bytes &&
                          (o.block_bytes & (o.block_bytes - 1)) == 0;
  option_checks checks;
  checks.require(o.node != nobody, "node", o.node, "must not be nobody")
      .require(block_fits, "block_bytes", std::uint64_t{o.block_bytes},
               "must be a power of two, at least 512 and at most 65536")
      .require(o.segment_bytes >= 16 * std::uint64_t{o.block_bytes} && o.segment_bytes <= most,
               "segment_bytes", o.segment_bytes, "must be at least 16 blocks and at most 1073741824")
      .require(o.max_log_bytes >= 4096 && o.max_log_bytes <= most, "max_log_bytes", o.max_log_bytes,
               "must be at least 4096 and at most 1073741824")
      .require(o.max_snapshot_bytes >= 4096 && o.max_snapshot_bytes <= most, "max_snapshot_bytes",
               o.max_snapshot_bytes, "must be at least 4096 and at most 1073741824");
  return checks.result();
}

struct log_file_usage {
  std::uint64_t segments = 0;
  std::uint64_t segment_bytes = 0;  ///< of all of them
  std::uint64_t entry_bytes = 0;    ///< of the entries behind the snapshot, as written
  std::uint64_t batches = 0;        ///< written since it was opened
};

struct opened_log;

/// The log of one node. What it promises, given that a sync that returns has done what it says:
///
/// 1. After `write` has returned OK, every later `open` gives back its outcome, or that of a later write.
/// 2. A write that did not return, or not OK, is found done or not done, wholly.
/// 3. Any one bad block, wherever it lies and whatever it holds now, changes nothing of that: it is made
///    again from others. More than one bad block in a batch is refused, but for the one case below.
///
/// What nobody can see: that *two* blocks or more of the very last batch are bad, if the machine has lost
/// power before the mark behind it was written back. Then it looks like a batch that was never acknowledged.
/// And that a directory as a whole is an older copy of itself.
///
/// Thread safety: distinct objects safe, shared objects unsafe. Cancellation: none; `write` blocks as long as
/// the disk does. Cost: `write` is one copy of the data, two checksums of it, two writes and one sync, at
/// least two blocks; some writes begin a segment, which takes as long as writing it full of zeros. Memory: a
/// copy of the entries behind the snapshot.
class log_file {
 public:
  /// Opens the log in `directory`, or makes it, and reads it. The directory belongs to this object until it
  /// is destroyed.
  ///
  /// Errors: INVALID_ARGUMENT, options; FAILED_PRECONDITION, another process has it, or it is another node's;
  /// DATA_LOSS, something that was acknowledged cannot be read, with the file, the offset and what to do;
  /// NOT_FOUND, there is no log and none may be made; those of the system, with path and reason. Cost: reads
  /// and checks all of it.
  static absl::StatusOr<opened_log> open(std::string directory, log_file_options options);

  log_file(log_file&&) noexcept = default;
  log_file& operator=(log_file&&) noexcept = default;

  /// Makes all of `persists` durable with one sync, wholly or not at all.
  ///
  /// Errors: INVALID_ARGUMENT, they contradict what was written before; RESOURCE_EXHAUSTED, a bound of the
  /// options; those of the system. Each of them is for good: what is on the disk then is unknown, and all
  /// further writes return it. Open again.
  absl::Status write(std::span<const persist> persists) {
    if (!halted_.ok() || persists.empty()) return halted_;
    halted_ = write_now(persists);
    return halted_;
  }

  log_file_usage usage() const noexcept {
    log_file_usage u;
    u.segments = segments_.size();
    u.segment_bytes = segment_bytes();
    u.entry_bytes = live_.bytes();
    u.batches = batches_;
    return u;
  }

 private:
  log_file(std::string directory, log_file_options options, std::unique_ptr<file> lock)
      : directory_(std::move(directory)),
        options_(std::move(options)),
        owner_{options_.node, options_.cluster},
        lock_(std::move(lock)) {}

  file_system& files() const noexcept { return *options_.files; }

  // Opening.

  absl::Status begin(const wal::inventory& present, std::uint64_t lock_bytes) {
    if (lock_bytes != 0 || !present.snapshots.empty())
      return wal::damage(directory_, 0, "there was a log here, and its files are gone");
    if (!options_.create) {
      const std::string what = directory_ + ": there is no log, and none may be made (create is false)";
      return absl::NotFoundError(seawall::detail::to_absl(what));
    }
    for (const std::string& path : present.unfinished) {
      if (auto s = files().remove(path); !s.ok()) return s;
    }
    // Before their names are used again: a rename that overtakes this would give the log's name to what is
    // unfinished.
    if (auto s = files().sync_directory(directory_); !s.ok()) return s;
    epoch_ = 1;
    salts_ = random_source(options_.seed != 0 ? options_.seed : seawall::detail::entropy_seed());
    return begin_segment(live_.checkpoint(), true);
  }

  /// The lock file remembers that there was a log, so that one whose files were removed is not taken for a
  /// new one.
  absl::Status sign_lock() {
    if (auto s = lock_->write_at(0, wal::to_text(owner_) + "\n"); !s.ok()) return s;
    if (auto s = lock_->sync(); !s.ok()) return s;
    return files().sync_directory(directory_);
  }

  void take(wal::recovered&& r) {
    live_ = std::move(r.live);
    segments_ = std::move(r.segments);
    end_ = std::move(r.end);
    epoch_ = r.epoch;
    const std::uint64_t seed = options_.seed != 0 ? options_.seed : seawall::detail::entropy_seed();
    salts_ = random_source(seed ^ (std::uint64_t{epoch_} << 32U));
    snapshot_number_ = live_.base().file;
  }

  // Writing.

  std::uint64_t segment_bytes() const noexcept {
    std::uint64_t sum = 0;
    for (const wal::segment& s : segments_) sum += s.bytes;
    return sum;
  }

  static absl::Status too_large(const char* what, std::uint64_t bytes, std::uint64_t most) {
    const std::string text = std::string(what) + " of " + std::to_string(bytes) + " bytes; at most " +
                             std::to_string(most) + " are allowed";
    return absl::ResourceExhaustedError(seawall::detail::to_absl(text));
  }

  absl::Status write_now(std::span<const persist> persists) {
    std::string payload;
    bool new_base = false;
    for (auto p = persists.begin(); p != persists.end(); ++p) {
      wal::snapshot_place place;
      if (p->base) {
        const bool replaced = std::any_of(p + 1, persists.end(), [](const persist& q) { return q.base; });
        auto put = replaced ? wal::snapshot_place{p->base->index, p->base->term} : put_base(*p->base);
        if (!put.ok()) return put.status();
        place = *put;
        new_base = true;
      }
      if (auto s = accept(*p, place); !s.ok()) return s;
      if (live_.bytes() > options_.max_log_bytes)
        return too_large("a log", live_.bytes(), options_.max_log_bytes);
      wal::put_record(payload, false, *p, place, p->append);
      if (payload.size() > most_payload) return too_large("a batch", payload.size(), most_payload);
    }
    if (auto s = append(payload, new_base); !s.ok()) return s;
    ++batches_;
    return remove_old_snapshot();
  }

  absl::StatusOr<wal::snapshot_place> put_base(const snapshot& s) {
    if (s.state.size() > options_.max_snapshot_bytes)
      return too_large("a snapshot", s.state.size(), options_.max_snapshot_bytes);
    wal::file_header h = new_header(end_.batch + 1);
    return wal::write_snapshot(files(), directory_, h, s);
  }

  absl::Status accept(const persist& p, const wal::snapshot_place& place) {
    std::string error;
    if (p.number != number_ + 1) error = "after number " + std::to_string(number_);
    if (auto contradiction = live_.accept(p, place); contradiction && error.empty()) error = *contradiction;
    number_ = p.number;
    if (error.empty()) return absl::OkStatus();
    const std::string text = "persist " + std::to_string(p.number) + ": " + error;
    return absl::InvalidArgumentError(seawall::detail::to_absl(text));
  }

  absl::Status append(const std::string& payload, bool new_base) {
    const std::uint64_t length = wal::blocks_for(payload.size(), end_.header.block_bytes) + 1;
    const bool fits = end_.position + length + 1 <= end_.header.blocks;  // one for the mark behind it
    // A new root is written where at least as much can be removed as has to be written.
    const std::uint64_t worth = 2 * live_.bytes() + 2 * options_.segment_bytes;
    if (fits && !(new_base && segment_bytes() > worth)) return append_batch(payload);
    const std::uint64_t next = blocks_of_segment(payload) * options_.block_bytes;
    if (segment_bytes() + next > worth) return begin_segment(live_.checkpoint(), true);
    if (auto s = begin_segment(payload, false); !s.ok()) return s;
    return append_batch(payload);
  }

  absl::Status append_batch(const std::string& payload) {
    wal::block_header h;
    h.salt = end_.header.salt;
    h.batch = end_.batch + 1;
    h.epoch = epoch_;
    h.before = end_.sum;
    const std::size_t block_bytes = end_.header.block_bytes;
    const std::string bytes = wal::make_batch(h, end_.position, payload, block_bytes);
    if (auto s = end_.handle->write_at(end_.position * block_bytes, bytes); !s.ok()) return s;
    if (auto s = end_.handle->sync(); !s.ok()) return s;
    end_.batch = h.batch;
    end_.sum = h.sum;
    end_.position += bytes.size() / block_bytes;
    return mark(wal::block_kind::durable);
  }

  /// Behind the last batch, where the next one begins. Not synced: it costs a copy to memory, and says what
  /// the last batch cannot say of itself as soon as the system has written it back.
  absl::Status mark(wal::block_kind kind) {
    return end_.handle->write_at(end_.position * end_.header.block_bytes, mark_block(kind));
  }
  std::string mark_block(wal::block_kind kind) const {
    wal::block_header h;
    h.kind = kind;
    h.salt = end_.header.salt;
    h.batch = end_.batch;
    h.epoch = epoch_;
    h.sum = end_.sum;
    return wal::make_block(h, end_.position, {}, end_.header.block_bytes);
  }

  wal::file_header new_header(std::uint64_t number) {
    wal::file_header h;
    h.number = number;
    h.salt = salts_.next();
    h.block_bytes = options_.block_bytes;
    h.epoch = epoch_;
    h.owner = owner_;
    return h;
  }

  /// Of one with room for `payload` and the mark behind it.
  std::uint64_t blocks_of_segment(const std::string& payload) const noexcept {
    const std::uint64_t least =
        wal::header_blocks + wal::blocks_for(payload.size(), options_.block_bytes) + 2;
    return std::max(least, options_.segment_bytes / options_.block_bytes);
  }

  /// A root holds `payload`, a checkpoint, from the start; it is durable when this returns. Another one has
  /// room for it.
  absl::Status begin_segment(const std::string& payload, bool root) {
    wal::log_end next;
    next.header = new_header(segments_.empty() ? 1 : segments_.back().number + 1);
    next.header.root = root;
    next.header.first_batch = end_.batch + 1;
    next.header.before = end_.sum;
    next.header.blocks = blocks_of_segment(payload);
    next.path = wal::file_path(directory_, wal::file_kind::segment, next.header.number);
    next.batch = end_.batch;
    next.sum = end_.sum;
    std::string content;
    if (root) content = root_content(next, payload);
    if (auto s = wal::create_file(files(), directory_, next.header, content); !s.ok()) return s;
    auto handle = files().open(next.path);
    if (!handle.ok()) return handle.status();
    next.handle = *std::move(handle);
    if (!root) {
      // The old file says from now on that there is another one, which is not missed otherwise.
      if (auto s = mark(wal::block_kind::continued); !s.ok()) return s;
      if (auto s = end_.handle->sync(); !s.ok()) return s;
    }
    end_ = std::move(next);
    if (root) return remove_segments_before_end();
    note_segment();
    return absl::OkStatus();
  }

  std::string root_content(wal::log_end& end, const std::string& payload) const {
    wal::block_header h;
    h.salt = end.header.salt;
    h.batch = end.batch + 1;
    h.epoch = epoch_;
    h.before = end.sum;
    std::string content = wal::make_batch(h, end.position, payload, options_.block_bytes);
    end.batch = h.batch;
    end.sum = h.sum;
    end.position += content.size() / options_.block_bytes;
    return content;
  }

  void note_segment() {
    segments_.push_back({end_.header.number, end_.header.blocks * end_.header.block_bytes});
  }

  absl::Status remove_segments_before_end() {
    const std::vector<wal::segment> old = std::exchange(segments_, {});
    note_segment();
    if (auto s = mark(wal::block_kind::durable); !s.ok()) return s;
    for (const wal::segment& s : old) {
      if (auto removed = files().remove(wal::file_path(directory_, wal::file_kind::segment, s.number));
          !removed.ok())
        return removed;
    }
    return old.empty() ? absl::OkStatus() : files().sync_directory(directory_);
  }

  absl::Status remove_old_snapshot() {
    const std::uint64_t old = std::exchange(snapshot_number_, live_.base().file);
    if (old == 0 || old == snapshot_number_) return absl::OkStatus();
    if (auto s = files().remove(wal::file_path(directory_, wal::file_kind::snapshot, old)); !s.ok()) return s;
    return files().sync_directory(directory_);
  }

  static constexpr std::size_t most_payload = std::size_t{1} << 30U;

  std::string directory_;
  log_file_options options_;
  wal::identity owner_;
  std::unique_ptr<file> lock_;
  wal::live_log live_;
  std::vector<wal::segment> segments_;
  wal::log_end end_;
  std::uint32_t epoch_ = 0;
  random_source salts_{0};
  std::uint64_t snapshot_number_ = 0;
  std::uint64_t number_ = 0;  // of the last persist
  std::uint64_t batches_ = 0;
  absl::Status halted_;
};

struct opened_log {
  log_file log;
  stored_state state = {};
  log_file_recovery found = {};
};

inline absl::StatusOr<opened_log> log_file::open(std::string directory, log_file_options options) {
  if (const auto error = validate(options))
    return absl::InvalidArgumentError(seawall::detail::to_absl(error->text("log_file")));
  if (options.files == nullptr) options.files = &posix_file_system::instance();
  file_system& files = *options.files;
  if (auto s = files.make_directory(directory); !s.ok()) return s;
  auto lock = files.lock(directory + "/lock");
  if (!lock.ok()) return lock.status();
  const auto lock_bytes = (*lock)->size();
  if (!lock_bytes.ok()) return lock_bytes.status();
  const auto present = wal::take_inventory(files, directory);
  if (!present.ok()) return present.status();

  opened_log out{log_file(std::move(directory), std::move(options), *std::move(lock))};
  log_file& log = out.log;
  if (present->segments.empty()) {
    if (auto s = log.begin(*present, *lock_bytes); !s.ok()) return s;
  } else {
    auto read = wal::recovery(files, log.directory_, log.owner_).run(*present);
    if (!read.ok()) return read.status();
    out.found = read->report;
    out.state.base = std::move(read->base);
    log.take(*std::move(read));
    out.state.hard = log.live_.hard();
    out.state.entries.assign(log.live_.entries().begin(), log.live_.entries().end());
  }
  if (*lock_bytes == 0) {
    if (auto s = log.sign_lock(); !s.ok()) return s;
  }
  return out;
}

}  // namespace seawall::raft

#endif  // SEAWALL_ELECTION_LOG_FILE_HPP
