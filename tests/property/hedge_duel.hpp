// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_PROPERTY_HEDGE_DUEL_HPP
#define SEAWALL_TESTS_PROPERTY_HEDGE_DUEL_HPP

// A hedge frame, driven by hand, against a list of attempts and what the rules say about them. Attempts are
// rejected on the spot, time out by themselves, end with any verdict, or hang; the frame is poked early and late,
// told of attempts that it has cancelled, cancelled itself, and started again.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "property/support.hpp"
#include "seawall/frame.hpp"
#include "seawall/hedge.hpp"

namespace property {

/// What becomes of the attempt that is started next.
struct attempt_plan {
  bool rejects = false;  ///< on the spot
  duration times_out = duration::infinite();
  duration ends = duration::infinite();
  seawall::verdict v = {};  ///< of the rejection, or of the end
};

/// What is inside each attempt of the hedge: rejects as a breaker does, times out as an attempt_timeout does.
class planned_frame {
 public:
  explicit planned_frame(const attempt_plan& next) : next_(next) {}

  seawall::resolution start(seawall::call& c, instant now) {
    if (next_.rejects) return c.reject(now, {.policy = "plan", .why = seawall::reason::custom}, next_.v);
    times_out_ = now + next_.times_out;
    return leaf_.start(c, now);
  }
  seawall::resolution on_done(seawall::call& c, instant now, seawall::attempt_id id,
                              const seawall::verdict& v) {
    return leaf_.on_done(c, now, id, v);
  }
  seawall::resolution on_time(seawall::call& c, instant now) {
    if (now < times_out_) return {};
    leaf_.cancel(c);
    return c.reject(now, {.policy = "plan", .why = seawall::reason::timed_out},
                    seawall::verdict::transient());
  }
  void cancel(seawall::call& c) { leaf_.cancel(c); }
  instant wake_at() const { return times_out_; }

 private:
  const attempt_plan& next_;
  instant times_out_ = instant::never();
  seawall::leaf_frame leaf_;
};

/// The rules, spelled out.
class hedge_model {
 public:
  struct setting {
    seawall::hedge_options options;
    seawall::idempotency declared = seawall::idempotency::idempotent;
    instant deadline = instant::never();
  };
  struct attempt {
    instant began;
    attempt_plan plan;
    bool leads = false;
    bool hedge = false;
    bool running = true;
    seawall::attempt_id id = 0;
  };
  struct answer {
    bool rejection = false;
    seawall::attempt_id id = 0;
    seawall::verdict v = {};
  };

  hedge_model(const setting& s, std::uint64_t& grants, seawall::random_source& random, double& load,
              const attempt_plan& next)
      : s_(s), grants_(grants), random_(random), load_(load), next_(next) {}

  // Events. What they lead to stands in the members below, until the next event.

  void start(instant now) {
    forget();
    attempts.clear();
    pushed_back_ = false;
    begin(now, false);
  }
  void end(instant now, seawall::attempt_id id) {
    forget();
    for (std::size_t i = 0; i < attempts.size(); ++i) {
      if (attempts[i].running && attempts[i].id == id) ended(now, i, false, attempts[i].plan.v);
    }
  }
  void time(instant now) {
    forget();
    seen_ = now;
    for (std::size_t i = 0, count = attempts.size(); i < count && !result; ++i) {
      attempt& a = attempts[i];
      if (!a.running || now < a.began + a.plan.times_out) continue;
      cancelled.push_back(a.id);
      ended(now, i, true, seawall::verdict::transient());
    }
    if (result || now < due) return;
    due = instant::never();
    if (room(now) && wanted() && granted()) begin(now, true);
  }
  void cancel() {
    forget();
    for (attempt& a : attempts) {
      if (a.running && a.leads) learn(a, seen_, false);
    }
    cancel_all();
  }

