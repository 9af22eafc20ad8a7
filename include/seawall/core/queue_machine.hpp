// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_QUEUE_MACHINE_HPP
#define SEAWALL_CORE_QUEUE_MACHINE_HPP

// Who may enter a queue, who is next, who has to go: decided over places that know nothing of the items in
// them. No lock, no clock, no waiting: queue/backpressure_queue.hpp adds those.

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "seawall/core/queue_control.hpp"
#include "seawall/core/queue_options.hpp"
#include "seawall/core/timer_heap.hpp"
#include "seawall/time.hpp"

namespace seawall::core {

/// Nobody has looked at the clock: earlier than any other instant.
inline constexpr instant unread = instant::from_ns(seawall::detail::int64_min);

/// A place in a queue; what an item is made of derives from it. Not moved while it is in one.
struct queued {
  struct hook : timer_node {
    queued* of = nullptr;
  };

  queued* previous = nullptr;  // in the order of arrival
  queued* next = nullptr;      // the same; also of chains
  instant since;
  instant deadline = instant::never();
  std::uint64_t bytes = 0;
  std::uint64_t order = 0;  // of arrival; 0: not yet arrived
  int priority = 0;
  std::uint32_t turn = 0;  // for `fair`: the hash of the key
  queue_drop why = queue_drop::evicted;

  // What few orders need comes last.
  queued* turn_previous = nullptr;
  queued* turn_next = nullptr;
  hook ranked;                   // among those with a rank
  hook dying;                    // among those with a deadline
  hook weakest;                  // among those of whom the one with the lowest priority makes room
  queued* next_to_go = nullptr;  // while it is not yet certain whether they make room
};

/// Places that have left a queue, in the order in which they did.
class queued_chain {
 public:
  bool empty() const noexcept { return first_ == nullptr; }
  queued* first() const noexcept { return first_; }
  /// All of them in front of `head`.
  void move_before(queued*& head) noexcept {
    if (first_ == nullptr) return;
    last_->next = head;
    head = std::exchange(first_, nullptr);
  }
  void push(queued& q) noexcept {
    q.next = nullptr;
    (first_ != nullptr ? last_->next : first_) = &q;
    last_ = &q;
  }
  queued* pop() noexcept {
    queued* const q = first_;
    if (q != nullptr) first_ = q->next;
    return q;
  }

 private:
  queued* first_ = nullptr;
  queued* last_ = nullptr;
};

/// What is said to one that wants to enter.
enum class queue_admission : std::uint8_t { admitted, full, closed, too_large, expired };

/// Whose turn it is, where keys take turns: deficit round robin (Shreedhar, Varghese, SIGCOMM 1995) in the
/// form that pays afterwards, so that nothing need be known of an item before it is served. The keys are
/// hashed into a fixed number of turns, as in stochastic fairness queueing (McKenney, INFOCOM 1990): bounded,
/// and nothing is allocated for a key.
///
/// Thread safety: none of its own. Cost: constant; with a quantum, `next` takes up to three rounds where all
/// owe more than one.
class turn_table {
 public:
  explicit turn_table(std::size_t turns) : turns_(std::make_unique<turn[]>(turns)), count_(turns) {}

