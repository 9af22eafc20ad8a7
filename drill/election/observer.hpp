// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_ELECTION_OBSERVER_HPP
#define SEAWALL_DRILL_ELECTION_OBSERVER_HPP

// Who stands outside, and keeps what the candidates say, in a process that no fault hits. Datagrams on a local
// socket: what a process has said stays said when it is killed, and none can be half a record.

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "drill/unique_fd.hpp"
#include "judge.hpp"
#include "record.hpp"

namespace drill::election {

/// Thread safety: all functions.
class observer {
 public:
  /// Listens at `path`. Throws `std::system_error`.
  explicit observer(std::string path);
  ~observer();
  observer(const observer&) = delete;
  observer& operator=(const observer&) = delete;

  const std::string& path() const { return path_; }
  std::vector<record> log() const;

  /// Who was seen last with the greatest token.
  std::optional<record> newest() const;
  /// The first of its kind, by its stamp, with a greater token. Nothing if none comes in time.
  std::optional<record> wait(record::kind what, std::uint64_t above, std::chrono::milliseconds patience);

 private:
  void run();

  const std::string path_;
  const unique_fd socket_;
  mutable std::mutex mutex_;
  std::condition_variable more_;
  std::vector<record> log_;
  std::thread thread_;
};

/// A candidate's way to it. Thread safety: all functions.
class reporter {
 public:
  /// Throws `std::system_error`.
  explicit reporter(const std::string& path);
  void say(const record& r) const;

 private:
  unique_fd socket_;
};

}  // namespace drill::election

#endif  // SEAWALL_DRILL_ELECTION_OBSERVER_HPP
