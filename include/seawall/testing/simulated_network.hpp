// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTING_SIMULATED_NETWORK_HPP
#define SEAWALL_TESTING_SIMULATED_NETWORK_HPP

// A network in virtual time, for messages of any type: what is sent arrives late, twice, out of order or not at all, and
// links are cut, in both directions or in one. The same seed and the same calls give the same run. What a service does on a
// bad day is tested in microseconds; that it talks bytes over sockets is not tested here.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "seawall/exec/scheduler.hpp"
#include "seawall/options.hpp"
#include "seawall/random.hpp"
#include "seawall/testing/virtual_scheduler.hpp"
#include "seawall/time.hpp"

namespace seawall::testing {

/// How one direction between two nodes behaves.
struct link_options {
  duration delay_min = std::chrono::microseconds(100);  ///< at least 0
  duration delay_max = std::chrono::milliseconds(1);    ///< uniform between the two; at least delay_min
  /// This share of the messages takes up to `slow_max`: overtaken by others, it arrives when nobody thinks of it any more.
  double slow = 0;                                     ///< 0 to 1
  duration slow_max = std::chrono::milliseconds(100);  ///< at least delay_max
  double lost = 0;                                     ///< share that never arrives; 0 to 1
  double doubled = 0;                ///< share that arrives twice, each copy with a delay of its own; 0 to 1
  bool in_order = false;             ///< none overtakes another, as on one TCP connection
  std::size_t max_under_way = 1024;  ///< messages; what is sent beyond is lost; at least 1
};

inline std::optional<option_error> validate(const link_options& o) {
  const auto share = [](double v) { return seawall::detail::within(v, 0, 1); };
  return option_checks()
      .require(o.delay_min >= duration::zero(), "delay_min", o.delay_min, "must be at least 0")
      .require(o.delay_max >= o.delay_min, "delay_max", o.delay_max, "must be at least delay_min")
      .require(share(o.slow), "slow", o.slow, "must be 0 to 1")
      .require(o.slow_max >= o.delay_max, "slow_max", o.slow_max, "must be at least delay_max")
      .require(share(o.lost), "lost", o.lost, "must be 0 to 1")
      .require(share(o.doubled), "doubled", o.doubled, "must be 0 to 1")
      .require(o.max_under_way >= 1, "max_under_way", static_cast<std::uint64_t>(o.max_under_way),
               "must be at least 1")
      .result();
}

/// What became of what was sent. sent + doubled = delivered + lost + cut_off + refused + nobody_there + under way.
struct network_counts {
  std::uint64_t sent = 0;
  std::uint64_t delivered = 0;
  std::uint64_t doubled = 0;
  std::uint64_t lost = 0;          ///< by chance
  std::uint64_t cut_off = 0;       ///< the link was cut when it was sent, or when it would have arrived
  std::uint64_t refused = 0;       ///< beyond max_under_way
  std::uint64_t nobody_there = 0;  ///< the receiver was not attached when it arrived
};

/// Nodes are numbers. `Message` can be copied.
///
/// Thread safety: none; virtual time has one thread.
/// Lifetime: the scheduler outlives it; what is under way when it dies is forgotten.
/// Cost: a look-up or two a message; no allocation in the steady state, other than what the message itself takes.
template <class Message>
class simulated_network {
 public:
  using node = std::uint64_t;
  using receiver = std::function<void(node from, Message what)>;

  /// Refuses bad options, as a policy does.
  simulated_network(virtual_scheduler& on, std::uint64_t seed, link_options usual = {})
      : scheduler_(on), random_(seed), usual_(checked("simulated_network", usual)) {}
  simulated_network(const simulated_network&) = delete;
  simulated_network& operator=(const simulated_network&) = delete;
  ~simulated_network() {
    for (letter& l : letters_) scheduler_.cancel(l.timer);
  }

  /// What arrives at `n` from now on goes to `r`, also what was sent before. In place of an earlier receiver.
  void attach(node n, receiver r) { receivers_[n] = std::make_shared<receiver>(std::move(r)); }
  /// What arrives at `n` is lost. A receiver may detach itself.
  void detach(node n) { receivers_.erase(n); }

  /// It may arrive. Never delivers from inside.
  void send(node from, node to, Message what) {
    ++counts_.sent;
    link& l = link_of(from, to);
    if (l.cut) {
      ++counts_.cut_off;
      return;
    }
    const link_options& o = l.own ? *l.own : usual_;
    if (draw(o.lost)) {
      ++counts_.lost;
      return;
    }
    if (draw(o.doubled)) {
      ++counts_.doubled;
      post(l, o, from, to, what);
    }
    post(l, o, from, to, std::move(what));
  }

