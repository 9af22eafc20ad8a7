// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_PROPERTY_RETRY_DUEL_HPP
#define SEAWALL_TESTS_PROPERTY_RETRY_DUEL_HPP

// A retry frame, driven by hand, against what a loop around a call would do. A delay with jitter is taken from the
// library once it is known to lie in its range; all else is foretold.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "property/backoff_model.hpp"
#include "property/budget_ledger.hpp"
#include "property/known_defects.hpp"
#include "property/support.hpp"
#include "seawall/frame.hpp"
#include "seawall/retry.hpp"

namespace property {

/// Stands for whatever is inside a retry: lets an attempt start, or rejects at once as a breaker does.
class gate_frame {
 public:
  struct plan {
    bool rejects = false;
    seawall::verdict v = {};
  };

  explicit gate_frame(const plan& p) : plan_(p) {}

  bool start_straight(seawall::call& c, instant now) {
    return !plan_.rejects && leaf_.start_straight(c, now);
  }
  void end_straight(seawall::call& c, instant now, seawall::verdict& v) { leaf_.end_straight(c, now, v); }
  void drop_straight() noexcept { leaf_.drop_straight(); }

  seawall::resolution start(seawall::call& c, instant now) {
    if (!plan_.rejects) return leaf_.start(c, now);
    return c.reject(
        now, {.policy = "gate", .why = seawall::reason::custom, .retry_after = plan_.v.retry_after}, plan_.v);
  }
  seawall::resolution on_done(seawall::call& c, instant now, seawall::attempt_id id,
                              const seawall::verdict& v) {
    return leaf_.on_done(c, now, id, v);
  }
  seawall::resolution on_time(seawall::call& c, instant now) { return leaf_.on_time(c, now); }
  void cancel(seawall::call& c) { leaf_.cancel(c); }
  instant wake_at() const { return leaf_.wake_at(); }

 private:
  const plan& plan_;
  seawall::leaf_frame leaf_;
};

class retry_witness final : public seawall::listener {
 public:
  struct scheduled {
    std::uint32_t attempt;
    duration delay;
    bool pushback;
    seawall::verdict failure;
  };
  using seawall::listener::on;
  void on(const seawall::event::retry_scheduled& e) noexcept override {
    retries.push_back({e.attempt, e.delay, e.pushback, e.failure});
  }
  void on(const seawall::event::gave_up& e) noexcept override { endings.push_back(e.what.why); }

  std::vector<scheduled> retries;
  std::vector<seawall::give_up> endings;
};

/// What a call is made with.
struct retry_setting {
  seawall::retry_options options;
  seawall::idempotency declared = seawall::idempotency::idempotent;
  instant deadline = instant::never();
  const seawall::attempt* outer = nullptr;
  bool retried_outside = false;
  unsigned failure_percent = 80;
};

/// One call from its start to its end.
class retry_duel {
 public:
  using mismatch = std::optional<std::string>;
  using give_up = seawall::give_up;
  using resolution = seawall::resolution;

  retry_duel(dice& d, const retry_setting& s, budget_ledger* ledger, instant& now)
      : d_(d),
        s_(s),
        ledger_(ledger),
        now_(now),
        started_(now),
        layer_(s.options),
        backoff_(s_.options.backoff),
        random_(d.next()),
        call_options_{
            .stop = stop_.get_token(), .deadline = s.deadline, .events = &witness_, .random = &random_},
        fresh_call_(now, s.declared, &call_options_, s.outer),
        fresh_frame_(layer_, 1, [this] { return gate_frame(plan_); }),
        straight_(begin_straight()),
        call_(straight_ ? seawall::call(std::move(fresh_call_))
                        : seawall::call(now, s.declared, &call_options_, s.outer)),
        frame_(straight_ ? frame(std::move(fresh_frame_))
                         : frame(layer_, 1, [this] { return gate_frame(plan_); })) {}

  mismatch play(std::uint64_t& operations) {
    if (ledger_ != nullptr) ledger_->deposit(now_);
    resolution r = straight_ ? resolution() : frame_.start(call_, now_);
    for (;;) {
      ++operations;
      ++tries_;
      if (mismatch m = attempt(r)) return m;
      if (mismatch m = judge(r)) return m;
      if (r) return compare_end(r);
      if (d_.chance(3) || tries_ == 30) return cancel();
      if (mismatch m = pause()) return m;
      if (too_late()) return wake_too_late();
      plan_next();
      r = frame_.on_time(call_, now_);
    }
  }

