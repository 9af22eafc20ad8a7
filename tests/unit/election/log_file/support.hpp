// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_UNIT_ELECTION_LOG_FILE_SUPPORT_HPP
#define SEAWALL_TESTS_UNIT_ELECTION_LOG_FILE_SUPPORT_HPP

// A disk in memory that remembers every operation, so that it can lose power at each of them; and the slow,
// obvious model of what a log holds.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "seawall/election/log_file.hpp"
#include "seawall/election/log_file/file_system.hpp"
#include "seawall/election/raft_types.hpp"

namespace log_test {

using namespace seawall::raft;

constexpr std::size_t sector = 512;

/// Files by path.
using contents = std::map<std::string, std::string>;

struct operation {
  enum kind { write, sync, failed_sync, create, rename, remove, sync_directory } what = write;
  int inode = 0;
  std::uint64_t offset = 0;
  std::string bytes = {};
  std::string from = {};
  std::string to = {};
};

inline void put_at(std::string& content, std::uint64_t offset, std::string_view bytes) {
  if (content.size() < offset + bytes.size()) content.resize(offset + bytes.size(), '\0');
  content.replace(offset, bytes.size(), bytes);
}

class disk final : public file_system {
 public:
  disk() = default;
  explicit disk(const contents& files) {
    for (const auto& f : files) {
      inodes_.push_back(f.second);
      names_[f.first] = static_cast<int>(inodes_.size()) - 1;
    }
    start_names_ = names_;
    start_inodes_ = inodes_;
  }

  /// Operation number `n` fails with `error`; of a write, half is done or nothing.
  void fail_at(std::size_t n, absl::StatusCode error, bool half_done) {
    fail_at_ = n;
    fail_with_ = error;
    half_done_ = half_done;
  }
  /// Reads of these bytes give an error, until they are written.
  void make_unreadable(const std::string& path, std::uint64_t offset) {
    bad_.insert({names_.at(path), offset});
  }

  const std::vector<operation>& journal() const { return journal_; }
  contents now() const { return resolved(names_, inodes_); }

  /// What is there after a loss of power before operation `count`, of which `partial` bytes were written.
  /// `keeps` is asked for each sector that was not synced, and each name, whether it has reached the disk.
  using chooser = std::function<bool()>;
  contents after_crash(std::size_t count, std::size_t partial, const chooser& keeps) const {
    std::map<std::string, int> durable_names = start_names_;
    std::vector<std::string> durable = start_inodes_;
    std::vector<const operation*> pending;
    std::vector<const operation*> pending_names;
    durable.resize(inodes_.size());
    operation torn;
    for (std::size_t i = 0; i < count + (partial > 0 ? 1 : 0); ++i) {
      const operation* op = &journal_[i];
      if (i == count) {
        torn = *op;
        torn.bytes.resize(partial);
        op = &torn;
      }
      switch (op->what) {
        case operation::write: pending.push_back(op); break;
        case operation::sync:
        case operation::failed_sync: {
          // After a sync that has failed, the system takes for written what may not have been.
          const bool done = op->what == operation::sync;
          std::string& content = durable[static_cast<std::size_t>(op->inode)];
          for (const operation* w : pending) {
            if (w->inode == op->inode) apply_sectors(content, *w, done ? chooser(surely) : keeps);
          }
          std::erase_if(pending, [&](const operation* w) { return w->inode == op->inode; });
          break;
        }
        case operation::sync_directory:
          for (const operation* n : pending_names) apply_name(durable_names, *n);
          pending_names.clear();
          break;
        default: pending_names.push_back(op);
      }
    }
    for (const operation* n : pending_names) {
      if (keeps()) apply_name(durable_names, *n);
    }
    for (const operation* w : pending) apply_sectors(durable[static_cast<std::size_t>(w->inode)], *w, keeps);
    return resolved(durable_names, durable);
  }

