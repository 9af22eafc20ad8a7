// SPDX-License-Identifier: Apache-2.0
#include "seawall/exec/sleep.hpp"

#include <atomic>
#include <chrono>
#include <coroutine>
#include <exception>
#include <functional>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>

#include "seawall/exec/pool.hpp"
#include "seawall/testing/virtual_scheduler.hpp"
#include "seawall/time.hpp"
#include <doctest/doctest.h>

using namespace std::chrono_literals;
using seawall::duration;
using seawall::instant;
using seawall::testing::virtual_scheduler;

namespace {

/// A coroutine that runs at once, and is destroyed with this if it has not ended.
class running {
 public:
  struct promise_type {
    running get_return_object() { return running(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
  running(running&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  running& operator=(running&&) = delete;
  ~running() {
    if (handle_) handle_.destroy();
  }

 private:
  explicit running(std::coroutine_handle<promise_type> h) noexcept : handle_(h) {}
  std::coroutine_handle<promise_type> handle_;
};

/// What a sleep says, and when.
struct woken {
  std::optional<bool> in_time;
  duration at;
};
running sleeper(virtual_scheduler& loop, instant until, std::stop_token stop, woken& w) {
  const bool in_time = co_await seawall::sleep_until(loop, until, std::move(stop));
  w = {in_time, loop.elapsed()};
}

}  // namespace

TEST_CASE("sleep: wakes when the time has come, not before") {
  virtual_scheduler loop;
  woken w;
  const running r = sleeper(loop, instant() + 10ms, {}, w);
  loop.run_until(instant() + 9ms);
  CHECK_FALSE(w.in_time);
  loop.run();
  CHECK(*w.in_time);
  CHECK(w.at == 10ms);
}

TEST_CASE("sleep_for: counts from when it is called") {
  virtual_scheduler loop;
  loop.run_until(instant() + 1s);
  bool in_time = false;
  const auto nap = [&]() -> running { in_time = co_await seawall::sleep_for(loop, 10ms); };
  const running r = nap();
  loop.run();
  CHECK(in_time);
  CHECK(loop.elapsed() == 1s + 10ms);
}

TEST_CASE("sleep: a stop token wakes it at once, and leaves no timer") {
  virtual_scheduler loop;
  woken w;
  std::stop_source stop;
  const running r = sleeper(loop, instant() + 10ms, stop.get_token(), w);
  loop.run_until(instant() + 4ms);
  stop.request_stop();
  CHECK_FALSE(w.in_time.value());
  CHECK(w.at == 4ms);
  CHECK_FALSE(loop.run_one());
}

TEST_CASE("sleep: a token that has fired already, and one that fires when it is over") {
  virtual_scheduler loop;
  woken w;
  std::stop_source fired;
  fired.request_stop();
  const running at_once = sleeper(loop, instant() + 10ms, fired.get_token(), w);
  CHECK_FALSE(w.in_time.value());
  CHECK_FALSE(loop.run_one());

  std::stop_source late;
  const running in_time = sleeper(loop, instant() + 10ms, late.get_token(), w);
  loop.run();
  late.request_stop();
  CHECK(w.in_time.value());
}

TEST_CASE("sleep: never() ends with the token alone") {
  virtual_scheduler loop;
  woken w;
  std::stop_source stop;
  const running r = sleeper(loop, instant::never(), stop.get_token(), w);
  CHECK_FALSE(loop.run_one());
  stop.request_stop();
  CHECK_FALSE(w.in_time.value());
}

TEST_CASE("sleep: a coroutine that is destroyed while it sleeps leaves no timer") {
  virtual_scheduler loop;
  woken w;
  std::stop_source stop;
  { const running r = sleeper(loop, instant() + 10ms, stop.get_token(), w); }
  CHECK_FALSE(loop.run_one());
  stop.request_stop();
  CHECK_FALSE(w.in_time);
}

TEST_CASE("sleep: a scheduler that goes wakes what sleeps") {
  std::optional<virtual_scheduler> loop(std::in_place);
  woken w;
  const running r = sleeper(*loop, instant() + 10ms, {}, w);
  loop.reset();
  CHECK_FALSE(w.in_time.value());
}

TEST_CASE("sleep: timer and token of two threads end one sleep once") {
  seawall::pool_scheduler pool({.threads = 2});
  for (int i = 0; i < 2'000; ++i) {
    std::stop_source stop;
    std::atomic<int> ends{0};
    const auto nap = [&]() -> running {
      co_await seawall::sleep_for(pool, std::chrono::microseconds(i % 50), stop.get_token());
      ends.fetch_add(1);
      ends.notify_one();
    };
    const running r = nap();
    stop.request_stop();
    ends.wait(0);
    // The coroutine suspends for the last time after that.
    while (pool.snapshot().busy != 0) std::this_thread::yield();
    REQUIRE(ends.load() == 1);
  }
}
