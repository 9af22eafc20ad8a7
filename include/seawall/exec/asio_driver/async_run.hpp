// SPDX-License-Identifier: Apache-2.0

// `async_run`: a pipeline as an asynchronous operation of Asio, for any completion token. Read twice, by
// exec/asio.hpp and by exec/boost_asio.hpp, hence without a guard; included by anybody else it says nothing.

#include <concepts>
#include <cstddef>
#include <exception>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>

#include "seawall/call.hpp"
#include "seawall/exec/async.hpp"
#include "seawall/outcome.hpp"
#include "seawall/pipeline.hpp"

#if defined(SEAWALL_ASIO)

namespace seawall {

namespace detail::SEAWALL_ASIO_DETAIL {

template <class P>
concept pipeline_like = std::derived_from<std::remove_cv_t<P>, entry_points<std::remove_cv_t<P>>>;

/// How a call that gives R completes: R, if it tells of failures itself, else what was thrown and a value.
template <class R>
struct completes_with {
  static_assert(
      std::default_initializable<R>,
      "Asio's signature for results of operations that throw, void(std::exception_ptr, R), needs an R to send "
      "along with an exception: R must be default-constructible, or tell of failures itself");
  using type = void(std::exception_ptr, R);
};
template <outcome R>
struct completes_with<R> : std::type_identity<void(R)> {};
template <>
struct completes_with<void> : std::type_identity<void(std::exception_ptr)> {};

template <class Handler>
using allocator_for = net::associated_allocator_t<Handler, net::recycling_allocator<void>>;

/// A handler with its result.
template <class R, class Handler>
class completed {
  using S = typename stored_as<R>::type;

 public:
  using allocator_type = allocator_for<Handler>;

  completed(Handler&& handler, S&& result) : handler_(std::move(handler)), result_(std::move(result)) {}

  allocator_type get_allocator() const noexcept {
    return net::get_associated_allocator(handler_, net::recycling_allocator<void>());
  }
  void operator()() {
    if constexpr (outcome<R>) {
      std::move(handler_)(std::move(result_));
    } else if constexpr (std::is_void_v<R>) {
      std::move(handler_)(std::exception_ptr(result_.error()));
    } else if (result_.error()) {
      std::move(handler_)(std::exception_ptr(result_.error()), R());
    } else {
      std::move(handler_)(std::exception_ptr(), std::move(result_).release());
    }
  }

 private:
  Handler handler_;
  S result_;
};

struct no_executor {};
/// False if it is known that such handlers have no executor of their own.
template <class Handler>
inline constexpr bool may_have_executor =
    !std::same_as<net::associated_executor_t<Handler, no_executor>, no_executor>;

/// Where a handler is called: its own executor, or else where the call is at that time.
template <class Handler, class Executor>
class way_to {
 public:
  way_to(const Handler& handler, const Executor& executor)
      : executor_(track(net::get_associated_executor(handler, executor))) {}

  template <class Completed>
  void send(Completed&& completed) && {
    const auto executor = std::move(executor_);
    net::dispatch(executor, std::move(completed));
  }

 private:
  tracked<std::decay_t<decltype(net::get_associated_executor(std::declval<const Handler&>(),
                                                             std::declval<const Executor&>()))>>
      executor_;
};
template <class Handler, class Executor>
  requires(!may_have_executor<Handler>)
class way_to<Handler, Executor> {
 public:
  way_to(const Handler&, const Executor&) noexcept {}

  template <class Completed>
  void send(Completed&& completed) && {
    completed();
  }
};

/// What a call is completed with.
template <class R, class Handler, class Executor>
class to_handler {
  using S = typename stored_as<R>::type;

 public:
  using allocator_type = allocator_for<Handler>;

  to_handler(Handler&& handler, const Executor& executor)
      : handler_(std::move(handler)), way_(handler_, executor) {}

  /// For the state of the call.
  allocator_type get_allocator() const noexcept {
    return net::get_associated_allocator(handler_, net::recycling_allocator<void>());
  }
  void operator()(S&& result) && {
    std::move(way_).send(completed<R, Handler>(std::move(handler_), std::move(result)));
  }

 private:
  Handler handler_;
  [[no_unique_address]] way_to<Handler, Executor> way_;
};

/// In the handler's cancellation slot. It knows nothing of the call, and may be called at any time.
class stop_from_slot {
 public:
  /// Also where the caller's own token fires.
  explicit stop_from_slot(const std::stop_token& also) {
    if (also.stop_possible()) also_.emplace(also, request{source_});
  }
  stop_from_slot(const stop_from_slot&) = delete;
  stop_from_slot& operator=(const stop_from_slot&) = delete;

  std::stop_token token() const { return source_.get_token(); }
  void operator()(net::cancellation_type type) {
    if (type != net::cancellation_type::none) source_.request_stop();
  }

 private:
  struct request {
    std::stop_source source;
    void operator()() { source.request_stop(); }
  };

  std::stop_source source_;
  std::optional<std::stop_callback<request>> also_;
};

struct no_slot {};
/// False if it is known that no cancellation slot comes with such handlers.
template <class Handler>
inline constexpr bool may_have_slot =
    !std::same_as<net::associated_cancellation_slot_t<Handler, no_slot>, no_slot>;

/// The initiating function. `Options` and `Outer`: `call_options` and `attempt`, or `nullptr_t`.
template <class Pipeline, class Executor, class Options, class Outer>
class call_initiation {
 public:
  using executor_type = Executor;

  call_initiation(const Pipeline& p, const Executor& executor, const Options& options, const Outer& outer)
      : pipeline_(&p), executor_(executor), options_(options), outer_(outer) {}

  const executor_type& get_executor() const noexcept { return executor_; }

