// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_CONFORMANCE_RANDOM_HPP
#define SEAWALL_TESTS_CONFORMANCE_RANDOM_HPP

// Random scenarios: options, scripts and callers are drawn, and the drivers compared with one another.
//
// - Callbacks and coroutines: the same trace, with and without options.
// - The blocking driver: the same trace up to the first moment at which it would have had to end an attempt.
// - Whatever the order among things that happen at the same instant: one ending each, every attempt ends once, nothing happens to
//   a caller after its ending but that late losers end, no limit is overrun, and nothing is left behind.
//
// Replayed as property tests are; see property/support.hpp.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "conformance/conform.hpp"
#include "conformance/drivers/virtual_async.hpp"
#include "conformance/drivers/virtual_blocking.hpp"
#include "conformance/scenario.hpp"
#include "conformance/trace.hpp"
#include "property/support.hpp"
#include "seawall/attempt_timeout.hpp"
#include "seawall/circuit_breaker.hpp"
#include "seawall/deadline.hpp"
#include "seawall/hedge.hpp"
#include "seawall/retry.hpp"

namespace conformance {

using property::dice;

/// What the layers of a pipeline are made from. Without jitter where callers do not bring a random source.
class random_options {
 public:
  random_options(dice& d, bool with_jitter) : dice_(d), with_jitter_(with_jitter) {}

  bool chance(unsigned percent) { return dice_.chance(percent); }
  static duration ms(std::int64_t n) { return std::chrono::milliseconds(n); }
  duration time(std::int64_t least, std::int64_t most) { return ms(dice_.between(least, most)); }

  seawall::deadline_options deadline() { return {.after = time(5, 120)}; }
  seawall::attempt_timeout_options attempt_timeout() { return {.after = time(2, 40)}; }

  seawall::backoff_options backoff() {
    using enum seawall::backoff_shape;
    seawall::backoff_options o;
    o.shape = dice_.pick({constant, linear, exponential, listed});
    o.initial = time(0, 20);
    o.max = o.initial + time(0, 40);
    o.multiplier = dice_.pick({1.0, 2.0, 3.0});
    o.delays = {time(0, 20), time(0, 20)};
    using seawall::jitter;
    o.jitter = with_jitter_ ? dice_.pick({jitter::none, jitter::full, jitter::equal, jitter::decorrelated,
                                          jitter::proportional, jitter::linear_window})
                            : jitter::none;
    return o;
  }
  seawall::retry_options retry() {
    seawall::retry_options o;
    o.max_attempts = dice_.between(1U, 5U);
    if (dice_.chance(20)) o.max_duration = time(1, 100);
    o.backoff = backoff();
    o.pushback_max = dice_.chance(30) ? time(0, 20) : duration(1s);
    if (dice_.chance(20)) o.attempt_needs = time(0, 20);
    return o;
  }
  seawall::hedge_options hedge() {
    seawall::hedge_options o;
    o.max_attempts = dice_.between(1U, 4U);
    o.after = time(0, 20);
    if (dice_.chance(20)) o.attempt_needs = time(0, 20);
    if (with_jitter_) o.reissue = dice_.pick({1.0, 1.0, 0.5});
    return o;
  }
  seawall::circuit_breaker_options breaker() {
    seawall::circuit_breaker_options o{.name = "b"};
    o.consecutive_failures = dice_.between(0U, 3U);
    if (dice_.chance(50)) o.last_calls.calls = dice_.between(1U, 4U);
    if (dice_.chance(30)) o.slow.limit = time(1, 20);
    o.open_for = time(1, 60);
    o.open_growth = dice_.pick({1.0, 2.0});
    o.half_open.of = dice_.between(1U, 3U);
    o.half_open.successes = dice_.between(1U, o.half_open.of);
    o.half_open.max_probes = dice_.between(1U, 2U);
    o.half_open.lease = time(10, 60);
    if (dice_.chance(50)) o.half_open.excess_calls = seawall::circuit_breaker_options::excess::waits;
    o.half_open.max_waiting = dice_.between(0U, 2U);
    if (with_jitter_) {
      o.open_jitter = dice_.pick({0.0, 0.5});
      if (dice_.chance(30)) o.recovery.length = time(1, 60);
    }
    return o;
  }

