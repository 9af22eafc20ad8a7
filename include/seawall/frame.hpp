// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_FRAME_HPP
#define SEAWALL_FRAME_HPP

// The shape of a policy. A layer is a value (options, or a reference to shared state); for each call it makes
// a frame, nested in the frame of the layer outside it. Frames decide; drivers act. docs/writing-a-policy.md
// has an example.

#include <concepts>
#include <cstddef>
#include <cstdint>

#include "seawall/call.hpp"
#include "seawall/time.hpp"

namespace seawall {

/// The five functions of a frame.
///
/// - `start` begins; it may ask for attempts. It may be called again once the frame has resolved or was
///   cancelled.
/// - `on_done` tells that an attempt or a substitute has ended; ids that belong to others are ignored.
/// - `on_time` tells that `wake_at()` was reached or that the waker was poked; earlier calls change nothing.
/// - `cancel` says that whoever is outside no longer wants an answer. What was held is released.
/// - `wake_at` is when to call `on_time` next; `never()` if not at all.
///
/// A frame may also have a short cut for the usual case, if its layer says `straight`: a first attempt that
/// succeeds. A driver that takes it keeps the call in registers (docs/performance.md).
///
/// - `bool start_straight(call&, now)` does what `start` does if that leads straight to an attempt, and
///   returns true. Else nothing has happened but to this frame and call; `start` of fresh ones follows.
/// - `void end_straight(call&, now, verdict& v)` is `on_done` of a success; `v` is what it says to the frame
///   outside.
/// - `void drop_straight()` comes last, in place of the destructor.
/// - Instead of `end_straight`, the frame may be moved, and goes on as if `start` had been called.
///
/// `now` is monotonic within a call. For a success it may be the instant at which the call began, unless a
/// layer `needs_end_time`, or a frame has asked for it (`call::ask_end_time`). A frame that dies undecided
/// releases what it holds.
///
/// Thread safety: none; the driver serialises. Frames allocate nothing, lock nothing of their own, read no
/// clock.
template <class F>
concept frame = requires(F& f, const F& cf, call& c, instant now, attempt_id id, const verdict& v) {
  { f.start(c, now) } -> std::same_as<resolution>;
  { f.on_done(c, now, id, v) } -> std::same_as<resolution>;
  { f.on_time(c, now) } -> std::same_as<resolution>;
  { f.cancel(c) } -> std::same_as<void>;
  { cf.wake_at() } -> std::same_as<instant>;
};

/// What a layer is, for order rules (rules.hpp).
enum class layer_kind : std::uint8_t {
  other,
  fallback,
  deadline,
  retry,
  hedge,
  breaker,
  attempt_timeout,
  bulkhead,
  rate_limiter,
  throttle,
  adaptive_limit,
  admission,
  degrade,
  chaos,
  classify,
  cache,
  coalesce,
};

/// The common part of layers: answers that most give. A layer hides what it answers differently, and has
/// `template <class Inner> class frame`, constructed from `(const layer&, std::uint8_t number, make_inner)`.
/// `make_inner` is trivially copyable, no larger than two pointers, and may be kept and called for as long as
/// the frame lives.
struct layer_base {
  static constexpr layer_kind kind = layer_kind::other;
  /// It starts an operation more than once: the operation must be declared idempotent or not.
  static constexpr bool repeats = false;
  /// It has several attempts under way at once: the driver must be one in which they overlap.
  static constexpr bool overlaps = false;
  /// How many inner frames its frame makes at most.
  static constexpr std::size_t inner_frames = 1;
  /// It waits for shared state: the driver must supply a waker.
  static constexpr bool waits = false;
  /// Its typed side has `observe`.
  static constexpr bool observes = false;
  /// Its frame has `start_straight`.
  static constexpr bool straight = false;
  /// A success must be reported with the time at which it ended: a second clock read.
  static constexpr bool needs_end_time() noexcept { return false; }
};

/// A frame that does nothing but pass on; frames derive from it and hide what they do differently.
template <class Layer, class Inner>
class passthrough {
 public:
  template <class MakeInner>
  passthrough(const Layer& layer, std::uint8_t /*number*/, MakeInner&& make_inner)
      : layer_(layer), inner_(make_inner()) {}
  [[gnu::always_inline]] passthrough(passthrough&&) = default;
  passthrough& operator=(passthrough&&) = delete;

  [[gnu::always_inline]] bool start_straight(call& c, instant now) { return inner_.start_straight(c, now); }
  [[gnu::always_inline]] void end_straight(call& c, instant now, verdict& v) {
    inner_.end_straight(c, now, v);
  }
  [[gnu::always_inline]] void drop_straight() noexcept { inner_.drop_straight(); }
  resolution start(call& c, instant now) { return inner_.start(c, now); }
  resolution on_done(call& c, instant now, attempt_id id, const verdict& v) {
    return inner_.on_done(c, now, id, v);
  }
  resolution on_time(call& c, instant now) { return inner_.on_time(c, now); }
  void cancel(call& c) { inner_.cancel(c); }
  instant wake_at() const { return inner_.wake_at(); }

 protected:
  const Layer& layer() const noexcept { return layer_; }
  Inner& inner() noexcept { return inner_; }
  const Inner& inner() const noexcept { return inner_; }

  static instant earlier(instant a, instant b) noexcept { return a < b ? a : b; }

 private:
  const Layer& layer_;
  Inner inner_;
};

/// The innermost frame: one attempt.
class leaf_frame {
 public:
  [[gnu::always_inline]] bool start_straight(call& c, instant now) {
    id_ = c.start_first_attempt(now);
    live_ = true;
    return true;
  }
  [[gnu::always_inline]] void end_straight(call&, instant, verdict&) {}
  [[gnu::always_inline]] void drop_straight() noexcept {}
  resolution start(call& c, instant now) {
    id_ = c.start_attempt(now);
    live_ = true;
    return {};
  }
  resolution on_done(call&, instant, attempt_id id, const verdict& v) {
    if (!live_ || id != id_) return {};
    live_ = false;
    return resolution::result_of(id, v);
  }
  resolution on_time(call&, instant) { return {}; }
  void cancel(call& c) {
    if (!live_) return;
    live_ = false;
    c.cancel_attempt(id_);
  }
  instant wake_at() const { return instant::never(); }

 private:
  attempt_id id_ = 0;
  bool live_ = false;
};

}  // namespace seawall

#endif  // SEAWALL_FRAME_HPP
