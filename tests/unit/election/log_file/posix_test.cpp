// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "seawall/election/log_file.hpp"
#include "seawall/election/log_file/posix_file_system.hpp"
#include "unit/support.hpp"
#include <doctest/doctest.h>

using namespace seawall::raft;
using seawall_test::contains;

namespace {

/// A directory that is gone with it.
struct scratch {
  scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "seawall-log-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~scratch() { std::filesystem::remove_all(path); }
  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;
  std::string path;
};

log_file_options options() {
  log_file_options o;
  o.node = 1;
  o.cluster = "posix";
  o.segment_bytes = 65536;
  return o;
}

persist numbered(std::uint64_t number, term_number term) {
  persist p;
  p.number = number;
  p.hard = hard_state{term, 1};
  p.append = {{.index = term, .term = term, .kind = entry_kind::command, .command = std::string(300, 'x')}};
  return p;
}

/// What a child process returns.
template <class Child>
int in_child(Child&& child) {
  const ::pid_t pid = ::fork();
  if (pid == 0) ::_exit(child());
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_CASE("log_file: on a real file system, through segments and snapshots") {
  const scratch dir;
  const std::string path = dir.path + "/a/b";
  for (std::uint64_t round = 0; round < 3; ++round) {
    auto log = log_file::open(path, options());
    REQUIRE_MESSAGE(log.ok(), log.status().ToString());
    CHECK(log->state.hard.term == round * 50);
    CHECK(log->state.base.index == (round == 0 ? 0 : round * 50 - 5));
    CHECK(log->state.entries.size() == (round == 0 ? 0 : 5));
    for (std::uint64_t n = 1; n <= 50; ++n)
      REQUIRE(log->log.write(std::vector<persist>{numbered(n, round * 50 + n)}).ok());
    persist p;
    p.number = 51;
    p.base =
        snapshot{.index = round * 50 + 45, .term = round * 50 + 45, .state = std::string(3'000'000, 's')};
    p.keep_entries = true;
    REQUIRE(log->log.write(std::vector<persist>{p}).ok());
  }
}

TEST_CASE("log_file: two cannot have one directory, in one process or in two") {
  const scratch dir;
  {
    const auto first = log_file::open(dir.path, options());
    REQUIRE(first.ok());
    const auto second = log_file::open(dir.path, options()).status();
    CHECK(second.code() == absl::StatusCode::kFailedPrecondition);
    CHECK(contains(second, dir.path + "/lock: another process has it"));
    CHECK(in_child([&] {
            const auto s = log_file::open(dir.path, options()).status();
            return s.code() == absl::StatusCode::kFailedPrecondition ? 17 : 1;
          }) == 17);
  }
  CHECK(in_child([&] { return log_file::open(dir.path, options()).ok() ? 18 : 1; }) == 18);
  CHECK(log_file::open(dir.path, options()).ok());
}

TEST_CASE("log_file: programs that this one starts do not inherit its files") {
  const scratch dir;
  const auto log = log_file::open(dir.path, options());
  REQUIRE(log.ok());
  std::size_t ours = 0;
  for (int fd = 3; fd < 256; ++fd) {
    std::error_code error;
    const auto target = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), error);
    if (error || !contains(target.string(), dir.path)) continue;
    ++ours;
    CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  }
  if (std::filesystem::exists("/proc/self/fd")) CHECK(ours == 2);
}

TEST_CASE("posix_file: what is written or read in parts goes on where it stopped, also after a signal") {
  const std::string text = "acknowledged";
  std::string disk(text.size() + 3, '.');
  // What each call does: so many bytes, or it is interrupted.
  const std::vector<int> calls{2, -EINTR, -EINTR, 1, 7, -EINTR, 2};
  std::size_t call = 0;
  const auto answer = [&](std::size_t most) -> ::ssize_t {
    REQUIRE(call < calls.size());
    const int n = calls[call++];
    if (n < 0) errno = -n;
    return n < 0 ? -1 : static_cast<::ssize_t>(std::min(most, static_cast<std::size_t>(n)));
  };
  const auto pwrite = [&](const char* from, std::size_t count, std::uint64_t at) {
    const ::ssize_t n = answer(count);
    if (n > 0) disk.replace(at, static_cast<std::size_t>(n), from, static_cast<std::size_t>(n));
    return n;
  };
  CHECK(wal::write_all("d/1.log", 3, text, pwrite).ok());
  CHECK(call == calls.size());
  CHECK(disk == "..." + text);

  call = 0;
  const auto pread = [&](char* into, std::size_t count, std::uint64_t at) {
    const ::ssize_t n = answer(count);
    if (n > 0) disk.copy(into, static_cast<std::size_t>(n), at);
    return n;
  };
  const auto read = wal::read_all("d/1.log", 3, text.size(), pread);
  REQUIRE(read.ok());
  CHECK(*read == text);
  CHECK(call == calls.size());
}