  std::uint32_t attempts() const { return attempts_; }

 private:
  using frame = seawall::retry_layer::frame<gate_frame>;

  // The short cut, as a driver takes it: the call and its frame start where they are, and are moved when the first attempt
  // has not succeeded. Nothing may have happened if it says no.
  bool begin_straight() {
    plan_next();
    if (!d_.chance(50) || !fresh_frame_.start_straight(fresh_call_, now_)) return false;
    first_ = fresh_call_.take_launch();
    return true;
  }

  // What happens further in.

  void plan_next() {
    using seawall::verdict;
    plan_.rejects = d_.chance(15);
    if (plan_.rejects) {
      plan_.v = {.again = d_.chance(85) ? seawall::again::always : seawall::again::never};
    } else if (d_.chance(s_.failure_percent)) {
      plan_.v = d_.chance(85) ? d_.pick({verdict::transient(), verdict::transient(), verdict::not_executed()})
                              : d_.pick({verdict::permanent(), verdict::refused(), verdict::cancelled()});
    } else {
      plan_.v = verdict::ok();
    }
    if (d_.chance(20)) plan_.v.retry_after = units(d_, 0, 12);
  }

  /// Carries out what the frame has asked for: exactly one attempt, or none behind a rejection.
  mismatch attempt(resolution& r) {
    const bool straight = straight_ && tries_ == 1;
    const std::size_t wanted = plan_.rejects || straight ? 0 : 1;
    if (call_.pending_launches() != wanted) return text(call_.pending_launches(), " attempts started");
    if (plan_.rejects) return {};
    if (r) return "resolved before the attempt ended";
    const seawall::launch l = straight ? first_ : call_.take_launch();
    ++attempts_;
    if (l.number != attempts_ || l.at != now_) return text("attempt ", l.number, ", expected ", attempts_);
    now_ = now_ + units(d_, 0, 3);
    if (d_.chance(2)) stop_.request_stop();
    last_id_ = l.id;
    last_error_ = plan_.v;
    r = frame_.on_done(call_, now_, l.id, plan_.v);
    return {};
  }

  // What a loop would do now.

  /// Every rule that forbids another attempt after `delay`, but for the budget.
  std::vector<give_up> forbidding(duration delay) const {
    std::vector<give_up> out;
    const seawall::verdict& v = plan_.v;
    const bool repeatable =
        v.again == seawall::again::always ||
        (v.again == seawall::again::if_idempotent && s_.declared == seawall::idempotency::idempotent);
    if (s_.retried_outside && s_.options.nested == seawall::when_nested::yield)
      out.push_back(give_up::nested);
    if (!repeatable) out.push_back(give_up::not_repeatable);
    if (tries_ >= s_.options.max_attempts) out.push_back(give_up::max_attempts);
    if (v.has_pushback() && v.retry_after > s_.options.pushback_max) out.push_back(give_up::pushback);
    if (now_ + delay > started_ + s_.options.max_duration) out.push_back(give_up::max_duration);
    const instant next = now_ + delay;
    if (next >= s_.deadline || next + s_.options.attempt_needs > s_.deadline)
      out.push_back(give_up::deadline);
    return out;
  }

  mismatch judge(const resolution& r) {
    const seawall::verdict& v = plan_.v;
    silent_end_ = v.success || v.again == seawall::again::never || stop_.stop_requested();
    if (silent_end_) return r ? mismatch() : "goes on after what is final";
    const delay_range allowed = v.has_pushback() ? delay_range{v.retry_after.ns(), v.retry_after.ns()}
                                                 : backoff_.range(tries_, previous_);
    // Behind a pause that the dependency asked for, the delay that was not used is not known.
    previous_ = v.has_pushback() ? duration::infinite() : previous_;
    return r ? judge_end(allowed) : judge_retry(allowed);
  }

  mismatch judge_retry(const delay_range& allowed) {
    if (witness_.retries.size() != ++retries_)
      return text(witness_.retries.size(), " retries told of, expected ", retries_);
    const retry_witness::scheduled& e = witness_.retries.back();
    if (!allowed.holds(e.delay)) {
      return text("delay ", e.delay.ns(), ", expected ", allowed.least, " to ", allowed.most);
    }
    if (e.attempt != attempts_ || e.pushback != plan_.v.has_pushback() || e.failure != plan_.v)
      return "event differs";
    if (const auto no = forbidding(e.delay); !no.empty())
      return text("retries against rule ", static_cast<int>(no.front()));
    if (ledger_ != nullptr && !ledger_->try_withdraw(now_)) return "retries without a budget";
    wake_ = now_ + e.delay;
    if (!plan_.v.has_pushback()) previous_ = e.delay;
    if (frame_.wake_at() != wake_) return text("wakes at ", frame_.wake_at().ns(), ", expected ", wake_.ns());
    return {};
  }

