// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_EXEC_COMPLETION_HPP
#define SEAWALL_EXEC_COMPLETION_HPP

// How an asynchronous operation hands over its result: a `completion`, called once, from any thread. Behind
// it, the mailbox that lets any number of threads tell a call what happened while only one at a time reads.

#include <atomic>
#include <cassert>
#include <concepts>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <thread>
#include <type_traits>
#include <utility>

#include "seawall/call.hpp"
#include "seawall/outcome.hpp"

#if defined(__cpp_exceptions)
#include <exception>
#endif

namespace seawall {

namespace detail {

/// Something that happened to a call. Belongs to whoever it happens to; not sent again before it was read.
struct mail {
  enum class kind : std::uint8_t {
    ended,    // an attempt or a substitute
    timer,    // it was due
    poked,    // shared state has changed
    left,     // the caller's stop token fired
    stopped,  // the scheduler shuts down
    dropped,  // the scheduler is gone, or whoever waits for the answer is
  };
  constexpr explicit mail(kind k) noexcept : what(k) {}
  mail(const mail&) = delete;
  mail& operator=(const mail&) = delete;

  mail* next = nullptr;
  kind what;
};

/// A lock-free stack of mail and the right to read it: whoever sends to an idle box must see to it that it is
/// read. What one reader did happens before what the next one does.
class mailbox {
 public:
  /// Of somebody who reads already.
  mailbox() noexcept : newest_(reading()) {}
  mailbox(const mailbox&) = delete;
  mailbox& operator=(const mailbox&) = delete;

  /// True if nobody reads: the caller is the reader from now on. If false, box and mail may be gone already.
  [[nodiscard]] bool send(mail& m) noexcept {
    mail* seen = newest_.load(std::memory_order_relaxed);
    // Release: the reader sees what the sender wrote. Acquire: a new reader sees what the last one wrote.
    do {
      m.next = seen;
    } while (!newest_.compare_exchange_weak(seen, &m, std::memory_order_acq_rel, std::memory_order_relaxed));
    return seen == nullptr;
  }

  /// All that came since the last time, oldest first. Reader only.
  mail* take() noexcept {
    mail* m = newest_.exchange(reading(), std::memory_order_acquire);
    mail* oldest = nullptr;
    while (m != nullptr && m != reading()) {
      mail* const older = m->next;
      m->next = oldest;
      oldest = m;
      m = older;
    }
    return oldest;
  }

  /// The reader leaves, unless something has come. Release: the next reader sees what this one wrote.
  [[nodiscard]] bool leave() noexcept {
    mail* expected = reading();
    if (newest_.load(std::memory_order_relaxed) != expected) return false;
    return newest_.compare_exchange_strong(expected, nullptr, std::memory_order_release,
                                           std::memory_order_relaxed);
  }

 private:
  // No mail lies here: a mark.
  mail* reading() noexcept { return reinterpret_cast<mail*>(this); }

  // Null: idle. reading(): somebody reads, and there is nothing new. Else the newest mail; the oldest one's
  // `next` is what was there before it came.
  std::atomic<mail*> newest_;
};

/// Takes mail for one call.
class recipient {
 public:
  /// Thread safety: any thread. The recipient may be gone when it returns.
  virtual void deliver(mail& m) noexcept = 0;

 protected:
  ~recipient() = default;
};

/// The stop token of an attempt, made when somebody asks for it: few operations do, and it costs an
/// allocation.
class late_stop final : public attempt_stop {
 public:
  late_stop() noexcept {}
  late_stop(const late_stop&) = delete;
  late_stop& operator=(const late_stop&) = delete;
  ~late_stop() = default;

  bool requested() const noexcept override { return (state_.load(std::memory_order_acquire) & fired) != 0; }

  std::stop_token token() const override {
    std::uint8_t seen = state_.load(std::memory_order_acquire);
    while ((seen & made) == 0) {
      if ((seen & making) != 0) {
        std::this_thread::yield();
        seen = state_.load(std::memory_order_acquire);
        continue;
      }
      std::stop_source fresh;  // first: what throws must not leave others waiting
      if (state_.compare_exchange_strong(seen, seen | making, std::memory_order_acquire)) {
        source_ = std::move(fresh);
        // Release: whoever sees `made` sees the source.
        if ((state_.fetch_or(made, std::memory_order_acq_rel) & fired) != 0) source_.request_stop();
        break;
      }
    }
    return source_.get_token();
  }

  /// Runs the callbacks of those who have a token.
  void request() noexcept {
    const std::uint8_t before = state_.fetch_or(fired, std::memory_order_acq_rel);
    if ((before & made) != 0) source_.request_stop();
  }

  /// For the next attempt. Nobody else has hold of it.
  void reset() noexcept {
    if (state_.load(std::memory_order_relaxed) == 0) return;
    source_ = std::stop_source(std::nostopstate);
    state_.store(0, std::memory_order_relaxed);
  }

 private:
  static constexpr std::uint8_t making = 1, made = 2, fired = 4;

