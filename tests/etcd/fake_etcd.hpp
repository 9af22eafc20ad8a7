// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_ETCD_FAKE_ETCD_HPP
#define SEAWALL_TESTS_ETCD_FAKE_ETCD_HPP

// A server that answers what the test wants to requests for etcd: sound answers of an election without rivals, unless a path is
// given other ones. A watch that has no answer of its own stays open and silent.

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "etcd/etcd_server.hpp"

namespace etcd_test {

class fake_etcd {
 public:
  /// From the body of a request to the bytes of an answer, with its status line and its headers.
  using answering = std::function<std::string(const std::string& body)>;

  static std::string ok(const std::string& body) {
    return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + body;
  }
  /// The value of a field that is a string.
  static std::string field(const std::string& json, const std::string& name) {
    const auto at = json.find("\"" + name + "\":\"");
    if (at == std::string::npos) return "";
    const auto begin = at + name.size() + 4;
    return json.substr(begin, json.find('"', begin) - begin);
  }

  fake_etcd() {
    answers_["/v3/lease/grant"] = [this](const std::string& b) {
      const std::lock_guard<std::mutex> lock(mutex_);
      ttl_ = field(b, "TTL");
      return ok(R"({"header":{"revision":"5"},"ID":")" + field(b, "ID") + R"(","TTL":")" + ttl_ + "\"}");
    };
    answers_["/v3/lease/keepalive"] = [this](const std::string& b) {
      const std::lock_guard<std::mutex> lock(mutex_);
      return ok(R"({"result":{"header":{"revision":"5"},"ID":")" + field(b, "ID") + R"(","TTL":")" + ttl_ +
                "\"}}");
    };
    answers_["/v3/lease/revoke"] = [this](const std::string&) {
      const std::lock_guard<std::mutex> lock(mutex_);
      leader_ = "";
      return ok(R"({"header":{"revision":"5"}})");
    };
    answers_["/v3/kv/txn"] = [this](const std::string& b) { return transaction(b); };
    listening_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    if (::bind(listening_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::listen(listening_, 64) != 0 ||
        ::getsockname(listening_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      throw std::runtime_error("no port for the server");
    port_ = ntohs(address.sin_port);
    accepting_ = std::thread([this] { accept_all(); });
  }
  ~fake_etcd() {
    stop_ = true;
    ::shutdown(listening_, SHUT_RDWR);
    accepting_.join();
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
    }
    for (std::thread& t : threads_) t.join();
    ::close(listening_);
  }
  fake_etcd(const fake_etcd&) = delete;
  fake_etcd& operator=(const fake_etcd&) = delete;

  /// The leader's key, as of a revision.
  static std::string leader(const std::string& node, const std::string& revision, const std::string& lease) {
    return R"({"key":")" + seawall::detail::to_base64("seawall/election/orders/leader") +
           R"(","create_revision":")" + revision + R"(","mod_revision":")" + revision + R"(","value":")" +
           seawall::detail::to_base64(node) + R"(","lease":")" + lease + "\"}";
  }

  std::string endpoint() const { return "http://127.0.0.1:" + std::to_string(port_); }
  void answer(const std::string& path, answering a) {
    const std::lock_guard<std::mutex> lock(mutex_);
    answers_[path] = std::move(a);
  }
  /// To a watch, which stays open after it.
  void tell(const std::string& lines) {
    const std::lock_guard<std::mutex> lock(mutex_);
    answers_["/v3/watch"] = [lines](const std::string&) { return "HTTP/1.1 200 OK\r\n\r\n" + lines; };
    watch_stays_open_ = true;
  }
  int asked(const std::string& path) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = asked_.find(path);
    return found == asked_.end() ? 0 : found->second;
  }

 private:
  /// Nobody leads; whoever campaigns, wins; from then on it leads, until a lease is revoked.
  std::string transaction(const std::string& body) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const bool campaigns = body.find("request_put") != std::string::npos;
    const std::string revision = std::to_string(campaigns ? ++revision_ : revision_);
    const std::string begin = R"({"header":{"revision":")" + revision + "\"},";
    if (!campaigns) return ok(begin + R"("responses":[{"response_range":{"kvs":[)" + leader_ + "]}}]}");
    leader_ = leader("a", revision, field(body, "lease"));
    return ok(begin + R"("succeeded":true,"responses":[{"response_put":{}}]})");
  }

  void accept_all() {
    while (!stop_) {
      const int fd = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) continue;
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        open_.push_back(fd);
      }
      threads_.emplace_back([this, fd] { serve(fd); });
    }
  }
  void serve(int fd) {
    std::string request;
    std::size_t head = 0;
    char bytes[4096];
    while ((head = request.find("\r\n\r\n")) == std::string::npos ||
           request.size() < head + 4 + length_of(request)) {
      const ssize_t n = ::recv(fd, bytes, sizeof bytes, 0);
      if (n <= 0) return end(fd);
      request.append(bytes, static_cast<std::size_t>(n));
    }
    const std::string path = request.substr(5, request.find(' ', 5) - 5);
    answering a;
    bool stays = path == "/v3/watch";
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      ++asked_[path];
      const auto found = answers_.find(path);
      if (found != answers_.end()) a = found->second;
      stays = stays && (!a || watch_stays_open_);
    }
    const std::string answer = a ? a(request.substr(head + 4)) : "";
    for (std::size_t sent = 0; sent < answer.size() && !stop_;) {
      const ssize_t n = ::send(fd, answer.data() + sent, answer.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) break;
      sent += static_cast<std::size_t>(n);
    }
    while (stays && ::recv(fd, bytes, sizeof bytes, 0) > 0) {
    }
    end(fd);
  }
  static std::size_t length_of(const std::string& request) {
    const auto at = request.find("Content-Length: ");
    return at == std::string::npos ? 0 : std::stoul(request.substr(at + 16));
  }
  void end(int fd) {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::erase(open_, fd);
    ::close(fd);
  }

  int listening_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stop_{false};
  mutable std::mutex mutex_;
  std::map<std::string, answering> answers_;
  std::map<std::string, int> asked_;
  std::string leader_;  // its key; empty: none
  std::string ttl_;
  int revision_ = 5;
  bool watch_stays_open_ = false;
  std::vector<int> open_;
  std::vector<std::thread> threads_;  // the next one's, until it has ended
  std::thread accepting_;
};

}  // namespace etcd_test

#endif  // SEAWALL_TESTS_ETCD_FAKE_ETCD_HPP
