// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_PROPERTY_BREAKER_DUEL_HPP
#define SEAWALL_TESTS_PROPERTY_BREAKER_DUEL_HPP

// The library's breaker and the model, told the same things, and compared after each.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "property/breaker_model.hpp"
#include "property/breaker_options_random.hpp"
#include "property/known_defects.hpp"
#include "property/support.hpp"
#include "seawall/circuit_breaker.hpp"

namespace property {

/// Writes down the transitions, and calls back into the breaker as listeners may.
class breaker_witness final : public seawall::listener {
 public:
  struct change {
    std::string_view from, to, why;
  };
  using seawall::listener::on;
  void on(const seawall::event::state_changed& e) noexcept override {
    changes.push_back({e.from, e.to, e.why});
    if (breaker != nullptr) seen_in_callback = breaker->snapshot(e.at).transitions;
  }

  seawall::circuit_breaker* breaker = nullptr;
  std::vector<change> changes;
  std::uint64_t seen_in_callback = 0;
};

class breaker_duel {
 public:
  using mismatch = std::optional<std::string>;

  breaker_duel(dice& d, const breaker_theme& theme)
      : d_(d),
        theme_(theme),
        options_(with_events(random_options(d, theme))),
        breaker_(options_, d.pick({1U, 2U, 8U}), "key"),
        model_(options_),
        // The face draws from the thread's own source, which cannot be foretold.
        by_face_(!theme.ramp && !theme.jitter && d.chance(50)),
        failure_percent_(d.pick({10U, 50U, 90U})),
        now_(instant::from_ns(d.chance(80) ? d.between(0, 20'000) : d.between(-50'000, 0))) {
    witness_.breaker = &breaker_;
  }
  ~breaker_duel() {
    for (waiting_call& w : waiting_) breaker_.machine().forget(w.node);
  }
  breaker_duel(const breaker_duel&) = delete;
  breaker_duel& operator=(const breaker_duel&) = delete;

  /// One random operation.
  mismatch step() {
    advance();
    if (mismatch m = operate()) return m;
    return compare();
  }
  bool over() const { return model_.ambiguous(); }

 private:
  using machine = seawall::core::breaker_machine;
  using kind = machine::admission::kind;
  using answer = breaker_model::answer;

  struct outstanding {
    breaker_model::call_id id = 0;
    machine::permit raw = {};
    seawall::circuit_breaker::permit face = {};
  };
  struct waiting_call final : seawall::waker {
    void poke() noexcept override { poked = true; }
    seawall::core::wait_node node{this, nullptr, nullptr};
    bool poked = false;
    bool queued = false;
    instant look_again = instant::never();
  };

  seawall::circuit_breaker_options with_events(seawall::circuit_breaker_options o) {
    o.name = "b";
    o.events = &witness_;
    return o;
  }

  // Time: stays, or goes on by a little, or to where something may change.
  void advance() {
    if (probe_just_admitted_) now_ = now_ + duration::from_ns(1);
    probe_just_admitted_ = false;
    if (d_.chance(35)) return;
    const std::vector<instant> near = model_.interesting(now_);
    now_ = !near.empty() && d_.chance(50) ? d_.pick_from(near) : now_ + units(d_, 0, 3);
  }

  mismatch operate() {
    looked_ = false;
    const auto roll = d_.below(100);
    if (roll < theme_.controls_percent) return control();
    if (roll < theme_.controls_percent + theme_.reconfigure_percent) return reconfigure();
    if (theme_.waiting && d_.chance(30)) return wait_or_forget();
    if (calls_.empty() || d_.chance(50)) return acquire();
    return finish();
  }

  /// The machine's source of chance for one operation, and the same number for the model.
  auto source() {
    random_ = seawall::random_source(d_.next());
    draw_ = seawall::random_source(random_).unit();
    return [this]() -> seawall::random_source& { return random_; };
  }

