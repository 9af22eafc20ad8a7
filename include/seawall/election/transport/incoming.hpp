// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_TRANSPORT_INCOMING_HPP
#define SEAWALL_ELECTION_TRANSPORT_INCOMING_HPP

// Connections from elsewhere: strangers until they have shown that they are a peer, then one from each peer, from which
// messages come. Until then 128 bytes are the most that is looked at, and none of them is a message.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "seawall/election/raft_codec.hpp"
#include "seawall/election/raft_types.hpp"
#include "seawall/election/transport/frame_reader.hpp"
#include "seawall/election/transport/greeting.hpp"
#include "seawall/election/transport/hub.hpp"
#include "seawall/election/transport/outgoing.hpp"
#include "seawall/election/transport/wire.hpp"
#include "seawall/time.hpp"
#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/error_code.hpp>
#include <asio/ip/address.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/ssl/stream_base.hpp>

namespace seawall::raft::detail {

class host {
 public:
  /// A new connection, of whomever.
  static void receive(const std::shared_ptr<hub>& h, asio::ip::tcp::socket socket) {
    h->accepted.add();
    asio::error_code ec;
    const auto remote = socket.remote_endpoint(ec);
    if (ec || h->stopped) return;
    const auto network = door::network_of(remote.address());
    if (!h->may_talk_to(remote.address())) return h->refuse("plain text from " + network.to_string());
    const auto resident = h->living_at(network);
    if (!may_knock(*h, resident.get(), network)) return h->turned_away.add();
    make_room(*h, network);
    keep_from_children(socket.native_handle());
    socket.set_option(asio::ip::tcp::no_delay(true), ec);
    const auto w = std::make_shared<wire>(std::move(socket), h->tls, network, resident != nullptr);
    h->strangers.push_back(w);
    h->strangers_now.set(h->strangers.size());
    w->set_deadline(steady_clock::now() + h->options.handshake_timeout);
    asio::co_spawn(h->strand, wire::watch(w, h->say_something_every()), asio::detached);
    asio::co_spawn(h->strand, serve(h, w), [h, w](const std::exception_ptr& failed) {
      leave(*h, w, failed ? "no memory for what it sends" : "stopped");
    });
  }

 private:
  /// A peer's address has a bucket of its own, that nobody elsewhere can empty.
  static bool may_knock(hub& h, peer* resident, const asio::ip::address& network) noexcept {
    const instant now = steady_clock::now();
    if (resident != nullptr) return resident->knocks.try_take(now, 1);
    return h.strangers_door.opens(network, now) && h.all_strangers.try_take(now, 1);
  }
  /// A member is done in a few milliseconds: whoever has been at it longest is the least likely to be one.
  static void make_room(hub& h, const asio::ip::address& network) {
    const auto from_there = [&](const auto& w) { return w->network() == network; };
    const auto elsewhere = [](const auto& w) { return !w->familiar(); };
    const auto n = std::count_if(h.strangers.begin(), h.strangers.end(), from_there);
    if (static_cast<std::uint64_t>(n) >= h.options.max_strangers_per_address) {
      push_out(h, *std::find_if(h.strangers.begin(), h.strangers.end(), from_there));
    } else if (h.strangers.size() >= h.options.max_strangers) {
      const auto first = std::find_if(h.strangers.begin(), h.strangers.end(), elsewhere);
      push_out(h, first != h.strangers.end() ? *first : h.strangers.front());
    }
  }
  // By value: it leaves the list.
  static void push_out(hub& h, std::shared_ptr<wire> w) {
    h.pushed_out.add();
    forget(h, w);
    w->close("others came, and it had not shown who it is");
  }

  static asio::awaitable<void> serve(std::shared_ptr<hub> h, std::shared_ptr<wire> w) {
    frame_reader reader(max_control_bytes);
    const auto p = co_await recognise(h, w, reader);
    forget(*h, w);
    if (!p || h->stopped || p->gone) {
      w->close("stopped");
      h->refuse(w->why_closed());
      co_return;
    }
    // A peer that calls again has given up the other one, whether this side has noticed or not.
    if (p->incoming) p->incoming->close("it has called again");
    p->incoming = w;
    p->heard.store(true, std::memory_order_relaxed);
    p->next_try.cancel();  // it is there: no reason to wait any longer
    reader.set_limit(h->codec.max_message_bytes);
    w->set_deadline(steady_clock::now() + h->options.idle_timeout);
    asio::co_spawn(h->strand, say_that_it_is_there(h, p, w), asio::detached);
    co_await listen(h, p, w, reader);
  }
  /// `why`: if nothing else has ended it.
  static void leave(hub& h, const std::shared_ptr<wire>& w, std::string_view why) {
    w->close(why);
    forget(h, w);
    for (const auto& p : h.peers()) {
      if (p->incoming != w) continue;
      p->last_hang_up.say(w->why_closed());
      p->heard.store(false, std::memory_order_relaxed);
      p->incoming = nullptr;
    }
  }
  static void forget(hub& h, const std::shared_ptr<wire>& stranger) {
    h.strangers.remove(stranger);
    h.strangers_now.set(h.strangers.size());
  }

