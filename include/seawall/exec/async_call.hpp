// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_EXEC_ASYNC_CALL_HPP
#define SEAWALL_EXEC_ASYNC_CALL_HPP

// One asynchronous call. One object holds everything; what happens to the call (an attempt ends, a timer is
// due, the caller goes) comes as mail, is read by one thread at a time on the call's scheduler, and is told
// to the same frames that the blocking driver runs. How calls are started stands in exec/async.hpp.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>

#include "seawall/call.hpp"
#include "seawall/exec/completion.hpp"
#include "seawall/exec/conclusion.hpp"
#include "seawall/exec/kept_options.hpp"
#include "seawall/exec/launch.hpp"
#include "seawall/exec/scheduler.hpp"
#include "seawall/fallback.hpp"
#include "seawall/operation.hpp"
#include "seawall/outcome.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/time.hpp"

namespace seawall::detail {

/// What `done` of `pipeline::start` may bring along: an allocator for the call's state.
template <class Done>
auto allocator_of(const Done& done) {
  if constexpr (requires { done.get_allocator(); }) {
    return done.get_allocator();
  } else {
    return std::allocator<std::byte>();
  }
}

/// A call's two pieces of work: told apart by their type, as both are bases of the call.
struct reading_work : task {
  using task::task;
};
struct timer_work : task {
  using task::task;
};

/// Starts a substitute in its slot: the driver's side of `fallback_layer::substitute_with`.
template <class Launch, class Scheduler>
struct substitute_start {
  using R = typename Launch::result_type;
  using S = typename stored_as<R>::type;
  using completion_type = completion<R>;

  template <class Make>
  void operator()(Make make) const {
    start_made<R>(scheduler, slot, std::move(make));
  }
  void kept(S&& result) const {
    slot.keep(std::move(result));
    slot.deliver();
  }
  template <class Source>
  void calling_back(Source&& source) const {
    source(completion<R>(slot));
  }
  template <class Pipeline, class Op>
  void nested(const Pipeline& other, Op op, const attempt& a) const;

  Scheduler& scheduler;
  attempt_slot<S>& slot;
};

/// One call. Frames, effects, timer and slots are touched by the reader of the mailbox only. It deletes
/// itself when it has been completed, every attempt has ended and the scheduler has let go of its timer.
/// After completion it uses the scheduler no more: late attempts clean up on the threads on which they end.
template <class Pipeline, class Scheduler, class Launch, class DeclaredOp, class Done, class Options>
class async_call final : public waker, recipient, reading_work, timer_work {
  using view = operation_view<DeclaredOp>;
  using R = typename Launch::result_type;
  using stored = stored_as<R>;
  using S = typename stored::type;
  using frame = decltype(std::declval<const Pipeline&>().make_frame());
  using scheduler_type = std::remove_reference_t<Scheduler>;
  using allocator = typename std::allocator_traits<decltype(allocator_of(
      std::declval<const Done&>()))>::template rebind_alloc<async_call>;
  using allocators = std::allocator_traits<allocator>;
  static constexpr bool has_options = std::is_same_v<Options, kept_options>;

 public:
  /// `Scheduler` is an lvalue reference, or a handle kept by value. `done` gets S.
  template <class Op, class D, class OptionsPointer, class Outer>
  static async_call& make(const Pipeline& p, Scheduler&& scheduler, Op&& op, D&& done, OptionsPointer options,
                          Outer outer) {
    allocator memory(allocator_of(std::as_const(done)));
    auto* const at = allocators::allocate(memory, 1);
    struct guard {
      allocator& memory;
      typename allocators::pointer place;
      ~guard() {
        if (place != nullptr) allocators::deallocate(memory, place, 1);
      }
    } undo{memory, at};
    auto* const self = ::new (static_cast<void*>(std::to_address(at))) async_call(
        p, std::forward<Scheduler>(scheduler), std::forward<Op>(op), std::forward<D>(done), options, outer);
    undo.place = nullptr;
    return *self;
  }

