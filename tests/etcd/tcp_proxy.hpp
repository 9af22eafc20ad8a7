// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_ETCD_TCP_PROXY_HPP
#define SEAWALL_TESTS_ETCD_TCP_PROXY_HPP

// The network between a client and its server, which can be cut: nothing goes through, nobody is told, and what was sent meanwhile
// arrives when it is mended. And which can lose the answers to certain requests.

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "etcd/etcd_server.hpp"

namespace etcd_test {

class tcp_proxy {
 public:
  explicit tcp_proxy(std::uint16_t to) : to_(to) {
    listening_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(listening_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    if (::bind(listening_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::listen(listening_, 64) != 0 ||
        ::getsockname(listening_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      throw std::runtime_error("no port for the proxy");
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~tcp_proxy() {
    stop_ = true;
    thread_.join();
    for (const auto& p : pairs_) close_pair(*p);
    ::close(listening_);
  }
  tcp_proxy(const tcp_proxy&) = delete;
  tcp_proxy& operator=(const tcp_proxy&) = delete;

  std::string endpoint() const { return "http://127.0.0.1:" + std::to_string(port_); }
  void cut() { cut_ = true; }
  void mend() { cut_ = false; }
  /// The next `times` requests that contain `text` arrive, and what the server answers is lost, nobody knows how.
  void lose_answers(std::string text, int times = 1) {
    const std::lock_guard<std::mutex> lock(mutex_);
    text_ = std::move(text);
    times_ = times;
  }
  /// The same, once, and it is cut at that moment.
  void lose_answer_and_cut(std::string text) {
    cuts_ = true;
    lose_answers(std::move(text));
  }
  int lost_answers() const { return lost_; }

 private:
  struct pair {
    int client = -1;
    int server = -1;
    bool loses = false;
    std::string seen = {};  // of the requests
  };

  static void close_pair(pair& p) {
    for (int* fd : {&p.client, &p.server}) {
      if (*fd >= 0) ::close(*fd);
      *fd = -1;
    }
  }

  void run() {
    while (!stop_) {
      if (cut_) {
        std::this_thread::sleep_for(1ms);
        continue;
      }
      std::vector<pollfd> fds{{listening_, POLLIN, 0}};
      for (const auto& p : pairs_) {
        fds.push_back({p->client, POLLIN, 0});
        fds.push_back({p->server, POLLIN, 0});
      }
      if (::poll(fds.data(), static_cast<nfds_t>(fds.size()), 2) <= 0 || cut_) continue;
      for (std::size_t i = 0; i < pairs_.size(); ++i) {
        pair& p = *pairs_[i];
        if (fds[1 + 2 * i].revents != 0 && !requests(p)) close_pair(p);
        if (p.server >= 0 && fds[2 + 2 * i].revents != 0 && !answers(p)) close_pair(p);
      }
      std::erase_if(pairs_, [](const auto& p) { return p->client < 0; });
      if (fds[0].revents != 0) accept_one();
    }
  }
  void accept_one() {
    auto p = std::make_unique<pair>();
    p->client = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
    p->server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(to_);
    if (::connect(p->server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      close_pair(*p);
    else
      pairs_.push_back(std::move(p));
  }
  static bool move_on(int to, const char* bytes, ssize_t n) {
    return ::send(to, bytes, static_cast<std::size_t>(n), MSG_NOSIGNAL) == n;
  }
  bool requests(pair& p) {
    std::array<char, 16384> bytes;
    const ssize_t n = ::recv(p.client, bytes.data(), bytes.size(), 0);
    if (n <= 0) return false;
    p.seen.append(bytes.data(), static_cast<std::size_t>(n));
    const std::lock_guard<std::mutex> lock(mutex_);
    if (times_ > 0 && p.seen.find(text_) != std::string::npos) {
      --times_;
      p.loses = true;
    }
    if (p.seen.size() > 65536) p.seen.clear();
    return move_on(p.server, bytes.data(), n);
  }
  bool answers(pair& p) {
    std::array<char, 16384> bytes;
    const ssize_t n = ::recv(p.server, bytes.data(), bytes.size(), 0);
    if (n <= 0) return false;
    p.seen.clear();
    if (!p.loses) return move_on(p.client, bytes.data(), n);
    if (cuts_.exchange(false)) cut_ = true;
    ++lost_;
    return true;
  }

  const std::uint16_t to_;
  std::uint16_t port_ = 0;
  int listening_ = -1;
  std::atomic<bool> cut_{false};
  std::atomic<bool> stop_{false};
  std::atomic<bool> cuts_{false};
  std::atomic<int> lost_{0};
  std::mutex mutex_;
  std::string text_;
  int times_ = 0;
  std::vector<std::unique_ptr<pair>> pairs_;  // the thread's
  std::thread thread_;
};

}  // namespace etcd_test

#endif  // SEAWALL_TESTS_ETCD_TCP_PROXY_HPP
