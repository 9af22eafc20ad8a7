// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_HEDGE_HPP
#define SEAWALL_HEDGE_HPP

// A second attempt while the first one is still under way, if that takes longer than nearly all others do;
// the first answer wins. For operations that are idempotent, against slow tails, not against overload: then
// it keeps still.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "seawall/core/hedge_machine.hpp"
#include "seawall/frame.hpp"
#include "seawall/latency_window.hpp"
#include "seawall/options.hpp"
#include "seawall/retry_budget.hpp"

namespace seawall {

/// The most attempts that a hedge may be told to make.
inline constexpr std::uint32_t max_hedged_attempts = 4;

struct hedge_options {
  std::string name = {};
  std::uint32_t max_attempts = 2;  ///< the first one included, [1, 4]; with 1 it does nothing
  /// The delay, if it is to be fixed; not negative. Unset: the `quantile` of the latencies seen.
  std::optional<duration> after = {};
  double quantile = 0.95;               ///< [0.5, 0.9999]: hedges 1 - quantile of the calls
  std::uint32_t minimum_samples = 100;  ///< at least 1: fewer latencies in the window are not judged
  std::optional<duration> until_known =
      {};  ///< the delay until then, not negative. Unset: no hedges until then
  /// What the quantile gives is raised to this; not negative.
  duration after_min = std::chrono::milliseconds(1);
  latency_window_options window = {};  ///< of the hedge's own latencies
  latency_window* latencies =
      nullptr;  ///< in their place, shared by several hedges; must outlive the pipelines
  /// The probability with which a hedge that is due is made (SingleR: Kaler, He, Elnikety, "Optimal Reissue
  /// Policies for Reducing Tail Latency", SPAA 2017): a lower quantile and a lower probability for the same
  /// extra load. [0, 1]
  double reissue = 1.0;
  retry_budget* budget = nullptr;  ///< shared with retries and other hedges; must outlive the pipeline
  /// Off while at least this share of the recent calls reaches the delay, on again at half of it: everything
  /// is slow then. [0, 1]; 1 is never; 0 is three times what the quantile leads to expect, 15% for a fixed
  /// delay.
  double reached_max = 0;
  /// Off, but for 0.2% of the calls, while hedges come first in fewer than this share of the latest hedged
  /// calls, on again at twice that: they are of no use then. [0, 0.4]; 0 is never.
  double wins_min = 0.1;
  /// If set, asked when an attempt is due: none is started at `load_max` or above. Called from the threads
  /// that run the calls; must not throw.
  std::function<double()> load = nullptr;
  double load_max = 0.8;  ///< [0, 1e9]
  /// A further attempt that could not have this much time before the deadline is not started. Not negative.
  duration attempt_needs = duration::zero();
};

inline std::optional<option_error> validate(const hedge_options& o) {
  constexpr auto not_negative = "must not be negative";
  constexpr auto share = "must be at least 0 and at most 1";
  const duration after = o.after.value_or(duration::zero()), until = o.until_known.value_or(duration::zero());
  detail::option_checks checks;
  checks
      .require(o.max_attempts >= 1 && o.max_attempts <= max_hedged_attempts, "max_attempts",
               std::uint64_t{o.max_attempts},
               "must be at least 1 and at most " + std::to_string(max_hedged_attempts))
      .require(after >= duration::zero(), "after", after, not_negative)
      .require(detail::within(o.quantile, 0.5, 0.9999), "quantile", o.quantile,
               "must be at least 0.5 and at most 0.9999")
      .require(o.minimum_samples >= 1, "minimum_samples", std::uint64_t{o.minimum_samples},
               "must be at least 1")
      .require(until >= duration::zero(), "until_known", until, not_negative)
      .require(o.after_min >= duration::zero(), "after_min", o.after_min, not_negative)
      .require(validate(o.window), "window")
      .require(detail::within(o.reissue, 0.0, 1.0), "reissue", o.reissue, share)
      .require(detail::within(o.reached_max, 0.0, 1.0), "reached_max", o.reached_max, share)
      .require(detail::within(o.wins_min, 0.0, 0.4), "wins_min", o.wins_min,
               "must be at least 0 and at most 0.4")
      .require(detail::within(o.load_max, 0.0, 1e9), "load_max", o.load_max,
               "must be at least 0 and at most 1000000000")
      .require(o.attempt_needs >= duration::zero(), "attempt_needs", o.attempt_needs, not_negative);
  return checks.result();
}

/// What a hedge has done since it was made, and what it would do now.
struct hedge_snapshot {
  std::string name = {};
  duration delay = duration::infinite();  ///< `infinite()`: not known yet
  std::uint64_t calls = 0;                ///< in the window, as far as they told a latency
  bool slow = false;                      ///< off: too many calls reach the delay
  bool useless = false;                   ///< off but for a few: hedges hardly ever come first
  core::hedge_totals totals = {};
};

namespace detail {

inline core::hedge_rules rules_of(const hedge_options& o) {
  return {.max_attempts = o.max_attempts,
          .after = o.after,
          .quantile = o.quantile,
          .minimum_samples = o.minimum_samples,
          .until_known = o.until_known,
          .after_min = o.after_min,
          .reissue = o.reissue,
          .reached_max = o.reached_max,
          .wins_min = o.wins_min,
          .load_max = o.load_max,
          .attempt_needs = o.attempt_needs};
}

/// What the copies of a hedge share.
struct hedge_state {
  explicit hedge_state(hedge_options o)
      : name(std::move(o.name)),
        load(std::move(o.load)),
        budget(o.budget != nullptr ? &o.budget->machine() : nullptr),
        own(o.latencies == nullptr ? std::optional<latency_window>(std::in_place, o.window) : std::nullopt),
        machine(own ? own->histogram() : o.latencies->histogram(), rules_of(o)) {}

