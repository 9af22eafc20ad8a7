// SPDX-License-Identifier: Apache-2.0
#include "seawall/testing/async_script.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <stop_token>

#include "absl/status/statusor.h"
#include "seawall/attempt_timeout.hpp"
#include "seawall/deadline.hpp"
#include "seawall/exec/async.hpp"
#include "seawall/exec/pool.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include "seawall/status.hpp"
#include "seawall/testing/virtual_scheduler.hpp"
#include <doctest/doctest.h>

using namespace std::chrono_literals;
using seawall::duration;
using seawall::instant;
using seawall::testing::scripted_async;
using seawall::testing::virtual_scheduler;
using seawall::testing::when_given_up;
using answer_type = absl::StatusOr<int>;

namespace {

struct told {
  std::optional<answer_type> answer;
  duration at;
};

template <class Pipeline, class Op>
told run_to_the_end(virtual_scheduler& loop, const Pipeline& p, const seawall::call_options& options, Op op) {
  told t;
  p.start(options, loop, seawall::idempotent(op), [&](answer_type a) { t = {std::move(a), loop.elapsed()}; });
  loop.run();
  return t;
}

// Both kinds of operation, for every case below.
template <class Case>
void in_both_kinds(Case test) {
  SUBCASE("awaited") {
    test([](auto& script) { return std::ref(script); });
  }
  SUBCASE("calling back") {
    test([](auto& script) { return script.calling_back(); });
  }
}

const auto retrying = [] {
  return seawall::compose(seawall::retry({.backoff = {.initial = 50ms, .jitter = seawall::jitter::none}}),
                          seawall::attempt_timeout({.after = 200ms}));
};

}  // namespace

TEST_CASE("scripted_async: steps are taken in order and take their time") {
  in_both_kinds([](auto kind) {
    virtual_scheduler loop;
    scripted_async<int> server(loop, "fail after 10ms, ok after 30ms", 42);
    const auto p = retrying();
    const told t = run_to_the_end(loop, p, {}, kind(server));
    CHECK(*t.answer.value() == 42);
    CHECK(t.at == 10ms + 50ms + 30ms);
    CHECK(server.calls() == 2);
    CHECK(server.under_way() == 0);
    CHECK(server.stopped() == 0);
  });
}

TEST_CASE("scripted_async: the driver gives up on a hanging attempt before a client would have") {
  in_both_kinds([](auto kind) {
    virtual_scheduler loop;
    scripted_async<int> server(loop, "hang", 42);
    const auto p = seawall::compose(seawall::attempt_timeout({.after = 200ms}));
    const told t = run_to_the_end(loop, p, {}, kind(server));
    CHECK(t.at == 200ms);
    CHECK(seawall::rejection_of(t.answer->status())->why == seawall::reason::timed_out);
    CHECK(server.stopped() == 1);
    CHECK(server.under_way() == 0);
  });
}

TEST_CASE("scripted_async: an answer that would come after the deadline hangs") {
  in_both_kinds([](auto kind) {
    virtual_scheduler loop;
    scripted_async<int> server(loop, "ok after 201ms", 42);
    const auto p = seawall::compose(seawall::attempt_timeout({.after = 200ms}));
    CHECK(run_to_the_end(loop, p, {}, kind(server)).at == 200ms);
    CHECK(loop.elapsed() == 200ms);
    CHECK(server.stopped() == 1);
  });
}

TEST_CASE("scripted_async: where nobody gives up, it hangs until its deadline and says so") {
  in_both_kinds([](auto kind) {
    virtual_scheduler loop;
    scripted_async<int> server(loop, "hang", 42);
    const auto p = seawall::compose(seawall::retry({.max_attempts = 1}));
    const told t = run_to_the_end(loop, p, {.deadline = instant() + 1s}, kind(server));
    CHECK(t.at == 1s);
    CHECK(t.answer->status().code() == absl::StatusCode::kDeadlineExceeded);
    CHECK_FALSE(seawall::rejection_of(t.answer->status()));
    CHECK(server.stopped() == 0);
  });
}

TEST_CASE("scripted_async: a patient one waits for longer to be given up") {
  virtual_scheduler loop;
  scripted_async<int> server(loop, "hang", 42, {.patience = 20ms});
  const auto p = seawall::compose(seawall::retry({.max_attempts = 1}));
  CHECK(run_to_the_end(loop, p, {.deadline = instant() + 1s}, std::ref(server)).at == 1s + 20ms);
}

