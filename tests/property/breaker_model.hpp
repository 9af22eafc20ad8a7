// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_PROPERTY_BREAKER_MODEL_HPP
#define SEAWALL_TESTS_PROPERTY_BREAKER_MODEL_HPP

// A circuit breaker that is slow and obvious: a list of calls and a list of results, everything counted anew at each
// question. Written from the conventions of the design, not from the library's code. Time passes eagerly: the model goes
// half-open at the instant at which the open time ends, whoever looks.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "property/support.hpp"
#include "seawall/core/breaker_options.hpp"
#include "seawall/verdict.hpp"

namespace property {

class breaker_model {
 public:
  using options = seawall::circuit_breaker_options;
  using state = seawall::breaker_state;
  using reason = seawall::reason;
  using call_id = std::size_t;

  struct transition {
    state from;
    state to;
    std::vector<std::string_view> may_say;  // every rule that was met
  };
  struct decision {
    bool admitted = false;
    reason why = reason::none;
    duration time_left = seawall::verdict::no_pushback();
    call_id call = 0;
  };

  explicit breaker_model(const options& o) : o_(o) {}

  const std::vector<transition>& transitions() const { return transitions_; }
  /// Two probes had the same right to the place that was given out again: which one lost it is not specified.
  bool ambiguous() const { return ambiguous_; }

  // Calls.

  decision acquire(instant now, double draw) {
    pass(now);
    switch (state_) {
      case state::open: return {.why = reason::open, .time_left = open_until_ - now};
      case state::isolated: return {.why = reason::isolated};
      case state::half_open: return acquire_probe(now);
      case state::closed:
        if (!(draw < share(now))) return {.why = reason::recovering};
        break;
      case state::disabled:
      case state::metrics_only: break;
    }
    return admit(now);
  }

  void settle(call_id id, const seawall::verdict& v, instant now) {
    pass(now);
    if (v.health == seawall::health::silent) return release(id);
    const call& c = calls_[id];
    if (c.generation != generation_ || state_ == state::disabled) return;
    const bool bad = v.health == seawall::health::unhealthy;
    const bool slow = o_.slow.limit > duration::zero() && (v.slow || now - c.began >= o_.slow.limit);
    if (state_ == state::half_open) return settle_probe(id, !bad && !slow, v, now);
    results_.push_back({.at = now, .window_at = now, .bad = bad, .slow = slow});
    if (state_ != state::closed || (!bad && !slow)) return;
    if (auto met = rules_met(now); !met.empty()) trip(now, v, std::move(met));
  }

  /// Also of a call that has vanished without a word: only its lease tells.
  void release(call_id id) {
    if (calls_[id].generation == generation_) take_place(id);
  }

  // Callers that wait for the verdict of the probes.

  enum class answer : std::uint8_t { admitted, rejected, waiting };

  answer acquire_or_wait(std::size_t node, instant now, double draw, decision& d) {
    d = acquire(now, draw);
    const bool queued = is_waiting(node);
    if (d.why == reason::half_open && o_.half_open.excess_calls == options::excess::waits &&
        (queued || waiting_.size() < o_.half_open.max_waiting)) {
      if (!queued) waiting_.push_back(node);
      return answer::waiting;
    }
    forget(node);
    return d.admitted ? answer::admitted : answer::rejected;
  }
  void forget(std::size_t node) { std::erase(waiting_, node); }
  bool is_waiting(std::size_t node) const {
    return std::find(waiting_.begin(), waiting_.end(), node) != waiting_.end();
  }
  /// Would one that waits be told something else now?
  bool would_answer(instant now) {
    pass(now);
    return state_ != state::half_open || live_probes(now) < o_.half_open.max_probes;
  }

  // Controls.

  void force_open(instant now) {
    pass(now);
    if (state_ != state::open) trip(now, {}, {"by hand"});
  }
  void by_hand(state s, instant now) {
    pass(now);
    if (state_ != s) enter(s, {"by hand"});
  }
  void reset(instant now) {
    pass(now);
    trips_ = 0;
    enter(state::closed, {"by hand"});
  }
  void tick(instant now) { pass(now); }
  seawall::breaker_memento save(instant now) {
    pass(now);
    return {.state = state_,
            .time_left = state_ == state::open ? open_until_ - now : duration::zero(),
            .trips = trips_};
  }
  void restore(const seawall::breaker_memento& m, instant now) {
    pass(now);
    trips_ = m.trips;
    if (m.state == state::open) set_open_until(now + m.time_left);
    enter(m.state, {"restored"});
  }

