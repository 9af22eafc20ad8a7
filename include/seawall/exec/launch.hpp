// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_EXEC_LAUNCH_HPP
#define SEAWALL_EXEC_LAUNCH_HPP

// What an asynchronous operation may look like, and how an attempt of each kind is started:
//
//   void operation(attempt, completion<R>)   a callback operation; also without the attempt
//   A operation(attempt)                     A is any awaitable that any coroutine can await, its result R
//   F operation(attempt)                     F is awaited by coroutines of its own kind only; see `awaitable_bridge`
//   R operation(attempt)                     returns at once, and must not block

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "seawall/exec/completion.hpp"
#include "seawall/operation.hpp"
#include "seawall/outcome.hpp"

namespace seawall {

/// Specialise it for awaitables that only live in coroutines of their own kind (`asio::awaitable`; see
/// exec/asio.hpp):
///
///     template <> struct seawall::awaitable_bridge<foreign> {
///       using result_type = R;
///       // Calls `make()` once, awaits what it returns, and ends `done`. May be started again after that.
///       // `done(result)` or `done.fail(exception_ptr)`, or letting go of `done`, comes last: the bridge may be gone then.
///       template <class Scheduler, class Make, class Done> void start(Scheduler&, Make make, Done done);
///       // The result is not wanted any more. By one thread at a time with `start`, but at any time after it: the bridge may just be
///       // ending on another thread, or have ended `done` already.
///       void cancel();
///     };
template <class A>
struct awaitable_bridge;

namespace detail {

template <class T>
concept awaiter = requires(T& t, std::coroutine_handle<> h) {
  { t.await_ready() } -> std::convertible_to<bool>;
  t.await_suspend(h);
  t.await_resume();
};

template <class A>
concept has_member_co_await = requires(A&& a) {
  std::forward<A>(a).operator co_await();
};
template <class A>
concept has_free_co_await = requires(A&& a) {
  operator co_await(std::forward<A>(a));
};

template <class A>
decltype(auto) awaiter_of(A&& a) {
  if constexpr (has_member_co_await<A>) {
    return std::forward<A>(a).operator co_await();
  } else if constexpr (has_free_co_await<A>) {
    return operator co_await(std::forward<A>(a));
  } else {
    return static_cast<A&&>(a);
  }
}

/// Something that a coroutine of any kind can await.
template <class A>
concept awaitable = has_member_co_await<A> || has_free_co_await<A> || awaiter<A>;

template <class A>
using await_result = std::remove_cvref_t<
    decltype(std::declval<std::remove_reference_t<decltype(awaiter_of(std::declval<A>()))>&>()
                 .await_resume())>;

template <class A>
concept bridged = requires {
  typename awaitable_bridge<A>::result_type;
};

// The R of a callback operation stands in its signature.

template <class T>
struct completed_by {};
template <class R>
struct completed_by<completion<R>> {
  using type = R;
};
template <class... Args>
struct last_of {};
template <class Last>
struct last_of<Last> : completed_by<std::decay_t<Last>> {};
template <class First, class... Rest>
  requires(sizeof...(Rest) > 0)
struct last_of<First, Rest...> : last_of<Rest...> {};

template <class F>
struct completed_result {};
template <class Ret, class... Args>
struct completed_result<Ret (*)(Args...)> : last_of<Args...> {};
template <class Ret, class... Args>
struct completed_result<Ret (*)(Args...) noexcept> : last_of<Args...> {};
template <class Ret, class C, class... Args>
struct completed_result<Ret (C::*)(Args...)> : last_of<Args...> {};
template <class Ret, class C, class... Args>
struct completed_result<Ret (C::*)(Args...) noexcept> : last_of<Args...> {};
template <class Ret, class C, class... Args>
struct completed_result<Ret (C::*)(Args...) const> : last_of<Args...> {};
template <class Ret, class C, class... Args>
struct completed_result<Ret (C::*)(Args...) const noexcept> : last_of<Args...> {};
template <class F>
struct completed_result<std::reference_wrapper<F>> : completed_result<std::decay_t<F>> {};
template <class F>
  requires requires { &F::operator(); }
struct completed_result<F> : completed_result<decltype(&F::operator())> {};

/// `void operation(attempt, completion<R>)`; the signature says what R is.
template <class Op>
concept callback_operation = requires {
  typename completed_result<std::decay_t<Op>>::type;
};

enum class operation_kind : std::uint8_t { calls_back, awaited, bridged, immediate };

/// What an operation without its declaration is, and R.
template <class Op>
struct async_operation {
  using returned = result_of<Op>;
  static constexpr operation_kind kind = detail::bridged<returned>     ? operation_kind::bridged
                                         : detail::awaitable<returned> ? operation_kind::awaited
                                                                       : operation_kind::immediate;

