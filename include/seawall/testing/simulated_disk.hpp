// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTING_SIMULATED_DISK_HPP
#define SEAWALL_TESTING_SIMULATED_DISK_HPP

// A disk in virtual time that keeps only what it promised: writes and syncs take their time, the disk stalls, syncs fail, and
// when the power goes, of what was not synced each sector is there, or is not, or is torn. The same seed and the same calls
// give the same run. Files have names and bytes; no directories, no permissions, and no other process writes.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "seawall/exec/scheduler.hpp"
#include "seawall/options.hpp"
#include "seawall/random.hpp"
#include "seawall/testing/virtual_scheduler.hpp"
#include "seawall/time.hpp"

namespace seawall::testing {

struct disk_options {
  duration write_min = std::chrono::microseconds(10);  ///< also of a truncation; at least 0
  duration write_max = std::chrono::microseconds(50);  ///< uniform between the two; at least write_min
  duration sync_min = std::chrono::microseconds(200);  ///< at least 0
  duration sync_max = std::chrono::milliseconds(2);    ///< at least sync_min
  double slow = 0;  ///< share of the operations that take up to slow_max; 0 to 1
  duration slow_max = std::chrono::milliseconds(50);  ///< at least write_max and sync_max
  double failed_syncs = 0;                            ///< share of the syncs that fail; 0 to 1
  std::size_t sector_bytes = 512;  ///< what is written as a whole, or torn, by `power_loss`; at least 1
  double torn = 0.1;  ///< of unsynced sectors, at a loss of power: old bytes behind new ones; 0 to 1
  std::size_t max_under_way = 1024;                ///< operations; more are refused; at least 1
  std::size_t max_bytes = std::size_t{64} << 20U;  ///< of all files; at least 1
};

inline std::optional<option_error> validate(const disk_options& o) {
  const auto share = [](double v) { return seawall::detail::within(v, 0, 1); };
  const auto count = [](std::size_t n) { return static_cast<std::uint64_t>(n); };
  return option_checks()
      .require(o.write_min >= duration::zero(), "write_min", o.write_min, "must be at least 0")
      .require(o.write_max >= o.write_min, "write_max", o.write_max, "must be at least write_min")
      .require(o.sync_min >= duration::zero(), "sync_min", o.sync_min, "must be at least 0")
      .require(o.sync_max >= o.sync_min, "sync_max", o.sync_max, "must be at least sync_min")
      .require(share(o.slow), "slow", o.slow, "must be 0 to 1")
      .require(o.slow_max >= std::max(o.write_max, o.sync_max), "slow_max", o.slow_max,
               "must be at least write_max and sync_max")
      .require(share(o.failed_syncs), "failed_syncs", o.failed_syncs, "must be 0 to 1")
      .require(o.sector_bytes >= 1, "sector_bytes", count(o.sector_bytes), "must be at least 1")
      .require(share(o.torn), "torn", o.torn, "must be 0 to 1")
      .require(o.max_under_way >= 1, "max_under_way", count(o.max_under_way), "must be at least 1")
      .require(o.max_bytes >= 1, "max_bytes", count(o.max_bytes), "must be at least 1")
      .result();
}

enum class disk_answer : std::uint8_t {
  done,
  failed,  ///< of a sync: whatever was not synced before may or may not be on the medium, now and later
  full,    ///< beyond max_bytes; nothing was written
};

/// Operations are carried out one after another, in the order in which they were asked for. They return false, and nothing is
/// done nor `done` called, if max_under_way is reached.
///
/// After a failed sync the files still read as written, and the next sync says `done`, as Linux's does; what was to be synced is on
/// the medium only by chance. A service that goes on after it loses data when the power goes.
///
/// Thread safety: none; virtual time has one thread. Lifetime: the scheduler outlives it; operations under way when it dies are
/// forgotten. Cost: memory twice the size of the files.
class simulated_disk {
 public:
  /// Called once, never from inside the operation's own call; not at all for what a crash forgets.
  using completion = std::function<void(disk_answer)>;

  /// Refuses bad options, as a policy does.
  simulated_disk(virtual_scheduler& on, std::uint64_t seed, disk_options o = {})
      : scheduler_(on), random_(seed), options_(checked("simulated_disk", o)), work_(*this) {}
  simulated_disk(const simulated_disk&) = delete;
  simulated_disk& operator=(const simulated_disk&) = delete;
  ~simulated_disk() { scheduler_.cancel(timer_); }

