// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_CONFORMANCE_DRIVERS_ASKING_HPP
#define SEAWALL_TESTS_CONFORMANCE_DRIVERS_ASKING_HPP

// What the drivers of the table have in common: a caller with its options, and how it takes down what it is told.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "conformance/operation.hpp"
#include "conformance/scenario.hpp"
#include "conformance/trace.hpp"
#include "seawall/call.hpp"
#include "seawall/random.hpp"

namespace conformance {

template <class Pipeline>
using maker = std::function<Pipeline(stage&)>;

/// In place of a pipeline that the operation runs inside its attempts.
struct nothing_nested {};

/// One caller of a scenario, while it calls.
class asking {
 public:
  asking(const caller& c, recorder& log, std::uint32_t number)
      : who_(c), log_(log), number_(number), ear_(log, number), random_(c.seed.value_or(1)) {
    options_.key = c.key;
    options_.priority = c.priority;
    if (c.stops) options_.stop = gone_.get_token();
    if (c.deadline) options_.deadline = log.at(*c.deadline);
    options_.events = &ear_;
    if (c.seed) options_.random = &random_;
    options_.report = &report_;
  }
  asking(const asking&) = delete;
  asking& operator=(const asking&) = delete;

  const seawall::call_options& options() const { return options_; }
  attempt_log attempts() { return {log_, number_}; }
  void goes() { gone_.request_stop(); }

  /// It is told. `Answer`: whatever `ended` makes an entry of.
  template <class Answer>
  void told(const Answer& answer, instant now) {
    entry e = ended(answer);
    e.caller = number_;
    log_.note(e, now);
    ++endings_;
  }
  void reports(instant now) {
    entry e = reported(report_);
    e.caller = number_;
    e.time = log_.of_scenario(report_.elapsed);
    log_.note(e, now);
  }
  const caller& who() const { return who_; }
  std::uint32_t number() const { return number_; }
  void afterwards(std::function<void()> then) { then_ = std::move(then); }
  /// It has been told everything, perhaps in another thread.
  void is_finished() {
    if (then_) then_();
    const std::lock_guard lock(mutex_);
    finished_ = true;
    told_.notify_one();
  }
  void wait_for_end() {
    std::unique_lock lock(mutex_);
    told_.wait(lock, [this] { return finished_; });
  }
  int endings() const { return endings_.load(); }

 private:
  const caller& who_;
  recorder& log_;
  std::uint32_t number_;
  ear ear_;
  seawall::random_source random_;
  std::stop_source gone_;
  seawall::call_report report_;
  seawall::call_options options_;
  std::atomic<int> endings_{0};
  std::mutex mutex_;
  std::condition_variable told_;
  std::function<void()> then_;
  bool finished_ = false;
};

/// What a driver saw, and what it left behind.
struct played {
  trace seen;
  std::string left_behind = {};  // empty if everything is in order
};

/// Places that breakers and bulkheads believe to be taken.
inline std::string held_by_policies(stage& st) {
  std::string left;
  st.leave();
  const auto look = [&](auto& b) {
    const auto s = b.snapshot(st.now());
    if (s.probes != 0) left += std::to_string(s.probes) + " probes; ";
    if (s.waiting != 0) left += std::to_string(s.waiting) + " waiting callers; ";
  };
  for (auto& b : st.all_breakers()) look(b);
  for (auto& k : st.all_keyed()) k.for_each([&](const std::string&, auto& b) { look(b); });
  const auto look_inside = [&](auto& b) {
    const auto s = b.snapshot(st.now());
    if (s.in_use != 0) left += std::to_string(s.in_use) + " permits; ";
    if (s.waiting != 0) left += std::to_string(s.waiting) + " waiting callers; ";
  };
  for (auto& b : st.all_bulkheads()) look_inside(b);
  for (auto& k : st.all_keyed_bulkheads()) k.for_each([&](const std::string&, auto& b) { look_inside(b); });
  return left;
}

}  // namespace conformance

#endif  // SEAWALL_TESTS_CONFORMANCE_DRIVERS_ASKING_HPP