  /// Starts the first attempt. The call may be gone when it returns.
  void begin() {
    if constexpr (requires { scheduler_.work_started(); }) scheduler_.work_started();
    listen_for_stops();
    guarded([this] {
      resolution r = start_frames();
      advance(r);
    });
    // Never completed from here: the caller need not be ready yet.
    if (settled_ || !box_.leave()) post_reading();
  }

  /// Whoever waits for the answer is gone: nobody is told, and `done` is not touched any more. For those who
  /// share a thread with the scheduler.
  void abandon() noexcept {
    done_.reset();
    poke();
  }

 private:
  struct slot : attempt_slot<S> {
    [[no_unique_address]] typename Launch::state room;
  };
  struct more_slot : slot {
    more_slot* next = nullptr;
  };
  // Sequential pipelines have one attempt at a time, and a late one now and then; pipelines built at run time
  // do not say.
  static constexpr bool overlaps = requires { requires Pipeline::overlaps; };
  static constexpr std::size_t slots_in_place = overlaps ? 2 : 1;
  static constexpr bool may_overlap = !requires { requires !Pipeline::overlaps; };

  union late_frame {
    explicit late_frame(const Pipeline& p) : value(p.make_frame()) {}
    void make(const Pipeline& p) { ::new (static_cast<void*>(&value)) frame(p.make_frame()); }
    late_frame(const late_frame&) = delete;
    late_frame& operator=(const late_frame&) = delete;
    ~late_frame() {}
    frame value;
  };

  // What is left to do when the call itself may be gone.
  struct ending {
    Done done;
    S result;
    Scheduler scheduler;

    void tell() {
      struct finished {
        std::remove_reference_t<Scheduler>& s;
        ~finished() {
          if constexpr (requires { s.work_finished(); }) s.work_finished();
        }
      } const at_the_end{scheduler};
      std::move(done)(std::move(result));
    }
  };

  template <class Op, class D, class OptionsPointer, class Outer>
  async_call(const Pipeline& p, Scheduler&& scheduler, Op&& op, D&& done, OptionsPointer options, Outer outer)
      : reading_work(&async_call::on_read),
        timer_work(&async_call::on_timer),
        pipeline_(p),
        scheduler_(std::forward<Scheduler>(scheduler)),
        op_(std::forward<Op>(op)),
        done_(std::in_place, std::forward<D>(done)),
        memory_(allocator_of(*done_)),
        options_(options, outer),
        now_(scheduler_.now()),
        call_(now_, view::declared, options_.get(), nullptr),
        frame_(p) {
    prepare_call();
  }
  ~async_call() {
    while (more_ != nullptr) delete std::exchange(more_, more_->next);
  }

  void prepare_call() {
    call_.set_idempotency_key(view::key(op_));
    if (pipeline_.events() != nullptr) call_.set_pipeline_events(pipeline_.events());
    if constexpr (Pipeline::waits) call_.set_waker(this);
    if constexpr (may_overlap) call_.lend(room_);
    if constexpr (has_options) {
      if (options_.retried_outside()) call_.set_retried_outside();
    }
  }

  // Told by others, on any thread.

