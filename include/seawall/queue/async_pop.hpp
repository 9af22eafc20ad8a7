// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_QUEUE_ASYNC_POP_HPP
#define SEAWALL_QUEUE_ASYNC_POP_HPP

// Coroutines as consumers of a backpressure queue, on any scheduler: `co_await async_pop(queue, scheduler)`.

#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>

#include "seawall/exec/scheduler.hpp"
#include "seawall/queue/async_wait.hpp"
#include "seawall/queue/backpressure_queue.hpp"
#include "seawall/queue/queue_results.hpp"
#include "seawall/queue/waiting.hpp"
#include "seawall/time.hpp"

namespace seawall {

namespace detail {

template <class T>
class popping {
  static_assert(std::is_nothrow_move_constructible_v<T>,
                "an item is moved once more when it has left the queue, and would be lost if that threw");

 public:
  static constexpr queue_waiters queue_state::*list = &queue_state::consumers;
  static constexpr queue_answer not_yet = queue_answer::empty;

  explicit popping(backpressure_queue<T>& queue) : storage_(queue.storage()), result_(not_yet) {}

  queue_storage<T>& storage() noexcept { return storage_; }
  std::optional<queue_answer> attempt(instant now, queue_waiter* w) { return storage_.pop(result_, now, w); }
  void ended(queue_answer how) noexcept { result_.set(how); }
  pop_result<T> result() { return std::move(result_); }

 private:
  queue_storage<T>& storage_;
  pop_result<T> result_;
};

}  // namespace detail

/// `co_await` it: a `pop_result<T>`, as `queue.pop({deadline, stop})` has it, but the coroutine waits instead
/// of the thread, and goes on on the scheduler. The deadline is one of the scheduler's clock. Not a
/// `queue_wait`: g++ 12 destroys an aggregate that is written into a co_await expression twice.
///
/// Items have to be movable without throwing.
///
/// Lifetime: queue and scheduler outlive the wait. A coroutine that waits may be destroyed only by those who
/// share a thread with the scheduler and with all who push or close, and only until it is woken: the
/// scheduler has it from then on until it runs. Elsewhere request `stop`, and let it end.
/// Cost: that of a pop; if it waits, a post, and a timer where there is a deadline. No allocation but that of
/// a stop callback.
template <class T, scheduler Scheduler>
[[nodiscard]] detail::queue_awaiter<detail::popping<T>, Scheduler> async_pop(
    backpressure_queue<T>& queue, Scheduler& on, instant deadline = instant::never(),
    std::stop_token stop = {}) {
  return {detail::popping<T>(queue), on, deadline, std::move(stop)};
}

}  // namespace seawall

#endif  // SEAWALL_QUEUE_ASYNC_POP_HPP