  static auto result() {
    if constexpr (kind == operation_kind::bridged) {
      return std::type_identity<typename awaitable_bridge<returned>::result_type>();
    } else if constexpr (kind == operation_kind::awaited) {
      return std::type_identity<await_result<returned>>();
    } else {
      return std::type_identity<returned>();
    }
  }
  using result_type = typename decltype(result())::type;
};
template <callback_operation Op>
struct async_operation<Op> {
  static constexpr operation_kind kind = operation_kind::calls_back;
  using result_type = typename completed_result<std::decay_t<Op>>::type;
};

template <class Op>
constexpr bool is_async_operation() {
  if constexpr (callback_operation<Op>) {
    return std::invocable<Op&, attempt, completion<typename completed_result<std::decay_t<Op>>::type>> ||
           std::invocable<Op&, completion<typename completed_result<std::decay_t<Op>>::type>>;
  } else {
    return takes_attempt<Op> || takes_nothing<Op>;
  }
}

/// Room for the coroutine that awaits an attempt, in the call's own state.
class coroutine_room {
 public:
  /// From the heap if it does not fit, or if there is no room.
  static void* take(coroutine_room* room, std::size_t size) {
    const bool fits = room != nullptr && size + header <= sizeof(room_);
    auto* const at = fits ? room->room_ : static_cast<std::byte*>(::operator new(size + header));
    ::new (static_cast<void*>(at)) bool(fits);
    return at + header;
  }
  static void give_back(void* frame) noexcept {
    auto* const at = static_cast<std::byte*>(frame) - header;
    if (!*std::launder(reinterpret_cast<bool*>(at))) ::operator delete(static_cast<void*>(at));
  }

 private:
  static constexpr std::size_t header = alignof(std::max_align_t);
  alignas(std::max_align_t) std::byte room_[256];
};

/// Awaits one attempt and ends its slot when nothing of it is left.
template <class S>
class attempt_coroutine {
 public:
  struct promise_type {
    template <class Make>
    promise_type(coroutine_room*, attempt_slot<S>& s, const Make&) noexcept : slot(&s) {
      s.promise();
    }

    template <class Make>
    static void* operator new(std::size_t size, coroutine_room* room, attempt_slot<S>&, const Make&) {
      return coroutine_room::take(room, size);
    }
    static void operator delete(void* frame) noexcept { coroutine_room::give_back(frame); }

    attempt_coroutine get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }

    // The frame lies in the call's state, which may be gone as soon as the slot is delivered.
    struct leave {
      bool await_ready() noexcept { return false; }
      void await_suspend(std::coroutine_handle<promise_type> self) noexcept {
        attempt_slot<S>* const ended = self.promise().slot;
        self.destroy();
        ended->deliver();
      }
      void await_resume() noexcept {}
    };
    leave final_suspend() noexcept { return {}; }