  template <class Handler, class Op>
  void operator()(Handler&& handler, Op&& op) const {
    if constexpr (may_have_slot<std::decay_t<Handler>>) {
      auto slot = net::get_associated_cancellation_slot(handler);
      if (slot.is_connected()) {
        call_options options;
        if constexpr (!std::is_null_pointer_v<Options>) options = options_;
        options.stop = slot.template emplace<stop_from_slot>(options.stop).token();
        return start(&options, std::forward<Handler>(handler), std::forward<Op>(op));
      }
    }
    start(pointer_to(options_), std::forward<Handler>(handler), std::forward<Op>(op));
  }

 private:
  template <class OptionsPointer, class Handler, class Op>
  void start(OptionsPointer options, Handler&& handler, Op&& op) const {
    using R = typename launch_here<run_async::bare<Op>>::result_type;
    run_async::start(*pipeline_, SEAWALL_ASIO_SCHEDULER<Executor>(executor_), options, pointer_to(outer_),
                     std::forward<Op>(op),
                     to_handler<R, std::decay_t<Handler>, Executor>(
                         std::decay_t<Handler>(std::forward<Handler>(handler)), executor_));
  }

  static std::nullptr_t pointer_to(std::nullptr_t) noexcept { return nullptr; }
  template <class T>
  static const T* pointer_to(const T& value) noexcept {
    return &value;
  }

  const Pipeline* pipeline_;
  Executor executor_;
  [[no_unique_address]] Options options_;
  [[no_unique_address]] Outer outer_;
};

template <class Token, class Pipeline, class Place, class Options, class Outer, class Op>
auto initiate(const Pipeline& p, const Options& options, const Outer& outer, Place& place, Op&& op,
              std::remove_reference_t<Token>& token) {
  using adapted = std::decay_t<decltype(for_driver(std::forward<Op>(op)))>;
  using bare = run_async::bare<adapted>;
  check_declared<adapted, Pipeline::repeats>();
  check_async_operation<bare>();
  using executor_type = decltype(executor_of(place));
  using signature = typename completes_with<typename launch_here<bare>::result_type>::type;
  return net::async_initiate<Token, signature>(
      call_initiation<Pipeline, executor_type, Options, Outer>(p, executor_of(place), options, outer), token,
      for_driver(std::forward<Op>(op)));
}

}  // namespace detail::SEAWALL_ASIO_DETAIL

/// Runs `op` through a pipeline as an asynchronous operation of Asio.
///
/// `p`: outlives the call. `place`: the executor on which the call goes on, or a context. `op`: any of the
/// kinds in exec/launch.hpp, a coroutine (`asio::awaitable<R>`), or an initiating function
/// `op(attempt, auto token)`; declared if the pipeline repeats. `token`: any completion token. `options` and
/// `outer`, the attempt of an enclosing call, as for `pipeline::start`. Signature: `void(R)` where R tells of
/// failures itself (absl::Status, StatusOr, std::expected), else `void(std::exception_ptr, R)`,
/// `void(std::exception_ptr)` for void. The handler is called on its associated executor (by default
/// `place`), never from inside.
///
/// Thread safety: may be called from any thread. On a context that several threads run, operations of Asio
/// need a strand as `place`, since giving up an attempt emits its cancellation signal; this does not compile
/// for thread pools without one.
/// Cancellation: each attempt of an operation of Asio has a cancellation slot of its own, in which all types
/// are emitted when the attempt is given up. The handler's own slot, if it is connected, stops the whole
/// call, whatever the type.
/// Lifetime: as for `pipeline::start`; an attempt that ignores its cancellation runs on, and holds back
/// `run`.
/// Cost: one allocation, from the handler's associated allocator (by default Asio's recycling one), given
/// back before the handler is called unless attempts that were given up still run; a second one if the
/// handler's slot is connected.
template <detail::SEAWALL_ASIO_DETAIL::pipeline_like Pipeline, detail::SEAWALL_ASIO_DETAIL::place Place,
          class Op, class Token>
auto async_run(Pipeline& p, Place&& place, Op&& op, Token&& token) {
  return detail::SEAWALL_ASIO_DETAIL::initiate<Token>(std::as_const(p), nullptr, nullptr, place,
                                                      std::forward<Op>(op), token);
}
template <detail::SEAWALL_ASIO_DETAIL::pipeline_like Pipeline, detail::SEAWALL_ASIO_DETAIL::place Place,
          class Op, class Token>
auto async_run(Pipeline& p, const call_options& options, Place&& place, Op&& op, Token&& token) {
  return detail::SEAWALL_ASIO_DETAIL::initiate<Token>(std::as_const(p), options, nullptr, place,
                                                      std::forward<Op>(op), token);
}
template <detail::SEAWALL_ASIO_DETAIL::pipeline_like Pipeline, detail::SEAWALL_ASIO_DETAIL::place Place,
          class Op, class Token>
auto async_run(Pipeline& p, const attempt& outer, Place&& place, Op&& op, Token&& token) {
  return detail::SEAWALL_ASIO_DETAIL::initiate<Token>(std::as_const(p), nullptr, outer, place,
                                                      std::forward<Op>(op), token);
}
template <detail::SEAWALL_ASIO_DETAIL::pipeline_like Pipeline, detail::SEAWALL_ASIO_DETAIL::place Place,
          class Op, class Token>
auto async_run(Pipeline& p, const attempt& outer, const call_options& options, Place&& place, Op&& op,
               Token&& token) {
  return detail::SEAWALL_ASIO_DETAIL::initiate<Token>(std::as_const(p), options, outer, place,
                                                      std::forward<Op>(op), token);
}

}  // namespace seawall

#endif  // SEAWALL_ASIO