  const std::string name;
  const std::function<double()> load;
  core::budget_machine* const budget;
  std::optional<latency_window> own;
  core::hedge_machine machine;
};

/// Up to N inner frames, made one after the other when they are needed, by a copy of what the outer frame was
/// given.
template <class Inner, std::size_t N>
class late_frames {
 public:
  template <class MakeInner>
  explicit late_frames(const MakeInner& make_inner) noexcept
      : make_([](const void* maker, void* where) {
          return ::new (where) Inner((*static_cast<const MakeInner*>(maker))());
        }) {
    static_assert(std::is_trivially_copyable_v<MakeInner> && sizeof(MakeInner) <= sizeof(maker_) &&
                  alignof(MakeInner) <= alignof(void*));
    ::new (static_cast<void*>(maker_)) MakeInner(make_inner);
  }
  late_frames(const late_frames&) = delete;
  late_frames& operator=(const late_frames&) = delete;
  ~late_frames() {
    while (made_ > 0) frames_[--made_]->~Inner();
  }

  Inner& operator[](std::size_t i) noexcept { return *frames_[i]; }
  const Inner& operator[](std::size_t i) const noexcept { return *frames_[i]; }
  /// `i` is at most the number of those that have been made.
  Inner& made(std::size_t i) {
    if (i == made_) {
      frames_[i] = make_(maker_, rooms_ + i * sizeof(Inner));
      ++made_;
    }
    return *frames_[i];
  }

 private:
  Inner* (*make_)(const void* maker, void* where);
  alignas(void*) std::byte maker_[2 * sizeof(void*)];
  std::size_t made_ = 0;
  Inner* frames_[N];
  alignas(Inner) std::byte rooms_[N * sizeof(Inner)];
};

}  // namespace detail

/// The layer made by `hedge`. Copies share latencies, judgements and counters.
///
/// Thread safety: shared objects safe.
/// Cost of a call that is answered before the delay: as `latency_window::record`, and one read-modify-write
/// more if there is a budget. The frame holds four inner ones.
/// Cancellation: the first answer cancels the other attempts, which nobody waits for. Nothing starts after
/// the caller's stop token has fired.
class hedge_layer : public layer_base {
 public:
  static constexpr layer_kind kind = layer_kind::hedge;
  static constexpr bool repeats = true;
  static constexpr bool overlaps = true;
  static constexpr std::size_t inner_frames = max_hedged_attempts;
  using options_type = hedge_options;
  static constexpr std::string_view policy_name = "hedge";

  explicit hedge_layer(hedge_options options)
      : state_(std::make_shared<detail::hedge_state>(detail::checked(policy_name, std::move(options)))) {}

  /// `absl::StatusOr<hedge_layer>`; needs seawall/status.hpp.
  template <class Creator = detail::creator<hedge_layer>>
  static auto create(hedge_options options) {
    return Creator::make(std::move(options));
  }

  /// Latencies are those of successes, too.
  static constexpr bool needs_end_time() noexcept { return true; }

  hedge_snapshot snapshot(instant now) const {
    core::hedge_machine& m = state_->machine;
    return {.name = state_->name,
            .delay = m.delay(now),
            .calls = m.latencies().read(now).total,
            .slow = m.slow(),
            .useless = m.useless(),
            .totals = m.totals()};
  }
  hedge_snapshot snapshot() const { return snapshot(steady_clock::now()); }
  const std::string& name() const noexcept { return state_->name; }

