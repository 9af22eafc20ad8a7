// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_CONFORMANCE_TRACE_HPP
#define SEAWALL_TESTS_CONFORMANCE_TRACE_HPP

// What can be seen of a call from outside, in the order in which it happened: the operation's side (attempts), the listener's
// (events) and the caller's (the result). As text, one thing a line, the time first:
//
//      0ms attempt 1, until 100ms
//     10ms attempt 1: UNAVAILABLE
//     10ms retry in 50ms
//     60ms attempt 2, until 160ms
//    160ms rejected by attempt_timeout: timed_out
//    160ms attempt 2 given up
//    160ms = DEADLINE_EXCEEDED by attempt_timeout: timed_out
//
// Lines of the second caller of several begin with "B:".

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "seawall/call.hpp"
#include "seawall/event.hpp"
#include "seawall/options.hpp"
#include "seawall/rejection.hpp"
#include "seawall/status.hpp"
#include "seawall/text.hpp"
#include "seawall/time.hpp"

namespace conformance {

using seawall::duration;
using seawall::instant;

/// A short name, kept by value: what it was a view of may be gone.
class name {
 public:
  name() = default;
  name(const std::string& s) : name(std::string_view(s)) {}
  name(std::string_view s) : size_(s.size() < chars_.size() ? s.size() : chars_.size()) {
    for (std::size_t i = 0; i < size_; ++i) chars_[i] = s[i];
  }
  std::string_view view() const { return {chars_.data(), size_}; }
  bool empty() const { return size_ == 0; }
  friend bool operator==(const name&, const name&) = default;

 private:
  std::array<char, 23> chars_{};
  std::size_t size_ = 0;
};

struct entry {
  enum class kind : std::uint8_t {
    started,
    answered,
    given_up,
    substitute,
    rejected,
    retry,
    gave_up,
    hedge,
    withheld,
    fallback,
    stale,
    state,
    ended,
    report,
  };

  kind what;
  duration at = {};          // since the scenario began
  std::uint32_t caller = 0;  // from 0
  std::uint32_t number = 0;  // of the attempt; of all attempts in a report
  std::optional<duration> time = {};
  absl::StatusCode code = absl::StatusCode::kOk;
  int value = 0;  // answer, priority
  seawall::reason why = seawall::reason::none;
  seawall::give_up gave_up = seawall::give_up::none;
  bool flag = false;  // asked for; thrown; a substitute
  name who = {};
  name from = {};
  name to = {};

  friend bool operator==(const entry&, const entry&) = default;
};

inline std::string_view words(absl::StatusCode c) {
  static const auto all = [] {
    std::array<std::string, 17> texts;
    for (int i = 0; i < 17; ++i)
      texts[static_cast<std::size_t>(i)] = absl::StatusCodeToString(static_cast<absl::StatusCode>(i));
    return texts;
  }();
  return all[static_cast<std::size_t>(c)];
}

inline std::string by(const entry& e) {
  std::string out = " by " + std::string(e.who.view());
  if (!e.from.empty()) out += " '" + std::string(e.from.view()) + "'";
  return out + ": " + std::string(seawall::to_string(e.why));
}

inline std::string text_of_result(const entry& e) {
  std::string out = e.flag ? "threw " : "= ";
  out += words(e.code);
  if (e.code == absl::StatusCode::kOk) out += " " + std::to_string(e.value);
  if (e.why != seawall::reason::none) out += by(e);
  return out;
}

inline std::string text_of_report(const entry& e) {
  std::string out = "report: " + std::to_string(e.number) + (e.number == 1 ? " attempt" : " attempts");
  if (e.time) out += " in " + seawall::to_text(*e.time);
  if (e.gave_up != seawall::give_up::none) out += ", gave up: " + std::string(seawall::to_string(e.gave_up));
  if (e.flag) out += ", degraded by '" + std::string(e.to.view()) + "'";
  if (e.why != seawall::reason::none) out += ", rejected" + by(e);
  return out;
}

inline std::string text_of(const entry& e) {
  using seawall::to_text;
  const std::string attempt = "attempt " + std::to_string(e.number);
  const std::string until = e.time ? ", until " + to_text(*e.time) : std::string();
  const auto quoted = [](const name& n) { return " '" + std::string(n.view()) + "'"; };
  switch (e.what) {
    case entry::kind::started:
      return attempt + until + (e.value != 0 ? ", priority " + std::to_string(e.value) : "");
    case entry::kind::answered: return attempt + ": " + std::string(words(e.code));
    case entry::kind::given_up: return attempt + " given up";
    case entry::kind::substitute: return "substitute for " + std::string(words(e.code)) + until;
    case entry::kind::rejected:
      return "rejected" + by(e) + (e.time ? ", " + to_text(*e.time) + " left" : std::string());
    case entry::kind::retry: return "retry in " + to_text(*e.time) + (e.flag ? ", as asked" : "");
    case entry::kind::gave_up: return "gave up: " + std::string(seawall::to_string(e.gave_up));
    case entry::kind::hedge: return "hedge, on " + std::string(e.from.view());
    case entry::kind::withheld: return "hedge withheld: " + std::string(e.from.view());
    case entry::kind::fallback: return "fallback" + quoted(e.who);
    case entry::kind::stale:
      return "stale answer of" + quoted(e.who) + ", " + to_text(*e.time) + " old" +
             (e.flag ? ", in place of a failure" : "");
    case entry::kind::state:
      return "breaker" + quoted(e.who) + " " + std::string(e.from.view()) + " -> " + std::string(e.to.view());
    case entry::kind::ended: return text_of_result(e);
    case entry::kind::report: return text_of_report(e);
  }
  return "?";
}

inline std::string line_of(const entry& e) {
  const std::string caller = e.caller != 0 ? std::string(1, static_cast<char>('A' + e.caller)) + ": " : "";
  if (e.what == entry::kind::report) return caller + text_of(e);
  return seawall::to_text(e.at) + " " + caller + text_of(e);
}

using trace = std::vector<entry>;

inline std::vector<std::string> lines_of(const trace& t) {
  std::vector<std::string> lines;
  for (const entry& e : t) lines.push_back(line_of(e));
  return lines;
}

/// Takes down what happens, on any thread; hears the events of its callers.
class recorder {
 public:
  /// `scale`: the driver's time for a scenario's, as a fraction.
  struct fraction {
    std::int64_t over = 1;
    std::int64_t under = 1;
  };
  explicit recorder(instant zero, fraction scale = {1, 1}) : zero_(zero), scale_(scale) {}
  recorder(const recorder&) = delete;
  recorder& operator=(const recorder&) = delete;

