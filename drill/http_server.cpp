// SPDX-License-Identifier: Apache-2.0
#include "http_server.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "port.hpp"
#include "unique_fd.hpp"
#include <fmt/format.h>

namespace drill {
namespace {

// Its type differs between versions of cpp-httplib.
using enqueued = decltype(std::declval<httplib::TaskQueue&>().enqueue({}));

/// A thread pool whose queue has an end. Waiting in `enqueue` holds up the accepting thread: that is the back
/// pressure.
class bounded_pool final : public httplib::TaskQueue {
 public:
  bounded_pool(std::size_t threads, std::size_t waiting) : pool_(threads), room_(waiting) {}

  enqueued enqueue(std::function<void()> serve) override {
    {
      std::unique_lock lock(mutex_);
      freed_.wait(lock, [this] { return room_ > 0; });
      --room_;
    }
    return enqueued(pool_.enqueue([this, serve = std::move(serve)] {
      give_back();
      serve();
    }));
  }

  void shutdown() override { pool_.shutdown(); }

 private:
  void give_back() {
    {
      const std::lock_guard lock(mutex_);
      ++room_;
    }
    freed_.notify_one();
  }

  httplib::ThreadPool pool_;
  std::mutex mutex_;
  std::condition_variable freed_;
  std::size_t room_;
};

/// Does `fd` belong to the connection from `peer_port` to `own_port`? Both ends are on this machine.
bool connects(int fd, int peer_port, int own_port) {
  sockaddr_in peer{};
  sockaddr_in own{};
  socklen_t size = sizeof peer;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return false;
  if (peer.sin_family != AF_INET || ntohs(peer.sin_port) != peer_port) return false;
  size = sizeof own;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size) != 0) return false;
  return ntohs(own.sin_port) == own_port;
}

}  // namespace

http_server::http_server(const http_server_limits& limits) : backlog_(limits.backlog) {
  new_task_queue = [limits] { return new bounded_pool(limits.threads, limits.waiting); };
  set_keep_alive_max_count(1);  // a connection for each request: an idle one would hold a thread
  set_tcp_nodelay(true);
  set_socket_options([](socket_t s) { allow_shared_port(s); });
}

void http_server::open(std::uint16_t port) {
  if (!bind_to_port("127.0.0.1", port)) {
    throw std::runtime_error(fmt::format("port {} cannot be bound", port));
  }
  // cpp-httplib has a backlog of 5, which a busy machine overruns in one time slice. Listening again changes
  // it.
  if (::listen(svr_sock_, backlog_) != 0) throw std::runtime_error("listen failed");
  port_ = port;
}

// cpp-httplib keeps the socket from its handlers, so look for it among those that are open. An unconnected
// socket put in its place closes the connection at once, with a reset since nothing may linger, and leaves
// the number to its owner.
void http_server::reset_connection(const httplib::Request& request) const {
  for (int fd = 3; fd < 1024; ++fd) {
    if (!connects(fd, request.remote_port, port_)) continue;
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    const unique_fd unconnected(::socket(AF_INET, SOCK_STREAM, 0));
    ::dup2(unconnected.get(), fd);
    return;
  }
}

}  // namespace drill