  void put(queued& q) noexcept {
    turn& t = turns_[q.turn % count_];
    // By arrival; but for one that is put back it is the last place at once.
    queued* after = t.last;
    while (after != nullptr && after->order > q.order) after = after->turn_previous;
    q.turn_previous = after;
    q.turn_next = after != nullptr ? after->turn_next : t.first;
    (q.turn_previous != nullptr ? q.turn_previous->turn_next : t.first) = &q;
    (q.turn_next != nullptr ? q.turn_next->turn_previous : t.last) = &q;
    if (t.next == nullptr) enter(t);
  }
  /// The first of the key whose turn it is. There is one.
  queued* next(std::uint64_t quantum) noexcept {
    const std::int64_t each = quantum != 0 ? static_cast<std::int64_t>(quantum) : 1;
    for (const turn* const begun = now_; now_->credit <= 0;) {
      now_->credit += each;
      if (now_->credit > 0) break;
      now_ = now_->next;
      if (now_ == begun) skip_rounds(each);
    }
    return now_->first;
  }
  void remove(queued& q) noexcept {
    turn& t = turns_[q.turn % count_];
    (q.turn_previous != nullptr ? q.turn_previous->turn_next : t.first) = q.turn_next;
    (q.turn_next != nullptr ? q.turn_next->turn_previous : t.last) = q.turn_previous;
    if (t.first == nullptr) leave(t);
  }
  /// It was served, before it is removed: its key pays.
  void charge(const queued& q, std::uint64_t quantum) noexcept {
    turn& t = turns_[q.turn % count_];
    t.credit -= quantum != 0 ? static_cast<std::int64_t>(std::min(q.bytes, most_bytes)) : 1;
    if (t.credit <= 0 && now_ == &t) now_ = t.next;
  }

 private:
  struct turn {
    queued* first = nullptr;
    queued* last = nullptr;
    turn* next = nullptr;  // in the ring of those who have something; null: not in it
    turn* previous = nullptr;
    std::int64_t credit = 0;
  };

  static constexpr std::uint64_t most_bytes = std::uint64_t{1} << 62U;  // of an item that its key pays for

  // All at once: those in which everybody would still owe.
  void skip_rounds(std::int64_t each) noexcept {
    std::int64_t rounds = seawall::detail::int64_max;
    turn* t = now_;
    do {
      rounds = std::min(rounds, -t->credit / each);
      t = t->next;
    } while (t != now_);
    do {
      t->credit += rounds * each;
      t = t->next;
    } while (t != now_);
  }
  // Before the one whose turn it is: last in the round.
  void enter(turn& t) noexcept {
    if (now_ == nullptr) {
      t.next = t.previous = now_ = &t;
      return;
    }
    t.next = now_;
    t.previous = now_->previous;
    t.previous->next = now_->previous = &t;
  }
  // What it owes it keeps; what it has not used is lost.
  void leave(turn& t) noexcept {
    if (t.credit > 0) t.credit = 0;
    if (now_ == &t) now_ = t.next != &t ? t.next : nullptr;
    t.previous->next = t.next;
    t.next->previous = t.previous;
    t.next = t.previous = nullptr;
  }

  std::unique_ptr<turn[]> turns_;
  std::size_t count_;
  turn* now_ = nullptr;
};

/// A bounded queue of places.
///
/// `admit` makes a reservation, which `put` or `cancel` ends; so a place may be filled between the two. `now`
/// may go back a little from one thread to the next: the newest time seen counts.
///
/// Thread safety: none of its own; the owner's mutex.
/// Cost: constant for fifo, lifo, adaptive_lifo, fair; logarithmic, amortised, for ranks, deadlines and
/// priorities that decide. Nothing is allocated after construction.
class queue_machine {
 public:
  explicit queue_machine(const backpressure_queue_options& o)
      : turns_(o.order == queue_order::fair ? o.turns : 1), order_(o.order) {
    set(o);
  }
  queue_machine(const queue_machine&) = delete;
  queue_machine& operator=(const queue_machine&) = delete;

  std::size_t items() const noexcept { return items_; }
  std::uint64_t bytes() const noexcept { return bytes_; }  ///< of reservations too
  std::size_t reserved() const noexcept { return reserved_; }
  bool closed() const noexcept { return closed_; }
  bool empty() const noexcept { return items_ + reserved_ == 0; }
  std::uint64_t dropped(queue_drop why) const noexcept { return dropped_[static_cast<std::size_t>(why)]; }
  queued* oldest() const noexcept { return first_; }
  bool dropping() const noexcept { return codel_.dropping(); }

