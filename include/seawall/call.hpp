// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CALL_HPP
#define SEAWALL_CALL_HPP

// The context of one call: what the caller asked for, what the policies ask of the driver, and the `attempt`
// that an operation sees. Policies write effects here (start an attempt, cancel one); a driver reads and
// carries them out.

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "seawall/event.hpp"
#include "seawall/random.hpp"
#include "seawall/rejection.hpp"
#include "seawall/time.hpp"
#include "seawall/verdict.hpp"

namespace seawall {

/// Counts the attempts and substitutes of a call, from 0.
using attempt_id = std::uint32_t;

/// Lets another thread say "look again": a frame that waits for shared state hands this out, and `on_time`
/// follows. As `Waker` in Rust's poll model: poking too often is harmless.
class waker {
 public:
  /// Thread safety: any thread. Never runs a frame from inside; never blocks for long.
  virtual void poke() noexcept = 0;
  /// Called on the call's own thread before the waker is handed out; the place for what few calls need.
  virtual void arm() noexcept {}

 protected:
  ~waker() = default;
};

/// The clock and the pauses of the driver that runs a call, for drivers of calls nested in it; see
/// exec/blocking.hpp.
class environment;

/// A name and a value that travel with a call and the calls nested in it ("tenant": "acme").
struct attribute {
  std::string_view name = {};
  std::string_view value = {};
};

/// Filled for a caller that wants to know how its result came about. Owns its texts: it may outlive the
/// policies.
struct call_report {
  std::uint32_t attempts = 0;        ///< started; substitutes are not counted
  bool degraded = false;             ///< the result is a substitute
  std::string degraded_by = {};      ///< name of the fallback or cache
  std::optional<duration> age = {};  ///< of an answer that a cache had; unset otherwise
  duration elapsed = {};
  give_up gave_up = give_up::none;
  reason rejected = reason::none;  ///< not `none` if the result was made from a rejection
  std::string rejected_by = {};    ///< kind of the policy
};

/// What a caller may say about one call. Everything is optional and referred to, not copied, while the call
/// runs.
struct call_options {
  std::string_view key = {};         ///< which instance of a keyed policy
  std::optional<int> priority = {};  ///< higher is more important; inherited if unset, 0 at last
  std::uint32_t degradation = 0;     ///< level of service of the caller; of several the worst counts
  std::span<const attribute> attributes = {};  ///< in addition to those of an enclosing call
  std::stop_token stop = {};                   ///< the caller's: no attempt starts after it fires
  instant deadline = instant::never();         ///< the earliest of all deadlines wins
  listener* events = nullptr;                  ///< for this call
  random_source* random = nullptr;             ///< the thread's own if null
  call_report* report = nullptr;               ///< written when the call ends; costs a clock read
};

class attempt;

/// Whether one attempt is still wanted, in drivers that give up attempts one by one.
class attempt_stop {
 public:
  /// Thread safety: any thread, while the attempt runs.
  virtual bool requested() const noexcept = 0;
  virtual std::stop_token token() const = 0;

 protected:
  attempt_stop() = default;
  attempt_stop(const attempt_stop&) = default;
  attempt_stop& operator=(const attempt_stop&) = default;
  ~attempt_stop() = default;
};

namespace detail {

/// Room for a value that most calls never have; reading it before `set` is an error of the caller.
template <class T>
  requires std::is_trivially_copyable_v<T>
class late {
 public:
  late() noexcept {}  // stores nothing: a call has twenty of these
  void set(const T& value) noexcept { ::new (static_cast<void*>(&value_)) T(value); }
  const T& get() const noexcept { return value_; }
  T& get() noexcept { return value_; }

 private:
  union {
    T value_;
  };
};

}  // namespace detail

/// What a frame says: nothing yet, the result of an attempt (or substitute), or the call's rejection.
struct resolution {
  enum class kind : std::uint8_t { undecided, attempt, rejection };

  kind how = kind::undecided;
  attempt_id which = 0;  ///< of `attempt`
  verdict v = {};

