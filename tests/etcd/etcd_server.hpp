// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_ETCD_ETCD_SERVER_HPP
#define SEAWALL_TESTS_ETCD_ETCD_SERVER_HPP

// A real etcd cluster of the test's own: on free ports of the loopback interface, in folders that go with it. Its members end with the
// object, and with the test program if that is killed. And a way to ask it that shares nothing with the code under test.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/prctl.h>
#endif

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "seawall/adapt/etcd/base64.hpp"
#include "seawall/random.hpp"

namespace etcd_test {

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

inline sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

/// Below the ports that the kernel gives to outgoing connections: one of those would keep a server that was killed from
/// coming back, or connect a client to itself.
inline std::uint16_t free_port() {
  for (;;) {
    const auto port = static_cast<std::uint16_t>(12'000 + seawall::thread_random().up_to(18'000));
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = loopback(port);
    const bool is_free = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    ::close(fd);
    if (is_free) return port;
  }
}

/// A connection, a request, everything that comes until the other side closes; empty if nobody is there.
inline std::string http(std::uint16_t port, const std::string& request) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval patience{5, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const sockaddr_in address = loopback(port);
  std::string answer;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::send(fd, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size())) {
    char bytes[4096];
    for (ssize_t n = 0; (n = ::recv(fd, bytes, sizeof bytes, 0)) > 0;)
      answer.append(bytes, static_cast<std::size_t>(n));
  }
  ::close(fd);
  return answer;
}

class temporary_folder {
 public:
  temporary_folder() : path_((std::filesystem::temp_directory_path() / "seawall-etcd-XXXXXX").string()) {
    if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error("no folder for the server");
  }
  ~temporary_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// `heartbeat` and `election` as etcd's options of the name; with 20/200 a lease can be as short as a second.
struct cluster_settings {
  std::size_t members = 1;
  std::chrono::milliseconds heartbeat = 100ms;
  std::chrono::milliseconds election = 1000ms;
  std::string scheme = "http";            ///< of the clients
  std::vector<std::string> further = {};  ///< options of all members
};

class etcd_cluster {
 public:
  explicit etcd_cluster(cluster_settings s = {}) : settings_(std::move(s)) {
    // Somebody may be quicker.
    for (int tries = 0; tries < 20; ++tries) {
      members_.assign(settings_.members, {});
      for (member& m : members_) m.client_port = free_port(), m.peer_port = free_port();
      for (std::size_t i = 0; i < members_.size(); ++i) spawn(i, "new");
      if (came_up()) return;
      kill_all();
      for (std::size_t i = 0; i < members_.size(); ++i) std::filesystem::remove_all(data_of(i));
    }
    throw std::runtime_error("etcd does not come up");
  }
  ~etcd_cluster() { kill_all(); }
  etcd_cluster(const etcd_cluster&) = delete;
  etcd_cluster& operator=(const etcd_cluster&) = delete;

  std::size_t size() const { return members_.size(); }
  std::uint16_t port(std::size_t i = 0) const { return members_[i].client_port; }
  std::string endpoint(std::size_t i = 0) const {
    return settings_.scheme + "://127.0.0.1:" + std::to_string(port(i));
  }
  std::vector<std::string> endpoints() const {
    std::vector<std::string> all;
    for (std::size_t i = 0; i < size(); ++i) all.push_back(endpoint(i));
    return all;
  }

  /// As the machine's end: no farewell.
  void kill_now(std::size_t i = 0) {
    member& m = members_[i];
    if (m.pid <= 0) return;
    ::kill(m.pid, SIGKILL);
    ::waitpid(m.pid, nullptr, 0);
    m.pid = -1;
  }
  /// Stands still, when this returns, with all its connections open.
  void suspend(std::size_t i = 0) {
    ::kill(members_[i].pid, SIGSTOP);
    siginfo_t ignored;
    ::waitid(P_PID, static_cast<id_t>(members_[i].pid), &ignored, WSTOPPED | WEXITED | WNOWAIT);
  }
  void resume(std::size_t i = 0) { ::kill(members_[i].pid, SIGCONT); }
  /// Again, on the same ports, with what it had on disk.
  void restart(std::size_t i = 0) {
    kill_now(i);
    spawn(i, "existing");
  }

