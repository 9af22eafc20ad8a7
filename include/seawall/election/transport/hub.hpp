// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_TRANSPORT_HUB_HPP
#define SEAWALL_ELECTION_TRANSPORT_HUB_HPP

// What all connections of a transport share: who the peers are, what waits for them, what was counted, and the way to the
// user's functions. outgoing.hpp and incoming.hpp are what happens on the connections.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "seawall/core/mutex.hpp"
#include "seawall/election/raft_codec.hpp"
#include "seawall/election/raft_types.hpp"
#include "seawall/election/transport/gate.hpp"
#include "seawall/election/transport/identity.hpp"
#include "seawall/election/transport/options.hpp"
#include "seawall/election/transport/outbox.hpp"
#include "seawall/election/transport/pacer.hpp"
#include "seawall/election/transport/wire.hpp"
#include "seawall/event.hpp"
#include "seawall/random.hpp"
#include "seawall/time.hpp"
#include <asio/io_context.hpp>
#include <asio/ip/address.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/ssl/context.hpp>
#include <asio/steady_timer.hpp>
#include <asio/strand.hpp>

namespace seawall::raft {

/// Called with one message after another, on the transport's strand. Must not throw; what blocks here, blocks all peers.
using message_handler = std::function<void(message)>;

namespace detail {

using transport_strand = asio::strand<asio::io_context::executor_type>;

/// A line of text that both sides of a lock may see.
class last_words {
 public:
  void say(std::string_view text) ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    text_.assign(text.substr(0, most));
  }
  std::string text() const ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    return text_;
  }

 private:
  static constexpr std::size_t most = 256;
  mutable core::mutex mutex_;
  std::string text_ ABSL_GUARDED_BY(mutex_);
};

/// A count that is only read elsewhere. Relaxed: nothing is published with it.
class tally {
 public:
  void add(std::uint64_t n = 1) noexcept { value_.fetch_add(n, std::memory_order_relaxed); }
  void set(std::uint64_t n) noexcept { value_.store(n, std::memory_order_relaxed); }
  std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// A peer, and the connection to and from it. What is not thread-safe by itself belongs to the strand.
struct peer {
  peer(transport_peer w, const transport_options& o, const transport_strand& strand)
      : where(std::move(w)),
        identity(parse_identity(where.identity).value_or(certificate_identity{})),
        waiting(o.max_queue_messages, o.max_queue_bytes),
        messages(o.messages_per_second, o.message_burst),
        bytes(o.bytes_per_second, o.byte_burst),
        knocks(o.handshakes_per_second, o.handshakes_per_second),
        more_to_send(strand),
        next_try(strand) {}

  const transport_peer where;
  const certificate_identity identity;

  outbox waiting;
  tally received_messages, received_bytes, connections, failures, violations, pauses;
  std::atomic<bool> reachable{false};
  std::atomic<bool> heard{false};
  last_words last_failure;
  last_words last_hang_up;

  pacer messages;
  pacer bytes;
  pacer knocks;  // of whoever is where it lives
  asio::steady_timer more_to_send;
  asio::steady_timer next_try;
  std::shared_ptr<wire> outgoing = {};
  std::shared_ptr<wire> incoming = {};
  bool gone = false;
  std::vector<asio::ip::address> networks = {};  // where it lives, as far as is known

  void close(std::string_view why) {
    if (outgoing) outgoing->close(why);
    if (incoming) incoming->close(why);
  }
};

/// Thread safety: as marked at the members. Kept alive by what happens on its connections.
class hub : public std::enable_shared_from_this<hub> {
 public:
  hub(asio::io_context& io, transport_options o, std::shared_ptr<asio::ssl::context> tls_context,
      message_handler f)
      : strand(asio::make_strand(io)),
        options(std::move(o)),
        codec(codec_of(options)),
        strangers_door(options.handshakes_per_second, seawall::detail::entropy_seed()),
        all_strangers(options.handshakes_per_second_of_all, options.handshakes_per_second_of_all),
        tls(std::move(tls_context)),
        on_message_(std::move(f)) {}

  const transport_strand strand;
  const transport_options options;  // but for `peers` and `tls`, which may have changed
  const codec_options codec;

