// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_SUPPORT_ASYNC_HPP
#define SEAWALL_TESTS_SUPPORT_ASYNC_HPP

// What tests of the asynchronous driver need: operations that end when told to, callers that count, coroutines.

#include <coroutine>
#include <cstddef>
#include <deque>
#include <exception>
#include <optional>
#include <ostream>
#include <type_traits>
#include <utility>

#include "absl/status/statusor.h"
#include "seawall/call.hpp"
#include "seawall/exec/completion.hpp"
#include "seawall/exec/scheduler.hpp"
#include "seawall/status.hpp"
#include "seawall/testing/virtual_scheduler.hpp"

namespace seawall_test {

using result = absl::StatusOr<int>;

/// A result that checks can compare.
class told : public result {
 public:
  told(result r) : result(std::move(r)) {}
  friend bool operator==(const told& t, int value) { return t.ok() && t.value() == value; }
  friend std::ostream& operator<<(std::ostream& out, const told& t) {
    return t.ok() ? out << t.value() : out << seawall::detail::from_absl(t.status().message());
  }
};
template <class S>
using comparable = std::conditional_t<std::is_same_v<S, result>, told, S>;

/// What a call was completed with, and how often. Outlives the call.
template <class S = result>
struct answered {
  auto taker() {
    return [this](S s) {
      ++times;
      value.emplace(std::move(s));
    };
  }
  bool once() const { return times == 1; }

  int times = 0;
  std::optional<comparable<S>> value;
};

/// An operation that ends when the test says so: each attempt waits in `pending`.
template <class R = result>
class held {
 public:
  struct one {
    seawall::attempt attempt;
    seawall::completion<R> done;
  };

  auto operation() {
    return [this](seawall::attempt a, seawall::completion<R> done) {
      pending.push_back({a, std::move(done)});
    };
  }
  template <class... Result>
  void end(std::size_t which, Result&&... with) {
    pending[which].done(std::forward<Result>(with)...);
  }
  std::size_t started() const { return pending.size(); }

  std::deque<one> pending;
};

/// A value that cannot be copied, nor made from nothing, and whose instances are counted.
class token {
 public:
  explicit token(int v) : value(v) { ++alive; }
  token(token&& o) noexcept : value(o.value) { ++alive; }
  token& operator=(token&&) = default;
  ~token() { --alive; }

  int value;
  static inline int alive = 0;
};

/// The least coroutine: runs at once, and is destroyed by whoever holds it, also while it waits.
class coroutine {
 public:
  struct promise_type {
    coroutine get_return_object() { return coroutine(handle::from_promise(*this)); }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
  using handle = std::coroutine_handle<promise_type>;

  coroutine(coroutine&& o) noexcept : handle_(std::exchange(o.handle_, {})) {}
  coroutine& operator=(coroutine&&) = delete;
  ~coroutine() { destroy(); }

  bool done() const { return handle_.done(); }
  void destroy() {
    if (handle_) std::exchange(handle_, {}).destroy();
  }

 private:
  explicit coroutine(handle h) noexcept : handle_(h) {}
  handle handle_;
};

/// A coroutine with a result that starts when it is awaited.
template <class T>
class lazy {
 public:
  struct promise_type {
    lazy get_return_object() { return lazy(handle::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    auto final_suspend() noexcept {
      struct to_awaiting {
        bool await_ready() noexcept { return false; }
        std::coroutine_handle<> await_suspend(handle self) noexcept { return self.promise().awaiting; }
        void await_resume() noexcept {}
      };
      return to_awaiting();
    }
    void return_value(T v) { value.emplace(std::move(v)); }
    void unhandled_exception() noexcept { thrown = std::current_exception(); }

    std::coroutine_handle<> awaiting;
    std::optional<T> value;
    std::exception_ptr thrown;
  };
  using handle = std::coroutine_handle<promise_type>;

  lazy(lazy&& o) noexcept : handle_(std::exchange(o.handle_, {})) {}
  lazy& operator=(lazy&&) = delete;
  ~lazy() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
    handle_.promise().awaiting = awaiting;
    return handle_;
  }
  T await_resume() {
    if (handle_.promise().thrown) std::rethrow_exception(handle_.promise().thrown);
    return std::move(*handle_.promise().value);
  }

 private:
  explicit lazy(handle h) noexcept : handle_(h) {}
  handle handle_;
};

/// Awaited by one coroutine at a time; `open` lets it go on, from inside.
struct gate {
  auto operator co_await() noexcept {
    struct waits {
      gate& g;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> h) noexcept { g.waiting = h; }
      void await_resume() const noexcept {}
    };
    return waits{*this};
  }
  void open() { std::exchange(waiting, {}).resume(); }

  std::coroutine_handle<> waiting;
};

/// Awaits a moment of virtual time.
class pause_for : seawall::task {
 public:
  pause_for(seawall::testing::virtual_scheduler& loop, seawall::duration d)
      : task([](task& t, outcome how) {
          if (how == outcome::run) static_cast<pause_for&>(t).waiting_.resume();
        }),
        loop_(loop),
        d_(d) {}
  ~pause_for() { loop_.cancel(timer_); }

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> h) noexcept {
    waiting_ = h;
    loop_.schedule_at(loop_.now() + d_, timer_, *this);
  }
  void await_resume() const noexcept {}

 private:
  seawall::testing::virtual_scheduler& loop_;
  seawall::duration d_;
  seawall::testing::virtual_scheduler::timer timer_;
  std::coroutine_handle<> waiting_;
};

}  // namespace seawall_test

#endif  // SEAWALL_TESTS_SUPPORT_ASYNC_HPP
