// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_LOG_FILE_FILE_SYSTEM_HPP
#define SEAWALL_ELECTION_LOG_FILE_FILE_SYSTEM_HPP

// The little that the log wants of a file system, so that one which loses power in the middle of a write, or
// has no room left, can stand in for the real one (posix_file_system.hpp).

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace seawall::raft {

/// An open file; closed by its destructor.
///
/// Errors: name the path and what the system said. Thread safety: one caller at a time.
class file {
 public:
  virtual ~file() = default;

  /// Writes all of `bytes`. After an error anything of it may have been written.
  virtual absl::Status write_at(std::uint64_t offset, std::string_view bytes) = 0;
  /// Exactly `size` bytes; an error if the file has fewer.
  virtual absl::StatusOr<std::string> read_at(std::uint64_t offset, std::size_t size) = 0;
  virtual absl::StatusOr<std::uint64_t> size() = 0;
  /// What was written before the call outlives a loss of power once it has returned OK. After an error nobody
  /// can say what is on the disk, and asking again tells a lie (Rebello et al.: "Can Applications Recover
  /// from fsync Failures?", ATC 2020).
  virtual absl::Status sync() = 0;
};

/// Paths are the system's own. Thread safety: one caller at a time for each directory.
class file_system {
 public:
  virtual ~file_system() = default;

  /// With its parents; one that is there already is left as it is.
  virtual absl::Status make_directory(const std::string& path) = 0;
  /// Names without the path, in any order.
  virtual absl::StatusOr<std::vector<std::string>> list(const std::string& directory) = 0;
  /// An existing file, to read and write.
  virtual absl::StatusOr<std::unique_ptr<file>> open(const std::string& path) = 0;
  /// An empty file; what was there under that name is gone.
  virtual absl::StatusOr<std::unique_ptr<file>> create(const std::string& path) = 0;
  /// Opens or creates, and keeps everybody else from locking it until it is closed. FAILED_PRECONDITION:
  /// somebody has it.
  virtual absl::StatusOr<std::unique_ptr<file>> lock(const std::string& path) = 0;
  /// Takes the place of `to`, if there is one, at once or not at all.
  virtual absl::Status rename(const std::string& from, const std::string& to) = 0;
  virtual absl::Status remove(const std::string& path) = 0;
  /// What was created, renamed or removed in it before the call outlives a loss of power.
  virtual absl::Status sync_directory(const std::string& path) = 0;
};

}  // namespace seawall::raft

#endif  // SEAWALL_ELECTION_LOG_FILE_FILE_SYSTEM_HPP