  /// New options for the calls that begin from now on; latencies, judgements and counters are kept. Name,
  /// budget, load function, shared latencies, and range and slices of its own ones are fixed: for the last
  /// two, what is asked for must be what is there, the others are not looked at. Returns what is wrong, in
  /// which case nothing has changed.
  std::optional<option_error> reconfigure(const hedge_options& options) const {
    if (auto error = validate(options)) return error;
    if (state_->own) {
      detail::option_checks checks;
      checks.require(state_->own->reconfigure(options.window), "window");
      if (auto error = checks.result()) return error;
    }
    state_->machine.set_rules(detail::rules_of(options));
    return std::nullopt;
  }

  template <class Inner>
  class frame {
   public:
    template <class MakeInner>
    frame(const hedge_layer& layer, std::uint8_t /*number*/, MakeInner&& make_inner)
        : shared_(*layer.state_), legs_(make_inner) {}
    frame(const frame&) = delete;
    frame& operator=(const frame&) = delete;

    resolution start(call& c, instant now) {
      begun_ = live_ = hedges_ = 0;
      pushed_back_ = false;
      began_ = now;
      delay_ = shared_.machine.delay(now);
      max_attempts_ = shared_.machine.max_attempts();
      if (shared_.budget != nullptr && c.owes_deposit(shared_.budget)) shared_.budget->deposit(now);
      return launch(c, now);
    }
    resolution on_done(call& c, instant now, attempt_id id, const verdict& v) {
      return tell_legs(c, now, [&](Inner& leg) { return leg.on_done(c, now, id, v); });
    }
    resolution on_time(call& c, instant now) {
      // The legs first: one that times out now is followed at once, and need not be hedged.
      const resolution r = tell_legs(c, now, [&](Inner& leg) { return leg.on_time(c, now); });
      return r || now < due_ ? r : hedge(c, now);
    }
    void cancel(call& c) {
      if (live_ == 0) return;
      // By a caller that has gone, which says nothing; or because time is over, and the hedge was of no help.
      if (!c.stop_requested()) report_hedges(false);
      // The time is not told here. The latest one known is at least the delay, if there is a hedge.
      if (live(lead_)) record(verdict::cancelled(), seen_);
      drop_legs(c);
    }
    instant wake_at() const {
      instant at = due_;
      for (unsigned i = 0; i < begun_; ++i) {
        if (live(i)) at = std::min(at, legs_[i].wake_at());
      }
      return at;
    }

   private:
    bool live(unsigned leg) const noexcept { return (live_ >> leg & 1U) != 0; }

    template <class Tell>
    resolution tell_legs(call& c, instant now, Tell&& tell) {
      seen_ = now;
      const unsigned begun = begun_;
      for (unsigned i = 0; i < begun; ++i) {
        if (!live(i)) continue;
        const resolution r = tell(legs_[i]);
        if (!r) continue;
        if (const resolution end = settle(c, now, i, r)) return end;
      }
      return {};
    }

    // The next leg. If nothing else is under way, it leads: its latency is one that a call without hedges
    // would have had.
    resolution launch(call& c, instant now) {
      const unsigned i = begun_++;
      if (live_ == 0) {
        lead_ = static_cast<std::uint8_t>(i);
        lead_began_ = seen_ = now;
        reached_ = false;
      }
      live_ = static_cast<std::uint8_t>(live_ | 1U << i);
      const bool another = begun_ < max_attempts_ && c.declared() == idempotency::idempotent && !pushed_back_;
      due_ = another ? now + delay_ : instant::never();
      const resolution r = legs_.made(i).start(c, now);
      if (!r) [[likely]]
        return {};
      // Rejected on the spot, and so would be another one: no other follows at once.
      retire(now, i, r.v);
      if (ends(r.v)) return finish(c, now, i, r);
      return live_ == 0 ? give_up(r) : resolution{};
    }

    // A leg has ended.
    resolution settle(call& c, instant now, unsigned i, const resolution& r) {
      retire(now, i, r.v);
      if (ends(r.v)) return finish(c, now, i, r);
      if (may_repeat(r.v, c.declared()) && room(c, now) && allowed(c, now, hedge_reason::failure)) {
        // If that one is rejected, and nothing is left, its rejection is what arrived last.
        return another(c, now, hedge_reason::failure);
      }
      return live_ == 0 ? give_up(r) : resolution{};
    }

