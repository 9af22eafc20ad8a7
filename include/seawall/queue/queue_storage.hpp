// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_QUEUE_QUEUE_STORAGE_HPP
#define SEAWALL_QUEUE_QUEUE_STORAGE_HPP

// The items of a backpressure queue: how they come into their places and out of them, which is the part that
// knows T. Places are used again and again. What T does, and what hooks do, happens outside the lock; see
// `moves_under_lock` for the exception.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "seawall/core/mutex.hpp"
#include "seawall/core/queue_machine.hpp"
#include "seawall/core/queue_options.hpp"
#include "seawall/options.hpp"
#include "seawall/queue/item_chunks.hpp"
#include "seawall/queue/queue_results.hpp"
#include "seawall/queue/queue_state.hpp"
#include "seawall/queue/waiting.hpp"
#include "seawall/time.hpp"

namespace seawall::detail {

template <class T>
class queue_storage {
 public:
  using chunk = typename item_chunks<T>::chunk;

  /// Short enough, and safe enough, for the lock: one critical section for a push or a pop.
  static constexpr bool moves_under_lock = std::is_nothrow_move_constructible_v<T> && sizeof(T) <= 128;

  explicit queue_storage(queue_settings<T> s)
      : state(s.options), hooks_(std::move(s.hooks)), order_(s.options.order), turns_(s.options.turns) {
    state.on_level = std::move(hooks_.level);
  }
  queue_storage(const queue_storage&) = delete;
  queue_storage& operator=(const queue_storage&) = delete;
  ~queue_storage() {
    abandon();
    const core::mutex_lock lock(state.mutex);
    while (state.unused != nullptr) delete take_unused();
  }

  /// Closes, and gives what is left to `dropped`.
  void abandon() {
    leaving left(*this);
    typename item_chunks<T>::chain chunks;
    {
      const core::mutex_lock lock(state.mutex);
      state.machine.close();
      state.machine.abandon(left.chain);
      if constexpr (moves_under_lock) {
        chunks = chunks_.detach(SIZE_MAX);
        state.machine.leave_plain(chunks.items, bytes_of(chunks));
      }
    }
    while (chunk* const c = chunks.pop()) hand_over(std::unique_ptr<chunk>(c));
  }

  /// What is known of an item before the lock is taken.
  struct looked_at {
    std::uint64_t bytes;
    instant deadline;
    int priority;
    std::uint32_t turn;
  };
  looked_at look_at(const queue_item& about, std::uint64_t bytes) const {
    return {.bytes = bytes,
            .deadline = about.deadline,
            .priority = about.priority,
            .turn = order_ == queue_order::fair
                        ? static_cast<std::uint32_t>(std::hash<std::string_view>()(about.key))
                        : 0};
  }

  std::uint64_t bytes_of(const T& item) const { return hooks_.bytes ? hooks_.bytes(item) : 0; }

  // The usual case of a plain queue. If they say no, nothing has happened, and the others decide.

  [[gnu::always_inline]] bool push_at_once(T& item, const queue_item& about, std::uint64_t bytes) noexcept {
    if constexpr (moves_under_lock) {
      if (state.plain()) [[likely]] {
        const queue_state::section s(state);
        if (chunks_.tail_is_full() || !state.machine.enter_plain(bytes)) return false;
        chunks_.push_in_tail(std::move(item), about.deadline, bytes, about.priority);
        ++state.pushed;
        return true;
      }
    }
    return false;
  }
  [[gnu::always_inline]] bool pop_at_once(pop_result<T>& r) noexcept {
    if constexpr (moves_under_lock) {
      if (state.plain()) [[likely]] {
        const queue_state::section s(state);
        if (!chunks_.empty()) [[likely]] {
          take_first(r);
          return true;
        }
      }
    }
    return false;
  }

  // Each of these returns nothing if `w` waits now, and then must not be touched by its owner but to wait.

  std::optional<queue_answer> push(T& item, const looked_at& about, instant now, queue_waiter* w) {
    leaving dropped(*this);
    memory spare;
    for (;;) {
      place* reserved = nullptr;
      bool plain = false;
      {
        const queue_state::section s(state);
        keep(spare);
        plain = side_by_side();
        if (plain ? chunks_.has_place() : state.unused != nullptr) {
          const core::queue_admission a =
              state.machine.admit(about.bytes, about.priority, about.deadline, now, dropped.chain);
          if (a != core::queue_admission::admitted) return refused(a, about, w);
          if (plain) {
            put_last(item, about);
            return queue_answer::done;
          }
          reserved = take_unused();
          reserved->bytes = about.bytes;
          tell(*reserved, about);
          if constexpr (moves_under_lock) {
            ::new (static_cast<void*>(&reserved->item)) T(std::move(item));
            enter(*reserved, now);
            return queue_answer::done;
          }
        }
      }
      if (reserved != nullptr) {
        move_in(item, *reserved, now);
        return queue_answer::done;
      }
      spare.get(plain);
    }
  }