TEST_CASE("scripted_async: a hanging attempt without a deadline ends with the caller") {
  in_both_kinds([](auto kind) {
    virtual_scheduler loop;
    scripted_async<int> server(loop, "hang", 42);
    const auto p = seawall::compose(seawall::retry({}));
    std::stop_source caller;
    std::optional<answer_type> answer;
    p.start({.stop = caller.get_token()}, loop, seawall::idempotent(kind(server)),
            [&](answer_type a) { answer = std::move(a); });
    loop.run();
    CHECK_FALSE(answer);
    CHECK(server.under_way() == 1);
    caller.request_stop();
    loop.run();
    CHECK(answer->status().code() == absl::StatusCode::kCancelled);
    CHECK(server.under_way() == 0);
  });
}

TEST_CASE("scripted_async: a late loser answers when it would have, and nobody hears it") {
  in_both_kinds([](auto kind) {
    virtual_scheduler loop;
    scripted_async<int> server(loop, "ok after 300ms, ok after 10ms", 42,
                               {.given_up = when_given_up::answers_late});
    const auto p = retrying();
    const told t = run_to_the_end(loop, p, {}, kind(server));
    CHECK(*t.answer.value() == 42);
    CHECK(t.at == 200ms + 50ms + 10ms);
    CHECK(loop.elapsed() == 300ms);
    CHECK(server.stopped() == 0);
    CHECK(server.under_way() == 0);
  });
}

TEST_CASE(
    "scripted_async: a late loser that hangs ends at its deadline, or with its attempt if it has none") {
  in_both_kinds([](auto kind) {
    virtual_scheduler loop;
    scripted_async<int> server(loop, "hang", 42, {.given_up = when_given_up::answers_late});
    std::stop_source caller;
    const auto p = seawall::compose(seawall::attempt_timeout({.after = 200ms}));
    told t;
    p.start({.stop = caller.get_token()}, loop, seawall::idempotent(kind(server)), [&](answer_type a) {
      t = {std::move(a), loop.elapsed()};
    });
    loop.run_until(instant() + 100ms);
    caller.request_stop();
    loop.run();
    CHECK(t.at == 100ms);
    CHECK(loop.elapsed() == 200ms);
    CHECK(server.under_way() == 0);

    const auto unbounded = seawall::compose(seawall::retry({}));
    std::stop_source other;
    unbounded.start({.stop = other.get_token()}, loop, seawall::idempotent(kind(server)), [&](answer_type a) {
      t = {std::move(a), loop.elapsed()};
    });
    loop.run();
    other.request_stop();
    loop.run();
    CHECK(server.under_way() == 0);
  });
}

TEST_CASE("scripted_async: what takes no time answers from inside the call") {
  in_both_kinds([](auto kind) {
    virtual_scheduler loop;
    scripted_async<int> server(loop, "ok", 42);
    const auto p = seawall::compose(seawall::deadline({.after = 1s}));
    CHECK(*run_to_the_end(loop, p, {}, kind(server)).answer.value() == 42);
    CHECK(loop.elapsed() == 0s);
  });
}

TEST_CASE("scripted_async: pushback is part of the answer") {
  in_both_kinds([](auto kind) {
    virtual_scheduler loop;
    scripted_async<int> server(loop, "resource_exhausted retry-after 2s, ok", 42);
    const auto p = retrying();
    CHECK(run_to_the_end(loop, p, {}, kind(server)).at == 2s);
  });
}

TEST_CASE("scripted_async: phases count from the making of the operation") {
  virtual_scheduler loop;
  loop.run_until(instant() + 1h);
  scripted_async<int> server(loop, "until 1min: fail; ok", 42);
  const auto p = seawall::compose(seawall::deadline({.after = 1s}));
  CHECK_FALSE(run_to_the_end(loop, p, {}, std::ref(server)).answer->ok());
  loop.run_for(1min);
  CHECK(run_to_the_end(loop, p, {}, std::ref(server)).answer->ok());
}

TEST_CASE("scripted_async: a scheduler that goes ends the attempts under way") {
  in_both_kinds([](auto kind) {
    std::optional<scripted_async<int>> server;
    bool told_anything = false;
    const auto p = seawall::compose(seawall::deadline({.after = 1s}));
    {
      virtual_scheduler loop;
      server.emplace(loop, "ok after 10ms", 42);
      p.start(loop, seawall::idempotent(kind(*server)), [&](answer_type) { told_anything = true; });
    }
    CHECK(server->under_way() == 0);
    CHECK_FALSE(told_anything);
  });
}

#if defined(__cpp_exceptions)
TEST_CASE("scripted_async: a bad script is refused when it is made") {
  virtual_scheduler loop;
  CHECK_THROWS_AS((scripted_async<int>(loop, "sometimes", 42)), std::invalid_argument);
}
#endif