  mismatch acquire() {
    looked_ = true;
    outstanding call;
    bool admitted = false;
    seawall::reason why{};
    duration left;
    if (by_face_) {
      call.face = breaker_.try_acquire(now_);
      admitted = static_cast<bool>(call.face);
      why = call.face.why();
      left = call.face.retry_after().value_or(seawall::verdict::no_pushback());
    } else {
      const auto a = acquire_raw();
      admitted = a.how == kind::admitted;
      why = a.why;
      left = a.retry_after;
      call.raw = a.held;
    }
    const breaker_model::decision expected = model_.acquire(now_, draw_);
    trace(now_.ns(), " acquire: admitted ", admitted, ", reason ", static_cast<int>(why), ", call ",
          expected.call);
    if (admitted != expected.admitted || why != expected.why || left != expected.time_left) {
      return text("acquire: admitted ", admitted, ", expected ", expected.admitted, "; reason ",
                  static_cast<int>(why), ", expected ", static_cast<int>(expected.why), "; left ", left.ns(),
                  ", expected ", expected.time_left.ns());
    }
    if (admitted) keep(std::move(call), expected.call);
    return {};
  }

  /// Sometimes by the short cut of a closed breaker, which changes nothing if there is none.
  machine::admission acquire_raw() {
    const auto random = source();
    machine::admission a;
    if (d_.chance(50) && breaker_.machine().try_acquire_closed(now_, a.held)) return a;
    return breaker_.machine().try_acquire(now_, random);
  }

  void keep(outstanding call, breaker_model::call_id id) {
    call.id = id;
    calls_.push_back(std::move(call));
    probe_just_admitted_ =
        options_.half_open.max_probes > 1 && options_.half_open.lease != duration::infinite();
  }

  outstanding take_call() {
    // The newest more often than the others, so that calls stay long in flight as well.
    const std::size_t i = d_.chance(40) ? calls_.size() - 1 : d_.below(calls_.size());
    std::swap(calls_[i], calls_.back());
    outstanding call = std::move(calls_.back());
    calls_.pop_back();
    return call;
  }

  mismatch finish() {
    outstanding call = take_call();
    const auto roll = d_.below(100);
    trace(now_.ns(), " finish ", call.id, roll < 8 ? ": release" : roll < 12 && !by_face_ ? ": lost" : "");
    if (roll < 8) {
      model_.release(call.id);
      if (!by_face_)
        breaker_.machine().release(call.raw);
      else if (d_.chance(50))
        call.face = {};  // or dropped at the end of this function
    } else if (roll < 12 && !by_face_) {
      // Never heard of again.
    } else {
      settle(call);
    }
    return {};
  }

  void settle(outstanding& call) {
    const seawall::verdict v = random_verdict();
    trace("  settle: health ", static_cast<int>(v.health), ", slow ", v.slow, ", retry after ",
          v.retry_after.ns());
    if (by_face_) {
      call.face.settle(v, now_);
      if (call.face) d_.next();  // a permit is spent by settling it
    } else {
      breaker_.machine().settle(call.raw, v, now_, source());
    }
    model_.settle(call.id, v, now_);
  }

  seawall::verdict random_verdict() {
    using seawall::verdict;
    verdict v = d_.chance(failure_percent_)
                    ? d_.pick({verdict::transient(), verdict::not_executed(), verdict::permanent()})
                    : d_.pick({verdict::ok(), verdict::ok(), verdict::refused(), verdict::cancelled()});
    v.slow = d_.chance(10);
    if (d_.chance(20)) v.retry_after = units(d_, 0, 30);
    return v;
  }

  mismatch control() {
    looked_ = true;
    const auto roll = d_.below(9);
    trace(now_.ns(), " control ", roll);
    switch (roll) {
      case 0: breaker_.isolate(now_), model_.by_hand(seawall::breaker_state::isolated, now_); break;
      case 1: breaker_.disable(now_), model_.by_hand(seawall::breaker_state::disabled, now_); break;
      case 2: breaker_.metrics_only(now_), model_.by_hand(seawall::breaker_state::metrics_only, now_); break;
      case 3: breaker_.force_open(now_), model_.force_open(now_); break;
      case 4: breaker_.tick(now_), model_.tick(now_); break;
      case 5: return save();
      case 6: restore(); break;
      default: breaker_.reset(now_), model_.reset(now_); break;
    }
    return {};
  }

  mismatch save() {
    looked_ = false;
    memento_ = breaker_.save(now_);
    const seawall::breaker_memento expected = model_.save(now_);
    if (*memento_ == expected) return {};
    return text("save: ", to_string(memento_->state), " ", memento_->time_left.ns(), " ", memento_->trips,
                ", expected ", to_string(expected.state), " ", expected.time_left.ns(), " ", expected.trips);
  }

