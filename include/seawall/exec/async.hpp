// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_EXEC_ASYNC_HPP
#define SEAWALL_EXEC_ASYNC_HPP

// The driver in which nobody waits: `pipeline::start` and `pipeline::async`. Attempts run as they like,
// several at once, and can be given up. docs/async.md says what is promised.

#include <concepts>
#include <coroutine>
#include <optional>
#include <type_traits>
#include <utility>

#include "seawall/call.hpp"
#include "seawall/exec/async_call.hpp"
#include "seawall/exec/completion.hpp"
#include "seawall/exec/kept_options.hpp"
#include "seawall/exec/launch.hpp"
#include "seawall/exec/scheduler.hpp"
#include "seawall/operation.hpp"
#include "seawall/outcome.hpp"
#include "seawall/pipeline.hpp"

namespace seawall {

namespace detail {

template <class Bare>
constexpr void check_async_operation() {
  static_assert(
      is_async_operation<Bare>(),
      "an asynchronous operation takes (seawall::attempt, seawall::completion<R>), R spelt out, or takes "
      "a seawall::attempt or nothing and returns an awaitable; see seawall/exec/launch.hpp");
  if constexpr (is_async_operation<Bare>()) {
    static_assert(
        runnable<typename async_operation<Bare>::result_type>,
        "seawall cannot read this result: specialise seawall::outcome_traits<R> for it, include the header that "
        "does (seawall/status.hpp, seawall/expected.hpp), or say is_plain<R> if failures are thrown");
  }
}

struct run_async {
  template <class Launch, class Pipeline, class Scheduler, class Options, class Outer, class Op, class Done>
  static auto& make(const Pipeline& p, Scheduler&& scheduler, Options options, Outer outer, Op&& op,
                    Done&& done) {
    constexpr bool plain = std::is_null_pointer_v<Options> && std::is_null_pointer_v<Outer>;
    using kept = std::conditional_t<scheduler_handle<Scheduler>, std::decay_t<Scheduler>, Scheduler>;
    using state = async_call<Pipeline, kept, Launch, std::decay_t<Op>, std::decay_t<Done>,
                             std::conditional_t<plain, no_options, kept_options>>;
    return state::make(p, static_cast<kept&&>(kept(std::forward<Scheduler>(scheduler))), std::forward<Op>(op),
                       std::forward<Done>(done), options, outer);
  }

  template <class Op>
  using bare = std::remove_reference_t<decltype(operation_view<std::decay_t<Op>>::bare(
      std::declval<std::decay_t<Op>&>()))>;

  template <class Pipeline, class Scheduler, class Options, class Outer, class Op, class Done>
  static void start(const Pipeline& p, Scheduler&& scheduler, Options options, Outer outer, Op&& op,
                    Done&& done) {
    static_assert(seawall::scheduler<std::remove_cvref_t<Scheduler>>,
                  "pipeline::start and pipeline::async run on a scheduler; see exec/scheduler.hpp");
    check_async_operation<bare<Op>>();
    using launch = launch_here<bare<Op>>;
    using S = typename stored_as<typename launch::result_type>::type;
    static_assert(
        std::invocable<std::decay_t<Done>, S>,
        "done must accept the result of the operation (seawall::answer_of<R> where failures are thrown)");
    make<launch>(p, std::forward<Scheduler>(scheduler), options, outer, std::forward<Op>(op),
                 std::forward<Done>(done))
        .begin();
  }

  template <class Pipeline, class Scheduler, class Options, class Outer, class Op>
  static auto async(const Pipeline& p, Scheduler&& scheduler, Options options, Outer outer, Op&& op);
};

template <class Launch, class Scheduler>
template <class Pipeline, class Op>
void substitute_start<Launch, Scheduler>::nested(const Pipeline& other, Op op, const attempt& a) const {
  using launch = typename Launch::template same_for<run_async::bare<Op>>;
  static_assert(std::is_same_v<typename launch::result_type, R>,
                "fallback_to: the operation must return what the pipeline's own operations return");
  // A completion: should the nested call's end never come, the attempt ends all the same.
  run_async::make<launch>(
      other, scheduler, nullptr, &a, std::move(op),
      [done = completion<R>(slot)](S&& result) mutable { done.pass_on(std::move(result)); })
      .begin();
}

/// `co_await` it. What the caller gave is copied when the call starts.
template <class Pipeline, class Scheduler, class Op, class Options, class Outer>
class awaited_call {
  using launch = launch_here<run_async::bare<Op>>;
  using stored = stored_as<typename launch::result_type>;
  using S = typename stored::type;
  // Gone without a call, the call is gone: it was dropped by the scheduler.
  class resume {
   public:
    explicit resume(awaited_call& waiting) noexcept : waiting_(&waiting) {}
    resume(resume&& other) noexcept : waiting_(std::exchange(other.waiting_, nullptr)) {}
    resume& operator=(resume&&) = delete;
    ~resume() {
      if (waiting_ != nullptr) waiting_->call_ = nullptr;
    }
    void operator()(S&& result) {
      awaited_call& w = *std::exchange(waiting_, nullptr);
      w.result_.emplace(std::move(result));
      w.call_ = nullptr;
      w.waiting_.resume();
    }