  std::vector<attempt> attempts;
  instant due = instant::never();
  bool stopped = false;
  std::vector<duration> latencies;
  // By the last event.
  std::vector<seawall::attempt_id> started, cancelled;
  std::optional<answer> result;
  seawall::attempt_id next_id = 0;

  instant wake_at() const {
    instant at = due;
    for (const attempt& a : attempts) {
      if (a.running) at = std::min(at, a.began + a.plan.times_out);
    }
    return at;
  }
  bool running() const {
    return std::any_of(attempts.begin(), attempts.end(), [](const attempt& a) { return a.running; });
  }

 private:
  void forget() {
    started.clear();
    cancelled.clear();
    result.reset();
  }
  duration delay() const { return *s_.options.after; }

  void begin(instant now, bool hedge) {
    seen_ = now;
    attempts.push_back({.began = now, .plan = next_, .leads = !running(), .hedge = hedge});
    const bool more = attempts.size() < s_.options.max_attempts && !pushed_back_ &&
                      s_.declared == seawall::idempotency::idempotent;
    due = more ? now + delay() : instant::never();
    if (next_.rejects) {
      attempts.back().plan.times_out = duration::infinite();
      return ended(now, attempts.size() - 1, true, next_.v, true);
    }
    attempts.back().id = next_id++;
    started.push_back(attempts.back().id);
  }

  void ended(instant now, std::size_t i, bool rejection, const seawall::verdict& v, bool at_once = false) {
    seen_ = now;
    attempts[i].running = false;
    const answer mine{rejection, attempts[i].id, v};
    if (attempts[i].leads) learn(attempts[i], now, v.success || v.health == seawall::health::healthy);
    if (v.success || v.again == seawall::again::never) {
      for (attempt& a : attempts) {
        if (a.running && a.leads) learn(a, now, false);
      }
      cancel_all();
      result = mine;
      return;
    }
    if (v.has_pushback()) {
      pushed_back_ = true;
      due = instant::never();
    }
    const bool safe = v.again == seawall::again::always || s_.declared == seawall::idempotency::idempotent;
    if (!at_once && safe && room(now) && load_ < s_.options.load_max && granted()) return begin(now, false);
    if (running()) return;
    due = instant::never();
    result = mine;
  }

  bool room(instant now) const {
    if (attempts.size() >= s_.options.max_attempts || pushed_back_ || stopped) return false;
    return now < s_.deadline && s_.deadline - now >= s_.options.attempt_needs;
  }
  bool wanted() {
    if (load_ >= s_.options.load_max) return false;
    return s_.options.reissue >= 1 || random_.unit() < s_.options.reissue;
  }
  bool granted() {
    if (s_.options.budget == nullptr) return true;
    if (grants_ == 0) return false;
    --grants_;
    return true;
  }

  void learn(const attempt& a, instant now, bool answered) {
    if (answered || now - a.began >= delay()) latencies.push_back(now - a.began);
  }
  void cancel_all() {
    for (attempt& a : attempts) {
      if (std::exchange(a.running, false)) cancelled.push_back(a.id);
    }
    due = instant::never();
  }

  const setting& s_;
  std::uint64_t& grants_;
  seawall::random_source& random_;
  double& load_;
  const attempt_plan& next_;
  bool pushed_back_ = false;
  instant seen_;
};

class hedge_duel {
 public:
  using mismatch = std::optional<std::string>;

  explicit hedge_duel(dice& d)
      : d_(d),
        grants_(d.below(6)),
        budget_({.ratio = 0, .floor_per_second = static_cast<double>(grants_) / 10}),
        setting_(random_setting()),
        layer_(setting_.options),
        random_seed_(d.next()),
        random_(random_seed_),
        same_random_(random_seed_),
        call_options_{.stop = stop_.get_token(), .deadline = setting_.deadline, .random = &random_},
        call_(now_, setting_.declared, &call_options_, nullptr),
        frame_(layer_, 1, [this] { return planned_frame(next_); }),
        model_(setting_, grants_, same_random_, load_, next_) {
    call_.lend(room_);
  }

