// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_TRANSPORT_HPP
#define SEAWALL_ELECTION_TRANSPORT_HPP

// Raft's messages between the members of a cluster, over TCP with mutual TLS: who is no member is not heard, a member only as
// itself. Unreliable on purpose, as Raft repeats: what cannot be sent is dropped and counted. Knows nothing of Raft but how a
// message looks. CMake: component `election`, target `seawall::election` (standalone Asio, OpenSSL 3; with exceptions only).

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "seawall/core/mutex.hpp"
#include "seawall/election/raft_codec.hpp"
#include "seawall/election/raft_types.hpp"
#include "seawall/election/transport/hub.hpp"
#include "seawall/election/transport/incoming.hpp"
#include "seawall/election/transport/options.hpp"
#include "seawall/election/transport/outgoing.hpp"
#include "seawall/election/transport/tls.hpp"
#include "seawall/options.hpp"
#include "seawall/time.hpp"
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/error.hpp>
#include <asio/error_code.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/address.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <asio/system_error.hpp>

namespace seawall::raft {

namespace detail {

/// The socket on which the transport is called. Under a mutex of its own, so that `close` frees the port at once, from any
/// thread.
class entrance : public std::enable_shared_from_this<entrance> {
 public:
  explicit entrance(std::shared_ptr<hub> h)
      : hub_(std::move(h)), acceptor_(hub_->strand), pause_(hub_->strand) {}

  asio::error_code open(const asio::ip::tcp::endpoint& at) ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    asio::error_code ec;
    acceptor_.open(at.protocol(), ec);
    if (!ec) keep_from_children(acceptor_.native_handle());
    if (!ec) acceptor_.set_option(asio::ip::tcp::acceptor::reuse_address(true), ec);
    if (!ec) acceptor_.bind(at, ec);
    if (!ec) acceptor_.listen(asio::socket_base::max_listen_connections, ec);
    if (!ec) port_ = acceptor_.local_endpoint(ec).port();
    return ec;
  }
  std::uint16_t port() const noexcept { return port_; }

  void receive() ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    if (!acceptor_.is_open()) return;
    acceptor_.async_accept(
        [self = shared_from_this()](const asio::error_code& ec, asio::ip::tcp::socket socket) {
          // Out of descriptors or memory, for one: nothing that haste would help.
          self->take(ec, std::move(socket)) ? self->receive() : self->receive_later();
        });
  }
  void close() ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    asio::error_code ignored;
    acceptor_.close(ignored);
    pause_.cancel();
  }

 private:
  bool take(const asio::error_code& ec, asio::ip::tcp::socket socket) {
    std::string why = ec ? ec.message() : "";
    try {
      if (!ec) host::receive(hub_, std::move(socket));
    } catch (const std::exception& e) {
      why = e.what();
    }
    if (why.empty()) return true;
    if (ec != asio::error::operation_aborted) {  // it was closed
      hub_->accept_failures.add();
      hub_->last_refusal.say(why);
    }
    return false;
  }
  void receive_later() ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    if (!acceptor_.is_open()) return;
    pause_.expires_after(std::chrono::milliseconds(20));
    pause_.async_wait([self = shared_from_this()](const asio::error_code&) { self->receive(); });
  }

  const std::shared_ptr<hub> hub_;
  core::mutex mutex_;
  asio::ip::tcp::acceptor acceptor_ ABSL_GUARDED_BY(mutex_);
  asio::steady_timer pause_ ABSL_GUARDED_BY(mutex_);
  std::uint16_t port_ = 0;
};

}  // namespace detail

/// Guarantees:
/// 1. A message is handed over only if it came from the peer that its `from` names, with the certificate configured for that
///    peer, and if its `to` is this member. Whatever else comes ends the connection on which it came.
/// 2. Who is no peer costs a bounded number of connections, each for a bounded time, and has none of its bytes taken for a
///    message; a peer's connections are not affected.
/// 3. What peers send, and what is sent to them, takes bounded memory, whatever they do.
/// 4. After `stop` has returned neither the handler nor the listener is called, and the port is free.
/// Messages of one sender arrive in order, with gaps; one connection for each direction, made by the sender.
///
/// Errors: peers that cannot be reached are no error but a state, see `stats`.
/// Thread safety: shared objects safe. One strand on the context does the work: the handler is never called twice at a time.
/// Lifetime: the context outlives the transport, and may be destroyed with work of it left.
/// Cost: `send`: encodes on the caller's thread, one lock; a post where the connection was idle. Two allocations a message.
class transport {
 public:
  using options_type = transport_options;
  static constexpr std::string_view policy_name = detail::transport_name;

  /// Listens and connects from now on. Throws std::invalid_argument for bad options (certificates included), asio::system_error
  /// if it cannot listen.
  transport(asio::io_context& io, transport_options options, message_handler on_message)
      : transport(io, seawall::detail::checked(policy_name, std::move(options)), std::move(on_message),
                  prepared{}) {
    if (auto error = start()) seawall::detail::refuse(error->text(policy_name));
    const asio::error_code ec = listen();
    if (ec) throw asio::system_error(ec, listening_at());
    connect();
  }

  /// The same, without exceptions: InvalidArgument, Unavailable if it cannot listen.
  static absl::StatusOr<std::unique_ptr<transport>> create(asio::io_context& io, transport_options options,
                                                           message_handler on_message) {
    if (const auto error = validate(options)) return absl::InvalidArgumentError(error->text(policy_name));
    std::unique_ptr<transport> t(new transport(io, std::move(options), std::move(on_message), prepared{}));
    if (const auto error = t->start()) return absl::InvalidArgumentError(error->text(policy_name));
    if (const asio::error_code ec = t->listen())
      return absl::UnavailableError(t->listening_at() + ": " + ec.message());
    t->connect();
    return t;
  }

