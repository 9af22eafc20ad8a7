// SPDX-License-Identifier: Apache-2.0
// What a handler brings along: its executor, its allocator, its cancellation slot.
#include <chrono>
#include <cstddef>
#include <memory>
#include <stop_token>
#include <utility>

#include "absl/status/status.h"
#include "seawall/attempt_timeout.hpp"
#include "seawall/retry.hpp"
#include "support/memory.hpp"
#include "support/net.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using seawall_test::answer;
using seawall_test::counting_allocator;
using seawall_test::held_attempts;
using seawall_test::memory_in_use;

const auto pipeline = seawall::compose(seawall::retry({.backoff = {.initial = 1us, .max = 1us}}),
                                       seawall::attempt_timeout({.after = 10s}));
const auto fine = seawall::idempotent([]() -> answer { return 7; });
const auto pauses = seawall::compose(seawall::retry({.backoff = {.initial = 1h, .max = 1h}}));
const auto fails = seawall::idempotent([]() -> answer { return absl::UnavailableError("down"); });

TEST_CASE("a handler is not called inside the initiating function, even where the call ends at once") {
  net::io_context io;
  const seawall::call_options expired{.deadline = seawall::instant()};
  for (int i = 0; i < 2; ++i) {
    bool called = false;
    net::post(io, [&] {
      const auto handler = [&](const answer&) { called = true; };
      i == 0 ? seawall::async_run(pipeline, io, fine, handler)
             : seawall::async_run(pipeline, expired, io, fine, handler);
      CHECK_FALSE(called);
    });
    io.restart();
    io.run();
    CHECK(called);
  }
}

TEST_CASE("a handler without an executor of its own is called on the executor given") {
  net::io_context io;
  const auto strand = net::make_strand(io);
  bool there = false;
  seawall::async_run(pipeline, strand, fine, [&](const answer&) { there = strand.running_in_this_thread(); });
  io.run();
  CHECK(there);
}

TEST_CASE("a handler is called on its associated executor, which runs until then") {
  net::io_context calls, handlers;
  bool called = false;
  const auto handler = [&](const answer&) {
    called = true;
    CHECK(handlers.get_executor().running_in_this_thread());
  };
  seawall::async_run(pipeline, calls, fine, net::bind_executor(handlers, handler));
  CHECK(handlers.poll() == 0);
  CHECK_FALSE(handlers.stopped());
  calls.run();
  CHECK_FALSE(called);
  handlers.run();
  CHECK(called);
}

TEST_CASE(
    "the state of a call comes from the handler's allocator, and is given back before the handler is called") {
  net::io_context io;
  memory_in_use memory;
  long in_use_in_handler = -1;
  const auto handler = [&](const answer&) { in_use_in_handler = memory.blocks; };
  seawall::async_run(pipeline, io, fine, net::bind_allocator(counting_allocator<std::byte>(memory), handler));
  CHECK(memory.blocks == 1);
  CHECK(memory.bytes > 500);
  io.run();
  CHECK(in_use_in_handler == 0);
  CHECK(memory.blocks == 0);
}

TEST_CASE("a cancellation slot stops a call in a pause, whatever the type") {
  for (const auto type :
       {net::cancellation_type::total, net::cancellation_type::partial, net::cancellation_type::terminal}) {
    net::io_context io;
    net::cancellation_signal signal;
    answer got = 0;
    const auto handler = [&](answer a) { got = std::move(a); };
    seawall::async_run(pauses, io, fails, net::bind_cancellation_slot(signal.slot(), handler));
    io.poll();
    CHECK(got.ok());
    signal.emit(net::cancellation_type::none);
    io.poll();
    CHECK(got.ok());
    signal.emit(type);
    io.run();
    CHECK(got.status().code() == absl::StatusCode::kCancelled);
    signal.emit(type);  // nobody is there any more
  }
}

TEST_CASE("a cancellation slot gives up the attempt under way, which sees its stop token fire") {
  net::io_context io;
  net::cancellation_signal signal;
  std::stop_token token;
  held_attempts held;
  const auto op =
      seawall::idempotent([&, hold = held.operation()](seawall::attempt a, seawall::completion<answer> done) {
        token = a.stop_token();
        hold(std::move(done));
      });
  bool called = false;
  const auto handler = [&](const answer& a) {
    called = true;
    CHECK(a.status().code() == absl::StatusCode::kCancelled);
  };
  seawall::async_run(pipeline, io, op, net::bind_cancellation_slot(signal.slot(), handler));
  CHECK_FALSE(token.stop_requested());
  signal.emit(net::cancellation_type::terminal);
  io.run();
  CHECK(called);
  CHECK(token.stop_requested());
}

TEST_CASE("the caller's own stop token works beside a cancellation slot") {
  net::io_context io;
  net::cancellation_signal signal;
  std::stop_source caller;
  answer got = 0;
  seawall::async_run(pauses, {.stop = caller.get_token()}, io, fails,
                     net::bind_cancellation_slot(signal.slot(), [&](answer a) { got = std::move(a); }));
  io.poll();
  CHECK(got.ok());
  caller.request_stop();
  io.run();
  CHECK(got.status().code() == absl::StatusCode::kCancelled);
}

TEST_CASE(
    "a slot that nobody connected costs no allocation, one that is connected leaves the handler's allocator alone") {
  net::io_context io;
  memory_in_use memory;
  const auto handler = net::bind_allocator(counting_allocator<std::byte>(memory), [](const answer&) {});
  seawall::async_run(pipeline, io, fine, net::bind_cancellation_slot(net::cancellation_slot(), handler));
  CHECK(memory.made == 1);
  io.run();
}

TEST_CASE("what a handler throws comes out of run(), and the context is in order") {
  net::io_context io;
  seawall::async_run(pipeline, io, fine, [](const answer&) { throw 42; });
  bool other = false;
  seawall::async_run(pipeline, io, fine, [&](const answer&) { other = true; });
  CHECK_THROWS_AS(io.run(), int);
  io.run();
  CHECK(other);
}

TEST_CASE("a handler or operation that is an lvalue is copied, not moved from") {
  net::io_context io;
  const auto shared = std::make_shared<int>(7);
  auto op = seawall::idempotent([p = shared]() -> answer { return *p; });
  int called = 0;
  auto handler = [&called, p = shared](const answer& a) { called += *a == *p ? 1 : 0; };
  for (int i = 0; i < 2; ++i) seawall::async_run(pipeline, io, op, handler);
  io.run();
  CHECK(called == 2);
}

TEST_CASE("move-only handlers, move-only operations") {
  net::io_context io;
  int got = 0;
  seawall::async_run(pipeline, io,
                     seawall::idempotent([p = std::make_unique<int>(7)]() -> answer { return *p; }),
                     [&, p = std::make_unique<int>(1)](const answer& a) { got = *a + *p; });
  io.run();
  CHECK(got == 8);
}

}  // namespace
