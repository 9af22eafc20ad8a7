// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_TRANSPORT_OUTGOING_HPP
#define SEAWALL_ELECTION_TRANSPORT_OUTGOING_HPP

// The connection to a peer: made, kept, and made again. It carries messages one way; back comes only that the peer is there.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "seawall/core/backoff.hpp"
#include "seawall/election/transport/frame_reader.hpp"
#include "seawall/election/transport/greeting.hpp"
#include "seawall/election/transport/hub.hpp"
#include "seawall/election/transport/wire.hpp"
#include "seawall/random.hpp"
#include "seawall/time.hpp"
#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/error.hpp>
#include <asio/error_code.hpp>
#include <asio/ip/address.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/redirect_error.hpp>
#include <asio/ssl/stream_base.hpp>
#include <asio/use_awaitable.hpp>

namespace seawall::raft::detail {

/// The next control frame, or nothing: closed, for what came or because nothing came.
inline asio::awaitable<std::optional<greeting>> read_control(std::shared_ptr<hub> h, std::shared_ptr<wire> w,
                                                             frame_reader& reader) {
  for (;;) {
    if (const auto body = reader.next()) {
      greeting g;
      const auto error = is_control(*body)
                             ? parse(*body, h->codec, g)
                             : bad("kind", body->size() > 1 ? static_cast<unsigned char>((*body)[1]) : 0,
                                   "must be at least 128 here");
      if (!error) co_return g;
      w->close(error->text("frame"));
      co_return std::nullopt;
    }
    if (reader.error()) w->close(reader.error()->text("frame"));
    if (!w->is_open()) co_return std::nullopt;
    const std::size_t n = co_await w->read(reader.space());
    reader.filled(n);
  }
}

/// A host with several addresses, of which one swallows what is sent to it, takes the whole time of a try: the next one begins with
/// the next address.
inline void begin_elsewhere(std::vector<asio::ip::tcp::endpoint>& ends, std::uint32_t failures) {
  if (ends.empty()) return;
  const auto first = static_cast<std::ptrdiff_t>(failures % ends.size());
  std::rotate(ends.begin(), ends.begin() + first, ends.end());
}

class caller {
 public:
  /// Until the peer is gone, or the transport stopped.
  static asio::awaitable<void> keep_connected(std::shared_ptr<hub> h, std::shared_ptr<peer> p) {
    core::backoff_schedule schedule;
    std::uint32_t failures = 0;
    while (!h->stopped && !p->gone) {
      const bool welcome = co_await try_once(h, p, failures);
      failures = welcome ? 1 : failures + 1;
      if (h->stopped || p->gone) break;
      p->next_try.expires_after(schedule.next(h->options.reconnect, failures, thread_random).to_chrono());
      asio::error_code ignored;
      co_await p->next_try.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    p->outgoing = nullptr;
  }

 private:
  static constexpr std::size_t batch_bytes = 64U << 10U;
  static constexpr std::size_t most_networks = 16;

  /// True: it was welcome, and is over now.
  static asio::awaitable<bool> try_once(std::shared_ptr<hub> h, std::shared_ptr<peer> p,
                                        std::uint32_t failures) {
    bool welcome = false;
    std::string why;
    // No memory, no thread for the resolver: the next try may find some.
    try {
      const auto w = std::make_shared<wire>(asio::ip::tcp::socket(h->strand), h->tls);
      p->outgoing = w;
      w->set_deadline(steady_clock::now() + h->options.handshake_timeout);
      asio::co_spawn(h->strand, wire::watch(w, h->say_something_every()), asio::detached);
      welcome = co_await call(h, p, w, failures);
      if (welcome) co_await talk(h, p, w);
      w->close("ended");
      why = w->why_closed();
    } catch (const std::exception& e) {
      why = e.what();
    }
    if (p->outgoing) p->outgoing->close(why);
    p->failures.add();
    p->last_failure.say(why);
    h->tell(*p, false, why);
    co_return welcome;
  }

  static asio::awaitable<bool> call(std::shared_ptr<hub> h, std::shared_ptr<peer> p, std::shared_ptr<wire> w,
                                    std::uint32_t failures) {
    const bool connected = co_await connect(h, p, w, failures);
    if (!connected) co_return false;
    const bool shaken = co_await w->handshake(asio::ssl::stream_base::client);
    if (!shaken) co_return false;
    if (h->tls && h->owner_of(w->certificate().get()) != p) {
      w->close("its certificate is not that of " + p->where.identity);
      co_return false;
    }
    const greeting hello{.from = h->options.self, .to = p->where.id, .cluster = h->options.cluster};
    const std::string frame = encode(hello, h->codec);
    const bool sent = co_await w->write(frame);
    if (!sent) co_return false;
    frame_reader reader(max_control_bytes);
    const auto answer = co_await read_control(h, w, reader);
    if (!answer) co_return false;
    greeting wanted{.kind = control_kind::welcome,
                    .from = p->where.id,
                    .to = h->options.self,
                    .cluster = h->options.cluster};
    if (*answer != wanted) w->close("its answer is not a welcome");
    if (!w->is_open()) co_return false;
    asio::co_spawn(h->strand, hear(h, p, w, std::move(reader)), asio::detached);
    co_return true;
  }

  static asio::awaitable<bool> connect(std::shared_ptr<hub> h, std::shared_ptr<peer> p,
                                       std::shared_ptr<wire> w, std::uint32_t failures) {
    asio::error_code ec;
    std::vector<asio::ip::tcp::endpoint> ends;
    const auto address = asio::ip::make_address(p->where.host, ec);
    if (!ec) {
      ends.emplace_back(address, p->where.port);
    } else {
      asio::ip::tcp::resolver resolver(h->strand);
      const auto found = co_await resolver.async_resolve(p->where.host, std::to_string(p->where.port),
                                                         asio::redirect_error(asio::use_awaitable, ec));
      for (const auto& entry : found) ends.push_back(entry.endpoint());
    }
    remember(*p, ends);
    begin_elsewhere(ends, failures);
    for (const auto& end : ends) {
      if (!w->is_open()) co_return false;
      if (!h->may_talk_to(end.address())) {
        ec = asio::error::network_unreachable;
        continue;
      }
      asio::error_code ignored;
      if (w->socket().is_open()) w->socket().close(ignored);
      co_await w->socket().async_connect(end, asio::redirect_error(asio::use_awaitable, ec));
      if (ec) continue;
      keep_from_children(w->socket().native_handle());
      w->socket().set_option(asio::ip::tcp::no_delay(true), ignored);
      co_return w->is_open();
    }
    w->close(ec ? ec.message() : "no address");
    co_return false;
  }

  static void remember(peer& p, const std::vector<asio::ip::tcp::endpoint>& ends) {
    if (ends.empty()) return;  // it will be where it was
    p.networks.clear();
    for (std::size_t i = 0; i < ends.size() && i < most_networks; ++i)
      p.networks.push_back(door::network_of(ends[i].address()));
  }

  /// Writes what there is to say, and something from time to time.
  static asio::awaitable<void> talk(std::shared_ptr<hub> h, std::shared_ptr<peer> p,
                                    std::shared_ptr<wire> w) {
    w->set_deadline(steady_clock::now() + h->options.idle_timeout);
    p->connections.add();
    h->tell(*p, true, "welcome");
    const std::string alive = encode(greeting{.kind = control_kind::alive}, h->codec);
    std::string batch;
    instant said;
    while (w->is_open() && !p->gone) {
      batch.clear();
      const instant now = steady_clock::now();
      if (!p->waiting.take(batch, batch_bytes, now - h->options.stale_after)) {
        if (now - said < h->say_something_every()) {
          p->more_to_send.expires_at((said + h->say_something_every()).to_chrono());
          asio::error_code ignored;
          co_await p->more_to_send.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
          continue;
        }
        batch = alive;
      }
      said = now;
      const bool written = co_await w->write(batch);
      if (!written) break;
    }
  }

  static asio::awaitable<void> hear(std::shared_ptr<hub> h, std::shared_ptr<peer> p, std::shared_ptr<wire> w,
                                    frame_reader reader) {
    // Four in an idle time-out is what it should be, which is 20 ms at least.
    pacer lives(1000, 1000);
    for (;;) {
      const auto heard = co_await read_control(h, w, reader);
      if (!heard) break;
      const instant now = steady_clock::now();
      if (heard->kind != control_kind::alive || !lives.try_take(now, 1)) {
        w->close("said something else than that it is there");
        break;
      }
      w->set_deadline(now + h->options.idle_timeout);
    }
    p->more_to_send.cancel();  // it is closed
  }
};

}  // namespace seawall::raft::detail

#endif  // SEAWALL_ELECTION_TRANSPORT_OUTGOING_HPP
