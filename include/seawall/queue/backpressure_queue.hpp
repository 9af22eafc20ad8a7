// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_QUEUE_BACKPRESSURE_QUEUE_HPP
#define SEAWALL_QUEUE_BACKPRESSURE_QUEUE_HPP

// A bounded queue of work between threads: what does not fit waits, comes back, or makes room; what cannot be
// served in time is not served. Nothing in it disappears without a word. Coroutines take from it with
// async_pop.hpp. Not lock-free: the lock is short.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "seawall/core/queue_options.hpp"
#include "seawall/queue/queue_results.hpp"
#include "seawall/queue/queue_state.hpp"
#include "seawall/queue/queue_storage.hpp"
#include "seawall/queue/waiting.hpp"
#include "seawall/time.hpp"

namespace seawall {

/// A queue. A handle: moving it leaves references to its inside valid; it outlives those who use it.
///
/// With the default options the order is that of arrival until the oldest item has used half of its time;
/// then the newest goes first, and what cannot meet its deadline is given to `queue_hooks::dropped`
/// (docs/queue.md has the figures).
///
/// 1. An accepted item comes out once: to a consumer, or to `dropped`. A refused one was not moved from.
/// 2. After `close` nothing is accepted; consumers get what is left, then `queue_answer::closed`.
/// 3. No function of T, and no hook, is called with the lock held, but for a move constructor that cannot
///    throw of a T of at most 128 bytes. If one that can throws, the item is where it was.
/// 4. Whoever waits and can go on is woken.
///
/// Errors: invalid options: the constructor throws `std::invalid_argument` (aborts without exceptions);
/// `create` returns them.
/// Thread safety: distinct and shared objects safe; moving is not. Producers that wait are woken in their
/// order, but one that comes later and smaller may be faster.
/// Cost: push and pop: one lock each (two if the move may throw), constant time with the cheap orders
/// (`core::queue_machine`); a clock read where the options need one, see `now`. No allocation once as many
/// items have been queued as there ever are.
template <class T>
class backpressure_queue {
  static_assert(std::is_object_v<T> && std::is_move_constructible_v<T>, "items are moved in and out");

 public:
  using value_type = T;
  using options_type = queue_settings<T>;
  static constexpr std::string_view policy_name = detail::queue_state::policy_name;

  explicit backpressure_queue(backpressure_queue_options options, queue_hooks<T> hooks = {})
      : backpressure_queue(options_type{std::move(options), std::move(hooks)}) {}
  explicit backpressure_queue(options_type settings)
      : impl_(std::make_unique<detail::queue_storage<T>>(detail::checked(policy_name, std::move(settings)))) {
  }
  backpressure_queue(backpressure_queue&&) noexcept = default;
  backpressure_queue& operator=(backpressure_queue&&) noexcept = default;
  ~backpressure_queue() {
    if (impl_ != nullptr) impl_->abandon();  // while it can still be called by `dropped`
  }

  /// `absl::StatusOr<backpressure_queue>`; needs seawall/status.hpp.
  template <class Creator = detail::creator<backpressure_queue>>
  static auto create(backpressure_queue_options options, queue_hooks<T> hooks = {}) {
    return Creator::make(options_type{std::move(options), std::move(hooks)});
  }

  /// Never waits. `now` is for those who have it, or whose clock is another; else the clock is read where it
  /// is needed.
  push_result try_push(T&& item, const queue_item& about, instant now) {
    const std::uint64_t bytes = impl_->bytes_of(item);
    if (impl_->push_at_once(item, about, bytes)) [[likely]]
      return push_result(queue_answer::done);
    return told(*impl_->push(item, impl_->look_at(about, bytes), now, nullptr));
  }
  push_result try_push(T&& item, const queue_item& about = {}) {
    return try_push(std::move(item), about, clock(about));
  }
  /// Waits for room, where the queue is one of `queue_full::wait`; not longer than until the item has
  /// expired.
  push_result push(T&& item, const queue_item& about, const queue_wait& wait) {
    const std::uint64_t bytes = impl_->bytes_of(item);
    if (impl_->push_at_once(item, about, bytes)) [[likely]]
      return push_result(queue_answer::done);
    return push_or_wait(item, about, bytes, wait);
  }
  push_result push(T&& item, const queue_item& about = {}) {
    const std::uint64_t bytes = impl_->bytes_of(item);
    if (impl_->push_at_once(item, about, bytes)) [[likely]]
      return push_result(queue_answer::done);
    return push_or_wait(item, about, bytes, {});
  }

