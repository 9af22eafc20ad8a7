// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_TRANSPORT_WIRE_HPP
#define SEAWALL_ELECTION_TRANSPORT_WIRE_HPP

// One connection, with TLS or without, on which silence has an end. Everything here happens on the transport's strand.

#include <fcntl.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "seawall/time.hpp"
#include <asio/awaitable.hpp>
#include <asio/buffer.hpp>
#include <asio/error_code.hpp>
#include <asio/ip/address.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/redirect_error.hpp>
#include <asio/ssl/context.hpp>
#include <asio/ssl/stream.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

namespace seawall::raft::detail {

/// A program that the process starts would hold ports and connections that this side has long closed. After the fact, as Asio
/// opens them otherwise.
inline void keep_from_children(int socket) noexcept {
  static_cast<void>(::fcntl(socket, F_SETFD, FD_CLOEXEC));
}

/// Thread safety: none. One read and one write may be under way at a time.
/// Cancellation: `close` ends whatever is under way, with an error.
class wire {
 public:
  using tcp = asio::ip::tcp;

  /// Without `tls`: plain text. `network`: of a stranger; `familiar`: a peer lives there.
  wire(tcp::socket socket, std::shared_ptr<asio::ssl::context> tls, asio::ip::address network = {},
       bool familiar = false)
      : tls_context_(std::move(tls)),
        timer_(socket.get_executor()),
        talks_(socket.get_executor()),
        listens_(socket.get_executor()),
        network_(network),
        familiar_(familiar),
        plain_(std::move(socket)) {
    if (tls_context_) secured_.emplace(std::move(plain_), *tls_context_);
  }

  bool is_open() const noexcept { return open_; }
  const std::string& why_closed() const noexcept { return why_; }
  const asio::ip::address& network() const noexcept { return network_; }
  bool familiar() const noexcept { return familiar_; }
  tcp::socket& socket() noexcept { return secured_ ? secured_->next_layer() : plain_; }

  /// The first reason counts.
  void close(std::string_view why) {
    if (!std::exchange(open_, false)) return;
    why_ = why;
    asio::error_code ignored;
    socket().close(ignored);
    for (asio::steady_timer* const t : {&timer_, &talks_, &listens_}) t->cancel();
  }

  /// Without life until then, it is closed by `watch`.
  void set_deadline(instant at) {
    const bool earlier = at < deadline_;
    deadline_ = at;
    slept_ = false;
    if (earlier) timer_.cancel();
  }

  /// Runs beside everything else. A deadline that this process has slept through says nothing: what has come meanwhile is to
  /// be read first, so there is another period of `grace`. One: a process that is always late would never hang up.
  static asio::awaitable<void> watch(std::shared_ptr<wire> w, duration grace) {
    while (w->open_) {
      w->timer_.expires_at(w->deadline_.to_chrono());
      asio::error_code ignored;
      co_await w->timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      const instant now = steady_clock::now();
      if (now < w->deadline_) continue;
      if (now - w->deadline_ > grace && !std::exchange(w->slept_, true))
        w->deadline_ = now + grace;
      else
        w->close("nothing came in time");
    }
  }

  /// False: closed. A handshake with TLS, nothing without.
  asio::awaitable<bool> handshake(asio::ssl::stream_base::handshake_type side) {
    if (!secured_) co_return open_;
    asio::error_code ec;
    co_await secured_->async_handshake(side, asio::redirect_error(asio::use_awaitable, ec));
    if (ec) close(why_no_handshake(ec));
    co_return open_;
  }
  /// What the other side has shown; the chain has been verified.
  std::shared_ptr<::X509> certificate() {
    if (!secured_) return nullptr;
    return {::SSL_get1_peer_certificate(secured_->native_handle()), [](::X509* c) { ::X509_free(c); }};
  }

  /// Until then, or until it is closed. For whoever writes, and for whoever reads.
  asio::awaitable<void> talk_again_at(instant at) { return wait(talks_, at); }
  asio::awaitable<void> listen_again_at(instant at) { return wait(listens_, at); }

  /// How many bytes have come: at least one, or it is closed.
  asio::awaitable<std::size_t> read(std::span<char> into) {
    asio::error_code ec;
    const auto buffer = asio::buffer(into.data(), into.size());
    std::size_t n = 0;
    if (secured_)
      n = co_await secured_->async_read_some(buffer, asio::redirect_error(asio::use_awaitable, ec));
    else
      n = co_await plain_.async_read_some(buffer, asio::redirect_error(asio::use_awaitable, ec));
    if (ec) close(ec.message());
    co_return open_ ? n : 0;
  }

  /// All of it; or it is closed, and false.
  asio::awaitable<bool> write(std::string_view bytes) {
    asio::error_code ec;
    const auto buffer = asio::buffer(bytes.data(), bytes.size());
    if (secured_)
      co_await asio::async_write(*secured_, buffer, asio::redirect_error(asio::use_awaitable, ec));
    else
      co_await asio::async_write(plain_, buffer, asio::redirect_error(asio::use_awaitable, ec));
    if (ec) close(ec.message());
    co_return open_;
  }

 private:
  asio::awaitable<void> wait(asio::steady_timer& timer, instant at) {
    if (!open_) co_return;
    timer.expires_at(at.to_chrono());
    asio::error_code ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  // OpenSSL's first error is often about how it found out.
  std::string why_no_handshake(const asio::error_code& ec) {
    const long verified = ::SSL_get_verify_result(secured_->native_handle());
    return verified == X509_V_OK
               ? ec.message()
               : std::string("its certificate: ") + ::X509_verify_cert_error_string(verified);
  }

  // Before the stream that is made from it.
  std::shared_ptr<asio::ssl::context> tls_context_;
  asio::steady_timer timer_;
  asio::steady_timer talks_;
  asio::steady_timer listens_;
  const asio::ip::address network_;
  const bool familiar_;
  tcp::socket plain_;
  std::optional<asio::ssl::stream<tcp::socket>> secured_;
  instant deadline_ = instant::never();
  bool slept_ = false;  // through this deadline
  bool open_ = true;
  std::string why_;
};

}  // namespace seawall::raft::detail

#endif  // SEAWALL_ELECTION_TRANSPORT_WIRE_HPP
