// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_CHAOS_MACHINE_HPP
#define SEAWALL_CORE_CHAOS_MACHINE_HPP

// Faults on purpose, as a machine: it is told that a call begins, and says what is to be done to it. The same
// seed and the same order of calls give the same faults.

#include <array>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "seawall/call.hpp"
#include "seawall/core/mutex.hpp"
#include "seawall/event.hpp"
#include "seawall/random.hpp"
#include "seawall/time.hpp"
#include "seawall/verdict.hpp"

namespace seawall {

/// What is done to a call.
enum class fault_kind : std::uint8_t {
  none,
  failure,  ///< it fails without having been tried
  latency,  ///< it begins later
  hang,     ///< it does not begin, until its deadline ends it
  result,   ///< it gets a result that is made up
};

constexpr std::string_view to_string(fault_kind k) noexcept {
  switch (k) {
    case fault_kind::none: return "none";
    case fault_kind::failure: return "failure";
    case fault_kind::latency: return "latency";
    case fault_kind::hang: return "hang";
    case fault_kind::result: return "result";
  }
  return "?";
}

/// How long a fault holds a call before anything else.
enum class delay_shape : std::uint8_t {
  fixed,        ///< `delay`
  uniform,      ///< between `delay` and `delay_max`
  exponential,  ///< with mean `delay`, cut off at `delay_max` if that is not 0
  custom,       ///< `delay_from`
};

struct chaos_snapshot {
  std::string name = {};
  bool enabled = false;
  std::uint64_t calls = 0;  ///< that it could have done something to, in its life
  /// Faults injected in its life.
  std::uint64_t failures = 0, latencies = 0, hangs = 0, results = 0;
  std::uint64_t withheld = 0;  ///< faults left out: too many at once, or a result that nobody knows
  std::uint32_t active = 0;    ///< calls held at this moment
};

namespace core {

/// A fault as the machine knows it.
struct chaos_fault {
  fault_kind kind = fault_kind::none;
  double rate = 0.0;
  delay_shape shape = delay_shape::fixed;
  duration delay = {};
  duration delay_max = {};
  std::function<duration(random_source&)> delay_from = nullptr;
  std::uint8_t code = 0;
  verdict v = {};
  std::shared_ptr<const std::string> text = {};
};

/// What the machine is told to do.
struct chaos_plan {
  std::vector<chaos_fault> faults = {};
  /// What is to be done to the next call, so long after the first one; nothing: as the rates say. `anew`:
  /// this is the first.
  std::function<std::optional<chaos_fault>(duration, bool anew)> script = nullptr;
  std::function<bool(const call&)> applies_to = nullptr;
  std::uint64_t seed = 1;
  std::uint32_t max_at_once = 1;
  duration max_delay = {};
  listener* events = nullptr;
};

/// Guarantees:
/// 1. A call suffers one fault at most, drawn once; what was decided does not depend on the time at which
///    others end.
/// 2. No more than `max_at_once` calls are held at once, and none for longer than `max_delay`.
/// 3. While it is disabled, nothing is counted, drawn or injected.
///
/// Thread safety: shared objects safe. The functions of the plan are called with the mutex held: they must
/// not call back.
/// Cost: disabled: one load; enabled: a mutex, a draw and what the plan's functions cost.
class chaos_machine {
 public:
  /// A call that is held; its place is free again when this dies.
  class place {
   public:
    place() = default;
    explicit place(chaos_machine& m) noexcept : machine_(&m) {}
    place(place&& other) noexcept : machine_(std::exchange(other.machine_, nullptr)) {}
    place& operator=(place&& other) noexcept {
      leave();
      machine_ = std::exchange(other.machine_, nullptr);
      return *this;
    }
    ~place() { leave(); }
    void leave() noexcept {
      // Relaxed: nothing is published through the counter.
      if (auto* const m = std::exchange(machine_, nullptr))
        m->active_.fetch_sub(1, std::memory_order_relaxed);
    }

   private:
    chaos_machine* machine_ = nullptr;
  };

  /// What is to be done to a call: hold it for `delay`, then end it, or let it begin.
  struct injection {
    fault_kind kind = fault_kind::none;
    duration delay = {};
    std::uint8_t code = 0;
    verdict v = {};
    std::shared_ptr<const std::string> text = {};
    place held = {};
    listener* events = nullptr;
  };

  explicit chaos_machine(std::string name) : name_(std::move(name)) {}

  const std::string& name() const noexcept { return name_; }
  bool enabled() const noexcept { return enabled_.load(std::memory_order_relaxed); }

