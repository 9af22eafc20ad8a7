// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_QUEUE_ASYNC_PUSH_HPP
#define SEAWALL_QUEUE_ASYNC_PUSH_HPP

// Coroutines as producers of a backpressure queue, on any scheduler:
// `co_await async_push(queue, scheduler, std::move(item))`.

#include <optional>
#include <stop_token>
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
class pushing {
 public:
  static constexpr queue_waiters queue_state::*list = &queue_state::producers;
  static constexpr queue_answer not_yet = queue_answer::full;

  pushing(backpressure_queue<T>& queue, T& item, const queue_item& about)
      : storage_(queue.storage()),
        item_(item),
        about_(storage_.look_at(about, storage_.bytes_of(item))),
        answer_(not_yet) {}

  queue_storage<T>& storage() noexcept { return storage_; }
  instant end_of_wait(instant deadline) { return storage_.end_of_wait(deadline, about_); }
  std::optional<queue_answer> attempt(instant now, queue_waiter* w) {
    return storage_.push(item_, about_, now, w);
  }
  void ended(queue_answer how) noexcept {
    answer_ = how;
    storage_.note_refused(how);
  }
  push_result result() noexcept { return push_result(answer_); }

 private:
  queue_storage<T>& storage_;
  T& item_;  // the caller's, until it is accepted
  const typename queue_storage<T>::looked_at about_;
  queue_answer answer_;
};

}  // namespace detail

/// `co_await` it: a `push_result`, as `queue.push(std::move(item), about, {deadline, stop})` has it, but the
/// coroutine waits instead of the thread, and goes on on the scheduler. The deadlines, of the wait and of the
/// item, are of the scheduler's clock. A refused item was not moved from: the caller still has it.
///
/// Lifetime: queue, scheduler and item outlive the wait. A coroutine that waits may be destroyed only by
/// those who share a thread with the scheduler and with all who pop, close or reconfigure, and only until it
/// is woken: the scheduler has it from then on until it runs. Elsewhere request `stop`, and let it end.
/// Cost: that of a push; if it waits, a post, and a timer where there is a deadline. No allocation but that
/// of a stop callback.
template <class T, scheduler Scheduler>
[[nodiscard]] detail::queue_awaiter<detail::pushing<T>, Scheduler> async_push(
    backpressure_queue<T>& queue, Scheduler& on, T&& item, const queue_item& about = {},
    instant deadline = instant::never(), std::stop_token stop = {}) {
  detail::pushing<T> wanted(queue, item, about);
  const instant end = wanted.end_of_wait(deadline);
  return {std::move(wanted), on, end, std::move(stop)};
}

}  // namespace seawall

#endif  // SEAWALL_QUEUE_ASYNC_PUSH_HPP
