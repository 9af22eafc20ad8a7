// SPDX-License-Identifier: Apache-2.0
// Counts what the global operator new is asked for: zero on every success path.
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <new>
#include <optional>
#include <string_view>
#include <vector>

#include "seawall/adaptive_limit.hpp"
#include "seawall/admission.hpp"
#include "seawall/bulkhead.hpp"
#include "seawall/cache.hpp"
#include "seawall/chaos.hpp"
#include "seawall/coalesce.hpp"
#include "seawall/queue/backpressure_queue.hpp"
#include "seawall/rate_limiter.hpp"
#include "seawall/seawall.hpp"
#include "seawall/testing/virtual_clock.hpp"
#include "seawall/testing/virtual_scheduler.hpp"
#include "seawall/throttle.hpp"
#include <doctest/doctest.h>

namespace {

thread_local long allocations = 0;

void* counted(std::size_t size, std::size_t alignment) {
  ++allocations;
  // aligned_alloc wants a multiple of the alignment.
  if (void* p = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment)) return p;
  std::abort();
}

}  // namespace

// Not inlined: GCC would see free() of what a new expression returned, and warn.
[[gnu::noinline]] void* operator new(std::size_t size) { return counted(size, alignof(std::max_align_t)); }
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment) {
  return counted(size, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }

namespace {

using namespace std::chrono_literals;
using seawall::testing::virtual_clock;
using result = absl::StatusOr<int>;

template <class F>
long allocations_of(F&& f) {
  f();  // what a thread needs once
  const long before = allocations;
  for (int i = 0; i < 100; ++i) f();
  return allocations - before;
}

const auto ok = seawall::idempotent([]() -> result { return 7; });

TEST_CASE("the counter counts: a check that could not fail would prove nothing") {
  // Volatile, since a compiler may leave out a new whose delete it sees.
  CHECK(allocations_of([] {
          int* volatile p = new int(1);
          delete p;
        }) == 100);
  CHECK(allocations_of([] {
          virtual_clock* volatile p = new virtual_clock();
          delete p;
        }) == 100);
}

TEST_CASE("no allocation on the success path of any policy, alone") {
  seawall::circuit_breaker breaker, slow({.slow = {.limit = 1s}}), ring({.last_calls = {.calls = 100}});
  seawall::retry_budget budget;
  const auto none = [](const auto& layer) {
    const auto pipeline = seawall::compose(layer);
    return allocations_of([&] { CHECK(pipeline.run(ok).ok()); }) == 0;
  };
  CHECK(none(seawall::breaker(breaker)));
  CHECK(none(seawall::breaker(slow)));
  CHECK(none(seawall::breaker(ring)));
  seawall::rate_limiter rate({.permits = 1000}), leases({.permits = 1000, .lease = 8}),
      log({.algorithm = seawall::rate_algorithm::sliding_log, .permits = 1000});
  CHECK(none(seawall::limit_rate(rate)));
  CHECK(none(seawall::limit_rate(leases)));
  CHECK(none(seawall::limit_rate(log)));
  seawall::adaptive_limit limit;
  CHECK(none(seawall::limit_concurrency(limit)));
  seawall::admission set, learns({.limit = &limit});
  CHECK(none(seawall::admit(set)));
  CHECK(none(seawall::admit(learns)));
  CHECK(none(seawall::retry()));
  CHECK(none(seawall::retry({.budget = &budget})));
  CHECK(none(seawall::deadline({.after = 1s})));
  CHECK(none(seawall::attempt_timeout({.after = 1s})));
  CHECK(none(seawall::fallback(result(9))));
  CHECK(
      none(seawall::classify([](const result& r) { return seawall::outcome_traits<result>::classify(r); })));
}

TEST_CASE(
    "no allocation on the success path of a throttle, of one for each key, of chaos that is off or spares a call") {
  seawall::adaptive_throttle throttle;
  seawall::keyed<seawall::adaptive_throttle> throttles;
  seawall::chaos off, on({.enabled = true, .faults = {{.rate = 0.0}}, .script = "ok"});
  const auto none = [](const auto& layer) {
    const auto pipeline = seawall::compose(layer);
    return allocations_of([&] { CHECK(pipeline.run(ok).ok()); }) == 0;
  };
  CHECK(none(seawall::throttle(throttle)));
  CHECK(none(seawall::throttle(throttles)));
  CHECK(none(seawall::inject(off)));
  CHECK(none(seawall::inject(on)));
}

TEST_CASE(
    "no allocation at any level of service: served, to a share of the keys, by a draw; left out, with the code "
    "alone; measured") {
  constexpr auto code_only = seawall::rejection_detail::code_only;
  seawall::degradation ladder({.rejections = code_only});
  seawall::feature_gate gate(ladder, {.name = "g", .up_to_level = 2, .rejections = code_only}),
      share(ladder, {.name = "s", .up_to_level = 2, .percent = 99.9}),
      off({.percent = 0, .killed = true, .rejections = code_only});
  seawall::brownout brownout;
  const auto code = [](const auto& pipeline) { return pipeline.run({.key = "user-1"}, ok).status().code(); };
  const auto served =
      seawall::compose(seawall::measure(brownout), seawall::require_writable(ladder), seawall::degrade(gate),
                       seawall::degrade(share), seawall::degrade(brownout));
  CHECK(allocations_of([&] { CHECK(code(served) == absl::StatusCode::kOk); }) == 0);
  const auto left_out = seawall::compose(seawall::degrade(off));
  CHECK(allocations_of([&] { CHECK(code(left_out) == absl::StatusCode::kFailedPrecondition); }) == 0);
  CHECK_FALSE(ladder.set_read_only());
  CHECK(allocations_of([&] { CHECK(code(served) == absl::StatusCode::kFailedPrecondition); }) == 0);
}

TEST_CASE("no allocation while a throttle rejects, with the code alone") {
  const seawall::verdict quota{.health = seawall::health::silent, .again = seawall::again::if_idempotent};
  seawall::adaptive_throttle throttle(
      {.floor_per_second = 0, .rejections = seawall::rejection_detail::code_only});
  for (int i = 0; i < 1'000'000; ++i) throttle.machine().settle(quota, seawall::steady_clock::now());
  const auto pipeline = seawall::compose(seawall::throttle(throttle));
  CHECK(allocations_of([&] {
          CHECK(pipeline.run(ok).status().code() == absl::StatusCode::kResourceExhausted);
          throttle.machine().settle(quota, seawall::steady_clock::now());
        }) == 0);
}

TEST_CASE("no allocation on the success path of pipelines: static, dynamic, keyed, with options, nested") {
  seawall::circuit_breaker breaker;
  seawall::keyed<seawall::circuit_breaker> shards;
  seawall::retry_budget budget;
  const auto five = seawall::compose(seawall::fallback(9), seawall::deadline({.after = 1s}),
                                     seawall::retry({.budget = &budget}), seawall::breaker(breaker),
                                     seawall::attempt_timeout({.after = 1s}));
  const seawall::any_pipeline<result> dynamic = five;
  const auto keyed = seawall::compose(seawall::breaker(shards));
  seawall::call_report report;
  CHECK(allocations_of([&] { CHECK(five.run(ok).ok()); }) == 0);
  CHECK(allocations_of([&] { CHECK(dynamic.run(ok).ok()); }) == 0);
  CHECK(allocations_of([&] { CHECK(keyed.run({.key = "eu-1"}, ok).ok()); }) == 0);
  CHECK(allocations_of([&] { CHECK(five.run({.priority = 3, .report = &report}, ok).ok()); }) == 0);
  CHECK(allocations_of([&] {
          const auto outer = seawall::idempotent([&](const seawall::attempt& a) { return five.run(a, ok); });
          CHECK(dynamic.run(outer).ok());
        }) == 0);
  CHECK(allocations_of([&] { CHECK(five.run(seawall::idempotent([] { return 7; })) == 7); }) == 0);
}

TEST_CASE("no allocation by a backpressure queue that has been as full before") {
  using seawall::queue_order;
  for (const auto order :
       {queue_order::fifo, queue_order::adaptive_lifo, queue_order::priority, queue_order::fair}) {
    seawall::backpressure_queue<int> queue({.order = order}, {.dropped = [](int&&, seawall::queue_drop) {}});
    std::vector<int> batch;
    batch.reserve(4);
    CHECK(allocations_of([&] {
            for (int i = 0; i < 5; ++i)
              CHECK(queue.push(int{i}, {.deadline = seawall::steady_clock::now() + 1h, .key = "eu-1"}));
            CHECK(queue.pop());
            CHECK(queue.pop_batch(batch, 4).items == 4);
            batch.clear();
          }) == 0);
  }
}

TEST_CASE(
    "no allocation in the line of an admission: waiting, being let in, being sent away, in every order") {
  using machine = seawall::core::admission_machine;
  for (const auto order : {seawall::queue_order::adaptive_lifo, seawall::queue_order::priority,
                           seawall::queue_order::earliest_deadline, seawall::queue_order::fair}) {
    seawall::admission line({.max_concurrent = 1, .max_waiting = 2, .order = order});
    const seawall::instant now = seawall::steady_clock::now();
    const machine::claim claim{.deadline = now + 1h, .until = now + 1s};
    CHECK(allocations_of([&] {
            auto held = line.try_acquire(now);
            machine::place first, second, third;
            seawall::instant look_again;
            const auto wait = [&](machine::place& p) {
              return line.machine().acquire_or_wait(now, claim, p, nullptr, look_again);
            };
            CHECK(wait(first) == machine::answer::waiting);
            CHECK(wait(second) == machine::answer::waiting);
            CHECK(wait(third) == machine::answer::queue_full);
            held.release(now);
            line.machine().leave(first, now);
            line.machine().leave(second, now);
          }) == 0);
  }
}

TEST_CASE(
    "no allocation in a bulkhead: admitted, weighed, of a partition, handed over to one who waits, refused") {
  const auto weight = [](const seawall::call&) noexcept -> std::uint32_t { return 2; };
  seawall::bulkhead plain, weighs({.weight_of = weight}), parts({.partitions = {{"a", 3}}});
  seawall::keyed<seawall::bulkhead> shards;
  const auto none = [](auto& b) {
    const auto pipeline = seawall::compose(seawall::limit_concurrency(b));
    return allocations_of([&] { CHECK(pipeline.run({.key = "eu-1"}, ok).ok()); }) == 0;
  };
  CHECK(none(plain));
  CHECK(none(weighs));
  CHECK(none(parts));
  CHECK(none(shards));
  using machine = seawall::core::bulkhead_machine;
  seawall::bulkhead one({.max_concurrent = 1, .max_waiting = 2, .order = seawall::wait_order::by_priority});
  const seawall::instant now;
  CHECK(allocations_of([&] {
          auto held = one.try_acquire(now);
          CHECK_FALSE(one.try_acquire(now));
          machine::place place;
          seawall::instant look_again;
          CHECK(one.machine().acquire_or_wait(now, {}, place, nullptr, look_again) ==
                machine::admission::waiting);
          held.release(now);
          CHECK(one.machine().look(now, place, look_again) == machine::admission::admitted);
          one.machine().release(1, 0, now);
        }) == 0);
}

// Its frames, that is: the driver is another matter.
TEST_CASE("no allocation in the frames of a hedge, whether or not there is a second attempt") {
  seawall::retry_budget budget({.ratio = 1});
  seawall::circuit_breaker breaker;
  const auto pipeline =
      seawall::compose(seawall::deadline({.after = 1s}),
                       seawall::hedge({.after = 10ms, .budget = &budget, .reached_max = 1, .wins_min = 0}),
                       seawall::breaker(breaker), seawall::attempt_timeout({.after = 1s}));
  CHECK(allocations_of([&] {
          for (const bool hedged : {false, true}) {
            seawall::call c(seawall::instant(), seawall::idempotency::idempotent, nullptr, nullptr);
            seawall::call::room room;
            c.lend(room);
            auto frame = pipeline.make_frame();
            const seawall::instant later = seawall::instant() + 10ms;
            frame.start(c, seawall::instant());
            if (hedged) frame.on_time(c, later);
            CHECK(c.pending_launches() == (hedged ? 2U : 1U));
            CHECK(frame.on_done(c, later, 0, seawall::verdict::ok()).v.success);
          }
        }) == 0);
}

TEST_CASE("no allocation for a substitute, nor for a rejection that carries its code alone") {
  seawall::circuit_breaker breaker({.rejections = seawall::rejection_detail::code_only});
  breaker.isolate();
  const auto with_value = seawall::compose(seawall::fallback([] { return 9; }), seawall::breaker(breaker));
  const auto bare = seawall::compose(seawall::breaker(breaker));
  CHECK(allocations_of([&] { CHECK(*with_value.run(ok) == 9); }) == 0);
  CHECK(allocations_of([&] { CHECK(bare.run(ok).status().code() == absl::StatusCode::kUnavailable); }) == 0);
}

TEST_CASE("no allocation while a breaker fails, probes and recovers") {
  virtual_clock clock;
  seawall::circuit_breaker breaker({.consecutive_failures = 1, .open_for = 1s});
  CHECK(allocations_of([&] {
          breaker.try_acquire(clock.now()).failure(clock.now());
          CHECK_FALSE(breaker.try_acquire(clock.now()));
          clock.advance(1s);
          breaker.try_acquire(clock.now()).success(clock.now());
          CHECK(breaker.try_acquire(clock.now()));
        }) == 0);
}

TEST_CASE("no allocation while a rate limiter refuses, lets wait, takes back and is slowed down") {
  virtual_clock clock;
  seawall::rate_limiter limiter({.permits = 10,
                                 .per = 1s,
                                 .burst = 2,
                                 .max_wait = 1s,
                                 .max_waiting = 4,
                                 .pushback = {.pause_max = 100ms, .slow_to = 0.9}});
  CHECK(allocations_of([&] {
          clock.advance(10s);
          CHECK(limiter.try_acquire(clock.now(), 2));
          auto first = limiter.reserve(clock.now()), second = limiter.reserve(clock.now());
          first.give_back(clock.now());
          CHECK(limiter.reserve(clock.now()).at() < second.at());
          CHECK_FALSE(limiter.reserve(clock.now(), 3));
          auto p = limiter.try_acquire(second.at() + 1s);
          p.settle(seawall::verdict::transient().with_retry_after(1s), second.at() + 1s);
        }) == 0);
}

TEST_CASE("no allocation to write the time left into headers, nor to read it") {
  const seawall::propagator p({.headers = {seawall::timeout_headers::grpc, seawall::timeout_headers::envoy},
                               .margin = 5ms,
                               .share = 0.1});
  char value[16] = {};
  std::size_t size = 0;
  const auto set = [&](std::string_view, std::string_view text) { size = text.copy(value, sizeof value); };
  const auto get = [&](std::string_view name) {
    return name == "grpc-timeout" ? std::optional<std::string_view>("250m") : std::nullopt;
  };
  CHECK(allocations_of([&] { CHECK(p.write(2s, set) == seawall::propagated::limited); }) == 0);
  CHECK(std::string_view(value, size) == "1795");
  CHECK(allocations_of([&] { CHECK(p.read(get, seawall::instant()).ok()); }) == 0);
  const auto both = [&](std::string_view name) {
    return std::optional<std::string_view>(name == "grpc-timeout" ? "250m" : "12");
  };
  const auto envoy = seawall::propagator({.headers = {seawall::timeout_headers::grpc}});
  CHECK(allocations_of([&] { CHECK(envoy.read(both, seawall::instant()).priority == 12); }) == 0);
  const auto pipeline = seawall::compose();
  CHECK(allocations_of([&] {
          CHECK(pipeline
                    .run({.priority = -7, .degradation = 2},
                         [&](const seawall::attempt& a) {
                           return p.write(a, set) == seawall::propagated::unlimited ? absl::OkStatus()
                                                                                    : absl::InternalError("");
                         })
                    .ok());
        }) == 0);
  CHECK(std::string_view(value, size) == "2");
}

TEST_CASE("no allocation to be served by a cache, fresh or stale; nor to get an answer without a pipeline") {
  virtual_clock clock;
  seawall::cache<result> store({.ttl = 1s, .stale_while_revalidate = 1h});
  const auto pipeline = seawall::compose(seawall::deadline({.after = 1s}), seawall::cached(store));
  const seawall::any_pipeline<result> dynamic = pipeline;
  const auto served = [&](const auto& p) {
    return allocations_of(
        [&] { CHECK(seawall::testing::run(clock, p, {.key = "a key that is not short"}, ok).ok()); });
  };
  CHECK(served(pipeline) == 0);
  CHECK(served(dynamic) == 0);
  CHECK(allocations_of([&] { CHECK(store.get("a key that is not short", clock.now())); }) == 0);
  // Somebody refreshes for ever: the others are served what is stale.
  clock.advance(2s);
  store.state().machine.join(seawall::core::hashed_key("a key that is not short"), clock.now(), nullptr);
  CHECK(served(pipeline) == 0);
}

using seawall::testing::virtual_scheduler;

const auto calls_back =
    seawall::idempotent([](seawall::attempt, seawall::completion<result> done) { done(7); });

TEST_CASE("one allocation for an asynchronous call: static, dynamic; of an operation that is awaited") {
  struct ready {
    bool await_ready() const noexcept { return true; }
    void await_suspend(std::coroutine_handle<>) const noexcept {}
    result await_resume() const noexcept { return 7; }
  };
  virtual_scheduler loop;
  seawall::circuit_breaker breaker;
  seawall::retry_budget budget;
  const auto five = seawall::compose(seawall::fallback(9), seawall::deadline({.after = 1s}),
                                     seawall::retry({.budget = &budget}), seawall::breaker(breaker),
                                     seawall::attempt_timeout({.after = 1s}));
  const seawall::any_pipeline<result> dynamic = five;
  int told = 0;
  const auto started = [&](const auto& pipeline, const auto& op) {
    return allocations_of([&] {
      pipeline.start(loop, op, [&told](const result& r) { told += r.ok(); });
      loop.run();
    });
  };
  CHECK(started(five, calls_back) == 100);
  CHECK(started(dynamic, calls_back) == 100);
  CHECK(started(five, seawall::idempotent([] { return ready(); })) == 100);
  CHECK(started(five, ok) == 100);
  CHECK(told == 4 * 101);
}

TEST_CASE("one allocation for an asynchronous call that fails, is tried again, and sleeps in between") {
  virtual_scheduler loop;
  const auto p = seawall::compose(seawall::deadline({.after = 1h}), seawall::retry({.max_attempts = 4}),
                                  seawall::attempt_timeout({.after = 1s}));
  CHECK(allocations_of([&] {
          p.start(
              loop, seawall::idempotent([](seawall::attempt a, seawall::completion<result> done) {
                // The code alone: a text would be allocated.
                done(a.number() < 4 ? result(absl::Status(absl::StatusCode::kUnavailable, "")) : result(7));
              }),
              [](const result& r) { CHECK(r.ok()); });
          loop.run();
        }) == 100);
}

/// A place for one object; counts.
struct arena {
  alignas(std::max_align_t) std::byte room[4096];
  int taken = 0;
  int returned = 0;
};
template <class T>
struct arena_allocator {
  using value_type = T;
  explicit arena_allocator(arena& a) noexcept : from(&a) {}
  template <class U>
  arena_allocator(const arena_allocator<U>& o) noexcept : from(o.from) {}
  T* allocate(std::size_t n) {
    if (n * sizeof(T) > sizeof(from->room) || from->taken != from->returned) std::abort();
    ++from->taken;
    return reinterpret_cast<T*>(from->room);
  }
  void deallocate(T*, std::size_t) noexcept { ++from->returned; }
  friend bool operator==(const arena_allocator&, const arena_allocator&) = default;
  arena* from;
};
struct done_with_arena {
  arena_allocator<int> get_allocator() const noexcept { return arena_allocator<int>(*from); }
  void operator()(const result& r) {
    CHECK(r.ok());
    returned_before_done += from->returned == from->taken;
  }
  arena* from;
  int& returned_before_done;
};

TEST_CASE(
    "no allocation for an asynchronous call whose done brings an allocator; it has its memory back before") {
  virtual_scheduler loop;
  arena memory;
  int returned_before_done = 0;
  const auto p = seawall::compose(seawall::deadline({.after = 1s}), seawall::retry());
  CHECK(allocations_of([&] {
          p.start(loop, calls_back, done_with_arena{&memory, returned_before_done});
          loop.run();
        }) == 0);
  CHECK(memory.taken == 101);
  CHECK(memory.returned == 101);
  CHECK(returned_before_done == 101);
}

TEST_CASE("one allocation for an asynchronous call that is served by a cache; two more to lead a flight") {
  virtual_scheduler loop;
  seawall::cache<result> store;
  seawall::coalescer<result> flights;
  const auto started = [&](const auto& pipeline) {
    return allocations_of([&] {
      pipeline.start(loop, calls_back, [](const result& r) { CHECK(r.ok()); });
      loop.run();
    });
  };
  CHECK(started(seawall::compose(seawall::cached(store))) == 100);
  // The list's node and the table's; a key of up to 15 letters needs none.
  CHECK(started(seawall::compose(seawall::coalesce(flights))) == 300);
}

TEST_CASE("one allocation for a call on a pool, on the caller's side") {
  seawall::pool_scheduler pool({.threads = 1});
  const auto p = seawall::compose(seawall::deadline({.after = 1h}), seawall::retry());
  CHECK(allocations_of([&] { CHECK(p.run_on(pool, ok).ok()); }) == 100);
}

}  // namespace
