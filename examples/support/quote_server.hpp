// SPDX-License-Identifier: Apache-2.0
#ifndef EXAMPLES_SUPPORT_QUOTE_SERVER_HPP
#define EXAMPLES_SUPPORT_QUOTE_SERVER_HPP

// A TCP server on loopback, in this process: "GET <symbol>\n" is answered with "200 <price>\n". It is not well: what it does
// with its first requests is written in `ails`: 'f' fails (503), 'h' hangs, 'c' closes the connection.

#include <cstddef>
#include <string>
#include <utility>

#include <asio/awaitable.hpp>
#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read_until.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>

class quote_server {
 public:
  quote_server(asio::io_context& io, std::string ails)
      : acceptor_(io, {asio::ip::address_v4::loopback(), 0}), ails_(std::move(ails)) {
    asio::co_spawn(io, accept(), asio::detached);
  }
  asio::ip::tcp::endpoint endpoint() const { return acceptor_.local_endpoint(); }
  std::size_t requests() const { return requests_; }
  void stop() { acceptor_.close(); }

 private:
  asio::awaitable<void> accept() {
    for (;;) {
      auto socket = co_await acceptor_.async_accept(asio::use_awaitable);
      const auto executor = socket.get_executor();
      asio::co_spawn(executor, serve(std::move(socket)), asio::detached);
    }
  }
  asio::awaitable<void> serve(asio::ip::tcp::socket socket) {
    std::string request;
    co_await asio::async_read_until(socket, asio::dynamic_buffer(request), '\n', asio::use_awaitable);
    const std::size_t number = requests_++;
    const char how = number < ails_.size() ? ails_[number] : ' ';
    if (how == 'c') co_return;
    // Until the client has gone.
    if (how == 'h')
      co_await asio::async_read_until(socket, asio::dynamic_buffer(request), "never", asio::use_awaitable);
    const std::string answer = how == 'f' ? "503 overloaded\n" : "200 1.0842\n";
    co_await asio::async_write(socket, asio::buffer(answer), asio::use_awaitable);
  }

  asio::ip::tcp::acceptor acceptor_;
  std::string ails_;
  std::size_t requests_ = 0;
};

#endif  // EXAMPLES_SUPPORT_QUOTE_SERVER_HPP