  /// From then on, one with this deadline is not served any more; `never()` if that is nobody's concern.
  instant hopeless_at(instant deadline) const noexcept {
    return expires_ && deadline != instant::never() ? rules_.hopeless_at(deadline) : instant::never();
  }
  /// The newest time that was told.
  instant newest() const noexcept { return now_; }

  /// Decisions depend on the time: whoever asks has to read the clock.
  bool timed() const noexcept { return timed_; }
  /// Something may leave without a consumer.
  static bool drops(const backpressure_queue_options& o) noexcept {
    return o.expire || o.codel.on || (o.when_full != queue_full::wait && o.when_full != queue_full::reject);
  }

  void close() noexcept { closed_ = true; }

  /// Who finds no room may wait for it.
  bool waits() const noexcept { return when_full_ == queue_full::wait; }
  bool fits(std::uint64_t bytes) const noexcept { return fits(bytes, items_, bytes_); }

  /// What has to go goes to `out`. Admitted is reserved.
  queue_admission admit(std::uint64_t bytes, int priority, instant deadline, instant now,
                        queued_chain& out) noexcept {
    if (closed_) return queue_admission::closed;
    if (bytes > max_bytes_) return queue_admission::too_large;
    advance(now);
    expire(out);
    if (now_ >= hopeless_at(deadline)) return queue_admission::expired;
    if (!fits(bytes) && !make_room(bytes, priority, out)) return queue_admission::full;
    ++reserved_;
    bytes_ += bytes;
    return queue_admission::admitted;
  }
  /// The reservation is not needed.
  void cancel(std::uint64_t bytes) noexcept {
    --reserved_;
    bytes_ -= bytes;
  }
  /// Fills a reservation; `bytes` are those reserved.
  void put(queued& q, instant now) noexcept {
    assert(reserved_ > 0);
    --reserved_;
    advance(now);
    q.since = timed_ ? now_ : now;  // what others have told may be long ago
    q.order = ++arrivals_;
    link(q);
  }
  /// What `take` gave out could not be used: it goes to where it was.
  void put_back(queued& q) noexcept {
    bytes_ += q.bytes;
    link(q);
  }

  /// The next; null if there is none. What has to go before goes to `out`.
  queued* take(instant now, queued_chain& out) noexcept {
    while (queued* const q = head(now, out)) {
      if (serve(*q, out)) [[likely]]
        return q;
    }
    return nullptr;
  }

  // A plain queue looks at nothing but its bounds: first come, first served, and nobody is dropped. Its items
  // need no places: whoever keeps them otherwise says how many there are.

  bool plain() const noexcept { return plain_; }
  /// One of these options would be.
  bool plain_with(const backpressure_queue_options& o) const noexcept {
    return order_ == queue_order::fifo && !o.expire && !o.codel.on &&
           (o.when_full == queue_full::wait || o.when_full == queue_full::reject);
  }
  /// What `admit` and `put` do, at once. False: nothing has happened.
  [[gnu::always_inline]] bool enter_plain(std::uint64_t bytes) noexcept {
    if (!plain_ || closed_ || !fits(bytes)) [[unlikely]]
      return false;
    ++items_;
    bytes_ += bytes;
    return true;
  }
  /// Fills a reservation.
  void put_plain() noexcept {
    --reserved_;
    ++items_;
  }
  [[gnu::always_inline]] void leave_plain(std::size_t items, std::uint64_t bytes) noexcept {
    items_ -= items;
    bytes_ -= bytes;
  }
  void return_plain(std::size_t items, std::uint64_t bytes) noexcept {
    items_ += items;
    bytes_ += bytes;
  }
  /// From a plain queue to one that is not, in the order of arrival; the time of which is not known.
  void take_in(queued& q) noexcept {
    q.since = now_;
    q.order = ++arrivals_;
    put_back(q);
  }

  // And in two steps, for those who look who is next before they know whether he can be served.

