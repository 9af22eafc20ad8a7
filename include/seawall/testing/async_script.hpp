// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTING_ASYNC_SCRIPT_HPP
#define SEAWALL_TESTING_ASYNC_SCRIPT_HPP

// A dependency that behaves as a line of text says (script.hpp), for the asynchronous drivers: it answers by
// a timer of their scheduler, virtual or real, and can be given up on.

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "seawall/call.hpp"
#include "seawall/core/mutex.hpp"
#include "seawall/exec/completion.hpp"
#include "seawall/exec/scheduler.hpp"
#include "seawall/exec/sleep.hpp"
#include "seawall/testing/script.hpp"
#include "seawall/testing/virtual_scheduler.hpp"
#include "seawall/time.hpp"

namespace seawall::testing {

/// What an operation does when its attempt is given up: the caller has gone, its time is over, another
/// attempt has won.
enum class when_given_up : std::uint8_t {
  stops,         ///< ends at once, with CANCELLED, which nobody will see
  answers_late,  ///< does not notice, and answers when it would have: a late loser
};

struct async_script_options {
  when_given_up given_up = when_given_up::stops;
  /// For so long after its deadline a hanging attempt waits to be given up. Zero will do in virtual time,
  /// where the driver comes first; in real time its timer may be late.
  duration patience = duration::zero();
};

namespace detail {

/// One attempt's answer and when it comes. `Owner` has `answered()`.
template <class T, class Scheduler, class Owner>
class timed_answer : protected seawall::detail::timed_wait<Scheduler, timed_answer<T, Scheduler, Owner>> {
  using base = seawall::detail::timed_wait<Scheduler, timed_answer>;
  friend base;

 protected:
  timed_answer(Scheduler& on, const attempt& a, const step& s, const T& value, const async_script_options& o)
      : base(on), stop_(a.stop_token()), at_(on.now() + s.after), patience_(o.patience) {
    const bool notices = o.given_up == when_given_up::stops;
    hangs_ = s.hangs || (notices && at_ > a.deadline());
    if (hangs_) {
      at_ = a.deadline();
    } else if (s.code == absl::StatusCode::kOk) {
      answer_ = value;
    } else {
      answer_ = failure_of(s);
    }
    // One that hangs without a deadline would never end.
    if (!notices && at_ != instant::never()) stop_ = {};
  }

  /// True if there is nothing to wait for.
  bool answer_now() const noexcept { return !hangs_ && at_ <= this->scheduler().now(); }
  /// False if it is over at once: `answered` is not called.
  bool wait() { return proceed(this->begin(at_, stop_)); }
  absl::StatusOr<T> take() { return std::move(answer_); }
  bool was_given_up() const noexcept { return given_up_; }

 private:
  // The driver comes first where it gives up at the very moment at which a client would have.
  bool proceed(std::optional<bool> in_time) {
    while (in_time && *in_time && hangs_) {
      hangs_ = false;
      answer_ = no_answer_in_time();
      in_time = this->begin(at_ + patience_, stop_);
    }
    if (!in_time) return true;
    if (!*in_time) {
      given_up_ = true;
      answer_ = absl::CancelledError("scripted: given up");
    }
    return false;
  }
  void woken(bool in_time) {
    if (!proceed(in_time)) static_cast<Owner*>(this)->answered();
  }

  std::stop_token stop_;
  instant at_;
  duration patience_;
  bool hangs_ = false;
  bool given_up_ = false;
  absl::StatusOr<T> answer_;
};

}  // namespace detail

/// An operation that answers `value` or fails as its script says, on `Scheduler`. To be awaited, by the
/// drivers or by any coroutine: `idempotent(std::ref(quotes))`; as one that takes a completion:
/// `idempotent(quotes.calling_back())`.
///
/// `until` in a script counts from the making of this. What takes no time answers from inside the call.
/// Thread safety: attempts may be started and given up on any thread.
/// Lifetime: it outlives its attempts, late ones included, and the scheduler outlives it.
/// Cancellation: a hanging step ends when its attempt is given up, or at its deadline where nobody does, as a
/// client with a time-out would; so does an answer that would come after the deadline. `async_script_options`
/// say what the others do.
template <class T, scheduler Scheduler = virtual_scheduler>
class scripted_async {
 public:
  class answer;