  void restore() {
    looked_ = false;
    seawall::breaker_memento m{static_cast<seawall::breaker_state>(d_.below(6)), units(d_, 0, 10),
                               d_.between(0U, 4U)};
    if (memento_ && d_.chance(70)) m = *memento_;
    trace("  restore ", to_string(m.state), ", ", m.time_left.ns(), ", ", m.trips);
    breaker_.restore(m, now_);
    model_.restore(m, now_);
  }

  mismatch reconfigure() {
    // The machine and its window learn the time from these, since reconfiguring does not tell it.
    breaker_.tick(now_);
    breaker_.snapshot(now_);
    model_.tick(now_);
    looked_ = true;
    auto changed = with_events(random_options(d_, theme_));
    changed.over_time.buckets = options_.over_time.buckets;
    window_used_ = window_used_ || model_.uses_time_window();
    changed.over_time.length = units(d_, 1, 4) * changed.over_time.buckets;
    if (known::new_width_before_first_use_overflows && !window_used_) {
      changed.over_time.length = options_.over_time.length;
    }
    trace(now_.ns(), " reconfigure: width ", changed.over_time.length.ns() / changed.over_time.buckets, ", ",
          changed.over_time.buckets, " buckets");
    options_ = changed;
    if (const auto error = breaker_.reconfigure(changed))
      return text("refused: ", error->text("reconfigure"));
    model_.reconfigure(changed, now_);
    return {};
  }

  // Callers that wait.

  mismatch wait_or_forget() {
    looked_ = true;
    if (!waiting_.empty() && d_.chance(20)) return forget();
    if (waiting_.empty() || (waiting_.size() < 5 && d_.chance(50))) waiting_.emplace_back();
    const std::size_t i = d_.below(waiting_.size());
    waiting_call& w = waiting_[i];
    w.poked = false;
    const auto a = breaker_.machine().acquire_or_wait(now_, w.node, source());
    breaker_model::decision expected;
    const answer wanted = model_.acquire_or_wait(i, now_, draw_, expected);
    const answer given = a.how == kind::admitted  ? answer::admitted
                         : a.how == kind::waiting ? answer::waiting
                                                  : answer::rejected;
    if (given != wanted)
      return text("acquire_or_wait: ", static_cast<int>(given), ", expected ", static_cast<int>(wanted));
    w.queued = wanted == answer::waiting;
    w.look_again = a.look_again;
    if (wanted != answer::admitted) return {};
    outstanding call;
    if (by_face_) {
      breaker_.machine().release(a.held);
      model_.release(expected.call);
    } else {
      call.raw = a.held;
      keep(std::move(call), expected.call);
    }
    return {};
  }

  mismatch forget() {
    const std::size_t i = d_.below(waiting_.size());
    looked_ = false;
    breaker_.machine().forget(waiting_[i].node);
    model_.forget(i);
    waiting_[i].queued = false;
    return {};
  }

  // Nobody sleeps through what concerns him.
  mismatch compare_waiting() {
    for (const waiting_call& w : waiting_) {
      if (w.queued && !w.poked && now_ < w.look_again && model_.would_answer(now_))
        return "a waiting call was not woken";
    }
    return {};
  }

  // Comparison.

  mismatch compare() {
    const seawall::breaker_snapshot seen = breaker_.snapshot(now_);
    if (model_.open_time_is_uncertain() && seen.state == seawall::breaker_state::open &&
        !model_.adopt_end(now_ + seen.time_left)) {
      return text("open for ", seen.time_left.ns(), " is outside the range of the jitter");
    }
    const seawall::breaker_snapshot expected = model_.look(now_);
    if (mismatch m = compare_snapshots(seen, expected)) return m;
    if (mismatch m = compare_transitions(seen.transitions)) return m;
    if (mismatch m = compare_next()) return m;
    if (mismatch m = compare_idle()) return m;
    return compare_waiting();
  }

  mismatch compare_idle() {
    const bool said = breaker_.idle(now_), expected = model_.idle(now_);
    return said == expected ? mismatch() : text("idle ", said, ", expected ", expected);
  }