  /// Windows are kept as far as they reach: of the last N, the newest that fit; of the time window, with a bucket that
  /// changes its width, its calls are from then on as old as the bucket's beginning. A time window that no rule has asked
  /// for so far starts empty.
  void reconfigure(const options& o, instant known) {
    if (!uses_time_window()) {
      for (result& r : results_) r.out_of_window = true;
    }
    if (width(o) != width(o_)) {
      for (result& r : results_) {
        r.out_of_window = r.out_of_window || !in_window(r, known);
        r.window_at = instant::from_ns(bucket_of(r.window_at, width(o_)) * width(o_).ns());
      }
    }
    const auto kept = [](std::size_t remembered, std::size_t before, std::size_t after) {
      return std::min({remembered, before, after});
    };
    last_from_ =
        results_.size() - kept(results_.size() - last_from_, o_.last_calls.calls, o.last_calls.calls);
    const std::size_t failures = failure_times(0).size();
    burst_from_ = failures -
                  kept(failures - burst_from_, o_.failures_in_period.failures, o.failures_in_period.failures);
    o_ = o;
  }

  /// Where no rule asks for the time window, nothing is counted in it.
  bool uses_time_window() const {
    return o_.over_time.failure_rate > 0 || o_.slow.limit > duration::zero() || o_.trip_when != nullptr;
  }

  // What an observer sees.

  seawall::breaker_snapshot look(instant now) {
    pass(now);
    seawall::breaker_snapshot s;
    s.name = o_.name;
    s.state = state_;
    if (state_ == state::open) s.time_left = open_until_ - now;
    s.admitted_share = state_ == state::closed ? share(now) : 1.0;
    s.counts = counts(now);
    s.trips = trips_;
    s.probes = static_cast<std::uint32_t>(places_.size());
    s.probes_succeeded = succeeded_;
    s.probes_failed = failed_;
    s.waiting = waiting_.size();
    s.transitions = transitions_.size();
    return s;
  }
  /// When time alone will change the state next.
  instant next_transition(instant now) {
    pass(now);
    if (state_ == state::open) return open_until_;
    return state_ == state::closed && ramping_ ? ramp_from_ + o_.recovery.length : instant::never();
  }
  /// A fresh breaker in its place would have no failure and no slow call less to remember.
  bool idle(instant now) {
    pass(now);
    if (state_ != state::closed || ramping_) return false;
    const auto c = counts(now);
    return c.consecutive_failures == 0 && c.over_time.bad + c.over_time.slow == 0 &&
           c.last_calls.bad + c.last_calls.slow == 0 && burst(now) == 0;
  }

  /// With jitter the end of the open time is only known within bounds; then the library says where in between.
  bool open_time_is_uncertain() const { return state_ == state::open && shortest_end_ != longest_end_; }
  bool adopt_end(instant end) {
    if (end < shortest_end_ || end > longest_end_) return false;
    set_open_until(end);
    return true;
  }

  /// Instants at which something may change: the places where an off-by-one hides.
  std::vector<instant> interesting(instant now) const {
    std::vector<instant> out;
    const auto edge = [&](instant t) {
      for (const instant near : {t - duration::from_ns(1), t, t + duration::from_ns(1)}) {
        if (near > now && near - now < unit * 100) out.push_back(near);  // not the end of an endless lease
      }
    };
    if (state_ == state::open) edge(open_until_);
    if (ramping_) edge(ramp_from_ + o_.recovery.length);
    for (const place& p : places_) edge(p.ends);
    for (std::size_t i = results_.size() - std::min<std::size_t>(results_.size(), 3); i < results_.size();
         ++i) {
      const std::int64_t leaves = bucket_of(results_[i].window_at, width(o_)) + o_.over_time.buckets;
      edge(instant::from_ns(leaves * width(o_).ns()));
      edge(results_[i].at + o_.failures_in_period.within);
    }
    if (!calls_.empty() && o_.slow.limit > duration::zero()) edge(calls_.back().began + o_.slow.limit);
    return out;
  }

 private:
  struct call {
    instant began;
    std::uint64_t generation;
  };
  struct result {
    instant at;
    instant window_at;
    bool bad;
    bool slow;
    bool out_of_window = false;
  };
  struct place {
    call_id call;
    instant ends;
  };