  constexpr explicit operator bool() const noexcept { return how != kind::undecided; }
  static constexpr resolution result_of(attempt_id id, const verdict& v) noexcept {
    return {.how = kind::attempt, .which = id, .v = v};
  }
};

/// What a driver is asked to start.
struct launch {
  attempt_id id = 0;
  std::uint8_t source =
      0;  ///< 0: the operation; k: the substitute of the layer numbered k, the outermost being 1
  /// What a substitute stands in for: the result of the last attempt, `call::last_rejection()`, or nothing
  /// that has failed.
  resolution::kind failure = resolution::kind::undecided;
  std::uint32_t number = 0;  ///< of the attempt, from 1; of the last one for a substitute
  instant at = {};           ///< when it was asked for
  instant deadline = instant::never();
  const void* held = nullptr;  ///< what the frame that asks for a substitute holds for its layer's typed side
};

/// The wish of a frame that its layer's typed side sees what passes. Lives in the frame, which derives from
/// it what the typed side needs to know.
class observation {
 public:
  explicit observation(std::uint8_t source) noexcept : source_(source) {}
  observation(const observation&) = delete;
  observation& operator=(const observation&) = delete;

  /// The number of the layer.
  std::uint8_t source() const noexcept { return source_; }
  /// What passes is `rejected()`; else the result of the attempt or substitute that ended last.
  bool of_rejection() const noexcept { return of_rejection_; }
  const rejection& rejected() const noexcept { return rejected_.get(); }

 private:
  friend class call;

  observation* next_ = nullptr;
  std::uint8_t source_;
  bool asked_ = false;
  bool of_rejection_ = false;
  detail::late<rejection> rejected_;  // a copy: a layer further out may reject in the same step
};

/// Per-call state shared by the frames of a pipeline and its driver.
///
/// Thread safety: none; the driver serialises the frames. Cost: no allocation; what the success path does not
/// need is left uninitialised until it is.
class call {
 public:
  /// What frames can ask for at once: a hedge has at most four legs, each with a substitute or attempt of its
  /// own.
  static constexpr std::size_t max_launches = 4;
  static constexpr std::size_t max_cancels = 8;

  /// Room for that, which drivers lend where attempts overlap. Others need less: calls that sleep should be
  /// small.
  class room {
    friend class call;
    std::array<detail::late<launch>, max_launches> launches_;
    std::array<detail::late<attempt_id>, max_cancels> cancels_;
  };
  void lend(room& r) noexcept { room_ = &r; }

  /// `outer` is the attempt of an enclosing call that this one runs in. Options and attempt may be null, and
  /// outlive this.
  [[gnu::always_inline]] call(instant started, idempotency declared, const call_options* options,
                              const attempt* outer) noexcept
      : options_(options), started_(started), declared_(declared) {
    if (options != nullptr) deadline_ = options->deadline;
    if (outer != nullptr) inherit(*outer);
    attempt_deadline_ = deadline_;
  }
  call(const call&) = delete;
  call& operator=(const call&) = delete;
  /// Of a call that has had its first attempt and nothing else: no effect, rejection or ending to carry over.
  [[gnu::always_inline]] call(call&& o) noexcept
      : options_(o.options_),
        outer_(o.outer_),
        pipeline_events_(o.pipeline_events_),
        waker_(o.waker_),
        environment_(o.environment_),
        room_(o.room_),
        started_(o.started_),
        deadline_(o.deadline_),
        attempt_deadline_(o.attempt_deadline_),
        next_id_(o.next_id_),
        attempts_(o.attempts_),
        declared_(o.declared_),
        retries_(o.retries_),
        retried_outside_(o.retried_outside_),
        deposited_(o.deposited_),
        idempotency_key_(o.idempotency_key_) {}

  // What the caller said.