  /// Who is next. He stays.
  queued* head(instant now, queued_chain& out) noexcept {
    if (items_ == 0) return nullptr;
    if (timed_) {
      advance(now);
      expire(out);
    }
    return next();
  }
  /// The head leaves: true if it is served, false if it goes to `out` because it has waited too long.
  bool serve(queued& q, queued_chain& out) noexcept {
    if (order_ == queue_order::fair) turns_.charge(q, quantum_);
    remove(q);
    if (!codel_.on() || !codel_.drops(now_ - q.since, items_ == 0, now_)) [[likely]]
      return true;
    drop(q, queue_drop::sojourn, out);
    return false;
  }
  /// Does not wait any more; nobody is told.
  void withdraw(queued& q) noexcept { remove(q); }
  /// All that is left, as dropped.
  void abandon(queued_chain& out) noexcept {
    while (first_ != nullptr) evict(*first_, queue_drop::abandoned, out);
  }
  /// Those whose time has come.
  void expire(instant now, queued_chain& out) noexcept {
    advance(now);
    expire(out);
  }

  /// New options for what is queued as well; the order and the number of turns stay. Nothing is dropped for a
  /// smaller bound.
  void reconfigure(const backpressure_queue_options& o, instant now) noexcept {
    const bool was_timed = timed_;
    queued_chain all;
    while (first_ != nullptr) {
      queued& q = *first_;
      remove(q);
      all.push(q);
    }
    set(o);
    timed_ = timed_ || was_timed;
    advance(now);
    while (queued* const q = all.pop()) {
      if (q->since == unread) q->since = now_;
      put_back(*q);
    }
  }

 private:
  void set(const backpressure_queue_options& o) noexcept {
    rules_ = queue_rules(o);
    codel_.set(o.codel);
    max_items_ = o.max_items;
    max_bytes_ = o.max_bytes != 0 ? o.max_bytes : UINT64_MAX;
    when_full_ = o.when_full;
    expires_ = o.expire;
    quantum_ = o.quantum;
    plain_ = plain_with(o);
    timed_ = o.codel.on || order_ == queue_order::adaptive_lifo || order_ == queue_order::priority;
  }
  void advance(instant now) noexcept {
    if (now > now_) now_ = now;
  }

  bool has_rank() const noexcept {
    return order_ == queue_order::priority || order_ == queue_order::earliest_deadline;
  }

  queued* next() noexcept {
    if (items_ == 0) return nullptr;
    switch (order_) {
      case queue_order::fifo: return first_;
      case queue_order::lifo: return last_;
      case queue_order::adaptive_lifo:
        return now_ >= rules_.patience_ends(first_->since, first_->deadline) ? last_ : first_;
      case queue_order::priority:
      case queue_order::earliest_deadline: return static_cast<queued::hook*>(ranks_.top())->of;
      case queue_order::fair: return turns_.next(quantum_);
    }
    return first_;
  }

  void expire(queued_chain& out) noexcept {
    while (!deaths_.empty() && deaths_.next_due() <= now_)
      evict(*static_cast<queued::hook*>(deaths_.top())->of, queue_drop::expired, out);
  }

  bool fits(std::uint64_t bytes, std::size_t items, std::uint64_t used) const noexcept {
    return items + reserved_ < max_items_ && bytes <= max_bytes_ && used <= max_bytes_ - bytes;
  }
  // All that are needed go, or none: whoever stays must not have lost his turn for a newcomer that was
  // refused.
  bool make_room(std::uint64_t bytes, int priority, queued_chain& out) noexcept {
    if (when_full_ == queue_full::wait || when_full_ == queue_full::reject) return false;
    std::size_t items = items_;
    std::uint64_t used = bytes_;
    queued* first = nullptr;
    queued** end = &first;
    for (queued* q = weakest(nullptr); !fits(bytes, items, used); q = weakest(q)) {
      if (q == nullptr || (when_full_ == queue_full::drop_lowest && q->priority >= priority)) {
        for (q = first; q != nullptr; q = q->next_to_go) add_to_weakest(*q);
        return false;
      }
      --items;
      used -= q->bytes;
      q->next_to_go = nullptr;
      *end = q;
      end = &q->next_to_go;
      if (when_full_ == queue_full::drop_lowest) lowest_.remove(q->weakest);
    }
    for (queued* q = first; q != nullptr;) {
      queued* const next = q->next_to_go;
      evict(*q, queue_drop::evicted, out);
      q = next;
    }
    return true;
  }
  // Who makes room first, or after `q` has.
  queued* weakest(const queued* q) const noexcept {
    if (when_full_ == queue_full::drop_oldest) return q != nullptr ? q->next : first_;
    if (when_full_ == queue_full::drop_newest) return q != nullptr ? q->previous : last_;
    return lowest_.empty() ? nullptr : static_cast<queued::hook*>(lowest_.top())->of;
  }
  void add_to_weakest(queued& q) noexcept {
    if (when_full_ == queue_full::drop_lowest)
      push(lowest_, q.weakest, q, instant::from_ns(q.priority), UINT64_MAX - q.order);
  }