  // file_system
  absl::Status make_directory(const std::string&) override { return absl::OkStatus(); }
  absl::StatusOr<std::vector<std::string>> list(const std::string& directory) override {
    std::vector<std::string> out;
    for (const auto& n : names_) {
      if (n.first.starts_with(directory + "/")) out.push_back(n.first.substr(directory.size() + 1));
    }
    return out;
  }
  absl::StatusOr<std::unique_ptr<file>> open(const std::string& path) override {
    const auto found = names_.find(path);
    if (found == names_.end()) return absl::NotFoundError("open " + path);
    return std::unique_ptr<file>(std::make_unique<handle>(*this, found->second, path));
  }
  absl::StatusOr<std::unique_ptr<file>> create(const std::string& path) override {
    if (auto s = may_fail(path); !s.ok()) return s;
    inodes_.emplace_back();
    const int inode = static_cast<int>(inodes_.size()) - 1;
    note({.what = operation::create, .inode = inode, .to = path});
    return open(path);
  }
  absl::StatusOr<std::unique_ptr<file>> lock(const std::string& path) override {
    if (!names_.contains(path)) return create(path);
    return open(path);
  }
  absl::Status rename(const std::string& from, const std::string& to) override {
    if (auto s = may_fail(from); !s.ok()) return s;
    note({.what = operation::rename, .from = from, .to = to});
    return absl::OkStatus();
  }
  absl::Status remove(const std::string& path) override {
    if (auto s = may_fail(path); !s.ok()) return s;
    note({.what = operation::remove, .from = path});
    return absl::OkStatus();
  }
  absl::Status sync_directory(const std::string& path) override {
    if (auto s = may_fail(path); !s.ok()) return s;
    note({.what = operation::sync_directory});
    return absl::OkStatus();
  }

 private:
  class handle final : public file {
   public:
    handle(disk& d, int inode, std::string path) : disk_(d), inode_(inode), path_(std::move(path)) {}
    absl::Status write_at(std::uint64_t offset, std::string_view bytes) override {
      const auto s = disk_.may_fail(path_);
      if (!s.ok() && disk_.half_done_) bytes = bytes.substr(0, bytes.size() / 2);
      if (s.ok() || disk_.half_done_) disk_.written(inode_, offset, bytes);
      return s;
    }
    absl::StatusOr<std::string> read_at(std::uint64_t offset, std::size_t size) override {
      const std::string& c = content();
      if (offset + size > c.size()) return absl::OutOfRangeError("read " + path_);
      for (const auto& b : disk_.bad_) {
        if (b.first == inode_ && b.second < offset + size && offset < b.second + sector)
          return absl::DataLossError("read " + path_ + ": Input/output error");
      }
      return c.substr(offset, size);
    }
    absl::StatusOr<std::uint64_t> size() override { return std::uint64_t{content().size()}; }
    absl::Status sync() override {
      const auto s = disk_.may_fail(path_);
      disk_.journal_.push_back({.what = s.ok() ? operation::sync : operation::failed_sync, .inode = inode_});
      return s;
    }

   private:
    std::string& content() { return disk_.inodes_[static_cast<std::size_t>(inode_)]; }
    disk& disk_;
    int inode_;
    std::string path_;
  };