  /// The body of the answer of a member.
  std::string ask(const std::string& path, const std::string& body, std::size_t i = 0) const {
    const std::string answer =
        http(port(i), "POST " + path + " HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: " +
                          std::to_string(body.size()) + "\r\n\r\n" + body);
    const auto head = answer.find("\r\n\r\n");
    return head == std::string::npos ? "" : answer.substr(head + 4);
  }
  /// The value of a key; "-" if there is none.
  std::string get(const std::string& key, std::size_t i = 0) const {
    const std::string answer =
        ask("/v3/kv/range", "{\"key\":\"" + seawall::detail::to_base64(key) + "\"}", i);
    const std::string field = "\"value\":\"";
    const auto at = answer.find(field);
    if (at == std::string::npos) return "-";
    const auto begin = at + field.size();
    return seawall::detail::from_base64(answer.substr(begin, answer.find('"', begin) - begin)).value_or("?");
  }
  void erase(const std::string& key) const {
    ask("/v3/kv/deleterange", "{\"key\":\"" + seawall::detail::to_base64(key) + "\"}");
  }
  std::size_t leases() const {
    const std::string answer = ask("/v3/lease/leases", "{}");
    std::size_t n = 0;
    for (auto at = answer.find("\"ID\""); at != std::string::npos; at = answer.find("\"ID\"", at + 1)) ++n;
    return n;
  }
  /// The member that leads the cluster itself; `size()`: none.
  std::size_t leading_member() const {
    for (std::size_t i = 0; i < size(); ++i) {
      if (members_[i].pid <= 0) continue;
      const std::string s = ask("/v3/maintenance/status", "{}", i);
      const std::string id = field_of(s, "member_id");
      if (!id.empty() && id == field_of(s, "leader")) return i;
    }
    return size();
  }
  bool is_healthy(std::size_t i) const {
    if (settings_.scheme != "http") return is_listening(i);
    return http(port(i), "GET /health HTTP/1.0\r\n\r\n").find("\"true\"") != std::string::npos;
  }

 private:
  struct member {
    std::uint16_t client_port = 0;
    std::uint16_t peer_port = 0;
    pid_t pid = -1;
  };

  static std::string field_of(const std::string& json, const std::string& name) {
    const std::string field = "\"" + name + "\":\"";
    const auto at = json.find(field);
    if (at == std::string::npos) return "";
    return json.substr(at + field.size(), json.find('"', at + field.size()) - at - field.size());
  }
  std::string data_of(std::size_t i) const { return folder_.path() + "/m" + std::to_string(i); }
  std::string peer_url(std::size_t i) const {
    return "http://127.0.0.1:" + std::to_string(members_[i].peer_port);
  }
  bool is_listening(std::size_t i) const {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(port(i));
    const bool there = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    ::close(fd);
    return there;
  }

  void spawn(std::size_t i, const std::string& cluster_state) {
    std::string all;
    for (std::size_t k = 0; k < size(); ++k)
      all += (k == 0 ? "m" : ",m") + std::to_string(k) + "=" + peer_url(k);
    std::vector<std::string> words{SEAWALL_TEST_ETCD_SERVER,
                                   "--name=m" + std::to_string(i),
                                   "--data-dir=" + data_of(i),
                                   "--listen-client-urls=" + endpoint(i),
                                   "--advertise-client-urls=" + endpoint(i),
                                   "--listen-peer-urls=" + peer_url(i),
                                   "--initial-advertise-peer-urls=" + peer_url(i),
                                   "--initial-cluster=" + all,
                                   "--initial-cluster-state=" + cluster_state,
                                   "--heartbeat-interval=" + std::to_string(settings_.heartbeat.count()),
                                   "--election-timeout=" + std::to_string(settings_.election.count()),
                                   "--logger=zap",
                                   "--log-level=panic"};
    words.insert(words.end(), settings_.further.begin(), settings_.further.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) throw std::runtime_error("fork");
    if (pid == 0) become_server(argv, parent);
    members_[i].pid = pid;
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
    for (std::size_t i = 0; i < size(); ++i) {
      if (!eventually([&] { return has_ended(i) || is_healthy(i); }) || members_[i].pid <= 0) return false;
    }
    return true;
  }
  bool has_ended(std::size_t i) {
    if (::waitpid(members_[i].pid, nullptr, WNOHANG) != members_[i].pid) return false;
    members_[i].pid = -1;
    return true;
  }
  void kill_all() {
    for (std::size_t i = 0; i < members_.size(); ++i) kill_now(i);
  }

  const cluster_settings settings_;
  temporary_folder folder_;
  std::vector<member> members_;
};

}  // namespace etcd_test

#endif  // SEAWALL_TESTS_ETCD_ETCD_SERVER_HPP