  std::optional<queue_answer> pop(pop_result<T>& r, instant now, queue_waiter* w) {
    leaving dropped(*this);
    in_hand hand(*this);
    {
      const queue_state::section s(state);
      if (w != nullptr) state.arrived(*w);
      if constexpr (moves_under_lock) {
        if (state.machine.plain()) {
          if (chunks_.empty()) return nothing(w);
          take_first(r);
          return queue_answer::done;
        }
      }
      core::queued* const q = state.machine.take(now, dropped.chain);
      if (q == nullptr) return nothing(w);
      auto& p = static_cast<place&>(*q);
      if constexpr (moves_under_lock) {
        take_out(r, p);
        return queue_answer::done;
      }
      ++state.popped;
      ++state.in_hand;
      hand.add(p);
    }
    r.take(std::move(hand.first()->item));
    hand.taken();
    return queue_answer::done;
  }

  template <class Container>
  std::optional<queue_answer> pop_batch(Container& out, std::size_t max, instant now, queue_waiter* w,
                                        std::size_t& items) {
    if (max == 0) return queue_answer::empty;
    if constexpr (moves_under_lock) {
      bool plain = false;
      const auto a = pop_chunks(out, max, w, items, plain);
      if (plain) return a;
    }
    leaving dropped(*this);
    in_hand hand(*this);
    {
      const queue_state::section s(state);
      looks(w, max);
      std::size_t found = 0;
      for (; found < max; ++found) {
        core::queued* const q = state.machine.take(now, dropped.chain);
        if (q == nullptr) break;
        hand.add(static_cast<place&>(*q));
      }
      // If it has become a plain one meanwhile, whoever takes from it next time finds what there is.
      if (found == 0) return nothing(w);
      state.popped += found;
      state.in_hand += found;
    }
    while (place* const p = hand.first()) {
      out.push_back(std::move(p->item));
      hand.taken();
      ++items;
    }
    return queue_answer::done;
  }

  /// When a wait for room ends at the latest: then, or as the item is not wanted any more.
  instant end_of_wait(instant deadline, const looked_at& about) {
    if (about.deadline >= deadline) return deadline;
    const core::mutex_lock lock(state.mutex);
    return std::min(deadline, state.machine.hopeless_at(about.deadline));
  }
  void note_refused(queue_answer a) noexcept {
    if (a != queue_answer::done) state.refused.fetch_add(1, std::memory_order_relaxed);
  }
  /// `closed` if nothing is left.
  std::optional<queue_answer> drained(instant now, queue_waiter* w) {
    leaving dropped(*this);
    const queue_state::section s(state);
    state.machine.expire(now, dropped.chain);
    if (state.over()) return queue_answer::closed;
    if (w == nullptr) return queue_answer::full;
    state.drainers.add(*w);
    return std::nullopt;
  }
  void tick(instant now) {
    leaving dropped(*this);
    const queue_state::section s(state);
    state.machine.expire(now, dropped.chain);
  }

  /// This thread waits in `list` until `attempt` says how it ended.
  template <class Attempt>
  queue_answer wait(queue_waiters queue_state::*list, const queue_wait& limits, Attempt attempt) {
    thread_waiter w(limits);
    for (;;) {
      if (const std::optional<queue_answer> a = attempt(&w)) return *a;
      const thread_waiter::end how = w.wait();
      if (how == thread_waiter::end::woken) continue;
      if (!leave(list, w)) w.wait_woken();
      // He may have been woken for something that is still there; if he does not take it, another is told.
      const queue_answer last = *attempt(nullptr);
      if (last != queue_answer::empty && last != queue_answer::full) return last;
      return how == thread_waiter::end::stopped ? queue_answer::stopped : queue_answer::timed_out;
    }
  }
  /// True if he was in the list: nobody will wake him. Else he has been, and does not come for what he was
  /// woken for.
  bool leave(queue_waiters queue_state::*list, queue_waiter& w) {
    const queue_state::section s(state);
    const bool was_there = w.linked;
    (state.*list).remove(w);
    state.arrived(w);
    return was_there;
  }