  instant started() const noexcept { return started_; }
  /// Of the whole call; `never()` if there is none.
  instant deadline() const noexcept { return deadline_; }
  idempotency declared() const noexcept { return declared_; }
  std::string_view key() const noexcept { return options_ != nullptr ? options_->key : std::string_view(); }
  int priority() const noexcept;
  /// The level of service at which the caller, or one further out, runs: 0 is the best. Advice.
  std::uint32_t degradation() const noexcept;
  std::optional<std::string_view> attribute(std::string_view name) const noexcept;
  /// Its own first, then those of enclosing calls.
  template <class F>
  void for_each_attribute(const F& f) const;
  std::string_view idempotency_key() const noexcept { return idempotency_key_; }
  void set_idempotency_key(std::string_view key) noexcept { idempotency_key_ = key; }
  /// The caller's, or else that of the attempt that this call runs in.
  std::stop_token stop_token() const;
  /// That of the attempt that this call runs in, if `stop_token` is not it already.
  std::stop_token outer_stop_token() const;
  [[gnu::always_inline]] bool stop_requested() const noexcept {
    if (options_ != nullptr && options_->stop.stop_requested()) return true;
    return outer_ != nullptr && stop_requested_outside();
  }
  call_report* report() const noexcept { return options_ != nullptr ? options_->report : nullptr; }
  [[gnu::always_inline]] random_source& random() const noexcept {
    if (options_ != nullptr && options_->random != nullptr) return *options_->random;
    return outer_ != nullptr ? random_outside() : thread_random();
  }

  // Between enclosing and nested calls, and between layers.

  /// An enclosing retry, of this call or of the one it is nested in, will repeat what fails.
  bool retried_outside() const noexcept { return retried_outside_; }
  void set_retried_outside() noexcept { retried_outside_ = true; }
  bool retries() const noexcept { return retries_; }
  /// Written once: legs of a hedge come here while calls nested in an earlier leg's attempt may be reading
  /// it.
  void set_retries() noexcept {
    if (!retries_) retries_ = true;
  }
  /// Whether this call has yet to make its deposit in `budget`: a retry and a hedge that share one count the
  /// call once.
  bool owes_deposit(const void* budget) noexcept { return std::exchange(deposited_, budget) != budget; }
  /// Makes the deadline of the whole call earlier; a later one changes nothing.
  void tighten_deadline(instant d) noexcept {
    if (d < deadline_) deadline_ = d;
    if (d < attempt_deadline_) attempt_deadline_ = d;
  }
  /// A frame cannot do with an earlier time for the end of a success, this time: what drivers otherwise may
  /// give it.
  void ask_end_time() noexcept { needs_end_time_ = true; }
  bool needs_end_time() const noexcept { return needs_end_time_; }
  /// The deadline given to attempts that are started now. `attempt_scope` narrows it.
  instant attempt_deadline() const noexcept { return attempt_deadline_; }

  class attempt_scope {
   public:
    attempt_scope(call& c, instant deadline) noexcept : call_(c), outer_(c.attempt_deadline_) {
      if (deadline < outer_) c.attempt_deadline_ = deadline;
    }
    ~attempt_scope() { call_.attempt_deadline_ = outer_ < call_.deadline_ ? outer_ : call_.deadline_; }
    attempt_scope(const attempt_scope&) = delete;
    attempt_scope& operator=(const attempt_scope&) = delete;

   private:
    call& call_;
    instant outer_;
  };

  /// Null: real time.
  seawall::environment* environment() const noexcept { return environment_; }
  void set_environment(seawall::environment* e) noexcept { environment_ = e; }

  // Effects, asked for by frames.

