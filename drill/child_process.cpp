// SPDX-License-Identifier: Apache-2.0
#include "child_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#if defined(__linux__)
#include <sys/prctl.h>
#elif defined(__APPLE__)
#include <mach-o/dyld.h>
#endif

#include <array>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

#include <fmt/format.h>

extern char** environ;

namespace drill {
namespace {

using std::chrono::milliseconds;

// Where a child finds its end of the channel.
constexpr int channel_fd = 3;

std::string this_program() {
#if defined(__APPLE__)
  std::array<char, 4096> path{};
  auto size = static_cast<std::uint32_t>(path.size());
  if (_NSGetExecutablePath(path.data(), &size) != 0) {
    throw std::runtime_error("the program's path is too long");
  }
  return path.data();
#else
  return "/proc/self/exe";
#endif
}

class spawn_settings {
 public:
  explicit spawn_settings(int inherited_fd) {
    ::posix_spawn_file_actions_init(&files_);
    ::posix_spawn_file_actions_adddup2(&files_, inherited_fd, channel_fd);
    sigset_t none;
    sigset_t defaulted;
    ::sigemptyset(&none);
    ::sigfillset(&defaulted);
    ::posix_spawnattr_init(&attributes_);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &defaulted);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~spawn_settings() {
    ::posix_spawnattr_destroy(&attributes_);
    ::posix_spawn_file_actions_destroy(&files_);
  }
  spawn_settings(const spawn_settings&) = delete;
  spawn_settings& operator=(const spawn_settings&) = delete;

  pid_t run(const std::string& program, std::vector<char*>& argv) const {
    pid_t pid = -1;
    const int error = ::posix_spawn(&pid, program.c_str(), &files_, &attributes_, argv.data(), environ);
    if (error != 0) throw std::system_error(error, std::generic_category(), "posix_spawn");
    return pid;
  }

 private:
  posix_spawn_file_actions_t files_;
  posix_spawnattr_t attributes_;
};

}  // namespace

child_process::child_process(child_process&& other) noexcept
    : name_(std::move(other.name_)),
      pid_(std::exchange(other.pid_, -1)),
      channel_(std::move(other.channel_)),
      asked_(other.asked_) {}

child_process& child_process::operator=(child_process&& other) noexcept {
  if (this == &other) return *this;
  end();
  name_ = std::move(other.name_);
  pid_ = std::exchange(other.pid_, -1);
  channel_ = std::move(other.channel_);
  asked_ = other.asked_;
  return *this;
}

child_process child_process::start(std::string name, const std::vector<std::string>& arguments) {
  auto [mine, theirs] = line_channel::make_pair();
  // dup2 onto itself would leave the descriptor closing on exec.
  const unique_fd inherited(::fcntl(theirs.get(), F_DUPFD_CLOEXEC, channel_fd + 1));
  theirs.reset();

  std::string program = this_program();
  std::vector<std::string> words{"seawall_drill"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  child_process child;
  child.name_ = std::move(name);
  child.pid_ = spawn_settings(inherited.get()).run(program, argv);
  child.channel_ = line_channel(std::move(mine));
  if (const auto word = child.channel_.read(milliseconds(10'000)); word != "ready") {
    throw std::runtime_error(
        fmt::format("{} did not come up: {}", child.name_, word.value_or("no word from it")));
  }
  return child;
}

std::optional<std::string> child_process::ask(std::string_view question, milliseconds patience) {
  if (!running()) return std::nullopt;
  const std::string number = fmt::format("{} ", ++asked_);
  if (!channel_.write(number + std::string(question))) return std::nullopt;
  const auto until = std::chrono::steady_clock::now() + patience;
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(until - std::chrono::steady_clock::now());
    auto line = channel_.read(std::max(left, milliseconds(0)));
    if (!line) return std::nullopt;
    if (line->starts_with(number)) return line->substr(number.size());
  }
}

void child_process::suspend() {
  if (running()) ::kill(pid_, SIGSTOP);
}

void child_process::resume() {
  if (running()) ::kill(pid_, SIGCONT);
}

void child_process::kill_now() {
  if (!running()) return;
  ::kill(pid_, SIGKILL);
  while (!gone_within(milliseconds(1000))) {
  }
}

void child_process::end() {
  if (!running()) return;
  ::kill(pid_, SIGTERM);
  ::kill(pid_, SIGCONT);  // a stopped process takes no SIGTERM
  if (!gone_within(milliseconds(1000))) kill_now();
}

bool child_process::gone_within(milliseconds patience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  for (;;) {
    const pid_t reaped = ::waitpid(pid_, nullptr, WNOHANG);
    if (reaped == pid_ || (reaped < 0 && errno == ECHILD)) {
      pid_ = -1;
      return true;
    }
    if (std::chrono::steady_clock::now() >= until) return false;
    std::this_thread::sleep_for(milliseconds(2));
  }
}

void serve_driver(const std::function<std::string(std::string_view)>& answer) {
  line_channel driver{unique_fd(channel_fd)};
  if (!driver.write("ready")) return;
  while (const auto line = driver.read(line_channel::for_ever)) {
    const std::size_t space = line->find(' ');
    if (space == std::string::npos) continue;
    const std::string_view question = std::string_view(*line).substr(space + 1);
    if (!driver.write(line->substr(0, space + 1) + answer(question))) return;
  }
}

void become_child() {
#if defined(__linux__)
  // For a child that is stopped when the driver is killed: it cannot notice the end of its life line.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
  ::signal(SIGINT, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);
  ::signal(SIGPIPE, SIG_IGN);
  // The driver's sockets may have been open to inheritance in the instant between their creation and
  // FD_CLOEXEC.
  for (int fd = channel_fd + 1; fd < 1024; ++fd) ::close(fd);
}

}  // namespace drill