  mismatch play(std::uint64_t& operations) {
    for (std::uint64_t rounds = d_.between(1, 4); rounds != 0; --rounds) {
      plan();
      model_.start(now_);
      const seawall::resolution r = frame_.start(call_, now_);
      mismatch m = compare(r);
      while (!m && !model_.result && model_.running()) {
        ++operations;
        m = step();
      }
      if (m) return m;
      now_ = now_ + units(d_, 0, 3);
    }
    return compare_latencies();
  }

 private:
  hedge_model::setting random_setting() {
    hedge_model::setting s;
    s.options = {.max_attempts = d_.between(1U, 4U),
                 .after = units(d_, 0, 6),
                 .latencies = &latencies_,
                 .reissue = d_.chance(70) ? 1.0 : d_.pick({0.0, 0.3, 0.7}),
                 .budget = d_.chance(50) ? &budget_ : nullptr,
                 .reached_max = 1,
                 .wins_min = 0,
                 .load = d_.chance(30) ? [this] { return load_; } : std::function<double()>(),
                 .attempt_needs = d_.chance(70) ? duration::zero() : units(d_, 0, 6)};
    if (!s.options.load) load_ = 0;
    s.declared = d_.chance(80)
                     ? seawall::idempotency::idempotent
                     : d_.pick({seawall::idempotency::non_idempotent, seawall::idempotency::undeclared});
    if (d_.chance(30)) s.deadline = now_ + units(d_, 0, 30);
    return s;
  }

  void plan() {
    using seawall::verdict;
    next_ = {};
    next_.rejects = d_.chance(12);
    if (d_.chance(15)) next_.times_out = units(d_, 0, 12);
    if (d_.chance(90)) next_.ends = units(d_, 0, 15);
    next_.v = d_.chance(35)   ? verdict::ok()
              : d_.chance(75) ? d_.pick({verdict::transient(), verdict::not_executed()})
                              : d_.pick({verdict::permanent(), verdict::refused(), verdict::cancelled()});
    if (next_.rejects && next_.v.success) next_.v = {.again = seawall::again::always};
    if (d_.chance(12)) next_.v.retry_after = units(d_, 0, 9);
  }

  // One event: whatever comes first, or something out of turn.
  mismatch step() {
    plan();
    if (setting_.options.load) load_ = d_.pick({0.0, 0.5, 0.8, 1.0});
    const auto roll = d_.below(100);
    if (roll < 3) return cancel();
    if (roll < 5) {
      stop_.request_stop();
      model_.stopped = true;
    }
    if (roll < 12 && !gone_.empty()) return tell_of_a_cancelled_one();
    instant ends = instant::never();
    seawall::attempt_id id = 0;
    for (const auto& a : model_.attempts) {
      if (a.running && a.began + a.plan.ends < ends) ends = a.began + a.plan.ends, id = a.id;
    }
    const instant wakes = model_.wake_at();
    if (std::min(ends, wakes) == instant::never()) return cancel();
    if (roll < 20) return wake(std::max(now_, now_ + units(d_, 0, 2)));
    const duration late = d_.chance(10) ? units(d_, 0, 3) : duration::zero();
    if (wakes < ends || (wakes == ends && d_.chance(50))) return wake(std::max(now_, wakes) + late);
    now_ = std::max(now_, ends) + late;
    model_.end(now_, id);
    return compare(frame_.on_done(call_, now_, id, verdict_of(id)));
  }

  seawall::verdict verdict_of(seawall::attempt_id id) const {
    for (const auto& a : model_.attempts) {
      if (a.running && a.id == id) return a.plan.v;
    }
    return last_verdict_of(id);
  }
  // The model has taken it off its list already.
  seawall::verdict last_verdict_of(seawall::attempt_id id) const {
    for (auto a = model_.attempts.rbegin(); a != model_.attempts.rend(); ++a) {
      if (a->id == id && !a->plan.rejects) return a->plan.v;
    }
    return {};
  }

