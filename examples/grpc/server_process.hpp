// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_EXAMPLES_GRPC_SERVER_PROCESS_HPP
#define SEAWALL_EXAMPLES_GRPC_SERVER_PROCESS_HPP

// A program that serves on a free port, in a process of its own: ended by its process id when this goes out of scope, and by
// the end of its standard input should this process be killed.

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

extern char** environ;

class server_process {
 public:
  /// Waits until it says which port it serves.
  explicit server_process(std::string program) {
    const pipe_ends input;
    pipe_ends output;
    posix_spawn_file_actions_t files;
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawn_file_actions_adddup2(&files, input.read, STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&files, output.write, STDOUT_FILENO);
    std::array<char*, 2> arguments = {program.data(), nullptr};
    const int error = ::posix_spawn(&pid_, program.c_str(), &files, nullptr, arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&files);
    if (error != 0) throw std::system_error(error, std::generic_category(), program);
    life_line_ = ::dup(input.write);
    ::fcntl(life_line_, F_SETFD, FD_CLOEXEC);
    output.close_write();  // so that reading ends if the server does
    port_ = std::atoi(read_line(output.read).c_str());
    if (port_ == 0) {
      end();
      throw std::runtime_error(program + " did not come up");
    }
  }
  server_process(const server_process&) = delete;
  server_process& operator=(const server_process&) = delete;
  ~server_process() { end(); }

  int port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  // Closed in the child: only what stands above is handed over.
  struct pipe_ends {
    pipe_ends() {
      std::array<int, 2> ends = {};
      if (::pipe(ends.data()) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
      for (const int end : ends) ::fcntl(end, F_SETFD, FD_CLOEXEC);
      read = ends[0];
      write = ends[1];
    }
    pipe_ends(const pipe_ends&) = delete;
    pipe_ends& operator=(const pipe_ends&) = delete;
    ~pipe_ends() {
      ::close(read);
      close_write();
    }
    void close_write() {
      if (write >= 0) ::close(std::exchange(write, -1));
    }

    int read = -1;
    int write = -1;
  };

  static std::string read_line(int from) {
    std::string line;
    for (char c = 0; ::read(from, &c, 1) == 1 && c != '\n';) line.push_back(c);
    return line;
  }

  void end() {
    ::kill(pid_, SIGTERM);
    for (int i = 0; ::waitpid(pid_, nullptr, WNOHANG) == 0; ++i) {
      if (i == 200) ::kill(pid_, SIGKILL);  // after two seconds
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ::close(life_line_);
  }

  pid_t pid_ = -1;
  int life_line_ = -1;  // the server's standard input
  int port_ = 0;
};

#endif  // SEAWALL_EXAMPLES_GRPC_SERVER_PROCESS_HPP