  std::optional<option_error> reconfigure(const backpressure_queue_options& o, instant now) {
    if (auto error = validate(queue_settings<T>{o, hooks_})) return error;
    option_checks checks;
    checks
        .require(o.order == order_, "order", static_cast<std::uint64_t>(o.order),
                 "cannot be changed: " + std::to_string(static_cast<unsigned>(order_)))
        .require(o.turns == turns_, "turns", std::uint64_t{o.turns},
                 "cannot be changed: " + std::to_string(turns_));
    if (auto error = checks.result()) return error;
    queue_waiters woken;
    {
      const queue_state::section s(state);
      if constexpr (moves_under_lock) {
        rearrange(o, now, woken);
      } else {
        state.reconfigure(o, now, woken);
      }
    }
    woken.wake_all();
    return std::nullopt;
  }

  queue_state state;

 private:
  struct slot {
    slot() noexcept {}
    ~slot() {}
    union {
      T item;
    };
  };
  /// The item comes first: beside what every order needs of a place, in the same cache lines if it is small.
  struct place final : slot, core::queued {};

  /// What a push may need, allocated before the lock is taken.
  struct memory {
    void get(bool plain) {
      if (plain) {
        for_many = std::make_unique<chunk>();
      } else {
        for_one = std::make_unique<place>();
      }
    }
    std::unique_ptr<place> for_one;
    std::unique_ptr<chunk> for_many;
  };

  /// Places on their way out of the queue. Must outlive the lock.
  struct leaving {
    explicit leaving(queue_storage& s) noexcept : storage(s) {}
    leaving(const leaving&) = delete;
    leaving& operator=(const leaving&) = delete;
    ~leaving() {
      if (!chain.empty()) [[unlikely]]
        storage.hand_over(chain);
    }
    queue_storage& storage;
    core::queued_chain chain;
  };

  /// Places whose items are being moved out. What has not been is put back.
  class in_hand {
   public:
    explicit in_hand(queue_storage& s) noexcept : storage_(s) {}
    in_hand(const in_hand&) = delete;
    in_hand& operator=(const in_hand&) = delete;
    ~in_hand() {
      if (items_ == 0) return;
      core::queued_chain without_memory;
      {
        const queue_state::section s(storage_.state);
        storage_.state.in_hand -= items_;
        while (core::queued* const q = waiting_.pop()) {
          if (!storage_.put_back(static_cast<place&>(*q))) [[unlikely]]
            without_memory.push(*q);
        }
        done_.move_before(storage_.state.unused);
      }
      if (!without_memory.empty()) [[unlikely]]
        storage_.hand_over(without_memory);
    }
    /// The caller counts it in `state.in_hand`.
    void add(place& p) noexcept {
      waiting_.push(p);
      ++items_;
    }
    place* first() noexcept { return static_cast<place*>(waiting_.first()); }
    void taken() noexcept {
      auto* const p = static_cast<place*>(waiting_.pop());
      p->item.~T();
      done_.push(*p);
    }

   private:
    queue_storage& storage_;
    core::queued_chain waiting_;
    core::queued_chain done_;
    std::size_t items_ = 0;
  };

  /// The same in chunks.
  class chunks_in_hand {
   public:
    explicit chunks_in_hand(queue_storage& s) noexcept : storage_(s) {}
    chunks_in_hand(const chunks_in_hand&) = delete;
    chunks_in_hand& operator=(const chunks_in_hand&) = delete;
    ~chunks_in_hand() {
      if (chain.first == nullptr) return;
      typename item_chunks<T>::chain without_memory;
      {
        const queue_state::section s(storage_.state);
        storage_.state.in_hand -= chain.items;
        while (chunk* const c = chain.pop()) {
          if (!storage_.put_back(*c)) [[unlikely]]
            without_memory.push(*c);
        }
      }
      while (chunk* const c = without_memory.pop()) storage_.hand_over(std::unique_ptr<chunk>(c));
    }
    typename item_chunks<T>::chain chain;

   private:
    queue_storage& storage_;
  };

