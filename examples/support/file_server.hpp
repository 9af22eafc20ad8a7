// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_EXAMPLES_SUPPORT_FILE_SERVER_HPP
#define SEAWALL_EXAMPLES_SUPPORT_FILE_SERVER_HPP

// Who keeps the file that only the leader may write to: the resource that fencing protects. And what is wrong with that file
// in the end, if anything is.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "seawall/election/fence.hpp"
#include <fmt/format.h>

/// A job that somebody has asked to have written into the file.
struct write_request {
  std::uint64_t job = 0;
  std::uint64_t token = 0;
  bool written = false;  ///< false: refused
};

/// Appends lines, "<job> <token>". Jobs are numbered; the next one is behind the last one in the file.
///
/// Thread safety: all functions.
class file_server {
 public:
  /// Without the fence it writes whatever it is asked to.
  file_server(const std::string& path, bool fenced)
      : fenced_(fenced), file_(open(path, O_APPEND)), newest_token_(open(path + ".token", 0)) {}
  ~file_server() {
    ::close(file_);
    ::close(newest_token_);
  }
  file_server(const file_server&) = delete;
  file_server& operator=(const file_server&) = delete;

  std::uint64_t next_job() const {
    const std::lock_guard lock(mutex_);
    return last_job_ + 1;
  }
  /// False: refused.
  bool write(std::uint64_t job, std::uint64_t token) {
    const std::lock_guard lock(mutex_);
    bool written = false;
    const auto append = [&] { written = append_line(fmt::format("{} {}\n", job, token)); };
    if (fenced_) {
      fence_.write(
          token, [this](std::uint64_t t) { return save_token(t); }, append);
    } else {
      append();
    }
    if (written) last_job_ = std::max(last_job_, job);
    requests_.push_back({job, token, written});
    return written;
  }
  /// What it was asked to write so far.
  std::vector<write_request> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  static int open(const std::string& path, int how) {
    return ::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC | how, 0600);
  }
  bool append_line(const std::string& line) {
    return ::write(file_, line.data(), line.size()) == static_cast<ssize_t>(line.size()) &&
           ::fsync(file_) == 0;
  }
  // In place: a newer one is not shorter.
  bool save_token(std::uint64_t token) {
    const std::string text = std::to_string(token);
    return ::pwrite(newest_token_, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()) &&
           ::fsync(newest_token_) == 0;
  }

  const bool fenced_;
  const int file_;
  const int newest_token_;
  mutable std::mutex mutex_;
  seawall::fence fence_;  // of a new file; else it would begin with what is in `newest_token_`
  std::uint64_t last_job_ = 0;
  std::vector<write_request> requests_;
};

/// Reads the file: each job must be there once, in order, and no token after a newer one. Says what is wrong.
inline bool is_in_order(const std::string& path) {
  std::ifstream file(path);
  std::map<std::uint64_t, std::uint64_t> token_of;  // by job
  std::uint64_t job = 0, token = 0, newest = 0;
  bool good = true;
  while (file >> job >> token) {
    const auto [before, is_new] = token_of.emplace(job, token);
    if (!is_new) {
      fmt::print("WRONG: job {} was written twice, under token {} and under {}\n", job, before->second,
                 token);
    } else if (job != token_of.size()) {
      fmt::print("WRONG: job {} was left out\n", token_of.size());
    }
    if (token < newest) fmt::print("WRONG: token {} wrote after {} had\n", token, newest);
    good = good && is_new && job == token_of.size() && token >= newest;
    newest = std::max(newest, token);
  }
  return good && !token_of.empty();
}

#endif  // SEAWALL_EXAMPLES_SUPPORT_FILE_SERVER_HPP