  mutable std::atomic<std::uint8_t> state_{0};  // some of the bits above; `made` comes after `making`
  mutable std::stop_source source_{std::nostopstate};
};

#if defined(__cpp_exceptions)
/// What was thrown, as a result.
template <class S>
S result_of_throw(const std::exception_ptr& e) {
  if constexpr (std::constructible_from<S, std::exception_ptr>) {
    return S(e);
  } else {
    rejection threw{.policy = "operation", .why = reason::threw};
    try {
      std::rethrow_exception(e);
    } catch (const std::exception& x) {
      threw.detail = x.what();
      return outcome_traits<S>::reject(threw, nullptr);
    } catch (...) {
      return outcome_traits<S>::reject(threw, nullptr);
    }
  }
}
#endif

/// An attempt (or substitute) in flight, and where it leaves its result. `S` is what the driver keeps for a
/// result.
template <class S>
class attempt_slot : public mail {
 public:
  attempt_slot() noexcept : mail(kind::ended) {}

  void begin(recipient& owner, const launch& l) noexcept {
    owner_ = &owner;
    id = l.id;
    is_substitute = l.source != 0;
    in_flight = wanted = true;
    promised_ = false;
    delivered_.store(false, std::memory_order_relaxed);
  }

  /// Somebody will deliver, whatever happens to the operation. By the call's reader only.
  void promise() noexcept { promised_ = true; }
  /// The result, before `deliver`. Once.
  void keep(S&& result) {
    assert(!result_);
    result_.emplace(std::move(result));
  }
#if defined(__cpp_exceptions)
  /// The operation threw when it was started. What it had said before counts; if it had let go of its
  /// completion, this says more; if it had none, nobody else will say anything. By the call's reader only.
  void start_threw(const std::exception_ptr& e) {
    if (!promised_) {
      keep_thrown(e);
      deliver();
    } else if (delivered_.load(std::memory_order_acquire) && silent_) {
      keep_thrown(e);
    }
  }
  /// The operation threw.
  void keep_thrown(const std::exception_ptr& e) {
    result_.reset();
    result_.emplace(result_of_throw<S>(e));
  }
#endif
  /// Nobody will give a result any more.
  void keep_no_answer() {
    silent_ = true;
    keep(outcome_traits<S>::reject({.policy = "operation", .why = reason::no_answer}, nullptr));
  }
  /// Tells the call. The slot may be gone when it returns.
  void deliver() noexcept {
    // Release: pairs with `start_threw`.
    delivered_.store(true, std::memory_order_release);
    owner_->deliver(*this);
  }

  S& result() noexcept { return *result_; }
  /// The attempt is over.
  void end() noexcept {
    result_.reset();
    stop.reset();
    in_flight = silent_ = false;
  }

  attempt_id id = 0;
  bool in_flight = false;
  bool wanted = false;  // by the frames
  bool is_substitute = false;
  late_stop stop;

 private:
  recipient* owner_ = nullptr;
  std::atomic<bool> delivered_{false};
  bool promised_ = false;  // somebody else will deliver
  bool silent_ = false;    // the completion was let go of
  std::optional<S> result_;
};

template <class R>
using slot_for = attempt_slot<typename stored_as<R>::type>;

}  // namespace detail

/// Ends one attempt of an asynchronous operation that returns R.
///
/// Call it once, with the result: `done(result)`; `done()` where R is void. Let go of without a call, the
/// attempt ends with a failure (`reason::no_answer`). `fail(exception_ptr)` is the other ending, for what was
/// thrown.
///
/// Thread safety: may be called from any thread, also from inside the operation. Cancellation: a result that
/// nobody wants any more is destroyed. Cost: no allocation; the call goes on on its scheduler, not inside.
template <class R>
class [[nodiscard]] completion {
  using stored = detail::stored_as<R>;
  using S = typename stored::type;

 public:
  using result_type = R;

  /// For drivers.
  explicit completion(detail::attempt_slot<S>& slot) noexcept : slot_(&slot) { slot.promise(); }
  completion(completion&& other) noexcept : slot_(std::exchange(other.slot_, nullptr)) {}
  completion& operator=(completion&& other) noexcept {
    if (this != &other) {
      let_go();
      slot_ = std::exchange(other.slot_, nullptr);
    }
    return *this;
  }
  ~completion() { let_go(); }

  /// It has not been called yet.
  explicit operator bool() const noexcept { return slot_ != nullptr; }

  template <class... Result>
    requires(sizeof...(Result) == (std::is_void_v<R> ? 0 : 1))
  void operator()(Result&&... result) {
    assert(slot_ != nullptr && "a completion is called once");
    // A result whose constructor throws leaves the completion as it was.
    if constexpr (std::is_same_v<R, S>) {
      slot_->keep(S(std::forward<Result>(result)...));
    } else {
      slot_->keep(stored::keep([&]() -> R { return R(std::forward<Result>(result)...); }));
    }
    std::exchange(slot_, nullptr)->deliver();
  }

  /// For drivers: with what a nested call was completed with.
  void pass_on(S&& result) {
    slot_->keep(std::move(result));
    std::exchange(slot_, nullptr)->deliver();
  }

#if defined(__cpp_exceptions)
  /// The operation threw `e`. Where R can tell of failures itself, that becomes one (`reason::threw`).
  void fail(const std::exception_ptr& e) {
    assert(slot_ != nullptr && "a completion is called once");
    slot_->keep_thrown(e);
    std::exchange(slot_, nullptr)->deliver();
  }
#endif

 private:
  void let_go() noexcept {
    if (slot_ == nullptr) return;
    slot_->keep_no_answer();
    std::exchange(slot_, nullptr)->deliver();
  }

  detail::attempt_slot<S>* slot_;
};

}  // namespace seawall

#endif  // SEAWALL_EXEC_COMPLETION_HPP