  void deliver(mail& m) noexcept override {
    if (!box_.send(m)) return;
    if (completed_) {
      read();
    } else {
      post_reading();
    }
  }
  void post_reading() noexcept {
    // A handle is copied: the call may have been read to its end, and be gone, before `post` returns.
    Scheduler scheduler(scheduler_);
    scheduler.post(static_cast<reading_work&>(*this));
  }
  void poke() noexcept override {
    // Acquire and release: whoever is not the first to poke has his reason seen by the reader of the first
    // one's mail.
    if (!poked_.exchange(true, std::memory_order_acq_rel)) deliver(poke_);
  }
  static void on_read(task& t, task::outcome how) {
    auto& self = static_cast<async_call&>(static_cast<reading_work&>(t));
    if (how == task::outcome::drop) self.lose_scheduler();
    self.read();
  }
  static void on_timer(task& t, task::outcome how) {
    auto& self = static_cast<async_call&>(static_cast<timer_work&>(t));
    switch (how) {
      case task::outcome::run: self.timer_due_.what = mail::kind::timer; break;
      case task::outcome::stop: self.timer_due_.what = mail::kind::stopped; break;
      case task::outcome::drop: self.timer_due_.what = mail::kind::dropped; break;
    }
    // A timer comes on the scheduler already: no further post.
    if (self.box_.send(self.timer_due_)) self.read();
  }
  struct leave_call {
    async_call* self;
    void operator()() const noexcept {
      // Relaxed: only one of the two may send.
      if (!self->stops_.sent.exchange(true, std::memory_order_relaxed)) self->deliver(self->stops_.left);
    }
  };
  struct stop_callbacks {
    mail left{mail::kind::left};
    std::atomic<bool> sent{false};
    std::optional<std::stop_callback<leave_call>> own, outer;
  };

  void listen_for_stops() {
    if constexpr (has_options) {
      const std::stop_token& own = options_.get()->stop;
      const std::stop_token& outer = options_.outer_stop();
      if (own.stop_possible()) stops_.own.emplace(own, leave_call{this});
      if (outer.stop_possible()) stops_.outer.emplace(outer, leave_call{this});
    }
  }

  // The reader's.

  // By the short cut where there is one: a first attempt that succeeds costs half.
  resolution start_frames() {
    reason why = why_not(call_, now_);
    if constexpr (has_options) {  // the frames' call knows one token
      if (options_.outer_stop().stop_requested()) why = reason::cancelled;
    }
    if (why != reason::none) return reject_call(call_, now_, why);
    if constexpr (Pipeline::straight) {
      straight_ = frame_.value.start_straight(call_, now_);
      if (straight_) [[likely]]
        return {};
      frame_.value.drop_straight();
      std::construct_at(&call_, now_, view::declared, options_.get(), nullptr);
      frame_.make(pipeline_);
      prepare_call();
    }
    return frame_.value.start(call_, now_);
  }
  resolution end_frames(attempt_id id, verdict v) {
    if constexpr (Pipeline::straight) {
      if (v.success && straight_) {
        frame_.value.end_straight(call_, now_, v);
        ended_straight_ = true;
        return resolution::result_of(id, v);
      }
      straight_ = false;
    }
    return frame_.value.on_done(call_, now_, id, v);
  }
  resolution on_time() {
    straight_ = false;
    return frame_.value.on_time(call_, now_);
  }
  void cancel_frames() {
    straight_ = false;
    frame_.value.cancel(call_);
  }
  void destroy_frames() {
    if constexpr (Pipeline::straight) {
      if (ended_straight_) return frame_.value.drop_straight();
    }
    std::destroy_at(&frame_.value);
  }

  void read() {
    std::optional<ending> last;
    for (;;) {
      for (mail* m = box_.take(); m != nullptr;) {
        mail* const next = m->next;
        guarded([this, m] { handle(*m); });
        m = next;
      }
      if (settled_ && !completed_) {
        end_call();
        if (done_ && !lost_) {
          last.emplace(conclusion());
        } else if (!lost_) {
          if constexpr (requires { scheduler_.work_finished(); }) scheduler_.work_finished();
        } else {
          let_go_of_handle();
        }
        done_.reset();
        kept_.reset();
      }
      // Nobody can send any more: what is still in the box is not needed.
      if (completed_ && attempts_in_flight_ == 0 && !timer_armed_) {
        destroy();
        break;
      }
      if (box_.leave()) break;
    }
    if (last) last->tell();
  }

