// SPDX-License-Identifier: Apache-2.0
#include "seawall/expected.hpp"

#include <chrono>
#include <string>

#include "seawall/seawall.hpp"
#include "seawall/testing/virtual_clock.hpp"
#include <doctest/doctest.h>

#if defined(__cpp_lib_expected)

#include <expected>

namespace {

// An error that can be made from a rejection, and one with traits of its own.
struct from_rejection {
  std::string text;
  explicit from_rejection(std::string t) : text(std::move(t)) {}
  explicit from_rejection(const seawall::rejection& r) : text(seawall::describe(r)) {}
};
enum class errc { busy, missing, rejected };

}  // namespace

template <>
struct seawall::error_traits<errc> {
  static verdict classify(errc e) { return e == errc::busy ? verdict::transient() : verdict::refused(); }
  static errc reject(const rejection&) { return errc::rejected; }
};

namespace {

using namespace std::chrono_literals;
using seawall::testing::virtual_clock;

const auto twice = seawall::retry({.max_attempts = 2, .backoff = {.initial = 0ms, .max = 0ms}});

template <class R>
R rejected() {
  seawall::circuit_breaker breaker({.name = "b"});
  breaker.isolate();
  return seawall::compose(seawall::breaker(breaker)).run([]() -> R { return {}; });
}

TEST_CASE("expected: an error with traits of its own decides what is tried again") {
  virtual_clock clock;
  int calls = 0;
  const auto fails_with = [&](errc e) {
    calls = 0;
    return seawall::idempotent(
        [&calls, e]() -> std::expected<int, errc> { return ++calls, std::unexpected(e); });
  };
  CHECK(run(clock, seawall::compose(twice), fails_with(errc::busy)).error() == errc::busy);
  CHECK(calls == 2);
  CHECK(run(clock, seawall::compose(twice), fails_with(errc::missing)).error() == errc::missing);
  CHECK(calls == 1);
  CHECK(rejected<std::expected<int, errc>>().error() == errc::rejected);
}

TEST_CASE("expected: void, text, statuses and errors made from rejections") {
  CHECK(rejected<std::expected<void, std::string>>().error() == "circuit_breaker 'b' is isolated");
  CHECK(rejected<std::expected<int, from_rejection>>().error().text == "circuit_breaker 'b' is isolated");
  CHECK(rejected<std::expected<int, absl::Status>>().error().code() == absl::StatusCode::kUnavailable);
  virtual_clock clock;
  const auto got =
      run(clock, seawall::compose(twice), seawall::idempotent([]() -> std::expected<int, std::string> {
            return std::unexpected<std::string>("down");
          }));
  CHECK(got.error() == "retry gave up after 2 attempts in 0s: down");
}

TEST_CASE("expected: a fallback is told the error") {
  const auto pipeline = seawall::compose(seawall::fallback([](errc e) { return e == errc::busy ? 9 : 0; }));
  CHECK(*pipeline.run([]() -> std::expected<int, errc> { return std::unexpected(errc::busy); }) == 9);
}

}  // namespace

#else
TEST_CASE("expected: this standard library has none, and the header says nothing") { CHECK(true); }
#endif