  /// A reservation that is not needed if the move throws.
  class entering {
   public:
    entering(queue_storage& s, place& p) noexcept : storage_(s), place_(&p) {}
    entering(const entering&) = delete;
    entering& operator=(const entering&) = delete;
    ~entering() {
      if (place_ == nullptr) return;
      const queue_state::section s(storage_.state);
      storage_.state.machine.cancel(place_->bytes);
      storage_.keep(place_);
    }
    void done(instant now) {
      const queue_state::section s(storage_.state);
      storage_.enter(*std::exchange(place_, nullptr), now);
    }

   private:
    queue_storage& storage_;
    place* place_;
  };

  void take_out(pop_result<T>& r, place& p) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(state.mutex) {
    ++state.popped;
    r.take(std::move(p.item));
    p.item.~T();
    keep(&p);
  }
  // The items are in chunks.
  bool side_by_side() const noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(state.mutex) {
    return moves_under_lock && state.machine.plain();
  }
  void put_last(T& item, const looked_at& about) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(state.mutex) {
    if constexpr (moves_under_lock)
      chunks_.push(std::move(item), about.deadline, about.bytes, about.priority);
    state.machine.put_plain();
    ++state.pushed;
  }
  [[gnu::always_inline]] void take_first(pop_result<T>& r) noexcept
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(state.mutex) {
    auto& e = chunks_.front();
    state.machine.leave_plain(1, e.bytes);
    ++state.popped;
    r.take(std::move(e.item));
    chunks_.pop_front();
  }
  void looks(queue_waiter* w, std::size_t max) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(state.mutex) {
    if (w == nullptr) return;
    state.arrived(*w);
    w->takes = std::min<std::uint64_t>(max, std::uint64_t{1} << 32U);
  }
  // `plain` says whether it was one; else nothing has happened.
  template <class Container>
  std::optional<queue_answer> pop_chunks(Container& out, std::size_t max, queue_waiter* w, std::size_t& items,
                                         bool& plain) {
    memory spare;
    chunks_in_hand hand(*this);
    while (hand.chain.first == nullptr) {
      if (plain) spare.get(true);
      const queue_state::section s(state);
      keep(spare);
      plain = side_by_side();
      if (!plain) return std::nullopt;
      looks(w, max);
      if (chunks_.empty()) return nothing(w);
      if (!chunks_.has_spare() && state.machine.items() > max) continue;
      hand.chain = chunks_.detach(max);
      state.machine.leave_plain(hand.chain.items, bytes_of(hand.chain));
      state.popped += hand.chain.items;
      state.in_hand += hand.chain.items;
    }
    for (chunk* c = hand.chain.first; c != nullptr; c = c->next) {
      for (; c->size() != 0; c->drop_front(), ++items) out.push_back(std::move(c->front().item));
    }
    return queue_answer::done;
  }
  std::uint64_t bytes_of(const typename item_chunks<T>::chain& chain) const noexcept {
    std::uint64_t sum = 0;
    if (!hooks_.bytes) return sum;
    for (chunk* c = chain.first; c != nullptr; c = c->next) sum += bytes_of(*c);
    return sum;
  }
  static std::uint64_t bytes_of(const chunk& c) noexcept {
    std::uint64_t sum = 0;
    for (std::uint32_t i = c.begin; i != c.end; ++i) sum += c.entries[i].bytes;
    return sum;
  }
  // A place that was taken. False: it was not possible.
  bool put_back(place& p) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(state.mutex) {
    --state.popped;
    if constexpr (moves_under_lock) {
      // The queue is a plain one by now.
      if (side_by_side() && !chunks_.has_place()) {
        auto* const more = new (std::nothrow) chunk;
        if (more == nullptr) {
          p.why = queue_drop::abandoned;
          return false;
        }
        chunks_.recycle(*more);
      }
    }
    state.machine.put_back(p);
    if constexpr (moves_under_lock) {
      if (side_by_side()) to_chunk(p);
    }
    return true;
  }
  // A chunk that was taken: empty, unless the consumer's container has thrown. False: it was not possible.
  bool put_back(chunk& c) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(state.mutex) {
    state.popped -= c.size();
    if (c.size() != 0 && side_by_side()) {
      state.machine.return_plain(c.size(), bytes_of(c));
      chunks_.put_back(c);
      return true;
    }
    // The queue has other options by now.
    for (; c.size() != 0; c.drop_front()) {
      if (state.unused == nullptr) {
        auto* const more = new (std::nothrow) place;
        if (more == nullptr) return false;
        keep(more);
      }
      to_place(c.front());
    }
    chunks_.recycle(c);
    return true;
  }
  // Other options may want places for the items, or chunks. Throws before anything has happened, if at all.
  void rearrange(const backpressure_queue_options& o, instant now, queue_waiters& woken)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(state.mutex) {
    const bool was_plain = state.machine.plain();
    const bool plain = state.machine.plain_with(o);
    const std::size_t items = state.machine.items();
    if (was_plain && !plain) {
      for (std::size_t i = 0; i < items; ++i) keep(new place);
    } else if (!was_plain && plain) {
      for (std::size_t i = 0; i < items; i += item_chunks<T>::chunk_items) chunks_.recycle(*new chunk);
    }
    state.reconfigure(o, now, woken);
    if (was_plain && !plain) {
      for (; !chunks_.empty(); chunks_.pop_front()) {
        state.machine.leave_plain(1, chunks_.front().bytes);
        to_place(chunks_.front());
      }
    } else if (!was_plain && plain) {
      while (core::queued* const q = state.machine.oldest()) to_chunk(static_cast<place&>(*q));
    }
  }
  void to_place(typename item_chunks<T>::entry& e) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(state.mutex) {
    place& p = *take_unused();
    p.bytes = e.bytes;
    p.deadline = e.deadline;
    p.priority = e.priority;
    p.turn = 0;
    ::new (static_cast<void*>(&p.item)) T(std::move(e.item));
    state.machine.take_in(p);
    state.note_timed();
  }
  void to_chunk(place& p) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(state.mutex) {
    state.machine.withdraw(p);
    state.machine.return_plain(1, p.bytes);
    chunks_.push(std::move(p.item), p.deadline, p.bytes, p.priority);
    p.item.~T();
    keep(&p);
  }
  static void tell(place& p, const looked_at& about) noexcept {
    p.deadline = about.deadline;
    p.priority = about.priority;
    p.turn = about.turn;
  }
  void move_in(T& item, place& p, instant now) {
    entering e(*this, p);
    ::new (static_cast<void*>(&p.item)) T(std::move(item));
    e.done(now);
  }
  void enter(place& p, instant now) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(state.mutex) {
    state.machine.put(p, now);
    state.note_timed();
    ++state.pushed;
  }