  void handle(mail& m) {
    switch (m.what) {
      case mail::kind::ended: return on_ended(static_cast<slot&>(static_cast<attempt_slot<S>&>(m)));
      case mail::kind::timer:
        timer_armed_ = false;
        armed_for_ = instant::never();
        return settled_ ? void() : look();
      case mail::kind::poked:
        // Acquire: pairs with those who have poked since.
        poked_.exchange(false, std::memory_order_acq_rel);
        if (!done_) return give_up(reason::cancelled);
        return settled_ ? void() : look_again();
      case mail::kind::left: return give_up(reason::cancelled);
      case mail::kind::stopped: timer_armed_ = false; return give_up(reason::shut_down);
      case mail::kind::dropped:
        if (&m == &timer_due_) timer_armed_ = false;
        return lose_scheduler();
    }
  }

  void on_ended(slot& s) {
    const bool wanted = s.wanted && !settled_;
    if (wanted) kept_.emplace(std::move(s.result()));
    // First: what follows may throw.
    s.end();
    --attempts_in_flight_;
    if (!wanted) return;
    const verdict v = s.is_substitute ? outcome_traits<S>::classify(*kept_) : pipeline_.classify(*kept_);
    if (!v.success || call_.report() != nullptr || call_.needs_end_time() || pipeline_.needs_end_time())
      now_ = scheduler_.now();
    resolution r = end_frames(s.id, v);
    advance(r);
  }

  // A function that was given to a policy may throw: that ends the call.
  template <class F>
  void guarded(F f) {
#if defined(__cpp_exceptions)
    try {
      f();
    } catch (...) {
      if (settled_) return;
      cancel_frames();
      kept_.emplace(result_of_throw<S>(std::current_exception()));
      resolution r = resolution::result_of(0, outcome_traits<S>::classify(*kept_));
      advance(r);
    }
#else
    f();
#endif
  }

  void look() {
    now_ = scheduler_.now();
    resolution r;
    advance(r);
  }
  void look_again() {
    now_ = scheduler_.now();
    resolution r = on_time();
    advance(r);
  }
  void give_up(reason why) {
    if (settled_) return;
    now_ = scheduler_.now();
    cancel_frames();
    resolution r = reject_call(call_, now_, why);
    advance(r);
  }
  void lose_scheduler() {
    lost_ = true;
    if (settled_) return;
    cancel_frames();
    resolution r = reject_call(call_, now_, reason::shut_down);
    advance(r);
  }

  // Carries out what the frames have asked for until they have to wait.
  void advance(resolution& r) {
    for (;;) {
      show_passing<R>(call_, pipeline_, kept_);
      if constexpr (may_overlap) call_.forget_cancelled_launches();
      call_.take_cancels([this](attempt_id id) { cancel(id); });
      if (r) break;
      if (call_.pending_launches() != 0) {
        call_.take_launches([this](const launch& l) { start(l); });
      } else if (frame_.value.wake_at() <= now_) {
        r = on_time();
      } else {
        return set_timer();
      }
    }
    settled_ = true;
    resolution_ = r;
  }

  void set_timer() {
    const instant at = frame_.value.wake_at();
    // An earlier one does as well: it will look, and arm again. What a handle refers to may go before the
    // call does: a timer is the call's place among those that are dropped then, even if it is never due.
    if (at >= armed_for_ && (timer_armed_ || !scheduler_handle<Scheduler>)) return;
    if (timer_armed_ && !scheduler_.cancel(timer_)) return;  // it is due, and its mail under way
    armed_for_ = at;
    timer_armed_ = true;
    scheduler_.schedule_at(at, timer_, static_cast<timer_work&>(*this));
  }

  void start(const launch& l) {
    slot& s = free_slot();
    s.begin(*this, l);
    ++attempts_in_flight_;
    const attempt a(call_, l, &s.stop);
#if defined(__cpp_exceptions)
    try {
#endif
      if (l.source == 0) {
        Launch::start(scheduler_, s.room, view::bare(op_), a, s);
      } else {
        substitute(l, a, s);
      }
#if defined(__cpp_exceptions)
    } catch (...) {
      s.start_threw(std::current_exception());
    }
#endif
  }