  void evict(queued& q, queue_drop why, queued_chain& out) noexcept {
    remove(q);
    drop(q, why, out);
  }
  void drop(queued& q, queue_drop why, queued_chain& out) noexcept {
    q.why = why;
    ++dropped_[static_cast<std::size_t>(why)];
    out.push(q);
  }

  void link(queued& q) noexcept {
    ++items_;
    link_by_arrival(q);
    if (order_ == queue_order::fair) turns_.put(q);
    if (has_rank()) {
      push(ranks_, q.ranked, q,
           order_ == queue_order::priority ? rules_.rank(q.priority, q.since) : q.deadline, q.order);
    }
    if (expires_ && q.deadline != instant::never()) {
      timed_ = true;
      push(deaths_, q.dying, q, rules_.hopeless_at(q.deadline), q.order);
    }
    add_to_weakest(q);
  }
  // One that is put back goes to where it was, which for most is an end.
  void link_by_arrival(queued& q) noexcept {
    queued* after = last_;
    if (first_ != nullptr && q.order < first_->order) after = nullptr;
    while (after != nullptr && after->order > q.order) after = after->previous;
    q.previous = after;
    q.next = after != nullptr ? after->next : first_;
    (q.previous != nullptr ? q.previous->next : first_) = &q;
    (q.next != nullptr ? q.next->previous : last_) = &q;
  }
  static void push(timer_heap& heap, queued::hook& h, queued& q, instant at, std::uint64_t order) noexcept {
    h.of = &q;
    h.at = at;
    h.order = order;
    heap.push(h);
  }

  void remove(queued& q) noexcept {
    --items_;
    bytes_ -= q.bytes;
    (q.previous != nullptr ? q.previous->next : first_) = q.next;
    (q.next != nullptr ? q.next->previous : last_) = q.previous;
    if (order_ == queue_order::fair) turns_.remove(q);
    // Asked first: these lie in other cache lines.
    if (has_rank()) ranks_.remove(q.ranked);
    if (q.deadline != instant::never()) deaths_.remove(q.dying);
    if (when_full_ == queue_full::drop_lowest) lowest_.remove(q.weakest);
  }

  queued* first_ = nullptr;
  queued* last_ = nullptr;
  std::size_t items_ = 0;
  std::size_t reserved_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t arrivals_ = 0;
  instant now_ = unread;
  std::size_t max_items_ = 0;
  std::uint64_t max_bytes_ = 0;
  std::uint64_t quantum_ = 0;
  queue_rules rules_;
  controlled_delay codel_;
  timer_heap ranks_;
  timer_heap deaths_;
  timer_heap lowest_;
  turn_table turns_;
  std::array<std::uint64_t, queue_drops> dropped_{};
  const queue_order order_;
  queue_full when_full_ = queue_full::wait;
  bool expires_ = true;
  bool plain_ = false;
  bool timed_ = false;
  bool closed_ = false;
};

}  // namespace seawall::core

#endif  // SEAWALL_CORE_QUEUE_MACHINE_HPP