  // Time and transitions.

  void pass(instant now) {
    if (state_ == state::open && now >= open_until_) enter(state::half_open, {"open time over"});
    if (ramping_ && now >= ramp_from_ + o_.recovery.length) ramping_ = false;
  }

  void enter(state s, std::vector<std::string_view> why) {
    if (s != state_) transitions_.push_back({state_, s, std::move(why)});
    state_ = s;
    ++generation_;
    results_.clear();
    last_from_ = burst_from_ = 0;
    places_.clear();
    succeeded_ = failed_ = 0;
    ramping_ = false;
  }

  void trip(instant now, const seawall::verdict& v, std::vector<std::string_view> why) {
    ++trips_;
    const duration cap = longest_open_time();
    const duration pause = v.has_pushback() ? std::min(v.retry_after, cap) : duration::zero();
    const duration exact = grown_open_time(cap);
    if (o_.open_jitter == 0.0) {
      set_open_until(now + std::max(exact, pause));
    } else {
      const auto varied = [&](double sign) {
        return duration::from_ns(
            static_cast<std::int64_t>(static_cast<double>(exact.ns()) * (1.0 + sign * o_.open_jitter)));
      };
      const duration rounding = duration::from_ns(1);
      shortest_end_ = now + std::max({varied(-1.0) - rounding, pause, duration::from_ns(1)});
      longest_end_ = now + std::max(std::min(varied(1.0) + rounding, cap), pause);
      open_until_ = longest_end_;
    }
    enter(state::open, std::move(why));
  }

  void set_open_until(instant end) { open_until_ = shortest_end_ = longest_end_ = end; }

  duration longest_open_time() const {
    if (o_.open_for_max > duration::zero()) return o_.open_for_max;
    return std::max(o_.open_for, duration(std::chrono::minutes(1)));
  }

  /// open_for * growth^(trips - 1), at most the cap. Growth is a multiple of 1/2 in these tests, hence exact.
  duration grown_open_time(duration cap) const {
    const auto twice = static_cast<std::int64_t>(o_.open_growth * 2);
    __extension__ __int128 length = o_.open_for.ns(), scale = 1;
    for (std::uint32_t i = 1; i < trips_ && length < scale * cap.ns() && twice != 2; ++i) {
      length *= twice;
      scale *= 2;
    }
    return length >= scale * cap.ns() ? cap : duration::from_ns(static_cast<std::int64_t>(length / scale));
  }

  double share(instant now) const {
    if (!ramping_) return 1.0;
    const double passed = (now - ramp_from_).seconds() / o_.recovery.length.seconds();
    return o_.recovery.initial_share + (1.0 - o_.recovery.initial_share) * passed;
  }

  // Admission.

  decision admit(instant now) {
    calls_.push_back({now, generation_});
    return {.admitted = true, .call = calls_.size() - 1};
  }

  std::size_t live_probes(instant now) const {
    return static_cast<std::size_t>(
        std::count_if(places_.begin(), places_.end(), [&](const place& p) { return now < p.ends; }));
  }

  decision acquire_probe(instant now) {
    // More than one only after `max_probes` was made smaller. Even then a place is given up for the asking.
    while (places_.size() >= o_.half_open.max_probes && places_.size() > live_probes(now))
      give_up_oldest_place();
    if (places_.size() >= o_.half_open.max_probes) return {.why = reason::half_open};
    const decision d = admit(now);
    places_.push_back({d.call, now + o_.half_open.lease});
    return d;
  }

  void give_up_oldest_place() {
    const auto earlier = [](const place& a, const place& b) { return a.ends < b.ends; };
    const auto oldest = std::min_element(places_.begin(), places_.end(), earlier);
    const instant ends = oldest->ends;
    ambiguous_ = ambiguous_ || std::count_if(places_.begin(), places_.end(),
                                             [&](const place& p) { return p.ends == ends; }) > 1;
    places_.erase(oldest);
  }

  bool take_place(call_id id) {
    return std::erase_if(places_, [&](const place& p) { return p.call == id; }) != 0;
  }

  // Results.