TEST_CASE("posix_file: a call that fails after a part, or does nothing, is an error with path and reason") {
  int calls = 0;
  const auto fails_with = [&](int error) {
    calls = 0;
    return [&calls, error](const char*, std::size_t, std::uint64_t) -> ::ssize_t {
      errno = error;
      return ++calls == 1 ? 3 : error == 0 ? 0 : -1;
    };
  };
  auto s = wal::write_all("d/1.log", 0, "acknowledged", fails_with(EIO));
  CHECK(contains(s, "write d/1.log: Input/output error"));
  CHECK(calls == 2);
  s = wal::write_all("d/1.log", 0, "acknowledged", fails_with(ENOSPC));
  CHECK(s.code() == absl::StatusCode::kResourceExhausted);
  s = wal::write_all("d/1.log", 0, "acknowledged", fails_with(0));
  CHECK(s.code() == absl::StatusCode::kResourceExhausted);
  const auto ends = [&](char*, std::size_t, std::uint64_t at) { return at < 5 ? 1 : 0; };
  CHECK(contains(wal::read_all("d/1.log", 2, 9, ends).status(), "read d/1.log: it ends at offset 5"));
}

TEST_CASE("posix_file: a full device, and one that cannot sync, are errors with path and reason") {
  auto full = posix_file_system::instance().open("/dev/full");
  if (!full.ok()) return;  // Linux has it
  const auto s = (*full)->write_at(0, "x");
  CHECK(s.code() == absl::StatusCode::kResourceExhausted);
  CHECK(contains(s, "write /dev/full: No space left on device"));
  CHECK(contains((*full)->sync(), "sync /dev/full: "));
}

TEST_CASE("log_file: a write for which there is no room says where and why") {
  const scratch dir;
  // A limit on the size of files stands in for a full disk.
  CHECK(in_child([&] {
          std::signal(SIGXFSZ, SIG_IGN);
          const ::rlimit most{40'000, 40'000};
          ::setrlimit(RLIMIT_FSIZE, &most);
          const auto s = log_file::open(dir.path, options()).status();
          if (s.ok() || !contains(s, "write " + dir.path + "/0000000000000001.log.tmp") ||
              !contains(s, "File too large"))
            return 1;
          return std::filesystem::exists(dir.path + "/0000000000000001.log.tmp") ? 2 : 19;
        }) == 19);
  CHECK(log_file::open(dir.path, options()).ok());
  CHECK(contains(log_file::open("/proc/nothing/here", options()).status(), "mkdir /proc/nothing"));
}

TEST_CASE(
    "log_file: a process that is killed in the middle of its writes loses nothing that it has acknowledged") {
  const scratch dir;
  std::uint64_t known = 0;
  for (int round = 0; round < 5; ++round) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const ::pid_t pid = ::fork();
    if (pid == 0) {
      auto log = log_file::open(dir.path, options());
      if (!log.ok()) ::_exit(1);
      const term_number start = log->state.hard.term;
      for (std::uint64_t n = 1; n < 100'000; ++n) {
        if (!log->log.write(std::vector<persist>{numbered(n, start + n)}).ok()) ::_exit(2);
        const std::uint64_t done = start + n;
        if (::write(ends[1], &done, sizeof done) != sizeof done) ::_exit(3);
      }
      ::_exit(4);
    }
    ::close(ends[1]);
    std::uint64_t done = 0;
    for (int i = 0; i < 40 && ::read(ends[0], &done, sizeof done) == sizeof done; ++i) known = done;
    ::kill(pid, SIGKILL);
    while (::read(ends[0], &done, sizeof done) == sizeof done) known = done;
    ::close(ends[0]);
    ::waitpid(pid, nullptr, 0);
    const auto log = log_file::open(dir.path, options());
    REQUIRE_MESSAGE(log.ok(), log.status().ToString());
    CHECK(log->state.hard.term >= known);
    CHECK(log->state.hard.term <= known + 1);
    CHECK(log->state.entries.size() == log->state.hard.term);
  }
}