  /// Asks for an attempt of the operation.
  attempt_id start_attempt(instant now) noexcept {
    ++attempts_;
    return push({.id = next_id_++, .number = attempts_, .at = now, .deadline = attempt_deadline_});
  }
  /// The same where nothing has been asked for yet.
  attempt_id start_first_attempt(instant now) noexcept {
    attempts_ = 1;
    next_id_ = 1;
    launches_ = 1;
    launch_.set({.number = 1, .at = now, .deadline = attempt_deadline_});
    return 0;
  }
  /// Asks for the substitute of layer `source` (its number as given to its frame) in place of `failure`. It
  /// has until `deadline`: what was the attempt deadline when the frame began, as deadlines inside it do not
  /// bound its substitute. With `failure` empty it stands in for nothing: an answer that was there already.
  /// `held` outlives the step.
  attempt_id start_substitute(instant now, instant deadline, std::uint8_t source, const resolution& failure,
                              const void* held = nullptr) noexcept {
    return push({.id = next_id_++,
                 .source = source,
                 .failure = failure.how,
                 .number = attempts_,
                 .at = now,
                 .deadline = deadline,
                 .held = held});
  }
  /// Asks that the typed side of layer `o.source()` sees what `r`, which is decided, stands for: at the end
  /// of this step, if the frame has not thought better of it.
  void observe(observation& o, const resolution& r) noexcept {
    o.of_rejection_ = r.how == resolution::kind::rejection;
    if (o.of_rejection_) o.rejected_.set(rejection_.get());
    if (std::exchange(o.asked_, true)) return;
    o.next_ = std::exchange(shared_answers().asking, &o);
  }
  void forget(observation& o) noexcept {
    if (!std::exchange(o.asked_, false)) return;
    observation** at = &sharing_.get().asking;
    while (*at != &o) at = &(*at)->next_;
    *at = o.next_;
  }
  /// Says that the result of attempt `id` is no longer wanted.
  void cancel_attempt(attempt_id id) noexcept {
    const std::size_t most = room_ != nullptr ? max_cancels : cancelled_.size();
    assert(cancels_ < most);
    if (cancels_ < most) cancelled(cancels_++).set(id);
  }
  /// Ends the call, or what is inside the frame that returns this, with a rejection. `v` is what layers
  /// outside learn.
  [[gnu::always_inline]] resolution reject(instant now, const rejection& what, const verdict& v) noexcept {
    rejection_.set(what);
    rejection_.get().attempts = attempts_;
    rejection_.get().elapsed = now - started_;
    emit(event::rejected{rejection_.get(), now});
    return {.how = resolution::kind::rejection, .v = v};
  }

  std::uint32_t attempts() const noexcept { return attempts_; }
  /// Meaningful once a frame has resolved to a rejection.
  const rejection& last_rejection() const noexcept { return rejection_.get(); }
  /// Why a retry let its failure through, null if none did; the outermost one's words.
  const ending* how_it_ended() const noexcept { return ended_ ? &ending_.get() : nullptr; }
  void set_ending(const ending& e) noexcept {
    ending_.set(e);
    ended_ = true;
  }
  /// Of a failure: its caller has gone, its time is over, or too short for another attempt. Another call
  /// might fare better.
  bool failed_for_its_caller(instant now) const noexcept {
    return stop_requested() || now >= deadline_ || (ended_ && ending_.get().why == give_up::deadline);
  }
  /// The substitute `by` has been asked for: its name goes into the report.
  void set_degraded_by(std::string_view by) noexcept { degraded_by_ = by; }
  std::string_view degraded_by() const noexcept { return degraded_by_; }
  /// The answer of substitute `id` is this old: goes into the report if it is what the call ends with.
  void set_age(attempt_id id, duration age) noexcept {
    sharing& s = shared_answers();
    s.aged = id;
    s.age = age;
  }
  std::optional<duration> age_of(attempt_id id) const noexcept {
    if (!shares_ || sharing_.get().aged != id) return std::nullopt;
    return sharing_.get().age;
  }

  /// Passes an event to the caller's listener and to the pipeline's.
  template <class E>
  void emit(const E& e) const noexcept {
    if (options_ != nullptr && options_->events != nullptr) options_->events->on(e);
    if (pipeline_events_ != nullptr) pipeline_events_->on(e);
  }
  void set_pipeline_events(listener* events) noexcept { pipeline_events_ = events; }

  bool can_wait() const noexcept { return waker_ != nullptr; }
  /// Null in drivers and pipelines in which nothing waits for shared state.
  seawall::waker* waker() const noexcept {
    if (waker_ != nullptr) waker_->arm();
    return waker_;
  }
  void set_waker(seawall::waker* w) noexcept { waker_ = w; }

  // Effects, carried out by drivers.