   private:
    awaited_call* waiting_;
  };
  using options_kept = std::conditional_t<std::is_null_pointer_v<Options>, std::nullptr_t, call_options>;
  // A copy: an operation may return the awaitable, and its own attempt is gone then.
  using outer_kept =
      std::conditional_t<std::is_null_pointer_v<Outer>, std::nullptr_t, std::optional<attempt>>;
  using state = std::remove_reference_t<decltype(run_async::make<launch>(
      std::declval<const Pipeline&>(), std::declval<Scheduler>(), std::declval<Options>(),
      std::declval<Outer>(), std::declval<Op>(), std::declval<resume>()))>;

 public:
  template <class O>
  awaited_call(const Pipeline& p, Scheduler&& scheduler, Options options, Outer outer, O&& op)
      : pipeline_(p),
        scheduler_(std::forward<Scheduler>(scheduler)),
        options_(kept(options)),
        outer_(kept_outer(outer)),
        op_(std::forward<O>(op)) {}
  awaited_call(const awaited_call&) = delete;
  awaited_call& operator=(const awaited_call&) = delete;
  ~awaited_call() {
    if (call_ != nullptr) call_->abandon();
  }

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    waiting_ = waiting;
    state& call =
        run_async::make<launch>(pipeline_, std::forward<Scheduler>(scheduler_), pointer_to(options_),
                                pointer_to(outer_), std::move(op_), resume(*this));
    // From `begin` on, the coroutine may run elsewhere, and this may be gone.
    call_ = &call;
    call.begin();
  }
  typename launch::result_type await_resume() { return stored::release(*std::move(result_)); }

 private:
  static options_kept kept(Options options) {
    if constexpr (std::is_null_pointer_v<Options>) {
      return nullptr;
    } else {
      return *options;
    }
  }
  static outer_kept kept_outer(Outer outer) {
    if constexpr (std::is_null_pointer_v<Outer>) {
      return nullptr;
    } else {
      return *outer;
    }
  }
  static std::nullptr_t pointer_to(std::nullptr_t) noexcept { return nullptr; }
  static const attempt* pointer_to(const std::optional<attempt>& outer) noexcept { return &*outer; }
  static const call_options* pointer_to(const call_options& options) noexcept { return &options; }

  const Pipeline& pipeline_;
  Scheduler scheduler_;
  options_kept options_;
  outer_kept outer_;
  Op op_;
  std::coroutine_handle<> waiting_;
  std::optional<S> result_;
  state* call_ = nullptr;
};

template <class Pipeline, class Scheduler, class Options, class Outer, class Op>
auto run_async::async(const Pipeline& p, Scheduler&& scheduler, Options options, Outer outer, Op&& op) {
  static_assert(seawall::scheduler<std::remove_cvref_t<Scheduler>>,
                "pipeline::start and pipeline::async run on a scheduler; see exec/scheduler.hpp");
  check_async_operation<bare<Op>>();
  return awaited_call<Pipeline, Scheduler, std::decay_t<Op>, Options, Outer>(
      p, std::forward<Scheduler>(scheduler), options, outer, std::forward<Op>(op));
}

}  // namespace detail

/// What an asynchronous call is completed with: R, or where failures are thrown (plain R) a value or what was
/// thrown, with `error()`, `value()` and `std::move(answer).release()`.
template <class R>
using answer_of = typename detail::stored_as<R>::type;

}  // namespace seawall

#endif  // SEAWALL_EXEC_ASYNC_HPP