    // The leader has not answered within the delay.
    resolution hedge(call& c, instant now) {
      due_ = instant::never();
      if (!std::exchange(reached_, true)) shared_.machine.count_reached(now);
      if (!room(c, now) || !allowed(c, now, hedge_reason::delay)) return {};
      hedges_ = static_cast<std::uint8_t>(hedges_ | 1U << begun_);
      return another(c, now, hedge_reason::delay);
    }

    resolution another(call& c, instant now, hedge_reason why) {
      shared_.machine.count_start(why);
      c.emit(event::hedged{shared_.name, c.attempts() + 1, now - began_, why, now});
      return launch(c, now);
    }

    bool room(const call& c, instant now) const {
      if (begun_ >= max_attempts_ || pushed_back_ || c.stop_requested()) return false;
      const duration left = c.deadline() - now;
      return left > duration::zero() && left >= shared_.machine.attempt_needs();
    }

    bool allowed(call& c, instant now, hedge_reason why) {
      const hedge_withheld_by by = objection(c, now, why);
      if (by == hedge_withheld_by::nothing) return true;
      shared_.machine.count_withheld(by);
      c.emit(event::hedge_withheld{shared_.name, by, now});
      return false;
    }

    // The budget comes last: nothing is spent on what something else forbids.
    hedge_withheld_by objection(call& c, instant now, hedge_reason why) {
      core::hedge_machine& m = shared_.machine;
      if (shared_.load && shared_.load() >= m.load_max()) return hedge_withheld_by::load;
      if (why == hedge_reason::delay) {
        const auto unit = [&c] { return c.random().unit(); };
        if (const auto by = m.objection(unit); by != hedge_withheld_by::nothing) return by;
        if (m.reissue() < 1 && unit() >= m.reissue()) return hedge_withheld_by::chance;
      }
      if (shared_.budget != nullptr && !shared_.budget->try_withdraw(now)) return hedge_withheld_by::budget;
      return hedge_withheld_by::nothing;
    }

    static bool ends(const verdict& v) noexcept { return v.success || v.again == again::never; }

    void retire(instant now, unsigned i, const verdict& v) {
      live_ = static_cast<std::uint8_t>(live_ & ~(1U << i));
      if (i == lead_) record(v, now);
      if (v.success || !v.has_pushback()) return;
      // Who asks for a pause gets one, from a retry outside.
      pushed_back_ = true;
      due_ = instant::never();
    }

    // An answer tells its latency. What has not answered within the delay tells that much, however it ended:
    // left out, the slow ones that lose to their hedges would make the dependency look fast.
    void record(const verdict& v, instant now) {
      const duration age = now - lead_began_;
      if (v.success || v.health == health::healthy || age >= delay_) shared_.machine.record(age, now);
    }

    resolution finish(call& c, instant now, unsigned i, const resolution& r) {
      report_hedges(r.v.success && (hedges_ >> i & 1U) != 0);
      if (live(lead_)) record(verdict::cancelled(), now);
      drop_legs(c);
      return r;
    }
    resolution give_up(const resolution& r) {
      report_hedges(false);
      due_ = instant::never();
      return r;
    }
    void report_hedges(bool won) {
      if (hedges_ != 0) shared_.machine.hedged(won);
    }
    void drop_legs(call& c) {
      for (unsigned i = 0; i < begun_; ++i) {
        if (live(i)) legs_[i].cancel(c);
      }
      live_ = 0;
      due_ = instant::never();
    }

    detail::hedge_state& shared_;
    std::uint32_t max_attempts_ = 0;
    std::uint8_t begun_ = 0;   // legs
    std::uint8_t live_ = 0;    // which of them, as bits
    std::uint8_t hedges_ = 0;  // those that were started because of the delay
    std::uint8_t lead_ = 0;
    bool reached_ = false;
    bool pushed_back_ = false;
    duration delay_;
    instant began_;
    instant lead_began_;
    instant seen_;  // the latest time told
    instant due_ = instant::never();
    detail::late_frames<Inner, max_hedged_attempts> legs_;
  };

 private:
  std::shared_ptr<detail::hedge_state> state_;
};

/// Starts another attempt when those under way take longer than nearly all others did; the first answer wins.
///
/// The result is the first success, or the first failure that is final; else the failure that arrived last.
/// Needs a driver in which attempts overlap.
inline hedge_layer hedge(hedge_options options = {}) { return hedge_layer(std::move(options)); }

}  // namespace seawall

#endif  // SEAWALL_HEDGE_HPP