  /// A bad script is a bad test: refused as bad options are.
  scripted_async(Scheduler& on, std::string_view text, T value, async_script_options options = {})
      : scripted_async(on, detail::checked(script::parse(text)), std::move(value), options) {}
  scripted_async(Scheduler& on, script s, T value, async_script_options options = {})
      : scheduler_(on), made_(on.now()), options_(options), script_(std::move(s)), value_(std::move(value)) {}
  scripted_async(const scripted_async&) = delete;
  scripted_async& operator=(const scripted_async&) = delete;

  /// Awaitable; its result is an `absl::StatusOr<T>`. The step is taken, and its time runs, from the call.
  [[nodiscard]] answer operator()(const attempt& a) { return answer(*this, a, next()); }

  /// The same as a callback operation. It refers to this.
  auto calling_back() {
    return [this](attempt a, completion<absl::StatusOr<T>> done) {
      auto p = std::make_unique<pending>(*this, a, next(), std::move(done));
      if (p->wait()) static_cast<void>(p.release());  // it deletes itself
    };
  }

  std::uint64_t calls() const noexcept { return calls_.load(std::memory_order_relaxed); }
  /// Attempts that ended because they were given up.
  std::uint64_t stopped() const noexcept { return stopped_.load(std::memory_order_relaxed); }
  /// Attempts that have not ended. Zero: nothing refers to this any more.
  std::uint64_t under_way() const noexcept {
    // Acquire: pairs with the release in `ended`.
    return calls_.load(std::memory_order_relaxed) - ended_.load(std::memory_order_acquire);
  }

 private:
  class pending;

  step next() {
    calls_.fetch_add(1, std::memory_order_relaxed);
    const core::mutex_lock lock(mutex_);
    return script_.next(instant() + (scheduler_.now() - made_));
  }
  void ended(bool given_up) noexcept {
    if (given_up) stopped_.fetch_add(1, std::memory_order_relaxed);
    ended_.fetch_add(1, std::memory_order_release);
  }

  Scheduler& scheduler_;
  const instant made_;
  const async_script_options options_;
  core::mutex mutex_;
  script script_ ABSL_GUARDED_BY(mutex_);
  const T value_;
  std::atomic<std::uint64_t> calls_{0};
  std::atomic<std::uint64_t> stopped_{0};
  std::atomic<std::uint64_t> ended_{0};
};

/// What an attempt awaits.
template <class T, scheduler Scheduler>
class [[nodiscard]] scripted_async<T, Scheduler>::answer
    : detail::timed_answer<T, Scheduler, typename scripted_async<T, Scheduler>::answer> {
  using base = detail::timed_answer<T, Scheduler, answer>;
  friend base;
  friend scripted_async;

 public:
  ~answer() {
    if (!ended_) owner_.ended(false);
  }

  bool await_ready() const noexcept { return this->answer_now(); }
  bool await_suspend(std::coroutine_handle<> waiting) {
    waiting_ = waiting;
    return this->wait();
  }
  absl::StatusOr<T> await_resume() {
    ended_ = true;
    owner_.ended(this->was_given_up());
    return this->take();
  }

 private:
  answer(scripted_async& owner, const attempt& a, const step& s)
      : base(owner.scheduler_, a, s, owner.value_, owner.options_), owner_(owner) {}
  void answered() { waiting_.resume(); }

  scripted_async& owner_;
  std::coroutine_handle<> waiting_;
  bool ended_ = false;
};

/// An attempt that calls back.
template <class T, scheduler Scheduler>
class scripted_async<T, Scheduler>::pending
    : detail::timed_answer<T, Scheduler, typename scripted_async<T, Scheduler>::pending> {
  using base = detail::timed_answer<T, Scheduler, pending>;
  friend base;

 public:
  pending(scripted_async& owner, const attempt& a, const step& s, completion<absl::StatusOr<T>> done)
      : base(owner.scheduler_, a, s, owner.value_, owner.options_), owner_(owner), done_(std::move(done)) {}

  /// False if it has answered, and is not needed any more.
  bool wait() {
    if (!this->answer_now() && base::wait()) return true;
    tell();
    return false;
  }

 private:
  void answered() {
    const std::unique_ptr<pending> self(this);
    tell();
  }
  void tell() {
    completion<absl::StatusOr<T>> done = std::move(done_);
    absl::StatusOr<T> result = this->take();
    // First: with its last attempt ended, the operation may be gone.
    owner_.ended(this->was_given_up());
    done(std::move(result));
  }

  scripted_async& owner_;
  completion<absl::StatusOr<T>> done_;
};

}  // namespace seawall::testing

#endif  // SEAWALL_TESTING_ASYNC_SCRIPT_HPP
