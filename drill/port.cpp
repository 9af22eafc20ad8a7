// SPDX-License-Identifier: Apache-2.0
#include "port.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <system_error>

namespace drill {

reserved_port::reserved_port() : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
  const auto check = [](bool ok, const char* what) {
    if (!ok) throw std::system_error(errno, std::generic_category(), what);
  };
  check(static_cast<bool>(socket_), "socket");
  ::fcntl(socket_.get(), F_SETFD, FD_CLOEXEC);
  allow_shared_port(socket_.get());

  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  check(::bind(socket_.get(), generic, size) == 0, "bind");
  check(::getsockname(socket_.get(), generic, &size) == 0, "getsockname");
  number_ = ntohs(address.sin_port);
}

void allow_shared_port(int socket) {
  const int yes = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes);
}

}  // namespace drill
