// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_LOG_FILE_POSIX_FILE_SYSTEM_HPP
#define SEAWALL_ELECTION_LOG_FILE_POSIX_FILE_SYSTEM_HPP

// The operating system's files. Short writes and interrupted calls go on where they stopped; everything else
// that fails is told with the path and the system's own words.

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "seawall/election/log_file/file_system.hpp"
#include "seawall/status.hpp"

namespace seawall::raft {

namespace wal {

/// "write /var/lib/orders/raft/3.log: No space left on device", with the code that stands for `error`.
inline absl::Status system_error(std::string_view call, const std::string& path, int error) {
  const std::string what = std::string(call) + " " + path;
  return absl::ErrnoToStatus(error, seawall::detail::to_absl(what));
}

/// Calls again what a signal has interrupted.
template <class Call>
auto uninterrupted(Call&& call) {
  while (true) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

inline constexpr std::size_t most_at_once = std::size_t{1} << 30U;  // Linux stops at 2 GiB less a page

/// Writes all of `bytes`, however little of them `pwrite(from, count, at)` takes at once.
template <class Pwrite>
absl::Status write_all(const std::string& path, std::uint64_t offset, std::string_view bytes,
                       Pwrite&& pwrite) {
  while (!bytes.empty()) {
    const auto n =
        uninterrupted([&] { return pwrite(bytes.data(), std::min(bytes.size(), most_at_once), offset); });
    if (n < 0) return system_error("write", path, errno);
    // POSIX does not say what that would mean; a full device is what it has meant.
    if (n == 0) return system_error("write", path, ENOSPC);
    bytes.remove_prefix(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return absl::OkStatus();
}

/// Exactly `size` bytes, however few `pread(into, count, at)` gives at once.
template <class Pread>
absl::StatusOr<std::string> read_all(const std::string& path, std::uint64_t offset, std::size_t size,
                                     Pread&& pread) {
  std::string bytes(size, '\0');
  std::size_t done = 0;
  while (done < size) {
    const auto n = uninterrupted(
        [&] { return pread(bytes.data() + done, std::min(size - done, most_at_once), offset + done); });
    if (n < 0) return system_error("read", path, errno);
    if (n == 0) {
      const std::string what = "read " + path + ": it ends at offset " + std::to_string(offset + done);
      return absl::OutOfRangeError(seawall::detail::to_absl(what));
    }
    done += static_cast<std::size_t>(n);
  }
  return bytes;
}

class posix_file final : public file {
 public:
  posix_file(int descriptor, std::string path) noexcept : descriptor_(descriptor), path_(std::move(path)) {}
  ~posix_file() override { ::close(descriptor_); }
  posix_file(const posix_file&) = delete;
  posix_file& operator=(const posix_file&) = delete;

  absl::Status write_at(std::uint64_t offset, std::string_view bytes) override {
    return write_all(path_, offset, bytes, [&](const char* from, std::size_t count, std::uint64_t at) {
      return ::pwrite(descriptor_, from, count, static_cast<::off_t>(at));
    });
  }

  absl::StatusOr<std::string> read_at(std::uint64_t offset, std::size_t size) override {
    return read_all(path_, offset, size, [&](char* into, std::size_t count, std::uint64_t at) {
      return ::pread(descriptor_, into, count, static_cast<::off_t>(at));
    });
  }

  absl::StatusOr<std::uint64_t> size() override {
    struct ::stat about = {};
    if (::fstat(descriptor_, &about) != 0) return system_error("stat", path_, errno);
    return static_cast<std::uint64_t>(about.st_size);
  }

  absl::Status sync() override {
#if defined(__APPLE__)
    const int result = ::fcntl(descriptor_, F_FULLFSYNC);  // its fsync leaves the data in the drive's cache
#else
    // Not called again when interrupted: that it is safe to is nowhere promised.
    const int result = ::fdatasync(descriptor_);
#endif
    return result == 0 ? absl::OkStatus() : system_error("sync", path_, errno);
  }

 private:
  const int descriptor_;
  const std::string path_;
};

}  // namespace wal

/// Thread safety: all functions, from any thread.
class posix_file_system final : public file_system {
 public:
  /// The one of this process.
  static posix_file_system& instance() {
    static posix_file_system only;
    return only;
  }

  absl::Status make_directory(const std::string& path) override {
    std::size_t end = 0;
    while (end != std::string::npos) {
      end = path.find('/', end + 1);
      const std::string part = path.substr(0, end);
      if (::mkdir(part.c_str(), 0700) == 0) {
        if (auto s = sync_directory(parent_of(part)); !s.ok()) return s;
      } else if (errno != EEXIST) {
        return wal::system_error("mkdir", part, errno);
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<std::string>> list(const std::string& directory) override {
    ::DIR* const open = ::opendir(directory.c_str());
    if (open == nullptr) return wal::system_error("opendir", directory, errno);
    std::vector<std::string> names;
    errno = 0;
    while (const ::dirent* const one = ::readdir(open)) {
      const std::string_view name = one->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    const int error = errno;
    ::closedir(open);
    if (error != 0) return wal::system_error("readdir", directory, error);
    return names;
  }

  absl::StatusOr<std::unique_ptr<file>> open(const std::string& path) override {
    return opened("open", path, O_RDWR);
  }
  absl::StatusOr<std::unique_ptr<file>> create(const std::string& path) override {
    return opened("create", path, O_RDWR | O_CREAT | O_TRUNC);
  }
  absl::StatusOr<std::unique_ptr<file>> lock(const std::string& path) override {
    // The descriptor is wanted for flock; the file takes it over afterwards.
    const int descriptor = descriptor_of(path, O_RDWR | O_CREAT);
    if (descriptor < 0) return wal::system_error("open", path, errno);
    std::unique_ptr<file> taken = std::make_unique<wal::posix_file>(descriptor, path);
    if (wal::uninterrupted([&] { return ::flock(descriptor, LOCK_EX | LOCK_NB); }) == 0) return taken;
    if (errno != EWOULDBLOCK) return wal::system_error("lock", path, errno);
    const std::string what = "lock " + path + ": another process has it";
    return absl::FailedPreconditionError(seawall::detail::to_absl(what));
  }

  absl::Status rename(const std::string& from, const std::string& to) override {
    return ::rename(from.c_str(), to.c_str()) == 0 ? absl::OkStatus()
                                                   : wal::system_error("rename", from, errno);
  }
  absl::Status remove(const std::string& path) override {
    return ::unlink(path.c_str()) == 0 ? absl::OkStatus() : wal::system_error("remove", path, errno);
  }
  absl::Status sync_directory(const std::string& path) override {
    const int descriptor = descriptor_of(path, O_RDONLY | O_DIRECTORY);
    if (descriptor < 0) return wal::system_error("open", path, errno);
    const int error = ::fsync(descriptor) == 0 ? 0 : errno;
    ::close(descriptor);
    return error == 0 ? absl::OkStatus() : wal::system_error("sync", path, error);
  }

 private:
  static int descriptor_of(const std::string& path, int flags) {
    return wal::uninterrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0600); });
  }
  static absl::StatusOr<std::unique_ptr<file>> opened(std::string_view call, const std::string& path,
                                                      int flags) {
    const int descriptor = descriptor_of(path, flags);
    if (descriptor < 0) return wal::system_error(call, path, errno);
    return std::unique_ptr<file>(std::make_unique<wal::posix_file>(descriptor, path));
  }
  static std::string parent_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
  }
};

}  // namespace seawall::raft

#endif  // SEAWALL_ELECTION_LOG_FILE_POSIX_FILE_SYSTEM_HPP