    attempt_slot<S>* slot;
  };
};

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 does not see that a template `operator new` and the `operator delete` of a promise belong together;
// without optimisation it says so.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif
/// `make()` gives the awaitable; it lives here, and so does what it refers to.
template <class R, class S, class Make>
attempt_coroutine<S> await_into(coroutine_room*, attempt_slot<S>& slot, Make make) {
#if defined(__cpp_exceptions)
  try {
#endif
    if constexpr (std::is_same_v<R, S>) {
      slot.keep(co_await make());
    } else if constexpr (std::is_void_v<R>) {
      co_await make();
      slot.keep(stored_as<R>::keep([] {}));
    } else {
      R value = co_await make();
      slot.keep(stored_as<R>::keep([&]() -> R { return std::move(value); }));
    }
#if defined(__cpp_exceptions)
  } catch (...) {
    slot.keep_thrown(std::current_exception());
  }
#endif
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

struct nothing_kept {};

template <class Op, operation_kind Kind = async_operation<Op>::kind>
struct launch_state {
  using type = nothing_kept;
};
template <class Op>
struct launch_state<Op, operation_kind::awaited> {
  using type = coroutine_room;
};
template <class Op>
struct launch_state<Op, operation_kind::bridged> {
  using type = awaitable_bridge<typename async_operation<Op>::returned>;
};

/// A bridge that nobody holds, and that goes when it has ended what it was started for.
template <class R, class Bridge>
class unheld_bridge {
 public:
  template <class Scheduler, class Make>
  static void start(Scheduler& scheduler, Make make, completion<R> done) {
    auto bridge = std::make_unique<Bridge>();
    Bridge& started = *bridge;
    started.start(scheduler, std::move(make), ending{std::move(bridge), std::move(done)});
  }

 private:
  struct ending {
    std::unique_ptr<Bridge> bridge;
    completion<R> done;

    template <class... Result>
    void operator()(Result&&... result) {
      done(std::forward<Result>(result)...);
    }
    void fail(const std::exception_ptr& e) { done.fail(e); }
  };
};

/// Starts what `make()` says: an awaitable, or a result at once.
template <class R, class S, class Scheduler, class Make>
void start_made([[maybe_unused]] Scheduler& scheduler, attempt_slot<S>& slot, Make make) {
  using made = std::remove_cvref_t<std::invoke_result_t<Make&>>;
  if constexpr (bridged<made>) {
    unheld_bridge<R, awaitable_bridge<made>>::start(scheduler, std::move(make), completion<R>(slot));
  } else if constexpr (awaitable<made>) {
    await_into<R>(nullptr, slot, std::move(make));
  } else {
    slot.keep(stored_as<R>::keep([&]() -> R { return make(); }));
    slot.deliver();
  }
}

/// Starts attempts of `Op` where the driver is. `state` is one attempt's: kept while it runs, used again
/// afterwards.
template <class Op>
struct launch_here {
  using result_type = typename async_operation<Op>::result_type;
  using state = typename launch_state<Op>::type;
  template <class Other>
  using same_for = launch_here<Other>;
  static constexpr operation_kind kind = async_operation<Op>::kind;

  template <class Scheduler, class S>
  static void start([[maybe_unused]] Scheduler& scheduler, [[maybe_unused]] state& room, Op& op,
                    const attempt& a, attempt_slot<S>& slot) {
    if constexpr (kind == operation_kind::calls_back) {
      if constexpr (std::invocable<Op&, attempt, completion<result_type>>) {
        op(a, completion<result_type>(slot));
      } else {
        op(completion<result_type>(slot));
      }
    } else if constexpr (kind == operation_kind::awaited) {
      await_into<result_type>(&room, slot, [&op, a] { return invoke_operation(op, a); });
    } else if constexpr (kind == operation_kind::bridged) {
      room.start(
          scheduler, [&op, a] { return invoke_operation(op, a); }, completion<result_type>(slot));
    } else {
      slot.keep(stored_as<result_type>::keep([&]() -> result_type { return invoke_operation(op, a); }));
      slot.deliver();
    }
  }
  static void cancel([[maybe_unused]] state& room) {
    if constexpr (requires { room.cancel(); }) room.cancel();
  }
};

}  // namespace detail

}  // namespace seawall

#endif  // SEAWALL_EXEC_LAUNCH_HPP