  // From any thread.

  std::shared_ptr<peer> find(node_id id) const ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    const auto found = peers_.find(id);
    return found == peers_.end() ? nullptr : found->second;
  }
  std::vector<std::shared_ptr<peer>> peers() const ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    std::vector<std::shared_ptr<peer>> all;
    for (const auto& [id, p] : peers_) all.push_back(p);
    return all;
  }

  struct changed_peers {
    std::vector<std::shared_ptr<peer>> gone = {};
    std::vector<std::shared_ptr<peer>> come = {};
  };
  /// Those that are as they were keep their connections.
  changed_peers set_peers(const std::vector<transport_peer>& list) ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    std::map<node_id, std::shared_ptr<peer>> next;
    changed_peers changed;
    for (const transport_peer& p : list) {
      const auto old = peers_.find(p.id);
      if (old != peers_.end() && old->second->where == p) {
        next.insert(peers_.extract(old));
      } else {
        changed.come.push_back(next.emplace(p.id, std::make_shared<peer>(p, options, strand)).first->second);
      }
    }
    for (const auto& [id, p] : peers_) changed.gone.push_back(p);
    peers_ = std::move(next);
    return changed;
  }

  tally accepted, strangers_now, refused, turned_away, pushed_out, unsendable, unknown_peer, accept_failures;
  last_words last_refusal;

  void stop_calling() { gate_.close(); }

  // On the strand.

  duration say_something_every() const noexcept { return options.idle_timeout / 4; }
  bool may_talk_to(const asio::ip::address& a) const {
    return options.security != transport_security::plain_text_on_loopback || is_loopback(a);
  }

  /// False: not any more.
  bool deliver(message&& m) noexcept {
    return gate_.call([&] { on_message_(std::move(m)); });
  }
  /// The connection to a peer came up, or has ended.
  void tell(peer& p, bool reachable, std::string_view why) {
    if (p.reachable.exchange(reachable, std::memory_order_relaxed) == reachable || options.events == nullptr)
      return;
    const std::string key = std::to_string(p.where.id);
    const std::string_view words[] = {"unreachable", "reachable"};
    gate_.call([&] {
      options.events->on(event::state_changed{.policy = transport_name,
                                              .name = options.name,
                                              .key = key,
                                              .from = words[reachable ? 0 : 1],
                                              .to = words[reachable ? 1 : 0],
                                              .why = why,
                                              .at = steady_clock::now()});
    });
  }

  /// Whose certificate it is. One that would do for several says nothing about who shows it: nobody's.
  std::shared_ptr<peer> owner_of(const ::X509* certificate) const {
    std::shared_ptr<peer> owner;
    for (const auto& p : peers()) {
      if (!carries(certificate, p->identity)) continue;
      if (owner) return nullptr;
      owner = p;
    }
    return owner;
  }
  /// Who is called there.
  std::shared_ptr<peer> living_at(const asio::ip::address& network) const ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    for (const auto& [id, p] : peers_) {
      if (std::find(p->networks.begin(), p->networks.end(), network) != p->networks.end()) return p;
    }
    return nullptr;
  }

  void refuse(std::string_view why) {
    refused.add();
    last_refusal.say(why);
  }

  void close_all(std::string_view why) {
    for (const auto& p : peers()) p->close(why);
    for (const auto& w : strangers) w->close(why);
  }
  void stop() {
    stopped = true;
    for (const auto& p : peers()) dismiss(*p);
    close_all("stopped");
  }
  static void dismiss(peer& p) {
    p.gone = true;
    p.close("no peer any more");
    p.next_try.cancel();
    p.more_to_send.cancel();
  }

  bool stopped = false;
  std::list<std::shared_ptr<wire>>
      strangers;  // connections that have not shown yet who they are, the oldest first
  door strangers_door;
  pacer all_strangers;
  std::shared_ptr<asio::ssl::context> tls;  // of connections from now on

 private:
  const message_handler on_message_;
  gate gate_;
  mutable core::mutex mutex_;
  std::map<node_id, std::shared_ptr<peer>> peers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace detail

}  // namespace seawall::raft

#endif  // SEAWALL_ELECTION_TRANSPORT_HUB_HPP