  mismatch wake(instant at) {
    now_ = at;
    model_.time(now_);
    return compare(frame_.on_time(call_, now_));
  }
  mismatch cancel() {
    model_.cancel();
    frame_.cancel(call_);
    return compare({});
  }
  mismatch tell_of_a_cancelled_one() {
    const auto id = gone_[d_.below(gone_.size())];
    return frame_.on_done(call_, now_, id, seawall::verdict::ok())
               ? mismatch("an answer of a cancelled attempt")
               : compare_waiting();
  }

  mismatch compare(const seawall::resolution& r) {
    std::vector<seawall::attempt_id> started, cancelled;
    call_.take_launches([&](const seawall::launch& l) { started.push_back(l.id); });
    call_.take_cancels([&](seawall::attempt_id id) { cancelled.push_back(id); });
    gone_.insert(gone_.end(), cancelled.begin(), cancelled.end());
    std::sort(cancelled.begin(), cancelled.end());
    std::sort(model_.cancelled.begin(), model_.cancelled.end());
    trace("at ", now_.ns(), ": ", started.size(), " started, ", cancelled.size(), " cancelled, resolved ",
          static_cast<bool>(r));
    if (started != model_.started) return text(started.size(), " started, expected ", model_.started.size());
    if (cancelled != model_.cancelled)
      return text(cancelled.size(), " cancelled, expected ", model_.cancelled.size());
    if (static_cast<bool>(r) != model_.result.has_value()) return text("resolved: ", static_cast<bool>(r));
    if (!r) return compare_waiting();
    const bool rejection = r.how == seawall::resolution::kind::rejection;
    if (rejection != model_.result->rejection) return text("a rejection: ", rejection);
    if (!rejection && r.which != model_.result->id)
      return text("attempt ", r.which, ", expected ", model_.result->id);
    if (r.v != model_.result->v) return "another verdict";
    return compare_waiting();
  }
  mismatch compare_waiting() const {
    if (frame_.wake_at() == model_.wake_at()) return {};
    return text("wakes at ", frame_.wake_at().ns(), ", expected ", model_.wake_at().ns());
  }

  mismatch compare_latencies() {
    std::vector<duration> expected = model_.latencies;
    if (latencies_.count(now_) != expected.size()) {
      return text(latencies_.count(now_), " latencies, expected ", expected.size());
    }
    std::sort(expected.begin(), expected.end());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const double p = (static_cast<double>(i) + 0.5) / static_cast<double>(expected.size());
      const double off = (*latencies_.quantile(p, now_) - expected[i]).seconds();
      if (std::abs(off) > std::max(expected[i].seconds() / 32, 16e-9))
        return text("latency ", i, " is off by ", off);
    }
    return {};
  }

  dice& d_;
  instant now_ = instant::from_ns(1'000'000);
  double load_ = 0;
  attempt_plan next_;
  std::uint64_t grants_;
  seawall::latency_window latencies_{{.window = std::chrono::hours(1),
                                      .slices = 1,
                                      .shortest = duration::from_ns(16),
                                      .longest = std::chrono::milliseconds(1)}};
  seawall::retry_budget budget_;
  hedge_model::setting setting_;
  seawall::hedge_layer layer_;
  std::uint64_t random_seed_;
  seawall::random_source random_, same_random_;
  std::stop_source stop_;
  seawall::call_options call_options_;
  seawall::call::room room_;
  seawall::call call_;
  seawall::hedge_layer::frame<planned_frame> frame_;
  hedge_model model_;
  std::vector<seawall::attempt_id> gone_;
};

}  // namespace property

#endif  // SEAWALL_TESTS_PROPERTY_HEDGE_DUEL_HPP
