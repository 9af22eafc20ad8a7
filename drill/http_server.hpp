// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_HTTP_SERVER_HPP
#define SEAWALL_DRILL_HTTP_SERVER_HPP

// cpp-httplib's server with the limits of a server in production made explicit: so many threads, so many
// accepted connections waiting for one, so many not yet accepted.

#include <httplib.h>

#include <cstddef>
#include <cstdint>

namespace drill {

struct http_server_limits {
  std::size_t threads = 64;
  std::size_t waiting = 128;  ///< accepted, no thread free yet; beyond it the server stops accepting
  int backlog = 128;          ///< connected by the kernel, not accepted yet; beyond it the kernel drops SYNs
};

class http_server : public httplib::Server {
 public:
  explicit http_server(const http_server_limits& limits);

  /// Binds and listens. Throws `std::runtime_error`. `listen_after_bind` then serves.
  void open(std::uint16_t port);

  /// For a handler: resets the connection it is answering, instead of answering.
  void reset_connection(const httplib::Request& request) const;

 private:
  int backlog_;
  std::uint16_t port_ = 0;
};

}  // namespace drill

#endif  // SEAWALL_DRILL_HTTP_SERVER_HPP