  /// Makes the file where there is none; a gap before `offset` reads as zeros.
  [[nodiscard]] bool write(std::string_view file, std::uint64_t offset, std::string bytes, completion done) {
    return ask({kind::write, std::string(file), offset, std::move(bytes), std::move(done)});
  }
  /// Behind the end that the file has when its turn comes.
  [[nodiscard]] bool append(std::string_view file, std::string bytes, completion done) {
    return ask({kind::append, std::string(file), 0, std::move(bytes), std::move(done)});
  }
  /// What is cut off is gone for those who read, and comes back at most when the power goes.
  [[nodiscard]] bool truncate(std::string_view file, std::uint64_t size, completion done) {
    return ask({kind::truncate, std::string(file), size, {}, std::move(done)});
  }
  /// All that was written to `file` before survives a loss of power, if the answer is `done`.
  [[nodiscard]] bool sync(std::string_view file, completion done) {
    return ask({kind::sync, std::string(file), 0, {}, std::move(done)});
  }
  /// At once, on the medium as well: what a file system does when a file is renamed over another one and the directory synced.
  void replace(std::string_view file, std::string bytes) {
    stored& f = files_[std::string(file)];
    bytes_ = bytes_ - f.cached.size() + bytes.size();
    f.medium = f.cached = std::move(bytes);
    f.unsynced.clear();
  }

  /// As a program that runs now reads it. Empty where there is none.
  std::string_view contents(std::string_view file) const {
    const auto found = files_.find(file);
    return found == files_.end() ? std::string_view() : found->second.cached;
  }

  /// Until then nothing is completed. Extends a stall, does not shorten it.
  void stall_until(instant t) { stalled_until_ = std::max(stalled_until_, t); }
  void stall_for(duration d) { stall_until(scheduler_.now() + d); }
  /// Ends a stall.
  void go_on() {
    stalled_until_ = scheduler_.now();
    if (!queue_.empty() && scheduler_.cancel(timer_)) begin();
  }
  /// Counts for what is begun from now on.
  void set_options(disk_options o) { options_ = checked("simulated_disk", o); }
  /// The next so many syncs fail.
  void fail_syncs(std::uint64_t count) { to_fail_ = count; }

  /// The process dies: operations under way are forgotten, carried out or not; what was written stays.
  void process_loss() {
    queue_.clear();
    scheduler_.cancel(timer_);
  }
  /// The machine dies: besides, what was not synced stays, is lost or is torn, sector by sector.
  void power_loss() {
    // The one under way may have got as far as the cache, and from there to the medium.
    if (!queue_.empty() && queue_.front().what != kind::sync && random_.up_to(1) == 0)
      carry_out(queue_.front());
    process_loss();
    for (auto& [name, f] : files_) lose(f);
  }

  std::size_t under_way() const noexcept { return queue_.size(); }
  std::uint64_t syncs() const noexcept { return syncs_; }

 private:
  enum class kind : std::uint8_t { write, append, truncate, sync };
  struct operation {
    kind what;
    std::string file;
    std::uint64_t at;
    std::string bytes;
    completion done;
  };
  struct stored {
    std::string medium;              // what a loss of power leaves, if it takes all else
    std::string cached;              // what is read
    std::set<std::size_t> unsynced;  // sectors of `cached` that a sync would write
  };
  struct worker final : task {
    explicit worker(simulated_disk& d)
        : task([](task& t, outcome how) {
            if (how == outcome::run) static_cast<worker&>(t).disk.finish();
          }),
          disk(d) {}
    simulated_disk& disk;
  };

  duration between(duration least, duration most) {
    return least + duration::from_ns(static_cast<std::int64_t>(
                       random_.up_to(static_cast<std::uint64_t>((most - least).ns()))));
  }
  bool draw(double share) { return share > 0 && random_.unit() < share; }

  bool ask(operation o) {
    if (queue_.size() >= options_.max_under_way) return false;
    queue_.push_back(std::move(o));
    if (queue_.size() == 1) begin();
    return true;
  }
  void begin() {
    const bool syncs = queue_.front().what == kind::sync;
    const duration usual = syncs ? between(options_.sync_min, options_.sync_max)
                                 : between(options_.write_min, options_.write_max);
    const duration takes = draw(options_.slow) ? between(usual, options_.slow_max) : usual;
    scheduler_.schedule_at(std::max(scheduler_.now(), stalled_until_) + takes, timer_, work_);
  }
  void finish() {
    if (scheduler_.now() < stalled_until_) {
      scheduler_.schedule_at(stalled_until_, timer_, work_);
      return;
    }
    const operation o = std::move(queue_.front());
    queue_.pop_front();
    const disk_answer answer = carry_out(o);
    if (!queue_.empty()) begin();
    if (o.done) o.done(answer);
  }

