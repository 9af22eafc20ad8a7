// SPDX-License-Identifier: Apache-2.0
// Short calls by the million on a pool of four threads, ended by everybody who can end one, at the same time: the operation
// (at once, from other threads, by timers, not at all, by throwing), time-outs, the caller's stop token, nested calls, and
// the pool's shutdown while some sleep and others run. Each call is completed once; nothing leaks; nothing is used after it
// was freed, if a sanitizer looks.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstdint>
#include <memory>
#include <optional>
#include <semaphore>
#include <stdexcept>
#include <stop_token>
#include <utility>
#include <vector>

#include "elsewhere.hpp"
#include "seawall/seawall.hpp"
#include "support/async.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using seawall::attempt;
using seawall::completion;
using seawall::pool_scheduler;
using stress::dice;
using stress::elsewhere;

struct in_results;
struct in_operations;
struct in_attempts;
using alive_results = stress::counted<in_results>;
using alive_operations = stress::counted<in_operations>;
using alive_attempts = stress::counted<in_attempts>;

struct answer : alive_results {
  int value = 0;
};
using result = absl::StatusOr<answer>;

std::atomic<std::uint64_t> attempts_started{0};
std::atomic<std::uint64_t> attempts_ended{0};

/// A completion, and its attempt's mark: it ends with it, whichever way it goes.
class to_complete {
 public:
  explicit to_complete(completion<result> done) noexcept : done_(std::move(done)) { ++attempts_started; }
  to_complete(to_complete&&) = default;
  // Counted first: when the last attempt of a call has ended, so may the test.
  ~to_complete() {
    if (done_) ++attempts_ended;
  }
  void end(bool well) {
    ++attempts_ended;
    completion<result> done = std::move(done_);
    well ? done(answer()) : done(absl::UnavailableError("busy"));
  }

 private:
  completion<result> done_;
  alive_attempts mark_;
};

/// A timer of its own on the pool; ends the attempt when it is due, or when the pool shuts down.
class later final : seawall::task {
 public:
  static void start(pool_scheduler& pool, to_complete c, seawall::duration d) {
    auto* const self = new later(std::move(c));
    pool.schedule_at(pool.now() + d, self->timer_, *self);
  }

 private:
  explicit later(to_complete c)
      : task([](task& t, outcome) {
          const std::unique_ptr<later> self(static_cast<later*>(&t));
          self->complete_.end(true);
        }),
        complete_(std::move(c)) {}
  friend std::default_delete<later>;
  ~later() = default;

  to_complete complete_;
  pool_scheduler::timer timer_;
};

/// Answers only when it is told to stop: from inside the callback, or from elsewhere after that.
class until_stopped {
 public:
  static void start(elsewhere& others, const attempt& a, to_complete c, bool from_inside) {
    auto* const self = new until_stopped(others, std::move(c), from_inside);
    self->on_stop_.emplace(a.stop_token(), stopped{self});
    self->step(armed);
  }

 private:
  struct stopped {
    until_stopped* self;
    void operator()() const noexcept { self->step(fired); }
  };
  static constexpr int armed = 1, fired = 2;

  until_stopped(elsewhere& others, to_complete c, bool from_inside)
      : others_(others), complete_(std::move(c)), from_inside_(from_inside) {}

  void step(int what) noexcept {
    if (state_.fetch_or(what) == 0) return;
    if (from_inside_) complete_->end(true);
    // The callback may be running: it is destroyed elsewhere, which waits for that.
    others_.give([self = std::unique_ptr<until_stopped>(this)] {
      if (!self->from_inside_) self->complete_.reset();
    });
  }

  elsewhere& others_;
  std::optional<to_complete> complete_;
  const bool from_inside_;
  std::atomic<int> state_{0};
  std::optional<std::stop_callback<stopped>> on_stop_;
};

/// All that a round has. Others end what is late before the pool goes.
struct world {
  explicit world(std::uint64_t seed) : others(2, seed) {}
  pool_scheduler pool{{.threads = 4}};
  elsewhere others;
};

class random_operation;
void start_nested(world& w, const attempt& a, to_complete c, std::uint64_t seed);

/// What it does depends on the call's seed and the attempt's number.
class random_operation {
 public:
  random_operation(world& w, std::uint64_t seed, bool nested = false)
      : w_(&w), seed_(seed), nested_(nested) {}

  void operator()(attempt a, completion<result> done) const {
    dice d(seed_ * 8 + a.number());
    to_complete c(std::move(done));
    switch (d.below(nested_ ? 9 : 10)) {
      case 0:
      case 1: return c.end(d.chance(75));
      case 2:
      case 3: return w_->others.give([c = std::move(c), well = d.chance(75)]() mutable { c.end(well); });
      case 4: return later::start(w_->pool, std::move(c), std::chrono::microseconds(d.below(400)));
      case 5: return until_stopped::start(w_->others, a, std::move(c), d.chance(50));
      case 6: return;
      case 7: return w_->others.give([c = std::move(c)] {});
      case 8: {
        if (d.chance(50)) w_->others.give([c = std::move(c)]() mutable { c.end(true); });
        throw std::runtime_error("stress");
      }
      default: return start_nested(*w_, a, std::move(c), d.next());
    }
  }

 private:
  world* w_;
  std::uint64_t seed_;
  bool nested_;
  alive_operations mark_;
};

/// Resumes on another thread.
struct hop {
  elsewhere& others;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> h) const {
    others.give([h] { h.resume(); });
  }
  void await_resume() const noexcept {}
};

