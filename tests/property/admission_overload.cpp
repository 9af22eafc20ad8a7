// SPDX-License-Identifier: Apache-2.0
// A server under overload whose handler stands behind `admit`: one worker, 1000 requests a second, exponential times, every answer
// is worthless after 100 ms. Goodput, as a share of the capacity, with the defaults; and with a limit that is learned.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>

#include "property/support.hpp"
#include "seawall/adaptive_limit.hpp"
#include "seawall/admission.hpp"
#include "seawall/exec/async.hpp"
#include "seawall/exec/completion.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/status.hpp"
#include "seawall/testing/virtual_scheduler.hpp"
#include <doctest/doctest.h>

namespace {

using namespace property;
using namespace seawall;
using namespace std::chrono_literals;
using seawall::testing::virtual_scheduler;

constexpr double capacity = 1000;

/// The handler's worker, and in front of it whatever it has been given without having asked for it.
class worker : task {
 public:
  worker(virtual_scheduler& loop, dice& d) : task(&worker::served), loop_(loop), dice_(d) {}

  void serve(completion<absl::Status> done) {
    backlog_.push_back(std::move(done));
    if (backlog_.size() == 1) begin();
  }
  static duration exponential(dice& d, double rate) {
    const double u = static_cast<double>(d.next() & 0xffffffffU) / 4294967296.0;
    return duration::from_ns(static_cast<std::int64_t>(-std::log(1 - u) / rate * 1e9));
  }

 private:
  void begin() { loop_.schedule_at(loop_.now() + exponential(dice_, capacity), timer_, *this); }
  static void served(task& t, task::outcome how) {
    auto& self = static_cast<worker&>(t);
    if (how != task::outcome::run) return;
    completion<absl::Status> done = std::move(self.backlog_.front());
    self.backlog_.pop_front();
    if (!self.backlog_.empty()) self.begin();
    done(absl::OkStatus());
  }

  virtual_scheduler& loop_;
  dice& dice_;
  virtual_scheduler::timer timer_;
  std::deque<completion<absl::Status>> backlog_;
};

class clients : task {
 public:
  clients(admission& a, double load, std::uint64_t seed)
      : task(&clients::one_comes),
        handler_(compose(admit(a))),
        dice_(seed),
        worker_(loop_, dice_),
        rate_(load * capacity) {}

  void run(duration length) {
    end_ = loop_.now() + length;
    next();
    loop_.run_until(end_);
    goodput = static_cast<double>(good_) / (length.seconds() * capacity);
    lost = 1 - static_cast<double>(good_) / static_cast<double>(came_);
    loop_.run();  // all that is left
  }
  double goodput = 0;  // of the capacity
  double lost = 0;     // of what came; what has no answer yet at the end is counted

 private:
  void next() { loop_.schedule_at(loop_.now() + worker::exponential(dice_, rate_), timer_, *this); }
  static void one_comes(task& t, task::outcome how) {
    auto& self = static_cast<clients&>(t);
    if (how != task::outcome::run || self.loop_.now() >= self.end_) return;
    self.next();
    self.call();
  }
  void call() {
    ++came_;
    const instant deadline = loop_.now() + 100ms;
    handler_.start(
        {.deadline = deadline}, loop_,
        [this](attempt, completion<absl::Status> done) { worker_.serve(std::move(done)); },
        [this, deadline](const absl::Status& s) {
          if (s.ok() && loop_.now() <= deadline && loop_.now() < end_) ++good_;
        });
  }

  using handler = pipeline<detail::admission_layer<detail::one_admission>>;
  handler handler_;
  virtual_scheduler loop_;
  dice dice_;
  worker worker_;
  virtual_scheduler::timer timer_;
  const double rate_;
  instant end_;
  std::uint64_t came_ = 0;
  std::uint64_t good_ = 0;
};

struct estimate {
  double mean = 0, error = 0;  // of the mean, standard
  double lost = 0;
};

estimate measure(const admission_options& o, double load, bool learns, duration length = 30s) {
  const std::uint64_t runs = from_environment("SEAWALL_RUNS").value_or(slowdown == 1 ? 6 : 2);
  double sum = 0, squares = 0, lost = 0;
  for (std::uint64_t k = 0; k < runs; ++k) {
    adaptive_limit limit;
    admission_options with = o;
    if (learns) with.limit = &limit;
    admission a(with);
    clients c(a, load, seed() + k * 7919);
    c.run(length);
    sum += c.goodput;
    squares += c.goodput * c.goodput;
    lost += c.lost;
    CHECK(a.snapshot().in_flight == 0);
    CHECK(a.snapshot().waiting == 0);
  }
  const auto n = static_cast<double>(runs);
  const double mean = sum / n;
  return {mean, std::sqrt(std::max(0.0, squares / n - mean * mean) / (n - 1)), lost / n};
}

admission_options defaults() { return {.max_concurrent = 1}; }

}  // namespace

TEST_CASE("overload: behind admit, at least 0.97 of the capacity from 1.2 to 2.0, at most 1% lost at 0.9") {
  for (const double load : {0.9, 1.2, 1.5, 2.0}) {
    const estimate e = measure(defaults(), load, false);
    MESSAGE("admit at ", load, ": ", e.mean, " +- ", e.error, ", lost ", e.lost);
    if (load < 1) {
      CHECK(e.lost <= 0.01);
    } else {
      CHECK(e.mean >= 0.97);
    }
  }
}

TEST_CASE("overload: behind a line that is first come, first served, half of the work is for nothing") {
  const estimate e = measure({.max_concurrent = 1,
                              .max_waiting = 1U << 20U,
                              .max_wait = duration::infinite(),
                              .order = queue_order::fifo,
                              .expire = false},
                             2.0, false);
  MESSAGE("first come at 2.0: ", e.mean);
  CHECK(e.mean < 0.6);
}

TEST_CASE("overload: behind admit with a learned limit, nobody has to know how many workers there are") {
  for (const double load : {0.9, 1.2, 2.0}) {
    const estimate e = measure({}, load, true);
    MESSAGE("admit, learned, at ", load, ": ", e.mean, " +- ", e.error, ", lost ", e.lost);
    if (load < 1) {
      CHECK(e.lost <= 0.02);
    } else {
      CHECK(e.mean >= 0.95);
    }
  }
}