  std::size_t pending_launches() const noexcept { return launches_; }
  /// In the order in which they were asked for. The span is valid until the next frame function. Calls
  /// `start(const launch&)` for each, in the order in which they were asked for. None may re-enter a frame.
  template <class Start>
  void take_launches(Start&& start) {
    const std::size_t count = std::exchange(launches_, std::uint8_t{0});
    for (std::size_t i = 0; i < count; ++i) start(launched(i).get());
  }
  /// A step may ask for an attempt and give it up again: a hedge, of which two legs end at the same time.
  void forget_cancelled_launches() noexcept {
    std::uint8_t kept = 0;
    for (std::size_t i = 0; i < launches_; ++i) {
      const launch l = launched(i).get();
      if (!is_cancelled(l.id)) {
        launched(kept++).set(l);
      } else if (l.source == 0) {
        --attempts_;
      }
    }
    launches_ = kept;
  }
  /// For drivers in which nothing overlaps: the only one.
  const launch& take_launch() noexcept {
    assert(launches_ == 1);
    launches_ = 0;
    return launch_.get();
  }
  bool has_observations() const noexcept { return shares_ && sharing_.get().asking != nullptr; }
  /// Calls `show(observation&)` for each, the innermost layer's last.
  template <class Show>
  void take_observations(Show&& show) {
    while (has_observations()) {
      observation*& first = sharing_.get().asking;
      observation& o = *std::exchange(first, first->next_);
      o.asked_ = false;
      show(o);
    }
  }
  template <class Cancel>
  void take_cancels(Cancel&& cancel) {
    const std::size_t count = std::exchange(cancels_, std::uint8_t{0});
    for (std::size_t i = 0; i < count; ++i) cancel(cancelled(i).get());
  }

 private:
  // Not recursions, which would become loops over calls and keep the innermost one in memory.
  bool stop_requested_outside() const noexcept;
  random_source& random_outside() const noexcept;
  std::uint32_t degradation_outside() const noexcept;
  void inherit(const attempt& outer) noexcept;
  attempt_id push(const launch& l) noexcept {
    const std::size_t most = room_ != nullptr ? max_launches : 1;
    assert(launches_ < most);
    if (launches_ < most) launched(launches_++).set(l);
    return l.id;
  }
  bool is_cancelled(attempt_id id) noexcept {
    for (std::size_t i = 0; i < cancels_; ++i) {
      if (cancelled(i).get() == id) return true;
    }
    return false;
  }
  detail::late<launch>& launched(std::size_t i) noexcept { return i == 0 ? launch_ : room_->launches_[i]; }
  detail::late<attempt_id>& cancelled(std::size_t i) noexcept {
    return i < cancelled_.size() ? cancelled_[i] : room_->cancels_[i];
  }

  // What only layers use that share answers between calls.
  struct sharing {
    observation* asking = nullptr;
    std::optional<duration> age = {};
    attempt_id aged = 0;
  };
  sharing& shared_answers() noexcept {
    if (!std::exchange(shares_, true)) sharing_.set({});
    return sharing_.get();
  }

  const call_options* options_;
  const attempt* outer_ = nullptr;
  listener* pipeline_events_ = nullptr;
  seawall::waker* waker_ = nullptr;
  seawall::environment* environment_ = nullptr;
  room* room_ = nullptr;
  instant started_ = {};
  instant deadline_ = instant::never();
  instant attempt_deadline_ = instant::never();
  attempt_id next_id_ = 0;
  std::uint32_t attempts_ = 0;
  std::uint8_t launches_ = 0;
  std::uint8_t cancels_ = 0;
  idempotency declared_;
  bool retries_ = false;
  bool retried_outside_ = false;
  bool ended_ = false;
  bool needs_end_time_ = false;
  bool shares_ =
      false;  // `sharing_` is set: a byte that was free, as a pipeline without a cache must not pay for one
  const void* deposited_ = nullptr;  // the budget of the last deposit
  std::string_view idempotency_key_ = {};
  std::string_view degraded_by_ = {};
  detail::late<ending> ending_;
  detail::late<rejection> rejection_;
  detail::late<sharing> sharing_;
  // One attempt at a time: given up, asked for, given up again, before the driver looks.
  detail::late<launch> launch_;
  std::array<detail::late<attempt_id>, 4> cancelled_;
};

/// One try at the operation, as the operation sees it. Cheap to copy; valid while the operation runs: in the
/// asynchronous drivers, until it completes.
class attempt {
 public:
  // Field by field: copied as one block right after its fields were written, a launch would wait for the
  // store buffer.
  attempt(const call& c, const launch& l, const attempt_stop* stop = nullptr) noexcept
      : call_(&c), stop_(stop), number_(l.number), started_(l.at), deadline_(l.deadline) {}

