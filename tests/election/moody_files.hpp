// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_ELECTION_MOODY_FILES_HPP
#define SEAWALL_TESTS_ELECTION_MOODY_FILES_HPP

// The operating system's files, whose syncs can fail, or take as long as a test wants.

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "seawall/election/log_file/file_system.hpp"
#include "seawall/election/log_file/posix_file_system.hpp"

namespace raft_test {

class moody_files final : public seawall::raft::file_system {
 public:
  using file = seawall::raft::file;

  void fail() { failing_ = true; }
  void stall() {
    const std::lock_guard<std::mutex> lock(mutex_);
    stalled_ = true;
  }
  void go_on() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stalled_ = false;
    }
    moved_.notify_all();
  }

  absl::Status make_directory(const std::string& path) override { return real_.make_directory(path); }
  absl::StatusOr<std::vector<std::string>> list(const std::string& directory) override {
    return real_.list(directory);
  }
  absl::StatusOr<std::unique_ptr<file>> open(const std::string& path) override {
    return mine(real_.open(path));
  }
  absl::StatusOr<std::unique_ptr<file>> create(const std::string& path) override {
    return mine(real_.create(path));
  }
  absl::StatusOr<std::unique_ptr<file>> lock(const std::string& path) override {
    return mine(real_.lock(path));
  }
  absl::Status rename(const std::string& from, const std::string& to) override {
    return real_.rename(from, to);
  }
  absl::Status remove(const std::string& path) override { return real_.remove(path); }
  absl::Status sync_directory(const std::string& path) override { return real_.sync_directory(path); }

 private:
  class moody_file final : public file {
   public:
    moody_file(moody_files& of, std::unique_ptr<file> real) : of_(of), real_(std::move(real)) {}

    absl::Status write_at(std::uint64_t offset, std::string_view bytes) override {
      return real_->write_at(offset, bytes);
    }
    absl::StatusOr<std::string> read_at(std::uint64_t offset, std::size_t size) override {
      return real_->read_at(offset, size);
    }
    absl::StatusOr<std::uint64_t> size() override { return real_->size(); }
    absl::Status sync() override {
      std::unique_lock<std::mutex> lock(of_.mutex_);
      of_.moved_.wait(lock, [this] { return !of_.stalled_; });
      if (of_.failing_) return absl::DataLossError("the disk is gone");
      return real_->sync();
    }

   private:
    moody_files& of_;
    std::unique_ptr<file> real_;
  };

  absl::StatusOr<std::unique_ptr<file>> mine(absl::StatusOr<std::unique_ptr<file>> real) {
    if (!real.ok()) return real.status();
    return std::unique_ptr<file>(std::make_unique<moody_file>(*this, *std::move(real)));
  }

  seawall::raft::file_system& real_ = seawall::raft::posix_file_system::instance();
  std::mutex mutex_;
  std::condition_variable moved_;
  bool stalled_ = false;
  std::atomic<bool> failing_{false};
};

}  // namespace raft_test

#endif  // SEAWALL_TESTS_ELECTION_MOODY_FILES_HPP
