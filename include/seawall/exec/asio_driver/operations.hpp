// SPDX-License-Identifier: Apache-2.0

// Operations that are Asio's own: coroutines (`asio::awaitable`), and initiating functions that take a
// completion token. Read twice, by exec/asio.hpp and by exec/boost_asio.hpp, hence without a guard; included
// by anybody else it says nothing.

#include <concepts>
#include <exception>
#include <string>
#include <type_traits>
#include <utility>

#include "seawall/call.hpp"
#include "seawall/exec/launch.hpp"
#include "seawall/operation.hpp"
#include "seawall/outcome.hpp"

#if defined(SEAWALL_ASIO)

namespace seawall {

namespace detail::SEAWALL_ASIO_DETAIL {

using error_code = SEAWALL_ASIO_SYSTEM::error_code;
using system_error = SEAWALL_ASIO_SYSTEM::system_error;

/// The end of an attempt from what an operation of Asio completes with: an error, if its signature has one,
/// and a result.
template <class Done>
void end_attempt(Done& done) {
  done();
}
template <class Done, class First, class... Rest>
void end_attempt(Done& done, First&& first, Rest&&... rest) {
  if constexpr (std::same_as<std::remove_cvref_t<First>, std::exception_ptr>) {
    first ? done.fail(first) : end_attempt(done, std::forward<Rest>(rest)...);
  } else if constexpr (std::same_as<std::remove_cvref_t<First>, error_code>) {
    first ? done.fail(std::make_exception_ptr(system_error(first)))
          : end_attempt(done, std::forward<Rest>(rest)...);
  } else {
    done(std::forward<First>(first), std::forward<Rest>(rest)...);
  }
}

/// What an operation whose signature is `Signature` gives.
template <class Signature>
struct result_in {};
template <>
struct result_in<void()> : std::type_identity<void> {};
template <class R>
struct result_in<void(R)> : std::type_identity<std::remove_cvref_t<R>> {};
template <class... Rest>
struct result_in<void(std::exception_ptr, Rest...)> : result_in<void(Rest...)> {};
template <>
struct result_in<void(std::exception_ptr)> : std::type_identity<void> {};
template <class... Rest>
struct result_in<void(error_code, Rest...)> : result_in<void(Rest...)> {};
template <>
struct result_in<void(error_code)> : std::type_identity<void> {};

template <class Done, class Executor>
class attempt_handler {
 public:
  using executor_type = Executor;
  using cancellation_slot_type = net::cancellation_slot;

  attempt_handler(Done&& done, const Executor& executor, net::cancellation_slot slot)
      : done_(std::move(done)), executor_(executor), slot_(slot) {}

  const executor_type& get_executor() const noexcept { return executor_; }
  cancellation_slot_type get_cancellation_slot() const noexcept { return slot_; }

  template <class... Result>
  void operator()(Result&&... result) {
    end_attempt(done_, std::forward<Result>(result)...);
  }

 private:
  Done done_;
  Executor executor_;
  net::cancellation_slot slot_;
};

/// One attempt of an operation of Asio, and the signal that gives it up.
class attempt_signal {
 public:
  void cancel() { signal_.emit(net::cancellation_type::all); }

 protected:
  template <class Scheduler, class Done>
  auto handler(const Scheduler& scheduler, Done&& done) {
    static_assert(
        requires { scheduler.get_executor(); },
        "operations of Asio run on Asio: start this call with async_run, or on an asio_scheduler");
    using executor_type = typename Scheduler::executor_type;
    // Cancellation signals are not thread-safe, and no attempt can be given up safely while another thread
    // runs it.
    static_assert(
        !std::same_as<executor_type, net::thread_pool::executor_type> &&
            !std::same_as<executor_type, net::system_executor>,
        "operations of Asio on several threads need a strand: run the call on make_strand(executor)");
    return attempt_handler<Done, executor_type>(std::move(done), scheduler.get_executor(), signal_.slot());
  }