  /// From 1.
  std::uint32_t number() const noexcept { return number_; }
  /// When this attempt's answer stops being of use; `never()` if nothing bounds it. On the driver's clock.
  instant deadline() const noexcept { return deadline_; }
  /// What was left of it when the attempt began: what to hand to a client library as its time-out. Not
  /// negative.
  [[gnu::always_inline]] duration time_left() const noexcept {
    const duration left = deadline_ - started_;
    return left > duration::zero() ? left : duration::zero();
  }
  instant started() const noexcept { return started_; }
  /// Fires when this attempt's answer is not wanted any more: the caller has gone, another attempt has won,
  /// its time is over. Cost: where attempts are given up one by one, the first use allocates.
  std::stop_token stop_token() const { return stop_ != nullptr ? stop_->token() : call_->stop_token(); }
  /// The same question without a token. Cost: an atomic load.
  bool stop_requested() const noexcept {
    return stop_ != nullptr ? stop_->requested() : call_->stop_requested();
  }
  /// What the caller gave to `idempotent_by`, the same for all attempts; empty if there is none.
  std::string_view idempotency_key() const noexcept { return call_->idempotency_key(); }
  std::string_view key() const noexcept { return call_->key(); }
  int priority() const noexcept { return call_->priority(); }
  std::uint32_t degradation() const noexcept { return call_->degradation(); }
  std::optional<std::string_view> attribute(std::string_view name) const noexcept {
    return call_->attribute(name);
  }

  /// The enclosing call, for drivers of nested pipelines.
  const call& context() const noexcept { return *call_; }

 private:
  const call* call_;
  const attempt_stop* stop_;
  std::uint32_t number_;
  instant started_;
  instant deadline_;
};

inline void call::inherit(const attempt& outer) noexcept {
  outer_ = &outer;
  retried_outside_ = outer.context().retries_ || outer.context().retried_outside_;
  if (outer.deadline() < deadline_) deadline_ = outer.deadline();
}

inline int call::priority() const noexcept {
  if (options_ != nullptr && options_->priority) return *options_->priority;
  return outer_ != nullptr ? outer_->priority() : 0;
}
inline std::uint32_t call::degradation() const noexcept {
  const std::uint32_t own = options_ != nullptr ? options_->degradation : 0;
  const std::uint32_t outside = outer_ != nullptr ? degradation_outside() : 0;
  return own > outside ? own : outside;
}
[[gnu::noinline]] inline std::uint32_t call::degradation_outside() const noexcept {
  return outer_->degradation();
}
inline std::optional<std::string_view> call::attribute(std::string_view name) const noexcept {
  if (options_ != nullptr) {
    for (const auto& a : options_->attributes) {
      if (a.name == name) return a.value;
    }
  }
  return outer_ != nullptr ? outer_->attribute(name) : std::nullopt;
}
template <class F>
void call::for_each_attribute(const F& f) const {
  if (options_ != nullptr) {
    for (const auto& a : options_->attributes) f(a);
  }
  if (outer_ != nullptr) outer_->context().for_each_attribute(f);
}
inline std::stop_token call::stop_token() const {
  if (options_ != nullptr && options_->stop.stop_possible()) return options_->stop;
  return outer_ != nullptr ? outer_->stop_token() : std::stop_token();
}
inline std::stop_token call::outer_stop_token() const {
  const bool has_own = options_ != nullptr && options_->stop.stop_possible();
  return has_own && outer_ != nullptr ? outer_->stop_token() : std::stop_token();
}
[[gnu::noinline]] inline bool call::stop_requested_outside() const noexcept {
  return outer_->stop_requested();
}
[[gnu::noinline]] inline random_source& call::random_outside() const noexcept {
  return outer_->context().random();
}

}  // namespace seawall

#endif  // SEAWALL_CALL_HPP
