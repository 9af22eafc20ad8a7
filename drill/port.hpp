// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_PORT_HPP
#define SEAWALL_DRILL_PORT_HPP

#include <cstdint>

#include "unique_fd.hpp"

namespace drill {

/// A loopback port chosen by the kernel and kept for a server that comes, goes and comes again.
///
/// Holds a socket that is bound and never listens. So a call to a dead server is refused, as it should be;
/// and while it is dead the kernel does not give its port to one of the many outgoing connections, which
/// would keep the new server from binding, or connect a caller to itself.
class reserved_port {
 public:
  /// Throws `std::system_error`.
  reserved_port();

  std::uint16_t number() const { return number_; }

 private:
  unique_fd socket_;
  std::uint16_t number_ = 0;
};

/// What a listener on a reserved port, and the reservation, must both have set before they bind.
void allow_shared_port(int socket);

}  // namespace drill

#endif  // SEAWALL_DRILL_PORT_HPP
