// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_CONFORMANCE_SCENARIO_HPP
#define SEAWALL_TESTS_CONFORMANCE_SCENARIO_HPP

// A row of the table, and the stage on which a driver plays it: shared state and time.

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "conformance/trace.hpp"
#include "seawall/bulkhead.hpp"
#include "seawall/circuit_breaker.hpp"
#include "seawall/exec/completion.hpp"
#include "seawall/keyed.hpp"
#include "seawall/retry.hpp"
#include "seawall/retry_budget.hpp"
#include "seawall/status.hpp"
#include "seawall/testing/async_script.hpp"

namespace conformance {

using namespace std::chrono_literals;
using seawall::attempt;
using seawall::testing::when_given_up;

/// What one caller does; times are those of the scenario, which begins at 0.
struct caller {
  duration at = {};
  std::optional<duration> stops = {};
  std::optional<duration> deadline = {};
  std::optional<int> priority = {};
  std::string_view key = {};
  std::optional<std::uint64_t> seed = {};  // of the random source

  bool says_something() const { return stops || deadline || priority || !key.empty() || seed; }
};

struct scenario {
  /// What it shows.
  std::string_view name;
  /// What the operation does; see docs/testing.md.
  std::string_view script;
  std::vector<caller> callers = {{}};
  when_given_up given_up = when_given_up::stops;
  /// What is to be seen. The line of the report is left out where nobody asked for one.
  std::string_view trace;
  /// The same in the drivers that cannot pre-empt (the blocking one), where that is something else. "-": cannot be played.
  std::string_view blocking = {};
  /// Each caller waits for the one before it to be told, even if its time has come.
  bool one_by_one = false;
  /// The order among things that happen at the same instant, in the drivers that have one: theirs, or shuffled.
  std::optional<std::uint64_t> shuffled = {};
  /// Its times cannot be had on a real clock (hours; random delays that are exact).
  bool only_virtual = false;
};

/// What pipelines are made from, one stage for each time a row is played.
class stage {
 public:
  explicit stage(recorder& r) : recorder_(r), ear_(r, 0) {}
  stage(const stage&) = delete;
  stage& operator=(const stage&) = delete;
  virtual ~stage() = default;

  recorder& log() { return recorder_; }
  /// A time of the scenario, as the driver needs it.
  duration operator()(duration d) const { return recorder_.of_driver(d); }
  instant at(duration d) const { return recorder_.at(d); }
  virtual instant now() = 0;

  seawall::circuit_breaker& breaker(seawall::circuit_breaker_options o) {
    o.events = &ear_;
    return breakers_.emplace_back(std::move(o));
  }
  seawall::keyed<seawall::circuit_breaker>& breakers(seawall::circuit_breaker_options o,
                                                     seawall::keyed_options bounds = {}) {
    o.events = &ear_;
    return keyed_.emplace_back(std::move(o), bounds);
  }
  seawall::retry_budget& budget(seawall::retry_budget_options o) {
    return budgets_.emplace_back(std::move(o));
  }
  seawall::bulkhead& bulkhead(seawall::bulkhead_options o) { return bulkheads_.emplace_back(std::move(o)); }
  seawall::keyed<seawall::bulkhead>& bulkheads(seawall::bulkhead_options o) {
    return keyed_bulkheads_.emplace_back(std::move(o));
  }
  /// A call of somebody else that does not end.
  void occupy(seawall::bulkhead& b) { permits_.push_back(b.try_acquire(at({}))); }
  /// A probe of somebody else that does not end: its place is taken.
  void occupy(seawall::circuit_breaker& b, duration since) { occupied_.push_back(b.try_acquire(at(since))); }
  void leave() {
    occupied_.clear();
    permits_.clear();
  }
  /// Keeps anything for as long as the stage.
  template <class T>
  const T& keep(T value) {
    const auto kept = std::make_shared<const T>(std::move(value));
    kept_.push_back(kept);
    return *kept;
  }
  /// Hears the events of one caller.
  seawall::listener& hears(std::uint32_t caller = 0) { return ears_.emplace_back(recorder_, caller); }
  std::list<seawall::circuit_breaker>& all_breakers() { return breakers_; }
  std::list<seawall::keyed<seawall::circuit_breaker>>& all_keyed() { return keyed_; }
  std::list<seawall::bulkhead>& all_bulkheads() { return bulkheads_; }
  std::list<seawall::keyed<seawall::bulkhead>>& all_keyed_bulkheads() { return keyed_bulkheads_; }

  /// For substitutes that take their time, without drivers that block, and with them.
  virtual void later(duration, const attempt&, std::function<void()>) { std::abort(); }
  virtual void pass(duration) { std::abort(); }

 private:
  recorder& recorder_;
  ear ear_;
  std::list<ear> ears_;
  std::list<seawall::circuit_breaker> breakers_;
  std::list<seawall::keyed<seawall::circuit_breaker>> keyed_;
  std::list<seawall::retry_budget> budgets_;
  std::vector<seawall::circuit_breaker::permit> occupied_;
  std::list<seawall::bulkhead> bulkheads_;
  std::list<seawall::keyed<seawall::bulkhead>> keyed_bulkheads_;
  std::vector<seawall::bulkhead::permit> permits_;
  std::vector<std::shared_ptr<const void>> kept_;
};

/// A fallback's source that is taken down.
class substitute {
 public:
  substitute(stage& s, absl::StatusOr<int> answer) : stage_(&s), answer_(std::move(answer)) {}

  absl::StatusOr<int> operator()(const absl::Status& error, const attempt& a) const {
    note(error, a);
    return answer_;
  }

 protected:
  void note(const absl::Status& error, const attempt& a) const {
    recorder& log = stage_->log();
    log.note({.what = entry::kind::substitute, .time = log.moment(a.deadline()), .code = error.code()},
             a.started());
  }
  stage* stage_;
  absl::StatusOr<int> answer_;
};

/// One that takes its time.
class slow_substitute : substitute {
 public:
  slow_substitute(stage& s, duration after, absl::StatusOr<int> answer)
      : substitute(s, std::move(answer)), after_(s(after)) {}

  absl::StatusOr<int> operator()(const absl::Status& error, const attempt& a) const {
    note(error, a);
    stage_->pass(after_);
    return answer_;
  }
  void operator()(const absl::Status& error, const attempt& a,
                  seawall::completion<absl::StatusOr<int>> done) const {
    note(error, a);
    const auto shared = std::make_shared<seawall::completion<absl::StatusOr<int>>>(std::move(done));
    stage_->later(after_, a, [shared, answer = answer_] { (*shared)(answer); });
  }

 private:
  duration after_;
};

inline seawall::backoff_options constant(duration d) {
  return {.shape = seawall::backoff_shape::constant, .initial = d, .max = d, .jitter = seawall::jitter::none};
}

}  // namespace conformance

#endif  // SEAWALL_TESTS_CONFORMANCE_SCENARIO_HPP