  disk_answer carry_out(const operation& o) {
    stored& f = files_[o.file];
    switch (o.what) {
      case kind::write: return put(f, o.at, o.bytes);
      case kind::append: return put(f, f.cached.size(), o.bytes);
      case kind::truncate: return cut(f, o.at);
      case kind::sync: break;
    }
    ++syncs_;
    if (to_fail_ > 0 || draw(options_.failed_syncs)) return fail(f);
    for (const std::size_t sector : f.unsynced) keep(f, sector);
    f.medium.resize(f.cached.size());
    f.unsynced.clear();
    return disk_answer::done;
  }

  disk_answer put(stored& f, std::uint64_t at, const std::string& bytes) {
    const std::size_t before = f.cached.size();
    if (at > options_.max_bytes || bytes.size() > options_.max_bytes - at) return disk_answer::full;
    const std::size_t end = std::max(before, static_cast<std::size_t>(at) + bytes.size());
    if (bytes_ + (end - before) > options_.max_bytes) return disk_answer::full;
    bytes_ += end - before;
    f.cached.resize(end);
    std::copy(bytes.begin(), bytes.end(), f.cached.begin() + static_cast<std::ptrdiff_t>(at));
    touch(f, std::min(before, static_cast<std::size_t>(at)), static_cast<std::size_t>(at) + bytes.size());
    return disk_answer::done;
  }
  disk_answer cut(stored& f, std::uint64_t size) {
    const std::size_t before = f.cached.size();
    if (size > before) return put(f, size, {});
    bytes_ -= before - size;
    f.cached.resize(size);
    f.unsynced.erase(f.unsynced.lower_bound((size + options_.sector_bytes - 1) / options_.sector_bytes),
                     f.unsynced.end());
    touch(f, size, size + 1);
    return disk_answer::done;
  }
  void touch(stored& f, std::size_t begin, std::size_t end) {
    end = std::min(end, f.cached.size());
    for (std::size_t s = begin / options_.sector_bytes; s * options_.sector_bytes < end; ++s)
      f.unsynced.insert(f.unsynced.end(), s);
  }

  // So many bytes of the sector reach the medium.
  void keep(stored& f, std::size_t sector, std::size_t length = std::string::npos) {
    const std::size_t begin = sector * options_.sector_bytes;
    const std::size_t end = std::min(f.cached.size(), begin + std::min(length, options_.sector_bytes));
    if (end > f.medium.size()) f.medium.resize(end);
    std::copy(f.cached.begin() + static_cast<std::ptrdiff_t>(begin),
              f.cached.begin() + static_cast<std::ptrdiff_t>(end),
              f.medium.begin() + static_cast<std::ptrdiff_t>(begin));
  }
  disk_answer fail(stored& f) {
    if (to_fail_ > 0) --to_fail_;
    for (const std::size_t sector : f.unsynced) {
      if (random_.up_to(1) == 0) keep(f, sector);
    }
    f.unsynced.clear();
    return disk_answer::failed;
  }
  void lose(stored& f) {
    // Sectors and the file's length reach the medium each by itself.
    std::size_t size = f.medium.size();
    if (size != f.cached.size()) {
      const std::size_t least = std::min(size, f.cached.size()), most = std::max(size, f.cached.size());
      const std::size_t somewhere[] = {least, most,
                                       least + static_cast<std::size_t>(random_.up_to(most - least))};
      size = somewhere[random_.up_to(2)];
    }
    for (const std::size_t sector : f.unsynced) {
      if (draw(options_.torn)) {
        keep(f, sector, static_cast<std::size_t>(random_.up_to(options_.sector_bytes)));
      } else if (random_.up_to(1) == 0) {
        keep(f, sector);
      }
    }
    f.medium.resize(size);
    bytes_ = bytes_ - f.cached.size() + size;
    f.cached = f.medium;
    f.unsynced.clear();
  }

  virtual_scheduler& scheduler_;
  random_source random_;
  disk_options options_;
  worker work_;
  virtual_scheduler::timer timer_;
  std::deque<operation> queue_;
  std::map<std::string, stored, std::less<>> files_;
  instant stalled_until_;
  std::size_t bytes_ = 0;
  std::uint64_t to_fail_ = 0;
  std::uint64_t syncs_ = 0;
};

}  // namespace seawall::testing

#endif  // SEAWALL_TESTING_SIMULATED_DISK_HPP