  static mismatch compare_snapshots(const seawall::breaker_snapshot& a, const seawall::breaker_snapshot& b) {
    if (a.state != b.state) return text("state ", to_string(a.state), ", expected ", to_string(b.state));
    if (a.time_left != b.time_left)
      return text("time left ", a.time_left.ns(), ", expected ", b.time_left.ns());
    if (a.counts.over_time != b.counts.over_time)
      return different("over time", a.counts.over_time, b.counts.over_time);
    if (a.counts.last_calls != b.counts.last_calls)
      return different("last calls", a.counts.last_calls, b.counts.last_calls);
    if (a.counts.consecutive_failures != b.counts.consecutive_failures) {
      return text("consecutive ", a.counts.consecutive_failures, ", expected ",
                  b.counts.consecutive_failures);
    }
    if (a.trips != b.trips) return text("trips ", a.trips, ", expected ", b.trips);
    if (a.probes != b.probes || a.probes_succeeded != b.probes_succeeded ||
        a.probes_failed != b.probes_failed) {
      return text("probes ", a.probes, "+", a.probes_succeeded, "-", a.probes_failed, ", expected ", b.probes,
                  "+", b.probes_succeeded, "-", b.probes_failed);
    }
    const double share_apart = a.admitted_share - b.admitted_share;
    if (share_apart > 1e-9 || share_apart < -1e-9) {
      return text("share ", a.admitted_share, ", expected ", b.admitted_share);
    }
    if (a.waiting != b.waiting) return text("waiting ", a.waiting, ", expected ", b.waiting);
    if (a.name != "b") return "name";
    return {};
  }

  static mismatch different(std::string_view what, const seawall::core::window_counts& a,
                            const seawall::core::window_counts& b) {
    return text(what, " ", a.calls, "/", a.bad, "/", a.slow, ", expected ", b.calls, "/", b.bad, "/", b.slow);
  }

  // The model goes half-open on time; the machine tells of it when it is next asked to admit, or by a tick.
  mismatch compare_transitions(std::uint64_t counted) {
    const auto& expected = model_.transitions();
    const auto& told = witness_.changes;
    const bool late = told.size() + 1 == expected.size() && !looked_ &&
                      expected.back().from == seawall::breaker_state::open &&
                      expected.back().to == seawall::breaker_state::half_open;
    if (told.size() != expected.size() && !late)
      return text(told.size(), " events, expected ", expected.size());
    if (counted != told.size()) return text(counted, " transitions, ", told.size(), " events");
    if (told.size() > compared_ && witness_.seen_in_callback != told.size())
      return "a listener sees another state";
    for (; compared_ < told.size(); ++compared_) {
      const auto& t = told[compared_];
      const auto& e = expected[compared_];
      const bool may_say = std::find(e.may_say.begin(), e.may_say.end(), t.why) != e.may_say.end();
      if (t.from == to_string(e.from) && t.to == to_string(e.to) && may_say) continue;
      return text("transition ", t.from, " -> ", t.to, " (", t.why, "), expected ", to_string(e.from), " -> ",
                  to_string(e.to), " (", e.may_say.front(), ")");
    }
    return {};
  }

  // An end that has passed already says that a tick is due.
  mismatch compare_next() {
    const instant next = breaker_.next_transition();
    const instant expected = model_.next_transition(now_);
    if (next <= now_ || next == expected) return {};
    return text("next transition at ", next.ns(), ", expected ", expected.ns());
  }

  dice& d_;
  const breaker_theme theme_;
  breaker_witness witness_;
  seawall::circuit_breaker_options options_;
  seawall::circuit_breaker breaker_;
  breaker_model model_;
  const bool by_face_;
  const unsigned failure_percent_;
  instant now_;
  seawall::random_source random_{0};
  double draw_ = 0;
  std::vector<outstanding> calls_;
  std::deque<waiting_call> waiting_;
  std::optional<seawall::breaker_memento> memento_;
  std::size_t compared_ = 0;
  bool looked_ = false;
  bool window_used_ = false;
  bool probe_just_admitted_ = false;
};

}  // namespace property

#endif  // SEAWALL_TESTS_PROPERTY_BREAKER_DUEL_HPP
