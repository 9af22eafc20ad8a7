// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_ELECTION_ROUTES_HPP
#define SEAWALL_TESTS_ELECTION_ROUTES_HPP

// The network between replicas on loopback: a port for each way from one to another, and a thread that carries bytes. A replica can
// be cut off: nothing arrives at it or from it, nobody is told, and what was sent meanwhile arrives when it is mended.

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <thread>
#include <utility>

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/error_code.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>

namespace raft_test {

class routes {
 public:
  using node = std::uint64_t;

  /// Each of `nodes` to each other one.
  explicit routes(const std::set<node>& nodes) {
    for (const node from : nodes) {
      cut_[from] = false;
      where_[from] = 0;
    }
    for (const node from : nodes) {
      for (const node to : nodes) {
        if (from != to) open({from, to});
      }
    }
    thread_ = std::thread([this] {
      const auto work = asio::make_work_guard(io_);
      io_.run();
    });
  }
  ~routes() {
    io_.stop();
    thread_.join();
  }
  routes(const routes&) = delete;
  routes& operator=(const routes&) = delete;

  std::uint16_t port(node from, node to) const { return ports_.at({from, to}); }
  /// Where a replica really is.
  void set_target(node to, std::uint16_t port) { where_.at(to) = port; }
  void cut_off(node n) { cut_.at(n) = true; }
  void mend(node n) { cut_.at(n) = false; }

 private:
  using tcp = asio::ip::tcp;
  using way = std::pair<node, node>;

  void open(way w) {
    auto acceptor = std::make_shared<tcp::acceptor>(io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    ports_[w] = acceptor->local_endpoint().port();
    asio::co_spawn(io_, accept(std::move(acceptor), w), asio::detached);
  }
  asio::awaitable<void> accept(std::shared_ptr<tcp::acceptor> acceptor, way w) {
    asio::steady_timer timer(io_);
    for (;;) {
      asio::error_code ec;
      auto in = std::make_shared<tcp::socket>(io_);
      co_await acceptor->async_accept(*in, asio::redirect_error(asio::use_awaitable, ec));
      if (ec) {  // of one connection, or of a process that is short of descriptors: the way stays open
        timer.expires_after(std::chrono::milliseconds(20));
        co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ec));
        continue;
      }
      auto out = std::make_shared<tcp::socket>(io_);
      const tcp::endpoint to(asio::ip::address_v4::loopback(), where_.at(w.second));
      co_await out->async_connect(to, asio::redirect_error(asio::use_awaitable, ec));
      if (ec) continue;
      for (auto* s : {&in, &out}) (*s)->set_option(tcp::no_delay(true), ec);
      asio::co_spawn(io_, carry(in, out, w), asio::detached);
      asio::co_spawn(io_, carry(out, in, w), asio::detached);
    }
  }
  asio::awaitable<void> carry(std::shared_ptr<tcp::socket> from, std::shared_ptr<tcp::socket> to, way w) {
    std::array<char, 16384> bytes;
    asio::error_code ec;
    asio::steady_timer timer(io_);
    while (!ec) {
      const std::size_t n =
          co_await from->async_read_some(asio::buffer(bytes), asio::redirect_error(asio::use_awaitable, ec));
      while (cut_.at(w.first) || cut_.at(w.second)) {
        timer.expires_after(std::chrono::milliseconds(2));
        asio::error_code ignored;
        co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      }
      if (!ec)
        co_await asio::async_write(*to, asio::buffer(bytes, n),
                                   asio::redirect_error(asio::use_awaitable, ec));
    }
    asio::error_code ignored;
    from->close(ignored);
    to->close(ignored);
  }

  asio::io_context io_{1};
  std::map<way, std::uint16_t> ports_;
  std::map<node, std::atomic<bool>> cut_;
  std::map<node, std::atomic<std::uint16_t>> where_;
  std::thread thread_;
};

}  // namespace raft_test

#endif  // SEAWALL_TESTS_ELECTION_ROUTES_HPP
