// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_ELECTION_SUPPORT_HPP
#define SEAWALL_TESTS_ELECTION_SUPPORT_HPP

// Members on free ports of the loopback interface, each with a context and a thread of its own, and somebody who talks to
// them in raw bytes.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "election/certificates.hpp"
#include "seawall/core/mutex.hpp"
#include "seawall/election/transport.hpp"
#include <asio/buffer.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read.hpp>
#include <asio/ssl.hpp>
#include <asio/write.hpp>

namespace election_test {

using namespace std::chrono_literals;
using namespace seawall::raft;
using seawall::duration;
using seawall::option_error;
using tcp = asio::ip::tcp;

/// Looks until it is so; false after half a minute.
template <class Condition>
bool eventually(Condition so) {
  const auto until = std::chrono::steady_clock::now() + 30s;
  while (!so()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

inline std::string identity_of(node_id id) { return "DNS:node-" + std::to_string(id) + ".example"; }

/// Enough of a machine for the time-outs of a busy one; tests of time-outs have their own.
inline transport_options options_of(node_id self) {
  return {.name = "test", .self = self, .cluster = "c", .handshake_timeout = 10s, .idle_timeout = 10s};
}
inline transport_options secured(node_id self, const authority& ca) {
  transport_options o = options_of(self);
  o.tls = ca.tls({.names = identity_of(self)});
  return o;
}
inline transport_options plain_text(node_id self) {
  transport_options o = options_of(self);
  o.security = transport_security::plain_text_on_loopback;
  return o;
}

inline message heartbeat(node_id from, node_id to, std::uint64_t round = 1) {
  return {.kind = message_kind::append, .from = from, .to = to, .term = 1, .round = round};
}
inline message command(node_id from, node_id to, std::size_t bytes, log_index at = 1) {
  return {
      .kind = message_kind::append,
      .from = from,
      .to = to,
      .term = 1,
      .index = at - 1,
      .entries = {{.index = at, .term = 1, .kind = entry_kind::command, .command = std::string(bytes, 'x')}}};
}

/// A transport whose context runs in a thread of its own; keeps what has arrived.
class member {
 public:
  explicit member(const transport_options& o)
      : work_(asio::make_work_guard(io_)),
        transport_(
            std::make_unique<seawall::raft::transport>(io_, o, [this](message m) { keep(std::move(m)); })),
        thread_([this] { io_.run(); }) {}
  ~member() {
    transport_.reset();
    work_.reset();
    thread_.join();  // all connections have been closed, or it would run for ever
  }
  member(const member&) = delete;
  member& operator=(const member&) = delete;

  seawall::raft::transport& operator*() { return *transport_; }
  seawall::raft::transport* operator->() { return transport_.get(); }
  asio::io_context& io() { return io_; }

  std::vector<message> received() const {
    const seawall::core::mutex_lock lock(mutex_);
    return received_;
  }
  std::size_t count() const { return received().size(); }
  transport_peer_stats about(node_id peer) const {
    for (auto& p : transport_->stats().peers) {
      if (p.id == peer) return p;
    }
    return {};
  }
  transport_peer as_peer(node_id id) const {
    return {.id = id, .host = "127.0.0.1", .port = transport_->port(), .identity = identity_of(id)};
  }

 private:
  void keep(message m) {
    const seawall::core::mutex_lock lock(mutex_);
    received_.push_back(std::move(m));
  }

  asio::io_context io_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  mutable seawall::core::mutex mutex_;
  std::vector<message> received_;
  std::unique_ptr<seawall::raft::transport> transport_;
  std::thread thread_;
};

/// Members 1 and 2, who know each other, and of a third one whom the test plays.
struct pair {
  explicit pair(const transport_options& one, const transport_options& two) : a(one), b(two) {
    a->set_peers({b.as_peer(2), nobody_home});
    b->set_peers({a.as_peer(1), nobody_home});
  }
  bool connected() const {
    return eventually(
        [&] { return a.about(2).reachable && b.about(1).reachable && a.about(2).heard && b.about(1).heard; });
  }
  /// Something goes each way, now.
  bool talks() {
    const auto had_a = a.count(), had_b = b.count();
    return eventually([&] {
      a->send(heartbeat(1, 2));
      b->send(heartbeat(2, 1));
      return a.count() > had_a && b.count() > had_b;
    });
  }

  transport_peer nobody_home{.id = 3, .host = "127.0.0.1", .port = 1, .identity = identity_of(3)};
  member a;
  member b;
};

inline std::string hello(node_id from, node_id to, const codec_options& codec = {},
                         std::string cluster = "c") {
  return encode(detail::greeting{.from = from, .to = to, .cluster = std::move(cluster)}, codec);
}
inline std::string welcome(node_id from, node_id to, const codec_options& codec = {}) {
  return encode(
      detail::greeting{.kind = detail::control_kind::welcome, .from = from, .to = to, .cluster = "c"}, codec);
}
inline std::string frame(const message& m, const codec_options& codec = {}) {
  std::string out;
  if (encode(m, codec, out)) throw std::runtime_error("not a message");
  return out;
}

/// Somebody with a socket. No function throws; what does not work any more is `over`.
class stranger {
 public:
  explicit stranger(std::uint16_t port, const asio::ip::address& from = asio::ip::address_v4::loopback()) {
    asio::error_code ec;
    socket_.open(tcp::v4(), ec);
    socket_.bind({from, 0}, ec);
    socket_.connect({asio::ip::address_v4::loopback(), port}, ec);
    over_ = bool(ec);
  }
  bool over() const { return over_; }

  stranger& say(std::string_view bytes) {
    asio::error_code ec;
    asio::write(socket_, asio::buffer(bytes.data(), bytes.size()), ec);
    over_ = over_ || ec;
    return *this;
  }
  /// Waits for the other side to hang up, whatever it says before.
  bool is_hung_up_on() {
    asio::error_code ec;
    char bytes[1000];
    while (!ec) socket_.read_some(asio::buffer(bytes), ec);
    over_ = true;
    return true;
  }
  /// Looks, and does not wait.
  bool is_still_connected() {
    asio::error_code ec;
    char bytes[1000];
    socket_.non_blocking(true);
    while (!ec) socket_.read_some(asio::buffer(bytes), ec);
    socket_.non_blocking(false);
    return ec == asio::error::would_block;
  }
  tcp::socket& socket() { return socket_; }

 private:
  asio::io_context io_;
  tcp::socket socket_{io_};
  bool over_ = false;
};

/// ... that speaks TLS, with or without a certificate.
class tls_stranger {
 public:
  tls_stranger(std::uint16_t port, const tls_options& tls, long newest = 0) {
    asio::error_code ec;
    SSL_CTX_set_security_level(context_.native_handle(), 0);
    context_.add_certificate_authority(asio::buffer(tls.ca), ec);
    if (!tls.certificate.empty()) {
      context_.use_certificate_chain(asio::buffer(tls.certificate));
      context_.use_private_key(asio::buffer(tls.private_key), asio::ssl::context::pem);
    }
    if (newest != 0) SSL_CTX_set_max_proto_version(context_.native_handle(), newest);
    stream_ = std::make_unique<asio::ssl::stream<tcp::socket>>(io_, context_);
    stream_->next_layer().connect({asio::ip::address_v4::loopback(), port}, ec);
    if (!ec) stream_->handshake(asio::ssl::stream_base::client, ec);
    over_ = bool(ec);
  }
  bool over() const { return over_; }

  tls_stranger& say(std::string_view bytes) {
    asio::error_code ec;
    if (!over_) asio::write(*stream_, asio::buffer(bytes.data(), bytes.size()), ec);
    over_ = over_ || ec;
    return *this;
  }
  std::string hear(std::size_t n) {
    std::string bytes(n, '\0');
    asio::error_code ec;
    if (!over_) asio::read(*stream_, asio::buffer(bytes), ec);
    over_ = over_ || ec;
    return over_ ? "" : bytes;
  }
  /// Of what has been said so far.
  bool may_resume() const {
    return SSL_SESSION_is_resumable(SSL_get0_session(stream_->native_handle())) == 1;
  }
  bool is_hung_up_on() {
    asio::error_code ec;
    char bytes[1000];
    while (!ec && !over_) stream_->read_some(asio::buffer(bytes), ec);
    over_ = true;
    return true;
  }

 private:
  asio::io_context io_;
  asio::ssl::context context_{asio::ssl::context::tls_client};
  std::unique_ptr<asio::ssl::stream<tcp::socket>> stream_;
  bool over_ = false;
};

}  // namespace election_test

#endif  // SEAWALL_TESTS_ELECTION_SUPPORT_HPP
