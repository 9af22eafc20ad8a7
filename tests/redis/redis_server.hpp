// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_REDIS_REDIS_SERVER_HPP
#define SEAWALL_TESTS_REDIS_REDIS_SERVER_HPP

// A real Redis server of the test's own: on a free port of the loopback interface, without persistence, in a folder that
// goes with it. It ends with the object, and with the test program if that is killed.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/prctl.h>
#endif

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "seawall/random.hpp"
#include <hiredis/hiredis.h>

namespace redis_test {

using namespace std::chrono_literals;

/// Looks until it is so; false after half a minute.
template <class Condition>
bool eventually(Condition so) {
  const auto until = std::chrono::steady_clock::now() + 30s;
  while (!so()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

/// Below the ports that the kernel gives to outgoing connections: one of those would keep a server that was killed from
/// coming back, or connect a client to itself.
inline std::uint16_t free_port() {
  for (;;) {
    const auto port = static_cast<std::uint16_t>(12'000 + seawall::thread_random().up_to(18'000));
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    const bool is_free = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    ::close(fd);
    if (is_free) return port;
  }
}

class redis_server {
 public:
  explicit redis_server(std::vector<std::string> settings = {}) : settings_(std::move(settings)) {
    std::string folder = (std::filesystem::temp_directory_path() / "seawall-redis-XXXXXX").string();
    if (::mkdtemp(folder.data()) == nullptr) throw std::runtime_error("no folder for the server");
    folder_ = folder;
    // Somebody may be quicker.
    for (int tries = 0; tries < 20; ++tries) {
      port_ = free_port();
      spawn();
      if (came_up()) return;
      kill_now();
    }
    throw std::runtime_error("redis-server does not come up");
  }
  ~redis_server() {
    kill_now();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  redis_server(const redis_server&) = delete;
  redis_server& operator=(const redis_server&) = delete;

  std::uint16_t port() const { return port_; }
  std::string socket_path() const { return folder_ + "/redis.sock"; }

  /// As the machine's end: no farewell.
  void kill_now() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  /// Stands still with all its connections open.
  void suspend() { ::kill(pid_, SIGSTOP); }
  void resume() { ::kill(pid_, SIGCONT); }
  /// Again, on the same port, knowing nothing.
  void restart() {
    kill_now();
    spawn();
    if (!came_up()) throw std::runtime_error("redis-server does not come back");
  }

  /// What it says to a command, in words: "PONG", "(nil)", "ERR ...".
  std::string ask(std::initializer_list<std::string> words) const {
    struct closing {
      void operator()(redisContext* c) const { redisFree(c); }
      void operator()(redisReply* r) const { freeReplyObject(r); }
    };
    const std::unique_ptr<redisContext, closing> connection(
        redisConnectWithTimeout("127.0.0.1", port_, timeval{5, 0}));
    if (!connection || connection->err != 0) return "no connection";
    redisSetTimeout(connection.get(), timeval{5, 0});
    std::unique_ptr<redisReply, closing> reply;
    if (!password_.empty()) reply.reset(send(connection.get(), {"AUTH", password_}));
    reply.reset(send(connection.get(), words));
    if (!reply) return "no answer";
    switch (reply->type) {
      case REDIS_REPLY_NIL: return "(nil)";
      case REDIS_REPLY_INTEGER: return std::to_string(reply->integer);
      case REDIS_REPLY_ARRAY: return std::to_string(reply->elements) + " elements";
      default: return std::string(reply->str, reply->len);
    }
  }
  void log_in_with(std::string password) { password_ = std::move(password); }

 private:
  static redisReply* send(redisContext* c, const std::vector<std::string>& words) {
    std::vector<const char*> starts;
    std::vector<std::size_t> sizes;
    for (const std::string& word : words) {
      starts.push_back(word.data());
      sizes.push_back(word.size());
    }
    return static_cast<redisReply*>(
        redisCommandArgv(c, static_cast<int>(words.size()), starts.data(), sizes.data()));
  }

  void spawn() {
    std::vector<std::string> words{SEAWALL_TEST_REDIS_SERVER,
                                   "--port",
                                   std::to_string(port_),
                                   "--bind",
                                   "127.0.0.1",
                                   "--save",
                                   "",
                                   "--appendonly",
                                   "no",
                                   "--dir",
                                   folder_,
                                   "--daemonize",
                                   "no",
                                   "--unixsocket",
                                   socket_path()};
    words.insert(words.end(), settings_.begin(), settings_.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0) throw std::runtime_error("fork");
    if (pid_ == 0) become_server(argv, parent);
  }
  // Between fork and exec: only what a signal handler may call.
  [[noreturn]] static void become_server(const std::vector<char*>& argv, pid_t parent) {
#if defined(__linux__)
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
#else
    static_cast<void>(parent);
#endif
    const int nowhere = ::open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; ++fd) ::dup2(nowhere, fd);
    for (int fd = 3; fd < 256; ++fd) ::close(fd);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }

  bool came_up() {
    return eventually([this] { return has_ended() || answers(); }) && pid_ > 0;
  }
  bool has_ended() {
    if (::waitpid(pid_, nullptr, WNOHANG) != pid_) return false;
    pid_ = -1;
    return true;
  }
  bool answers() const {
    const std::string said = ask({"PING"});
    return said == "PONG" || said.starts_with("NOAUTH");
  }

  std::vector<std::string> settings_;
  std::string folder_;
  std::string password_;
  std::uint16_t port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace redis_test

#endif  // SEAWALL_TESTS_REDIS_REDIS_SERVER_HPP