  ~transport() { stop(); }
  transport(const transport&) = delete;
  transport& operator=(const transport&) = delete;

  /// To the peer that it names, if there is room for it; no news of what has become of it.
  void send(const message& m) {
    std::string frame;
    frame.reserve(
        std::min<std::size_t>(detail::most_frame_bytes(m), length_bytes + hub_->codec.max_message_bytes));
    if (const auto error =
            m.from != hub_->options.self
                ? detail::bad("from", m.from, "must be this member, " + to_text(hub_->options.self))
                : encode(m, hub_->codec, frame)) {
      hub_->unsendable.add();
      hub_->last_refusal.say(error->text("message"));
      return;
    }
    const std::shared_ptr<detail::peer> p = hub_->find(m.to);
    if (!p) return hub_->unknown_peer.add();
    const bool heartbeat = m.kind == message_kind::append && m.entries.empty();
    if (p->waiting.push(std::move(frame), heartbeat, steady_clock::now()))
      asio::post(hub_->strand, [p] { p->more_to_send.cancel(); });
  }

  /// No handler is called after this has returned; it waits for one that runs, unless it is called from there. Connections
  /// are closed as soon as the context runs. Any number of times.
  void stop() {
    entrance_->close();
    hub_->stop_calling();
    asio::post(hub_->strand, [h = hub_] { h->stop(); });
  }

  /// Others from now on; those that have not changed keep their connections. Errors: as the options'; nothing has changed.
  std::optional<option_error> set_peers(const std::vector<transport_peer>& peers) {
    if (auto error = detail::check_peers(peers, hub_->options)) return error;
    const auto changed = hub_->set_peers(peers);
    asio::post(hub_->strand, [h = hub_, changed] {
      for (const auto& p : changed.gone) detail::hub::dismiss(*p);
      for (const auto& p : changed.come) call(h, p);
    });
    return std::nullopt;
  }

  /// Takes other certificates. Errors: nothing has changed. All connections are then made anew:
  /// who is not trusted any more is not connected any more.
  std::optional<option_error> reload(const tls_options& tls) {
    auto built = detail::tls_builder::build(tls);
    if (built.error) return std::move(built.error);
    asio::post(hub_->strand, [h = hub_, context = std::move(built.context)] {
      if (h->options.security != transport_security::mutual_tls) return;
      h->tls = context;
      h->close_all("certificates were reloaded");
    });
    return std::nullopt;
  }
  /// Reads the files that the options name again.
  std::optional<option_error> reload() { return reload(hub_->options.tls); }

  /// On which it listens.
  std::uint16_t port() const noexcept { return entrance_->port(); }

  transport_stats stats() const {
    transport_stats s;
    for (const auto& p : hub_->peers()) s.peers.push_back(of(*p));
    s.accepted = hub_->accepted.get();
    s.strangers = hub_->strangers_now.get();
    s.refused = hub_->refused.get();
    s.turned_away = hub_->turned_away.get();
    s.pushed_out = hub_->pushed_out.get();
    s.accept_failures = hub_->accept_failures.get();
    s.unsendable = hub_->unsendable.get();
    s.unknown_peer = hub_->unknown_peer.get();
    s.last_refusal = hub_->last_refusal.text();
    return s;
  }

 private:
  struct prepared {};

  transport(asio::io_context& io, transport_options options, message_handler on_message, prepared)
      : hub_(std::make_shared<detail::hub>(io, std::move(options), nullptr, std::move(on_message))),
        entrance_(std::make_shared<detail::entrance>(hub_)) {}

  std::optional<option_error> start() {
    if (hub_->options.security != transport_security::mutual_tls) return std::nullopt;
    auto built = detail::tls_builder::build(hub_->options.tls);
    hub_->tls = std::move(built.context);
    return std::move(built.error);
  }
  asio::error_code listen() {
    const auto& o = hub_->options;
    return entrance_->open({asio::ip::make_address(o.listen_host), o.listen_port});
  }
  std::string listening_at() const {
    return "raft_transport: cannot listen on " + hub_->options.listen_host + ":" +
           std::to_string(hub_->options.listen_port);
  }
  void connect() {
    set_peers(hub_->options.peers);
    entrance_->receive();
  }

  static void call(const std::shared_ptr<detail::hub>& h, const std::shared_ptr<detail::peer>& p) {
    asio::co_spawn(h->strand, detail::caller::keep_connected(h, p), asio::detached);
  }

  static transport_peer_stats of(const detail::peer& p) {
    const auto waiting = p.waiting.now();
    return {.id = p.where.id,
            .reachable = p.reachable.load(std::memory_order_relaxed),
            .heard = p.heard.load(std::memory_order_relaxed),
            .queued_messages = waiting.queued_messages,
            .queued_bytes = waiting.queued_bytes,
            .sent_messages = waiting.sent_messages,
            .sent_bytes = waiting.sent_bytes,
            .received_messages = p.received_messages.get(),
            .received_bytes = p.received_bytes.get(),
            .dropped_heartbeats = waiting.dropped_heartbeats,
            .dropped_newest = waiting.dropped_newest,
            .dropped_stale = waiting.dropped_stale,
            .connections = p.connections.get(),
            .failures = p.failures.get(),
            .violations = p.violations.get(),
            .pauses = p.pauses.get(),
            .last_failure = p.last_failure.text(),
            .last_hang_up = p.last_hang_up.text()};
  }

  const std::shared_ptr<detail::hub> hub_;
  const std::shared_ptr<detail::entrance> entrance_;
};

}  // namespace seawall::raft

#endif  // SEAWALL_ELECTION_TRANSPORT_HPP