  mismatch judge_end(const delay_range& allowed) {
    if (call_.how_it_ended() == nullptr) return "ended without a word";
    const seawall::ending& e = *call_.how_it_ended();
    if (e.attempts != attempts_ || e.elapsed != now_ - started_) return "ending has the wrong numbers";
    if (witness_.endings != std::vector{e.why}) return "event of the ending differs";
    const auto surely = forbidding(duration::from_ns(allowed.least));
    if (e.why == give_up::budget) {
      if (!surely.empty()) return "asked the budget for what another rule forbids";
      return ledger_ != nullptr && ledger_->remaining(now_) == 0 ? mismatch() : "budget was not spent";
    }
    const auto perhaps = forbidding(duration::from_ns(allowed.most));
    if (std::find(perhaps.begin(), perhaps.end(), e.why) != perhaps.end()) return {};
    return text("gave up for reason ", static_cast<int>(e.why),
                perhaps.empty() ? ", nothing forbids" : ", another forbids");
  }

  mismatch pause() {
    if (d_.chance(30) && wake_ > now_) {
      const resolution early = frame_.on_time(call_, wake_ - duration::from_ns(1));
      if (early || call_.pending_launches() != 0 || frame_.wake_at() != wake_)
        return "an early wake-up changes something";
    }
    // Timers are late now and then.
    now_ = d_.chance(20) ? wake_ + units(d_, 0, 10) : wake_;
    if (known::late_wake_up_starts_an_attempt && too_late()) now_ = wake_;
    return {};
  }

  bool too_late() const { return now_ >= s_.deadline || now_ > started_ + s_.options.max_duration; }

  /// The last real error, and no attempt.
  mismatch wake_too_late() {
    const resolution r = frame_.on_time(call_, now_);
    if (!r || call_.pending_launches() != 0) return "starts an attempt that is too late";
    const give_up why = call_.how_it_ended() != nullptr ? call_.how_it_ended()->why : give_up::none;
    if (why != give_up::deadline && why != give_up::max_duration) return "does not say that it was too late";
    return compare_end(r);
  }

  // The end.

  mismatch compare_end(const resolution& r) {
    if (silent_end_ && (call_.how_it_ended() != nullptr || !witness_.endings.empty()))
      return "a final result has an ending";
    if (call_.attempts() != attempts_ || call_.pending_launches() != 0 ||
        frame_.wake_at() != instant::never()) {
      return "not at rest after the end";
    }
    if (plan_.rejects && (attempts_ == 0 || silent_end_)) {
      // A final rejection says more than the error before it; that error is still in the driver's hands.
      return r.how == resolution::kind::rejection && r.v == plan_.v ? mismatch() : "not the rejection";
    }
    if (r.how != resolution::kind::attempt || r.which != last_id_ || r.v != last_error_)
      return "not the last real error";
    return {};
  }

  mismatch cancel() {
    frame_.cancel(call_);
    if (frame_.wake_at() != instant::never() || call_.pending_launches() != 0)
      return "still at work after cancel";
    return {};
  }

  dice& d_;
  const retry_setting s_;
  budget_ledger* ledger_;
  instant& now_;
  const instant started_;
  seawall::retry_layer layer_;
  backoff_model backoff_;
  seawall::random_source random_;
  retry_witness witness_;
  std::stop_source stop_;
  seawall::call_options call_options_;
  gate_frame::plan plan_;
  seawall::launch first_;
  seawall::call fresh_call_;
  frame fresh_frame_;
  const bool straight_;
  seawall::call call_;
  frame frame_;
  std::uint32_t tries_ = 0;
  std::uint32_t attempts_ = 0;
  std::size_t retries_ = 0;
  duration previous_;
  instant wake_;
  bool silent_end_ = false;
  seawall::attempt_id last_id_ = 0;
  seawall::verdict last_error_;
};

}  // namespace property

#endif  // SEAWALL_TESTS_PROPERTY_RETRY_DUEL_HPP
