// SPDX-License-Identifier: Apache-2.0
#include "seawall/outcome.hpp"

#include <chrono>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

#include "seawall/seawall.hpp"
#include "seawall/testing/virtual_clock.hpp"
#include <doctest/doctest.h>

namespace {

// A result type of a user.
struct reply {
  int code = 0;
  std::string body;
  bool ok() const { return code == 200; }
};

}  // namespace

template <>
struct seawall::outcome_traits<reply> {
  using error_type = int;

  static verdict classify(const reply& r) {
    if (r.code == 200) return verdict::ok();
    return r.code >= 500 ? verdict::transient() : verdict::refused();
  }
  static reply reject(const rejection& why, const reply*) { return {.code = 599, .body = describe(why)}; }
  static int error(const reply& r) { return r.code; }
  static void annotate(reply& r, const ending& e) { r.body = describe(e) + ": " + r.body; }
};

namespace {

using namespace std::chrono_literals;
using seawall::testing::virtual_clock;

seawall::retry_options tries(std::uint32_t n) {
  return {.max_attempts = n, .backoff = {.initial = 0ms, .max = 0ms}};
}

TEST_CASE("a user's result type: retried, annotated, rejected, substituted by its own traits") {
  virtual_clock clock;
  int calls = 0;
  const auto op = [&]() -> reply { return ++calls < 3 ? reply{503, "busy"} : reply{200, "hi"}; };
  CHECK(run(clock, seawall::compose(seawall::retry(tries(3))), seawall::idempotent(op)).body == "hi");
  calls = 0;
  CHECK(run(clock, seawall::compose(seawall::retry(tries(2))), seawall::idempotent(op)).body ==
        "retry gave up after 2 attempts in 0s: busy");
  seawall::circuit_breaker breaker({.name = "b"});
  breaker.isolate();
  CHECK(run(clock, seawall::compose(seawall::breaker(breaker)), op).body ==
        "circuit_breaker 'b' is isolated");
  const auto with_fallback = seawall::compose(seawall::fallback([](const int& code) {
                                                return reply{200, std::to_string(code)};
                                              }),
                                              seawall::breaker(breaker));
  CHECK(run(clock, with_fallback, op).body == "599");
}

TEST_CASE("exceptions: what each says about the dependency and about trying again") {
  const auto verdict_for = [](auto exception) {
    return seawall::classify_exception(std::make_exception_ptr(exception));
  };
  CHECK(verdict_for(std::runtime_error("")) == seawall::verdict::transient());
  CHECK(verdict_for(42) == seawall::verdict::transient());
  CHECK(verdict_for(std::invalid_argument("")) == seawall::verdict::refused());
  CHECK(verdict_for(std::bad_alloc()) == seawall::verdict::cancelled());
  const seawall::verdict rejected = verdict_for(seawall::rejected_error(
      {.policy = "p", .why = seawall::reason::open, .retry_after = seawall::duration(3s)}));
  CHECK(rejected.health == seawall::health::silent);
  CHECK(rejected.again == seawall::again::always);
  CHECK(rejected.retry_after == seawall::duration(3s));
}

TEST_CASE("exceptions: captured at the edge, retried, rethrown at the edge as they were") {
  virtual_clock clock;
  int calls = 0;
  const auto op = [&]() -> int {
    if (++calls < 3) throw std::runtime_error("attempt " + std::to_string(calls));
    return 7;
  };
  CHECK(run(clock, seawall::compose(seawall::retry(tries(3))), seawall::idempotent(op)) == 7);
  calls = 0;
  CHECK_THROWS_WITH_AS(run(clock, seawall::compose(seawall::retry(tries(2))), seawall::idempotent(op)),
                       "attempt 2", std::runtime_error);
}

TEST_CASE("exceptions: a rejection becomes rejected_error, which owns its texts") {
  std::unique_ptr<seawall::rejected_error> caught;
  {
    seawall::circuit_breaker breaker({.name = std::string(100, 'x')});
    breaker.force_open();
    const auto pipeline = seawall::compose(seawall::breaker(breaker));
    try {
      pipeline.run([] { return 1; });
    } catch (const seawall::rejected_error& e) {
      caught = std::make_unique<seawall::rejected_error>(e);
    }
  }
  REQUIRE(caught != nullptr);
  CHECK(caught->why().why == seawall::reason::open);
  CHECK(caught->why().policy == "circuit_breaker");
  CHECK(caught->why().name == std::string(100, 'x'));
  CHECK(caught->why().has_retry_after());
}

// Never: lose the slot on an exception. Here the operation's result is a status, and it throws all the same.
TEST_CASE(
    "an exception out of an operation that returns a status passes through, and gives a probe's place back") {
  virtual_clock clock;
  seawall::circuit_breaker breaker({.consecutive_failures = 1, .open_for = 1s});
  const auto pipeline = seawall::compose(seawall::breaker(breaker));
  run(clock, pipeline, [] { return absl::UnavailableError(""); }).IgnoreError();
  clock.advance(1s);
  const auto throws = []() -> absl::Status { throw std::runtime_error("out"); };
  CHECK_THROWS_AS(run(clock, pipeline, throws).IgnoreError(), std::runtime_error);
  CHECK(breaker.snapshot(clock.now()).probes == 0);
  CHECK(run(clock, pipeline, [] { return absl::OkStatus(); }).ok());
  CHECK(breaker.snapshot(clock.now()).state == seawall::breaker_state::closed);
}

TEST_CASE("results need neither copies nor a default constructor") {
  struct only_moves {
    explicit only_moves(int v) : value(std::make_unique<int>(v)) {}
    std::unique_ptr<int> value;
  };
  virtual_clock clock;
  const auto pipeline = seawall::compose(seawall::retry(tries(2)));
  int calls = 0;
  CHECK(*run(clock, pipeline, seawall::idempotent([] { return only_moves(3); })).value == 3);
  const auto got = run(clock, pipeline, seawall::idempotent([&]() -> absl::StatusOr<only_moves> {
                         if (++calls == 1) return absl::UnavailableError("");
                         return only_moves(4);
                       }));
  CHECK(*got->value == 4);
}

TEST_CASE("operations may be lvalues, const, mutable, move-only, with or without an attempt") {
  const auto pipeline = seawall::compose(seawall::retry(tries(2)));
  int state = 0;
  auto counts = [state]() mutable { return ++state; };
  auto declared = seawall::idempotent(counts);
  CHECK(pipeline.run(declared) == 1);
  CHECK(pipeline.run(declared) == 2);
  const auto fixed = seawall::idempotent([] { return 5; });
  CHECK(pipeline.run(fixed) == 5);
  CHECK(pipeline.run(seawall::idempotent([p = std::make_unique<int>(6)] { return *p; })) == 6);
  CHECK(pipeline.run(seawall::idempotent([](seawall::attempt a) { return a.number(); })) == 1U);
}

TEST_CASE("idempotent_by: every attempt carries the key") {
  virtual_clock clock;
  std::string seen;
  run(clock, seawall::compose(seawall::retry(tries(3))),
      seawall::idempotent_by("order-7",
                             [&](seawall::attempt a) {
                               seen += std::string(a.idempotency_key()) + ";";
                               return absl::UnavailableError("");
                             }))
      .IgnoreError();
  CHECK(seen == "order-7;order-7;order-7;");
}

TEST_CASE(
    "classify: a pipeline's own reading, of results and of exceptions, with the default where it has none") {
  virtual_clock clock;
  int calls = 0;
  const auto not_found_is_transient =
      seawall::classify([](const absl::Status& s) -> std::optional<seawall::verdict> {
        if (s.code() == absl::StatusCode::kNotFound) return seawall::verdict::transient();
        return std::nullopt;
      });
  const auto statuses = seawall::compose(seawall::retry(tries(4)), not_found_is_transient);
  run(clock, statuses, seawall::idempotent([&] {
        return ++calls < 3 ? absl::NotFoundError("") : absl::InvalidArgumentError("");
      }))
      .IgnoreError();
  CHECK(calls == 3);

  calls = 0;
  const auto odd_is_bad = seawall::classify(
      [](const int& v) { return v % 2 == 0 ? seawall::verdict::ok() : seawall::verdict::transient(); });
  CHECK(run(clock, seawall::compose(seawall::retry(tries(4)), odd_is_bad),
            seawall::idempotent([&] { return ++calls; })) == 2);

  calls = 0;
  const auto all_final =
      seawall::classify([](const std::exception_ptr&) { return seawall::verdict::refused(); });
  const auto thrower = seawall::idempotent([&]() -> int {
    ++calls;
    throw std::runtime_error("");
  });
  CHECK_THROWS_AS(run(clock, seawall::compose(seawall::retry(tries(4)), all_final), thrower),
                  std::runtime_error);
  CHECK(calls == 1);
}

}  // namespace