class random_coroutine {
 public:
  random_coroutine(world& w, std::uint64_t seed) : w_(&w), seed_(seed) {}

  seawall_test::lazy<result> operator()(attempt a) const {
    ++attempts_started;
    const alive_attempts mark;
    dice d(seed_ * 8 + a.number());
    const unsigned hops = static_cast<unsigned>(d.below(3));
    for (unsigned i = 0; i < hops; ++i) co_await hop{w_->others};
    ++attempts_ended;
    if (d.chance(20)) throw std::runtime_error("stress");
    if (d.chance(30)) co_return absl::UnavailableError("busy");
    co_return answer();
  }

 private:
  world* w_;
  std::uint64_t seed_;
  alive_operations mark_;
};

seawall::circuit_breaker shared_breaker(
    {.name = "shared",
     .consecutive_failures = 8,
     .open_for = 200us,
     .half_open = {.max_probes = 1,
                   .successes = 1,
                   .of = 2,
                   .lease = 2ms,
                   .excess_calls = seawall::circuit_breaker_options::excess::waits}});

const auto everything =
    seawall::compose(seawall::fallback([](const absl::Status&) -> result { return answer(); }),
                     seawall::deadline({.after = 3ms}),
                     seawall::retry({.max_attempts = 4, .backoff = {.initial = 20us, .max = 200us}}),
                     seawall::breaker(shared_breaker), seawall::attempt_timeout({.after = 500us}));
const auto plain = seawall::compose(seawall::deadline({.after = 1ms}));
const auto inner = seawall::compose(seawall::deadline({.after = 1ms}), seawall::breaker(shared_breaker));
const seawall::any_pipeline<result> dynamic = everything;

void start_nested(world& w, const attempt& a, to_complete c, std::uint64_t seed) {
  inner.start(a, w.pool, random_operation(w, seed, true),
              [c = std::move(c)](const result& r) mutable { c.end(r.ok()); });
}

/// Who waits for the answers: each call has a place, and a count.
class callers {
 public:
  explicit callers(std::uint64_t calls) : told_(calls) {}

  void wait_for_place() { places_.acquire(); }
  void tell(std::uint64_t call) {
    told_[call].fetch_add(1, std::memory_order_relaxed);
    places_.release();
  }
  std::uint64_t told_exactly_once() const {
    return static_cast<std::uint64_t>(
        std::count_if(told_.begin(), told_.end(), [](const auto& n) { return n.load() == 1; }));
  }

 private:
  std::vector<std::atomic<std::uint8_t>> told_;
  std::counting_semaphore<> places_{64};
};

class detached {
 public:
  struct promise_type {
    detached get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};

detached await_one(world& w, callers& c, std::uint64_t call, std::uint64_t seed) {
  static_cast<void>((co_await everything.async(w.pool, seawall::idempotent(random_coroutine(w, seed)))).ok());
  c.tell(call);
}

void start_one(world& w, callers& c, std::uint64_t call, dice& d, std::stop_source& stop) {
  const auto done = [&c, call](const result&) { c.tell(call); };
  const std::uint64_t seed = d.next();
  switch (d.below(6)) {
    case 0: return plain.start(w.pool, random_operation(w, seed), done);
    case 1: return everything.start(w.pool, seawall::idempotent(random_operation(w, seed)), done);
    case 2:
      return everything.start({.priority = 3, .stop = stop.get_token()}, w.pool,
                              seawall::idempotent(random_operation(w, seed)), done);
    case 3:
      return plain.start({.stop = stop.get_token(), .deadline = w.pool.now() + 500us}, w.pool,
                         random_coroutine(w, seed), done);
    case 4:
      return dynamic.start({.key = "a key that is long enough to be allocated", .stop = stop.get_token()},
                           w.pool, seawall::non_idempotent(random_operation(w, seed)), done);
    default: static_cast<void>(await_one(w, c, call, seed));
  }
}

/// Makes calls `first` to `last`, and shuts the pool down while the last ones are under way.
void round(callers& c, std::uint64_t first, std::uint64_t last, std::uint64_t seed) {
  world w(seed);
  dice d(seed);
  std::array<std::stop_source, 8> stops;
  for (std::uint64_t call = first; call < last; ++call) {
    c.wait_for_place();
    std::stop_source& stop = stops[call % stops.size()];
    start_one(w, c, call, d, stop);
    if (d.chance(30)) {
      w.others.give(
          [s = std::exchange(d.pick_from(stops), std::stop_source())]() mutable { s.request_stop(); });
    }
  }
  w.pool.shut_down();
}

TEST_CASE("stress: each of a million calls is completed once, whoever ends it, and nothing is left of it") {
  const std::uint64_t calls = stress::calls_wanted(1'000'000);
  const std::uint64_t in_a_round = 5'000;
  callers c(calls);
  for (std::uint64_t first = 0; first < calls; first += in_a_round) {
    round(c, first, std::min(calls, first + in_a_round), property::seed() + first);
    REQUIRE(attempts_started == attempts_ended);
    REQUIRE(alive_attempts::alive == 0);
    REQUIRE(alive_operations::alive == 0);
    REQUIRE(alive_results::alive == 0);
  }
  CHECK(c.told_exactly_once() == calls);
  const auto breaker = shared_breaker.snapshot();
  CHECK(breaker.waiting == 0);
  CHECK(breaker.transitions > 0);
  MESSAGE(calls, " calls, ", attempts_started.load(), " attempts, ", breaker.transitions,
          " transitions of the breaker");
}

}  // namespace