  void substitute(const launch& l, const attempt& a, slot& s) {
    const failure_view<S> failure = failure_of(call_, l, kept_);
    pipeline_.template substitute_with<R, S>(l.source, a, failure,
                                             substitute_start<Launch, scheduler_type>{scheduler_, s});
  }

  slot& free_slot() {
    for (slot& s : slots_) {
      if (!s.in_flight) return s;
    }
    for (more_slot* s = more_; s != nullptr; s = s->next) {
      if (!s->in_flight) return *s;
    }
    auto* const s = new more_slot;
    s->next = std::exchange(more_, s);
    return *s;
  }
  template <class F>
  void for_each_slot(F f) {
    for (slot& s : slots_) f(s);
    for (more_slot* s = more_; s != nullptr; s = s->next) f(*s);
  }

  void cancel(attempt_id id) {
    for_each_slot([id](slot& s) {
      if (s.in_flight && s.wanted && s.id == id) give_up_on(s);
    });
  }
  static void give_up_on(slot& s) {
    s.wanted = false;
    s.stop.request();
    if (!s.is_substitute) Launch::cancel(s.room);
  }

  void end_call() {
    for_each_slot([](slot& s) {
      if (s.in_flight && s.wanted) give_up_on(s);
    });
    if constexpr (has_options) {  // waits for a callback that is running
      stops_.own.reset();
      stops_.outer.reset();
    }
    destroy_frames();
    // One whose scheduler is gone comes back by itself.
    const bool may_cancel = !lost_ || scheduler_handle<Scheduler>;
    if (timer_armed_ && may_cancel && scheduler_.cancel(timer_)) timer_armed_ = false;
    completed_ = true;
  }

  // Late attempts may outlive what a handle refers to.
  void let_go_of_handle() {
    if constexpr (scheduler_handle<Scheduler>) {
      [[maybe_unused]] Scheduler gone = std::move(scheduler_);
      if constexpr (requires { gone.work_finished(); }) gone.work_finished();
    }
  }
  ending conclusion() {
    if (call_.report() != nullptr) fill_report(call_, resolution_, now_);
    return {*std::move(done_), conclude(call_, resolution_, kept_), std::forward<Scheduler>(scheduler_)};
  }

  void destroy() noexcept {
    allocator memory(memory_);
    auto* const self = std::pointer_traits<typename allocators::pointer>::pointer_to(*this);
    this->~async_call();
    allocators::deallocate(memory, self, 1);
  }

  const Pipeline& pipeline_;
  Scheduler scheduler_;
  [[no_unique_address]] DeclaredOp op_;
  std::optional<Done> done_;  // empty once the call has been completed or abandoned
  [[no_unique_address]] allocator memory_;
  [[no_unique_address]] Options options_;
  [[no_unique_address]] std::conditional_t<has_options, stop_callbacks, nothing_kept> stops_;

  mailbox box_;
  mail timer_due_{mail::kind::timer};
  mail poke_{mail::kind::poked};
  std::atomic<bool> poked_{false};

  bool straight_ = false;  // the first attempt is under way by the frames' short cut
  bool ended_straight_ = false;
  bool settled_ = false;    // the frames have decided
  bool completed_ = false;  // the caller has been told, or is about to be; the scheduler is used no more
  bool lost_ = false;       // the scheduler is gone: nobody is told
  bool timer_armed_ = false;
  std::uint32_t attempts_in_flight_ = 0;
  instant armed_for_ = instant::never();
  typename scheduler_type::timer timer_;
  instant now_;
  resolution resolution_;
  std::optional<S> kept_;  // the result of the attempt or substitute that ended last
  [[no_unique_address]] std::conditional_t<may_overlap, call::room, nothing_kept> room_;
  call call_;
  late_frame frame_;
  slot slots_[slots_in_place];
  more_slot* more_ = nullptr;  // for attempts that overlap more than is foreseen
};

}  // namespace seawall::detail

#endif  // SEAWALL_EXEC_ASYNC_CALL_HPP