  void note(entry e, instant at) {
    e.at = of_scenario(at - zero_);
    const std::lock_guard lock(mutex_);
    trace_.push_back(e);
  }
  /// Attempts whose operation is at work: it may still write here.
  void attempt_begins() { under_way_.fetch_add(1); }
  void attempt_ends() { under_way_.fetch_sub(1); }
  int under_way() const { return under_way_.load(); }

  trace take() {
    const std::lock_guard lock(mutex_);
    return std::move(trace_);
  }

  duration of_driver(duration d) const { return d * scale_.over / scale_.under; }
  duration of_scenario(duration d) const {
    return d == duration::infinite() ? d : d * scale_.under / scale_.over;
  }
  instant at(duration of_scenario) const { return zero_ + of_driver(of_scenario); }
  std::optional<duration> moment(instant t) const {
    if (t == instant::never()) return std::nullopt;
    return of_scenario(t - zero_);
  }

 private:
  const instant zero_;
  const fraction scale_;
  std::atomic<int> under_way_{0};
  std::mutex mutex_;
  trace trace_;
};

class ear final : public seawall::listener {
 public:
  ear(recorder& to, std::uint32_t caller) : to_(to), caller_(caller) {}

  void on(const seawall::event::rejected& e) noexcept override {
    note(
        {.what = entry::kind::rejected,
         .time = e.what.has_retry_after() ? std::optional(to_.of_scenario(e.what.retry_after)) : std::nullopt,
         .why = e.what.why,
         .who = e.what.policy,
         .from = e.what.name},
        e.at);
  }
  void on(const seawall::event::retry_scheduled& e) noexcept override {
    note({.what = entry::kind::retry,
          .number = e.attempt,
          .time = to_.of_scenario(e.delay),
          .flag = e.pushback},
         e.at);
  }
  void on(const seawall::event::gave_up& e) noexcept override {
    note({.what = entry::kind::gave_up, .number = e.what.attempts, .gave_up = e.what.why}, e.at);
  }
  void on(const seawall::event::hedged& e) noexcept override {
    note({.what = entry::kind::hedge, .number = e.attempt, .from = seawall::to_string(e.why)}, e.at);
  }
  void on(const seawall::event::hedge_withheld& e) noexcept override {
    note({.what = entry::kind::withheld, .from = seawall::to_string(e.by)}, e.at);
  }
  void on(const seawall::event::fallback_used& e) noexcept override {
    note({.what = entry::kind::fallback, .who = e.name}, e.at);
  }
  void on(const seawall::event::stale_served& e) noexcept override {
    note({.what = entry::kind::stale, .time = to_.of_scenario(e.age), .flag = e.on_error, .who = e.name},
         e.at);
  }
  void on(const seawall::event::state_changed& e) noexcept override {
    note({.what = entry::kind::state, .who = e.key.empty() ? e.name : e.key, .from = e.from, .to = e.to},
         e.at);
  }

 private:
  void note(entry e, instant at) {
    e.caller = caller_;
    to_.note(e, at);
  }

  recorder& to_;
  const std::uint32_t caller_;
};

}  // namespace conformance

#endif  // SEAWALL_TESTS_CONFORMANCE_TRACE_HPP