  std::optional<queue_answer> refused(core::queue_admission a, const looked_at& about, queue_waiter* w)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(state.mutex) {
    switch (a) {
      case core::queue_admission::closed: return queue_answer::closed;
      case core::queue_admission::too_large: return queue_answer::too_large;
      case core::queue_admission::expired: return queue_answer::expired;
      default: break;
    }
    if (w == nullptr || !state.machine.waits()) return queue_answer::full;
    w->bytes = about.bytes;
    state.producers.add(*w);
    return std::nullopt;
  }
  std::optional<queue_answer> nothing(queue_waiter* w) ABSL_EXCLUSIVE_LOCKS_REQUIRED(state.mutex) {
    if (state.over()) return queue_answer::closed;
    if (w == nullptr) return queue_answer::empty;
    state.consumers.add(*w);
    return std::nullopt;
  }

  /// To the hook. Not under the lock.
  void hand_over(core::queued_chain& gone) noexcept {
    core::queued_chain done;
    while (core::queued* const q = gone.pop()) {
      auto& p = static_cast<place&>(*q);
      if (hooks_.dropped) hooks_.dropped(std::move(p.item), p.why);
      p.item.~T();
      done.push(p);
    }
    const core::mutex_lock lock(state.mutex);
    done.move_before(state.unused);
  }

  void hand_over(std::unique_ptr<chunk> c) noexcept {
    for (; c->size() != 0; c->drop_front()) {
      if (hooks_.dropped) hooks_.dropped(std::move(c->front().item), queue_drop::abandoned);
    }
  }

  void keep(memory& m) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(state.mutex) {
    if (m.for_one) keep(m.for_one.release());
    if constexpr (moves_under_lock) {
      if (m.for_many) chunks_.recycle(*m.for_many.release());
    }
  }
  void keep(place* p) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(state.mutex) {
    p->next = state.unused;
    state.unused = p;
  }
  place* take_unused() noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(state.mutex) {
    auto* const p = static_cast<place*>(state.unused);
    state.unused = p->next;
    return p;
  }

  queue_hooks<T> hooks_;
  item_chunks<T> chunks_ ABSL_GUARDED_BY(state.mutex);  // of a plain queue
  const queue_order order_;
  const std::size_t turns_;
};

}  // namespace seawall::detail

#endif  // SEAWALL_QUEUE_QUEUE_STORAGE_HPP