  /// Of every link that has no options of its own. Counts for what is sent from now on.
  void set_links(link_options o) { usual_ = checked("simulated_network", o); }
  /// Of one direction; nullopt: as all others.
  void set_link(node from, node to, std::optional<link_options> o) {
    if (o) static_cast<void>(checked("simulated_network", *o));
    link_of(from, to).own = o;
  }

  /// One direction. A message under way is lost if it would arrive while the link is cut.
  void cut(node from, node to) { link_of(from, to).cut = true; }
  void join(node from, node to) { link_of(from, to).cut = false; }
  bool is_cut(node from, node to) const {
    const auto found = links_.find({from, to});
    return found != links_.end() && found->second.cut;
  }
  /// Cuts all links, in both directions, between the nodes of one side and those of the other.
  template <class Side, class Other>
  void part(const Side& side, const Other& other) {
    for (const node a : side) {
      for (const node b : other) {
        if (a == b) continue;
        cut(a, b);
        cut(b, a);
      }
    }
  }
  void part(std::initializer_list<node> side, std::initializer_list<node> other) {
    part<std::initializer_list<node>, std::initializer_list<node>>(side, other);
  }
  /// No link is cut any more. What has been lost stays lost.
  void heal() {
    for (auto& [ends, l] : links_) l.cut = false;
  }

  const network_counts& counts() const noexcept { return counts_; }
  std::size_t under_way() const noexcept { return under_way_; }

 private:
  struct link {
    std::optional<link_options> own = {};
    bool cut = false;
    std::size_t under_way = 0;
    instant last_arrival = {};  // of `in_order`
  };

  // A message under way. Letters are kept for the next message.
  struct letter final : task {
    explicit letter(simulated_network& n)
        : task([](task& t, outcome how) {
            auto& self = static_cast<letter&>(t);
            if (how == outcome::run) self.net.arrive(self);
          }),
          net(n) {}
    simulated_network& net;
    virtual_scheduler::timer timer;
    link* on = nullptr;
    node from = 0, to = 0;
    std::optional<Message> what;
  };

  // Nodes in a map stay where they are.
  link& link_of(node from, node to) { return links_[{from, to}]; }

  bool draw(double share) { return share > 0 && random_.unit() < share; }
  duration between(duration least, duration most) {
    return least + duration::from_ns(static_cast<std::int64_t>(
                       random_.up_to(static_cast<std::uint64_t>((most - least).ns()))));
  }

  void post(link& l, const link_options& o, node from, node to, Message what) {
    if (l.under_way >= o.max_under_way) {
      ++counts_.refused;
      return;
    }
    instant at = scheduler_.now() +
                 (draw(o.slow) ? between(o.delay_max, o.slow_max) : between(o.delay_min, o.delay_max));
    // Later by a nanosecond: a scheduler that shuffles does so among what happens at one instant.
    if (o.in_order && at <= l.last_arrival) at = l.last_arrival + duration::from_ns(1);
    l.last_arrival = std::max(l.last_arrival, at);
    ++l.under_way;
    ++under_way_;
    letter& sent = blank();
    sent.on = &l;
    sent.from = from;
    sent.to = to;
    sent.what.emplace(std::move(what));
    scheduler_.schedule_at(at, sent.timer, sent);
  }

  letter& blank() {
    if (idle_.empty()) return letters_.emplace_back(*this);
    letter& l = *idle_.back();
    idle_.pop_back();
    return l;
  }

  void arrive(letter& l) {
    --l.on->under_way;
    --under_way_;
    const bool cut = l.on->cut;
    const node from = l.from;
    const auto there = receivers_.find(l.to);
    Message what = std::move(*l.what);
    l.what.reset();
    idle_.push_back(&l);
    if (cut) {
      ++counts_.cut_off;
    } else if (there == receivers_.end()) {
      ++counts_.nobody_there;
    } else {
      ++counts_.delivered;
      // Held, as it may detach itself.
      const std::shared_ptr<receiver> deliver = there->second;
      (*deliver)(from, std::move(what));
    }
  }

  virtual_scheduler& scheduler_;
  random_source random_;
  link_options usual_;
  std::map<std::pair<node, node>, link> links_;
  std::map<node, std::shared_ptr<receiver>> receivers_;
  std::deque<letter> letters_;
  std::vector<letter*> idle_;
  std::size_t under_way_ = 0;
  network_counts counts_;
};

}  // namespace seawall::testing

#endif  // SEAWALL_TESTING_SIMULATED_NETWORK_HPP