  void settle_probe(call_id id, bool good, const seawall::verdict& v, instant now) {
    if (!take_place(id)) return;
    ++(good ? succeeded_ : failed_);
    const auto& rules = o_.half_open;
    if (succeeded_ >= rules.successes) {
      trips_ = 0;
      enter(state::closed, {"probes succeeded"});
      ramping_ = o_.recovery.length > duration::zero();
      ramp_from_ = now;
    } else if (rules.of - failed_ < rules.successes || failed_ > rules.of) {
      trip(now, v, {"probe failed"});
    }
  }

  static duration width(const options& o) { return o.over_time.length / o.over_time.buckets; }
  bool in_window(const result& r, instant now) const {
    return bucket_of(r.window_at, width(o_)) + o_.over_time.buckets > bucket_of(now, width(o_));
  }

  seawall::breaker_counts counts(instant now) const {
    seawall::breaker_counts c;
    const auto count = [](seawall::core::window_counts& w, const result& r) {
      ++w.calls;
      if (r.bad) ++w.bad;
      if (r.slow) ++w.slow;
    };
    for (const result& r : results_) {
      if (uses_time_window() && !r.out_of_window && in_window(r, now)) count(c.over_time, r);
      c.consecutive_failures = r.bad ? c.consecutive_failures + 1 : 0;
    }
    const std::size_t n = std::min<std::size_t>(o_.last_calls.calls, results_.size() - last_from_);
    for (std::size_t i = results_.size() - n; i < results_.size(); ++i) count(c.last_calls, results_[i]);
    return c;
  }

  std::vector<instant> failure_times(std::size_t from) const {
    std::vector<instant> out;
    for (const result& r : results_) {
      if (r.bad && from != 0)
        --from;
      else if (r.bad)
        out.push_back(r.at);
    }
    return out;
  }
  /// Failures less than `within` old.
  std::size_t burst(instant now) const {
    if (o_.failures_in_period.failures == 0) return 0;
    const std::vector<instant> times = failure_times(burst_from_);
    return static_cast<std::size_t>(std::count_if(
        times.begin(), times.end(), [&](instant t) { return now - t < o_.failures_in_period.within; }));
  }

  /// Met by equality. The rates in these tests are fractions with small denominators: a billionth decides no case.
  static bool reached(std::uint64_t part, std::uint64_t whole, double rate) {
    return static_cast<double>(part) / static_cast<double>(whole) >= rate - 1e-9;
  }

  std::vector<std::string_view> rules_met(instant now) const {
    std::vector<std::string_view> met;
    const seawall::breaker_counts c = counts(now);
    const auto judge = [&](const seawall::core::window_counts& w, std::uint64_t minimum, double rate) {
      if (w.calls < minimum) return;
      if (rate > 0 && reached(w.bad, w.calls, rate)) met.push_back("failure rate");
      if (o_.slow.limit > duration::zero() && reached(w.slow, w.calls, o_.slow.rate))
        met.push_back("slow-call rate");
    };
    if (o_.consecutive_failures != 0 && c.consecutive_failures >= o_.consecutive_failures) {
      met.push_back("consecutive failures");
    }
    if (o_.failures_in_period.failures != 0 && burst(now) >= o_.failures_in_period.failures) {
      met.push_back("failures in period");
    }
    const auto& last = o_.last_calls;
    if (last.calls != 0)
      judge(c.last_calls, last.minimum_calls != 0 ? last.minimum_calls : last.calls, last.failure_rate);
    judge(c.over_time, o_.over_time.minimum_calls, o_.over_time.failure_rate);
    if (o_.trip_when && o_.trip_when(c)) met.push_back("rule of the user");
    return met;
  }

  options o_;
  state state_ = state::closed;
  std::uint64_t generation_ = 0;
  std::vector<call> calls_;      // all of them
  std::vector<result> results_;  // of the present generation
  std::size_t last_from_ = 0;    // the first result that the memory of the last N still has
  std::size_t burst_from_ = 0;   // the first failure that the memory of the last N failures still has
  std::vector<place> places_;
  std::vector<std::size_t> waiting_;
  std::uint32_t succeeded_ = 0;
  std::uint32_t failed_ = 0;
  std::uint32_t trips_ = 0;
  instant open_until_;
  instant shortest_end_;
  instant longest_end_;
  bool ramping_ = false;
  instant ramp_from_;
  bool ambiguous_ = false;
  std::vector<transition> transitions_;
};

}  // namespace property

#endif  // SEAWALL_TESTS_PROPERTY_BREAKER_MODEL_HPP