 private:
  dice& dice_;
  bool with_jitter_;
};

/// A scenario that owns its script.
struct random_scenario {
  std::string script;
  scenario played;
};

struct random_traits {
  /// Every attempt has a deadline: it may hang.
  bool bounded = false;
  /// The outermost layer is a deadline of so long: nobody is told later.
  std::optional<duration> whole = {};
  bool keyed = false;
  bool overlaps = false;  // of what is built at run time: not for the blocking driver
};

inline std::string random_script(dice& d, bool may_hang) {
  std::string text;
  const auto steps = d.between(1, 6);
  for (int i = 0; i < steps; ++i) {
    if (i != 0) text += ", ";
    const char* const outcome = d.pick({"ok", "ok", "ok", "fail", "fail", "fail", "internal", "not_found",
                                        "resource_exhausted", "cancelled", "deadline_exceeded", "hang"});
    const bool hangs = outcome[0] == 'h';
    text += hangs && !may_hang ? "fail" : outcome;
    if (!hangs && d.chance(80)) text += " after " + std::to_string(d.between(0, 30)) + "ms";
    if (outcome[0] == 'r' && d.chance(70)) text += " retry-after " + std::to_string(d.between(0, 40)) + "ms";
    if (d.chance(20)) text += " x" + std::to_string(d.between(1, 3));
  }
  if (d.chance(50)) text += " ...";
  return text;
}

inline caller random_caller(dice& d, duration at, bool says_something, bool keyed) {
  caller c{.at = at};
  if (says_something) {
    c.seed = d.next();
    if (d.chance(25)) c.stops = at + random_options::ms(d.between(-5, 90));
    if (c.stops && *c.stops < duration::zero()) c.stops = duration::zero();
    if (d.chance(25)) c.deadline = at + random_options::ms(d.between(-2, 90));
    if (d.chance(10)) c.priority = d.between(-1, 1);
  }
  if (keyed) c.key = d.pick({"x", "y"});
  return c;
}

inline void draw(dice& d, random_scenario& r, bool says_something, const random_traits& traits) {
  r.script = random_script(d, traits.bounded);
  scenario& sc = r.played;
  sc.script = r.script;
  sc.given_up = d.chance(30) ? when_given_up::answers_late : when_given_up::stops;
  sc.callers.clear();
  duration at;
  const auto callers = d.between(1, 4);
  for (int i = 0; i < callers; ++i) {
    sc.callers.push_back(random_caller(d, at, says_something, traits.keyed));
    at += random_options::ms(d.between(0, 60));
  }
}

// What must hold whatever happens.

inline std::optional<std::string> check_caller(const scenario& sc, const trace& t, std::uint32_t number,
                                               const random_traits& traits) {
  std::map<std::uint32_t, int> open;  // attempts under way
  const entry* ending = nullptr;
  for (const entry& e : t) {
    // Breakers and substitutes do not know whose they are.
    if (e.caller != number || e.what == entry::kind::report || e.what == entry::kind::state ||
        e.what == entry::kind::substitute)
      continue;
    if (e.what == entry::kind::started) {
      if (ending != nullptr) return "an attempt after the ending";
      if (++open[e.number] != 1) return "an attempt has started twice";
      if (e.time && *e.time < e.at) return "an attempt has started after its deadline";
    } else if (e.what == entry::kind::answered || e.what == entry::kind::given_up) {
      if (--open[e.number] != 0) return "an attempt has ended twice, or never started";
    } else if (ending != nullptr) {
      return "something after the ending: " + line_of(e);
    }
    if (e.what == entry::kind::ended) ending = &e;
  }
  for (const auto& [attempt, count] : open) {
    if (count != 0) return "attempt " + std::to_string(attempt) + " has not ended";
  }
  if (ending == nullptr) return "no ending";
  const caller& c = sc.callers[number];
  if (traits.whole) {
    duration latest = c.at + *traits.whole;
    if (c.deadline && *c.deadline < latest) latest = *c.deadline;
    // One whose time is over before it begins is told at once.
    if (!sc.one_by_one && ending->at > latest && ending->at > c.at) return "told after its deadline";
  }
  return std::nullopt;
}

inline std::optional<std::string> check_all(const scenario& sc, const played& p,
                                            const random_traits& traits) {
  if (!p.left_behind.empty()) return "left behind: " + p.left_behind;
  for (std::uint32_t i = 0; i < sc.callers.size(); ++i) {
    if (auto wrong = check_caller(sc, p.seen, i, traits)) return wrong;
  }
  return std::nullopt;
}

/// When the blocking driver should have ended an attempt or a substitute but could not: what follows may differ.
inline duration first_preemption(const scenario& sc, const trace& blocking) {
  const entry* under_way = nullptr;
  duration first = duration::infinite();
  const auto earliest = [&first](duration d) { first = d < first ? d : first; };
  for (const entry& e : blocking) {
    // One by one: whatever comes next says that it has ended.
    if (under_way != nullptr) {
      if (under_way->time && e.at >= *under_way->time) earliest(*under_way->time);
      for (const caller& c : sc.callers) {
        if (c.stops && *c.stops > under_way->at && *c.stops <= e.at) earliest(*c.stops);
      }
    }
    const bool begins = e.what == entry::kind::started || e.what == entry::kind::substitute;
    under_way = begins ? &e : nullptr;
  }
  return first;
}

inline trace before(const trace& t, duration end) {
  trace out;
  for (const entry& e : t) {
    if (end == duration::infinite() || (e.at < end && e.what != entry::kind::report)) out.push_back(e);
  }
  return out;
}
inline trace unreported(trace t) {
  std::erase_if(t, [](const entry& e) { return e.what == entry::kind::report; });
  return t;
}

inline std::string words_of(const scenario& sc) {
  std::string out = "\n    script: " + std::string(sc.script);
  if (sc.given_up == when_given_up::answers_late) out += "; losers answer late";
  if (sc.one_by_one) out += "; one by one";
  for (const caller& c : sc.callers) {
    out += "\n    caller at " + seawall::to_text(c.at);
    if (c.stops) out += ", stops at " + seawall::to_text(*c.stops);
    if (c.deadline) out += ", deadline " + seawall::to_text(*c.deadline);
    if (!c.key.empty()) out += ", key " + std::string(c.key);
  }
  return out;
}

inline std::string difference(const scenario& sc, const char* one, const trace& a, const char* other,
                              const trace& b) {
  return words_of(sc) + "\n    " + one + ":" + detail::joined(lines_of(a)) + "\n    " + other + ":" +
         detail::joined(lines_of(b));
}

struct random_counts {
  std::uint64_t whole = 0;    // traces of the blocking driver compared to the end
  std::uint64_t in_part = 0;  // up to the moment at which it could not follow
  std::uint64_t entries = 0;
};

/// Callers one by one, as the blocking driver has them.
template <class Pipeline>
std::optional<std::string> compare_with_blocking(scenario& sc, const maker<Pipeline>& make, bool asks,
                                                 const random_traits& traits, random_counts& counts) {
  using R = absl::StatusOr<int>;
  sc.one_by_one = true;
  const played blocking = virtual_blocking::play<R, true, Pipeline>(sc, make, asks);
  const played async = virtual_async::play<R, true, Pipeline>(sc, make, asks);
  if (auto wrong = check_all(sc, async, traits)) return *wrong + difference(sc, "seen", async.seen, "", {});
  const duration end = first_preemption(sc, blocking.seen);
  if (before(blocking.seen, end) != before(async.seen, end))
    return "until " + seawall::to_text(end) + difference(sc, "blocking", blocking.seen, "async", async.seen);
  ++(end == duration::infinite() ? counts.whole : counts.in_part);
  counts.entries += blocking.seen.size() + async.seen.size();
  return std::nullopt;
}

/// One random scenario. `says`: callers have options.
template <class Pipeline>
std::optional<std::string> play_random(dice& d, const maker<Pipeline>& make, bool says,
                                       const random_traits& traits, random_counts& counts) {
  using R = absl::StatusOr<int>;
  random_scenario r;
  draw(d, r, says, traits);
  scenario& sc = r.played;

  property::trace(words_of(sc));
  // Callers that overlap.
  says = says || traits.keyed;
  const played calls = virtual_async::play<R, true, Pipeline>(sc, make, says || d.chance(50));
  const played coroutines = virtual_coroutine::play<R, true, Pipeline>(sc, make, true);
  if (unreported(calls.seen) != unreported(coroutines.seen))
    return difference(sc, "callbacks", calls.seen, "coroutines", coroutines.seen);
  if (auto wrong = check_all(sc, calls, traits)) return *wrong + difference(sc, "seen", calls.seen, "", {});

  // In another order.
  sc.shuffled = d.next();
  const played other = virtual_async::play<R, true, Pipeline>(sc, make, true);
  if (auto wrong = check_all(sc, other, traits))
    return *wrong + ", shuffled " + std::to_string(*sc.shuffled) + difference(sc, "seen", other.seen, "", {});
  sc.shuffled.reset();

  counts.entries += calls.seen.size() + coroutines.seen.size() + other.seen.size();
  if constexpr (requires { requires Pipeline::overlaps; }) {
    return std::nullopt;
  } else {
    if (traits.overlaps) return std::nullopt;
    return compare_with_blocking(sc, make, says || d.chance(50), traits, counts);
  }
}

/// `draw_pipeline(random_options&, random_traits&)` draws options, and returns what makes a pipeline of them on a stage.
template <class Draw>
void play_random_scenarios(std::uint64_t count, Draw&& draw_pipeline) {
  random_counts counts;
  property::run_sequences(count, [&](dice& d, std::uint64_t& operations) {
    const bool says = d.chance(70);
    random_options options(d, says);
    random_traits traits;
    const auto make = draw_pipeline(options, traits);
    using pipeline = decltype(make(std::declval<stage&>()));
    const auto wrong = play_random<pipeline>(d, make, says, traits, counts);
    operations = counts.entries;
    return wrong;
  });
  MESSAGE("compared with the blocking driver: ", counts.whole, " to the end, ", counts.in_part, " in part");
}

}  // namespace conformance

#endif  // SEAWALL_TESTS_CONFORMANCE_RANDOM_HPP
