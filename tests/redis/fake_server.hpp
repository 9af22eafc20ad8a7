// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_REDIS_FAKE_SERVER_HPP
#define SEAWALL_TESTS_REDIS_FAKE_SERVER_HPP

// Accepts a connection as a Redis server does, answers PING as one, and everything else with what the test wants it to say.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace redis_test {

class fake_server {
 public:
  /// `pause` before each byte: a server that never stops talking, and never ends.
  explicit fake_server(std::string says, std::chrono::milliseconds pause = {})
      : says_(std::move(says)), pause_(pause), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_, generic, size) != 0 || ::listen(listener_, 8) != 0 ||
        ::getsockname(listener_, generic, &size) != 0)
      throw std::runtime_error("no fake server");
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~fake_server() {
    stop_ = true;
    thread_.join();
    ::close(listener_);
  }
  fake_server(const fake_server&) = delete;
  fake_server& operator=(const fake_server&) = delete;

  std::uint16_t port() const { return port_; }

 private:
  bool readable(int fd) const {
    while (!stop_) {
      pollfd watched{fd, POLLIN, 0};
      if (::poll(&watched, 1, 5) > 0) return true;
    }
    return false;
  }
  void serve() {
    while (readable(listener_)) {
      const int connection = ::accept(listener_, nullptr, nullptr);
      while (answer(connection)) {
      }
      ::close(connection);
    }
  }
  bool answer(int connection) const {
    std::array<char, 16'384> bytes;
    if (!readable(connection)) return false;
    const auto count = ::recv(connection, bytes.data(), bytes.size(), 0);
    if (count <= 0) return false;
    const std::string_view asked(bytes.data(), static_cast<std::size_t>(count));
    if (asked.find("PING") != std::string_view::npos) return send(connection, "+PONG\r\n");
    if (pause_.count() == 0) return send(connection, says_) && !says_.empty();
    for (const char c : says_) {
      if (stop_ || !send(connection, {&c, 1})) return false;
      std::this_thread::sleep_for(pause_);
    }
    return true;
  }
  static bool send(int connection, std::string_view bytes) {
    while (!bytes.empty()) {
      const auto sent = ::send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  const std::string says_;
  const std::chrono::milliseconds pause_;
  const int listener_;
  std::uint16_t port_ = 0;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace redis_test

#endif  // SEAWALL_TESTS_REDIS_FAKE_SERVER_HPP
