// SPDX-License-Identifier: Apache-2.0
#ifndef EXAMPLES_SUPPORT_ASYNC_GET_QUOTE_HPP
#define EXAMPLES_SUPPORT_ASYNC_GET_QUOTE_HPP

// A client library in Asio's own style, for the server in quote_server.hpp. It knows nothing of seawall.

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include <asio/buffer.hpp>
#include <asio/compose.hpp>
#include <asio/error.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read_until.hpp>
#include <asio/write.hpp>

/// Connects, writes, reads.
/// One request: connects, writes, reads.
struct quote_request {
  struct connection {
    asio::ip::tcp::socket socket;
    asio::ip::tcp::endpoint server;
    std::string text = "GET EURUSD\n";
  };
  std::unique_ptr<connection> c;
  int step = 0;

  template <class Self>
  void operator()(Self& self, asio::error_code error = {}, std::size_t = 0) {
    if (error) return self.complete(error, 0);
    connection& here = *c;
    switch (step++) {
      case 0: return here.socket.async_connect(here.server, std::move(self));
      case 1: return asio::async_write(here.socket, asio::buffer(here.text), std::move(self));
      case 2:
        here.text.clear();
        return asio::async_read_until(here.socket, asio::dynamic_buffer(here.text), '\n', std::move(self));
    }
    if (!here.text.starts_with("200 ")) return self.complete(asio::error::try_again, 0);
    self.complete({}, std::stod(here.text.substr(4)));
  }
};

/// Completes with `void(asio::error_code, double)`.
template <class Token>
auto async_get_quote(asio::io_context& io, asio::ip::tcp::endpoint server, Token&& token) {
  auto c = std::make_unique<quote_request::connection>(asio::ip::tcp::socket(io), server);
  return asio::async_compose<Token, void(asio::error_code, double)>(quote_request{std::move(c)}, token, io);
}

#endif  // EXAMPLES_SUPPORT_ASYNC_GET_QUOTE_HPP