 private:
  net::cancellation_signal signal_;
};

// Initiating functions, `op(attempt, token)`, are called with one of two tokens.

/// Asked with this one, they tell their signature.
struct signature_wanted {};
/// Given this one, they start an attempt. It refers to its handler, and may be copied.
template <class Handler>
struct attempt_token {
  Handler& handler;
};

template <class Op>
using signature_of = typename std::invoke_result_t<Op&, attempt, signature_wanted>::type;

template <class Op>
concept initiating = !callback_operation<Op> && !takes_attempt<Op> && !takes_nothing<Op> &&
                     std::invocable<Op&, attempt, signature_wanted>;

/// An attempt that has yet to be initiated.
template <class Op>
struct initiation {
  Op& op;
  attempt a;
};
/// An initiating function in a form that the driver knows.
template <class Op>
struct initiating_operation {
  Op op;
  initiation<Op> operator()(const attempt& a) { return {op, a}; }
};

template <class Op>
decltype(auto) for_driver(Op&& op) {
  if constexpr (initiating<std::remove_cvref_t<Op>>) {
    return initiating_operation<std::remove_cvref_t<Op>>{std::forward<Op>(op)};
  } else {
    return std::forward<Op>(op);
  }
}
template <initiating Op, idempotency D, class Key>
auto for_driver(declared_operation<Op, D, Key> op) {
  using adapted = initiating_operation<Op>;
  return declared_operation<adapted, D, Key>(adapted{std::move(op.operation())}, Key(op.key()));
}

}  // namespace detail::SEAWALL_ASIO_DETAIL

template <class Op>
struct awaitable_bridge<detail::SEAWALL_ASIO_DETAIL::initiation<Op>>
    : detail::SEAWALL_ASIO_DETAIL::attempt_signal {
  using result_type =
      typename detail::SEAWALL_ASIO_DETAIL::result_in<detail::SEAWALL_ASIO_DETAIL::signature_of<Op>>::type;

  template <class Scheduler, class Make, class Done>
  void start(Scheduler& scheduler, Make make, Done done) {
    auto handler = this->handler(scheduler, std::move(done));
    detail::SEAWALL_ASIO_DETAIL::initiation<Op> wanted = make();
    wanted.op(wanted.a, detail::SEAWALL_ASIO_DETAIL::attempt_token<decltype(handler)>{handler});
  }
};

#if defined(SEAWALL_ASIO_HAS_CO_AWAIT)

template <class T, class Executor>
struct awaitable_bridge<SEAWALL_ASIO::awaitable<T, Executor>> : detail::SEAWALL_ASIO_DETAIL::attempt_signal {
  using result_type = T;

  template <class Scheduler, class Make, class Done>
  void start(Scheduler& scheduler, Make make, Done done) {
    auto handler = this->handler(scheduler, std::move(done));
    SEAWALL_ASIO::co_spawn(scheduler.get_executor(), std::move(make), std::move(handler));
  }
};

#endif  // SEAWALL_ASIO_HAS_CO_AWAIT

}  // namespace seawall

namespace SEAWALL_ASIO {

template <class Signature>
class async_result<seawall::detail::SEAWALL_ASIO_DETAIL::signature_wanted, Signature> {
 public:
  using return_type = std::type_identity<Signature>;

  template <class... Ignored>
  static return_type initiate(Ignored&&...) {
    return {};
  }
};

template <class Handler, class Signature>
class async_result<seawall::detail::SEAWALL_ASIO_DETAIL::attempt_token<Handler>, Signature> {
 public:
  using return_type = void;

  template <class Initiation, class... Args>
  static void initiate(Initiation&& initiation,
                       const seawall::detail::SEAWALL_ASIO_DETAIL::attempt_token<Handler>& token,
                       Args&&... args) {
    std::forward<Initiation>(initiation)(std::move(token.handler), std::forward<Args>(args)...);
  }
};

}  // namespace SEAWALL_ASIO

#endif  // SEAWALL_ASIO