  /// The script begins anew with the first call after this.
  void enable() noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    if (!enabled()) began_.reset();
    enabled_.store(true, std::memory_order_relaxed);
  }
  /// For calls to come; those that are held go on to their end.
  void disable() noexcept { enabled_.store(false, std::memory_order_relaxed); }

  /// Draws and script begin anew. Calls that are held go on to their end.
  void reconfigure(chaos_plan plan, bool enabled) ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    plan_ = std::move(plan);
    random_ = random_source(plan_.seed);
    began_.reset();
    enabled_.store(enabled, std::memory_order_relaxed);
  }

  /// What to do to the call that begins now; `c` may be null: no one asks then whether it applies. `answers`:
  /// somebody knows a result to make up.
  injection decide(instant now, const call* c, bool answers) ABSL_LOCKS_EXCLUDED(mutex_) {
    if (!enabled()) return {};
    const mutex_lock lock(mutex_);
    if (c != nullptr && plan_.applies_to && !plan_.applies_to(*c)) return {};
    const bool anew = !began_;
    if (anew) began_ = now;
    ++calls_;
    const chaos_fault fault = choose(now - *began_, anew);
    if (fault.kind == fault_kind::none) return {};
    const duration delay = fault.kind == fault_kind::hang ? plan_.max_delay : delay_of(fault);
    const bool full = active_.load(std::memory_order_relaxed) >= plan_.max_at_once;
    if (full || (fault.kind == fault_kind::result && !answers)) {
      ++withheld_;
      return {};
    }
    ++injected_[static_cast<std::size_t>(fault.kind)];
    active_.fetch_add(1, std::memory_order_relaxed);
    return {fault.kind, delay, fault.code, fault.v, fault.text, place(*this), plan_.events};
  }

  chaos_snapshot snapshot() const ABSL_LOCKS_EXCLUDED(mutex_) {
    const auto injected = [this](fault_kind k) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return injected_[static_cast<std::size_t>(k)];
    };
    const mutex_lock lock(mutex_);
    return {.name = name_,
            .enabled = enabled(),
            .calls = calls_,
            .failures = injected(fault_kind::failure),
            .latencies = injected(fault_kind::latency),
            .hangs = injected(fault_kind::hang),
            .results = injected(fault_kind::result),
            .withheld = withheld_,
            .active = active_.load(std::memory_order_relaxed)};
  }

 private:
  chaos_fault choose(duration since, bool anew) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (plan_.script) {
      if (auto scripted = plan_.script(since, anew)) return *std::move(scripted);
    }
    if (plan_.faults.empty()) return {};
    // The rates are shares of all calls: they lie side by side in [0, 1).
    double left = random_.unit();
    for (const chaos_fault& f : plan_.faults) {
      if (left < f.rate) return f;
      left -= f.rate;
    }
    return {};
  }

  duration delay_of(const chaos_fault& f) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    duration d = f.delay;
    switch (f.shape) {
      case delay_shape::fixed: break;
      case delay_shape::uniform: {
        const auto spread = static_cast<std::uint64_t>((f.delay_max - f.delay).ns());
        d = d + duration::from_ns(static_cast<std::int64_t>(random_.up_to(spread)));
        break;
      }
      case delay_shape::exponential: {
        const double drawn = -std::log(1.0 - random_.unit()) * static_cast<double>(f.delay.ns());
        d = duration::from_ns(seawall::detail::saturating_from_double(drawn));
        if (f.delay_max > duration::zero() && f.delay_max < d) d = f.delay_max;
        break;
      }
      case delay_shape::custom: d = f.delay_from(random_); break;
    }
    if (d < duration::zero()) return duration::zero();
    return d < plan_.max_delay ? d : plan_.max_delay;
  }

  const std::string name_;
  std::atomic<bool> enabled_{false};
  std::atomic<std::uint32_t> active_{0};

  mutable mutex mutex_;
  chaos_plan plan_ ABSL_GUARDED_BY(mutex_);
  random_source random_ ABSL_GUARDED_BY(mutex_){1};
  std::optional<instant> began_ ABSL_GUARDED_BY(mutex_);
  std::uint64_t calls_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t withheld_ ABSL_GUARDED_BY(mutex_) = 0;
  std::array<std::uint64_t, 5> injected_ ABSL_GUARDED_BY(mutex_){};
};

}  // namespace core

}  // namespace seawall

#endif  // SEAWALL_CORE_CHAOS_MACHINE_HPP
