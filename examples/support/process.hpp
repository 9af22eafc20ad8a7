// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_EXAMPLES_SUPPORT_PROCESS_HPP
#define SEAWALL_EXAMPLES_SUPPORT_PROCESS_HPP

// Programs in processes of their own, to be killed, stopped and asked to end, and a line to each of them. They do not outlive
// whoever has started them. And what goes with that: a folder that is removed, ports that nobody else takes.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/prctl.h>
#endif

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

[[noreturn]] inline void give_up(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

/// One end of a connection over which lines go. Both ends ignore SIGPIPE.
class line_socket {
 public:
  explicit line_socket(int fd) : fd_(fd) { ::signal(SIGPIPE, SIG_IGN); }
  ~line_socket() { ::close(fd_); }
  line_socket(const line_socket&) = delete;
  line_socket& operator=(const line_socket&) = delete;

  /// Nothing: the other end is gone.
  std::optional<std::string> read() {
    std::size_t end = 0;
    while ((end = unread_.find('\n')) == std::string::npos) {
      char bytes[512];
      const ssize_t n = ::read(fd_, bytes, sizeof bytes);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return std::nullopt;
      unread_.append(bytes, static_cast<std::size_t>(n));
    }
    std::string line = unread_.substr(0, end);
    unread_.erase(0, end + 1);
    return line;
  }
  bool write(const std::string& line) {
    const std::string bytes = line + "\n";
    return ::write(fd_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
  }

 private:
  const int fd_;
  std::string unread_;
};

class process {
 public:
  static constexpr int line_of_child = 3;  // its descriptor

  /// `words`: the program and its arguments. Call it on a thread that outlives the process: it ends with that one.
  explicit process(std::vector<std::string> words) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) give_up("socketpair");
    for (const int end : ends) ::fcntl(end, F_SETFD, FD_CLOEXEC);
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0) give_up("fork");
    if (pid_ == 0) become(arguments, ends[1], parent);
    ::close(ends[1]);
    line_.emplace(ends[0]);
  }
  ~process() { kill(); }
  process(const process&) = delete;
  process& operator=(const process&) = delete;

  line_socket& line() { return *line_; }
  /// kill -9: no farewell.
  void kill() {
    ask(SIGKILL);
    wait();
  }
  void ask_to_end() { ask(SIGTERM); }
  void wait() {
    while (pid_ > 0 && ::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
  }
  /// SIGSTOP: when it returns, the process stands still.
  void stop() {
    ask(SIGSTOP);
    while (pid_ > 0 && ::waitpid(pid_, nullptr, WUNTRACED) < 0 && errno == EINTR) {
    }
  }
  void go_on() { ask(SIGCONT); }

 private:
  // Between fork and exec: only what a signal handler may call.
  [[noreturn]] static void become(const std::vector<char*>& arguments, int line, pid_t parent) {
#if defined(__linux__)
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
#else
    static_cast<void>(parent);
#endif
    // Waited for by `wait_for_the_end`, in a program that has many threads.
    sigset_t term;
    ::sigemptyset(&term);
    ::sigaddset(&term, SIGTERM);
    ::sigprocmask(SIG_BLOCK, &term, nullptr);
    if (line == line_of_child) ::fcntl(line, F_SETFD, 0);  // dup2 would leave it as it is
    if (line != line_of_child) ::dup2(line, line_of_child);
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
  void ask(int signal) const {
    if (pid_ > 0) ::kill(pid_, signal);
  }

  pid_t pid_ = -1;
  std::optional<line_socket> line_;
};

/// In such a process: until it is asked to end.
inline void wait_for_the_end() {
  sigset_t term;
  ::sigemptyset(&term);
  ::sigaddset(&term, SIGTERM);
  int which = 0;
  ::sigwait(&term, &which);
}

class temporary_folder {
 public:
  temporary_folder() : path_((std::filesystem::temp_directory_path() / "seawall-XXXXXX").string()) {
    if (::mkdtemp(path_.data()) == nullptr) give_up(path_.c_str());
  }
  ~temporary_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

/// Ports of loopback on which processes of ours will listen, again and again: bound here meanwhile, so that nobody else is given
/// them. (Linux lets a socket listen beside one that is only bound, if both have SO_REUSEADDR.)
class reserved_ports {
 public:
  explicit reserved_ports(std::size_t count) {
    while (sockets_.size() < count) reserve();
#if !defined(__linux__)
    close_all();
#endif
  }
  ~reserved_ports() { close_all(); }
  reserved_ports(const reserved_ports&) = delete;
  reserved_ports& operator=(const reserved_ports&) = delete;

  std::string operator[](std::size_t i) const { return std::to_string(ports_[i]); }

 private:
  void reserve() {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0) give_up("socket");
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    sockets_.push_back(fd);
    const int yes = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), size) != 0) give_up("bind");
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) give_up("getsockname");
    ports_.push_back(ntohs(address.sin_port));
  }
  void close_all() {
    for (const int fd : sockets_) ::close(fd);
    sockets_.clear();
  }

  std::vector<int> sockets_;
  std::vector<std::uint16_t> ports_;
};

#endif  // SEAWALL_EXAMPLES_SUPPORT_PROCESS_HPP