  pop_result<T> try_pop(instant now) {
    pop_result<T> r(queue_answer::empty);
    if (!impl_->pop_at_once(r)) r.set(*impl_->pop(r, now, nullptr));
    return r;
  }
  pop_result<T> try_pop() { return try_pop(clock()); }
  /// Waits for an item.
  pop_result<T> pop(const queue_wait& wait) {
    pop_result<T> r(queue_answer::empty);
    if (!impl_->pop_at_once(r)) [[unlikely]]
      pop_or_wait(r, wait);
    return r;
  }
  pop_result<T> pop() {
    pop_result<T> r(queue_answer::empty);
    if (!impl_->pop_at_once(r)) [[unlikely]]
      pop_or_wait(r, {});
    return r;
  }

  /// Appends what there is, at most `max` items, to a container with `push_back`. If that throws, the rest is
  /// where it was.
  template <class Container>
  batch_result try_pop_batch(Container& out, std::size_t max, instant now) {
    batch_result r;
    r.why = *impl_->pop_batch(out, max, now, nullptr, r.items);
    return r;
  }
  template <class Container>
  batch_result try_pop_batch(Container& out, std::size_t max) {
    return try_pop_batch(out, max, clock());
  }
  /// Waits for the first.
  template <class Container>
  batch_result pop_batch(Container& out, std::size_t max, const queue_wait& wait = {}) {
    batch_result r = try_pop_batch(out, max);
    if (r.why != queue_answer::empty || max == 0) return r;
    r.why = impl_->wait(&state::consumers, wait, [&](detail::queue_waiter* w) {
      return impl_->pop_batch(out, max, clock(), w, r.items);
    });
    return r;
  }

  /// Nothing more is accepted; whoever waits for room gets his item back. Consumers take what is left.
  void close() { impl_->state.close(); }
  /// Closes, and waits until consumers have taken everything. Returns the number of items left: 0, unless the
  /// wait has ended first; `try_pop_batch` takes them.
  std::size_t drain(const queue_wait& wait = {}) {
    close();
    impl_->wait(&state::drainers, wait,
                [this](detail::queue_waiter* w) { return impl_->drained(clock(), w); });
    return impl_->state.left();
  }
  /// Gives what has expired to `dropped`. Pushes and pops do it as well: for queues that may be idle for
  /// long.
  void tick(instant now) { impl_->tick(now); }
  void tick() { tick(steady_clock::now()); }

  backpressure_queue_snapshot snapshot(instant now) const { return impl_->state.snapshot(now); }
  backpressure_queue_snapshot snapshot() const { return snapshot(steady_clock::now()); }
  const std::string& name() const noexcept { return impl_->state.name; }

  /// New options from now on; what is queued stays queued, also if it is more than the new bounds allow.
  /// Name, order and turns are fixed. Returns what is wrong with the options, in which case nothing has
  /// changed.
  std::optional<option_error> reconfigure(const backpressure_queue_options& options, instant now) {
    return impl_->reconfigure(options, now);
  }
  std::optional<option_error> reconfigure(const backpressure_queue_options& options) {
    return reconfigure(options, steady_clock::now());
  }

  /// For those who wait in other ways than a thread.
  detail::queue_storage<T>& storage() noexcept { return *impl_; }

 private:
  using state = detail::queue_state;

  // Out of line, so that the usual case is short where it is called.
  [[gnu::noinline]] push_result push_or_wait(T& item, const queue_item& about, std::uint64_t bytes,
                                             const queue_wait& wait) {
    const auto looked_at = impl_->look_at(about, bytes);
    const auto first = *impl_->push(item, looked_at, clock(about), nullptr);
    if (first != queue_answer::full) return told(first);
    const queue_wait limits{impl_->end_of_wait(wait.deadline, looked_at), wait.stop};
    return told(impl_->wait(&state::producers, limits, [&](detail::queue_waiter* w) {
      return impl_->push(item, looked_at, clock(about), w);
    }));
  }
  [[gnu::noinline]] void pop_or_wait(pop_result<T>& r, const queue_wait& wait) {
    r.set(*impl_->pop(r, clock(), nullptr));
    if (r.why() != queue_answer::empty) return;
    r.set(impl_->wait(&state::consumers, wait,
                      [&](detail::queue_waiter* w) { return impl_->pop(r, clock(), w); }));
  }
  push_result told(queue_answer a) noexcept {
    impl_->note_refused(a);
    return push_result(a);
  }
  instant clock() const noexcept { return impl_->state.timed() ? steady_clock::now() : detail::unread; }
  instant clock(const queue_item& about) const noexcept {
    return about.deadline != instant::never() ? steady_clock::now() : clock();
  }

  std::unique_ptr<detail::queue_storage<T>> impl_;
};

}  // namespace seawall

#endif  // SEAWALL_QUEUE_BACKPRESSURE_QUEUE_HPP
