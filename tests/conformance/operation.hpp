// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_CONFORMANCE_OPERATION_HPP
#define SEAWALL_TESTS_CONFORMANCE_OPERATION_HPP

// The scripted operation as the drivers know it: its side of the trace, and its results as statuses, values or exceptions.

#include <coroutine>
#include <cstdint>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "conformance/scenario.hpp"
#include "conformance/trace.hpp"
#include "seawall/exec/async.hpp"
#include "seawall/exec/completion.hpp"
#include "seawall/operation.hpp"
#include "seawall/outcome.hpp"
#include "seawall/status.hpp"
#include "seawall/testing/async_script.hpp"

namespace conformance {

/// What operations throw where they cannot return a failure.
class failed_error : public std::runtime_error {
 public:
  explicit failed_error(const absl::Status& s) : std::runtime_error(s.ToString()), status_(s) {}
  const absl::Status& status() const { return status_; }

 private:
  absl::Status status_;
};

/// A scripted answer as R.
template <class R>
R as(absl::StatusOr<int> answer) {
  if constexpr (std::is_same_v<R, absl::StatusOr<int>>) {
    return answer;
  } else if constexpr (std::is_same_v<R, absl::Status>) {
    return answer.status();
  } else {
    if (!answer.ok()) throw failed_error(answer.status());
    if constexpr (!std::is_void_v<R>) return *answer;
  }
}

// Results as entries.

inline entry ended(const absl::Status& s, int value) {
  entry e{.what = entry::kind::ended, .code = s.code(), .value = s.ok() ? value : 0};
  if (const auto r = seawall::rejection_of(s)) {
    e.why = r->why;
    e.who = r->policy;
    e.from = r->name;
  }
  return e;
}
inline entry ended(const absl::Status& s) { return ended(s, 0); }
inline entry ended(const absl::StatusOr<int>& s) { return ended(s.status(), s.ok() ? *s : 0); }
inline entry ended(const std::exception_ptr& thrown) {
  entry e{.what = entry::kind::ended};
  try {
    std::rethrow_exception(thrown);
  } catch (const seawall::rejected_error& r) {
    e.code = seawall::code_of(r.why().why);
    e.why = r.why().why;
    e.who = r.why().policy;
    e.from = r.why().name;
  } catch (const failed_error& f) {
    e.code = f.status().code();
  } catch (const std::exception&) {
    e.code = absl::StatusCode::kUnknown;
  }
  e.flag = true;
  return e;
}
template <class T>
entry ended(const seawall::detail::caught<T>& kept) {
  if (kept.error() != nullptr) return ended(kept.error());
  if constexpr (std::is_void_v<T>) {
    return ended(absl::OkStatus(), 0);
  } else {
    return ended(absl::OkStatus(), kept.value());
  }
}

inline entry reported(const seawall::call_report& r) {
  return {.what = entry::kind::report,
          .number = r.attempts,
          .why = r.rejected,
          .gave_up = r.gave_up,
          .flag = r.degraded,
          .who = r.rejected_by,
          .to = r.degraded_by};
}

/// Takes down what one caller's operation sees.
class attempt_log {
 public:
  attempt_log(recorder& log, std::uint32_t caller) : log_(&log), caller_(caller) {}

  recorder& log() const { return *log_; }
  void started(const attempt& a, instant now) const {
    log_->attempt_begins();
    log_->note({.what = entry::kind::started,
                .caller = caller_,
                .number = a.number(),
                .time = log_->moment(a.deadline()),
                .value = a.priority()},
               now);
  }
  void ended(std::uint32_t number, const absl::Status& s, instant now) const {
    const bool given_up = s.code() == absl::StatusCode::kCancelled && s.message() == "scripted: given up";
    log_->note({.what = given_up ? entry::kind::given_up : entry::kind::answered,
                .caller = caller_,
                .number = number,
                .code = given_up ? absl::StatusCode::kOk : s.code()},
               now);
    log_->attempt_ends();
  }

 private:
  recorder* log_;
  std::uint32_t caller_;
};

template <class Scheduler>
using script_on = seawall::testing::scripted_async<int, Scheduler>;

/// Awaited by coroutines of any kind.
template <class R, class Scheduler>
class traced_answer {
 public:
  traced_answer(const attempt_log& log, Scheduler& on, script_on<Scheduler>& script, const attempt& a)
      : log_(log), on_(on), number_((log_.started(a, on.now()), a.number())), answer_(script(a)) {}

  bool await_ready() const { return answer_.await_ready(); }
  bool await_suspend(std::coroutine_handle<> h) { return answer_.await_suspend(h); }
  R await_resume() {
    absl::StatusOr<int> answer = answer_.await_resume();
    log_.ended(number_, answer.status(), on_.now());
    return as<R>(std::move(answer));
  }

 private:
  attempt_log log_;
  Scheduler& on_;
  std::uint32_t number_;
  typename script_on<Scheduler>::answer answer_;
};

template <class R, class Scheduler>
struct awaitable_operation {
  attempt_log log;
  Scheduler* on;
  script_on<Scheduler>* script;

  traced_answer<R, Scheduler> operator()(attempt a) const { return {log, *on, *script, a}; }
};

/// A coroutine that nobody awaits.
struct detached {
  struct promise_type {
    detached get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};

template <class R, class Scheduler>
struct callback_operation {
  awaitable_operation<R, Scheduler> awaited;

  void operator()(attempt a, seawall::completion<R> done) const { finish(awaited, a, std::move(done)); }

 private:
  // By value: the attempt may be given up, and the call be gone.
  static detached finish(awaitable_operation<R, Scheduler> op, attempt a, seawall::completion<R> done) {
    std::exception_ptr thrown;
    try {
      if constexpr (std::is_void_v<R>) {
        co_await op(a);
        done();
      } else {
        done(co_await op(a));
      }
      co_return;
    } catch (...) {
      thrown = std::current_exception();
    }
    done.fail(thrown);
  }
};

/// An operation that makes a call of its own with another one, in the way of its driver: `Call(attempt, op)`.
template <bool Idempotent, class Op>
auto declared(Op op) {
  if constexpr (Idempotent) {
    return seawall::idempotent(std::move(op));
  } else {
    return seawall::non_idempotent(std::move(op));
  }
}

}  // namespace conformance

#endif  // SEAWALL_TESTS_CONFORMANCE_OPERATION_HPP