  /// Who it is. Nobody: closed.
  static asio::awaitable<std::shared_ptr<peer>> recognise(std::shared_ptr<hub> h, std::shared_ptr<wire> w,
                                                          frame_reader& reader) {
    const bool shaken = co_await w->handshake(asio::ssl::stream_base::server);
    if (!shaken) co_return nullptr;
    std::shared_ptr<peer> p;
    if (h->tls && !(p = h->owner_of(w->certificate().get()))) {
      w->close("its certificate is no member's");
      co_return nullptr;
    }
    const auto hello = co_await read_control(h, w, reader);
    if (!hello) co_return nullptr;
    const std::shared_ptr<peer> claimed = h->find(hello->from);
    if (hello->kind != control_kind::hello || !claimed)
      w->close("hello from " + std::to_string(hello->from) + ", who is no member");
    else if (h->tls && claimed != p)
      w->close("the certificate of " + std::to_string(p->where.id) + " says that it is " +
               std::to_string(hello->from));
    else if (hello->to != h->options.self || hello->cluster != h->options.cluster)
      w->close("hello to " + std::to_string(hello->to) + " of another cluster, or another member of it");
    co_return w->is_open() ? claimed : nullptr;
  }

  static asio::awaitable<void> say_that_it_is_there(std::shared_ptr<hub> h, std::shared_ptr<peer> p,
                                                    std::shared_ptr<wire> w) {
    const greeting welcome{.kind = control_kind::welcome,
                           .from = h->options.self,
                           .to = p->where.id,
                           .cluster = h->options.cluster};
    const std::string alive = encode(greeting{.kind = control_kind::alive}, h->codec);
    std::string frame = encode(welcome, h->codec);
    for (;;) {
      const bool written = co_await w->write(frame);
      if (!written) co_return;
      frame = alive;
      co_await w->talk_again_at(steady_clock::now() + h->say_something_every());
      if (!w->is_open()) co_return;
    }
  }

  /// Messages, until it is closed.
  static asio::awaitable<void> listen(std::shared_ptr<hub> h, std::shared_ptr<peer> p,
                                      std::shared_ptr<wire> w, frame_reader& reader) {
    while (w->is_open()) {
      while (const auto body = reader.next()) {
        const instant now = steady_clock::now();
        const instant at =
            std::max(p->messages.take(now, 1),
                     p->bytes.take(now, static_cast<std::uint32_t>(body->size() + length_bytes)));
        if (at > now) {
          // Nor is it read from meanwhile: the peer's own queue is where the rest waits.
          p->pauses.add();
          w->set_deadline(at + h->options.idle_timeout);
          co_await w->listen_again_at(at);
        }
        if (!w->is_open() || !accept(*h, *p, *w, *body)) co_return;
      }
      if (reader.error()) violation(*p, *w, *reader.error());
      if (!w->is_open()) co_return;
      const std::size_t n = co_await w->read(reader.space());
      reader.filled(n);
      w->set_deadline(steady_clock::now() + h->options.idle_timeout);
    }
  }

  /// False: no more.
  static bool accept(hub& h, peer& p, wire& w, std::string_view body) {
    if (is_control(body)) {
      greeting g;
      auto error = parse(body, h.codec, g);
      if (!error && g.kind != control_kind::alive)
        error = bad("kind", static_cast<std::uint64_t>(g.kind), at_most(kinds.size() - 1) + ", or 130");
      return !error || violation(p, w, *error);
    }
    message m;
    if (const auto error = raft::parse(body, h.codec, m)) return violation(p, w, *error);
    if (m.from != p.where.id)
      return violation(p, w, bad("from", m.from, "must be the peer, " + to_text(p.where.id)));
    if (m.to != h.options.self)
      return violation(p, w, bad("to", m.to, "must be this member, " + to_text(h.options.self)));
    p.received_messages.add();
    p.received_bytes.add(body.size() + length_bytes);
    return h.deliver(std::move(m));
  }
  static bool violation(peer& p, wire& w, const option_error& what) {
    p.violations.add();
    w.close(what.text("message"));
    return false;
  }
};

}  // namespace seawall::raft::detail

#endif  // SEAWALL_ELECTION_TRANSPORT_INCOMING_HPP