  absl::Status may_fail(const std::string& path) {
    if (journal_.size() < fail_at_) return absl::OkStatus();
    fail_at_ = SIZE_MAX;
    return absl::Status(fail_with_, path + ": made to fail");
  }
  void note(operation op) {
    apply_name(names_, op);
    journal_.push_back(std::move(op));
  }
  void written(int inode, std::uint64_t offset, std::string_view bytes) {
    put_at(inodes_[static_cast<std::size_t>(inode)], offset, bytes);
    journal_.push_back(
        {.what = operation::write, .inode = inode, .offset = offset, .bytes = std::string(bytes)});
    for (auto b = bad_.begin(); b != bad_.end();) {
      const bool over = b->first == inode && b->second < offset + bytes.size() && offset < b->second + sector;
      b = over ? bad_.erase(b) : std::next(b);
    }
  }
  static void apply_name(std::map<std::string, int>& names, const operation& op) {
    if (op.what == operation::create) names[op.to] = op.inode;
    if (op.what == operation::remove) names.erase(op.from);
    if (op.what != operation::rename || !names.contains(op.from)) return;
    names[op.to] = names[op.from];
    names.erase(op.from);
  }
  static bool surely() { return true; }
  static void apply_sectors(std::string& content, const operation& w, const chooser& keeps) {
    for (std::size_t at = 0; at < w.bytes.size();) {
      const std::size_t end = std::min<std::size_t>(w.bytes.size(), at + sector - (w.offset + at) % sector);
      if (keeps()) put_at(content, w.offset + at, std::string_view(w.bytes).substr(at, end - at));
      at = end;
    }
  }
  static contents resolved(const std::map<std::string, int>& names, const std::vector<std::string>& inodes) {
    contents out;
    for (const auto& n : names) out[n.first] = inodes[static_cast<std::size_t>(n.second)];
    return out;
  }

  std::map<std::string, int> names_, start_names_;
  std::vector<std::string> inodes_, start_inodes_;
  std::vector<operation> journal_;
  std::set<std::pair<int, std::uint64_t>> bad_;
  std::size_t fail_at_ = SIZE_MAX;
  absl::StatusCode fail_with_ = absl::StatusCode::kUnknown;
  bool half_done_ = false;
};

/// What a log holds after `p`.
inline void apply(stored_state& s, const persist& p) {
  if (p.hard) s.hard = *p.hard;
  if (p.base) {
    std::vector<entry> kept;
    for (const entry& e : s.entries) {
      if (p.keep_entries && e.index > p.base->index) kept.push_back(e);
    }
    s.entries = kept;
    s.base = *p.base;
  }
  while (p.cut_from != 0 && !s.entries.empty() && s.entries.back().index >= p.cut_from) s.entries.pop_back();
  s.entries.insert(s.entries.end(), p.append.begin(), p.append.end());
}

inline bool same(const stored_state& a, const stored_state& b) {
  return a.hard == b.hard && a.base == b.base && a.entries == b.entries;
}

inline log_index last_index(const stored_state& s) { return s.base.index + s.entries.size(); }

inline std::string to_text(const stored_state& s) {
  return "term " + std::to_string(s.hard.term) + ", vote " + std::to_string(s.hard.vote) + ", base " +
         std::to_string(s.base.index) + ", last " + std::to_string(last_index(s));
}

/// Small, so that everything can be tried: blocks of a sector, segments of 16.
inline log_file_options small_options(file_system& files, std::uint32_t block_bytes = sector) {
  log_file_options o;
  o.node = 3;
  o.cluster = "orders";
  o.block_bytes = block_bytes;
  o.segment_bytes = 16 * block_bytes;
  o.max_log_bytes = 1 << 20U;
  o.seed = 7;
  o.files = &files;
  return o;
}

inline absl::StatusOr<opened_log> open(disk& d, std::uint32_t block_bytes = sector) {
  return log_file::open("d", small_options(d, block_bytes));
}

inline entry command(log_index index, term_number term, std::string text) {
  return {.index = index, .term = term, .kind = entry_kind::command, .command = std::move(text)};
}

/// A log in memory with its model beside it.
struct logger {
  explicit logger(disk& d, std::uint32_t block_bytes = sector) : log(open(d, block_bytes)) {
    if (log.ok()) model = log->state;
  }
  absl::Status write(std::vector<persist> all) {
    for (persist& p : all) {
      p.number = ++number;
      apply(model, p);
    }
    return log->log.write(all);
  }
  absl::Status write(persist p) { return write(std::vector<persist>{std::move(p)}); }

  absl::StatusOr<opened_log> log;
  stored_state model = {};
  std::uint64_t number = 0;
};

}  // namespace log_test

#endif  // SEAWALL_TESTS_UNIT_ELECTION_LOG_FILE_SUPPORT_HPP
