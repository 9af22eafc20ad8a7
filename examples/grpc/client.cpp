// SPDX-License-Identifier: Apache-2.0

//   start, async --> [ deadline ] --> [ retry ] --> [ attempt_timeout ] --> gRPC's callback API --> quotes_server,
//                    [ deadline ] --> [ hedge ] ----------------------->                            another process
//
//     <-- UNAVAILABLE, RESOURCE_EXHAUSTED, grpc-retry-pushback-ms: when to come back, if at all
//     --> grpc-timeout: what is left of the deadline; TryCancel: nobody waits any more
//
// What a server says becomes what the policies do, and what they decide is told to the server. Each line asks the server to
// behave in one way, and says what came of it on both sides.

#include <chrono>
#include <coroutine>
#include <future>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include "quotes.grpc.pb.h"
#include "seawall/adapt/grpc.hpp"
#include "seawall/exec/pool.hpp"
#include "seawall/format.hpp"
#include "seawall/seawall.hpp"
#include "server_process.hpp"
#include <grpcpp/create_channel.h>

using namespace std::chrono_literals;
using async_quotes = quotes::Quotes::StubInterface::async_interface;

namespace {

struct answer {
  absl::StatusOr<quotes::Quote> quote = absl::UnknownError("");
  seawall::call_report report = {};

  bool failed(absl::StatusCode code) const { return quote.status().code() == code; }
};

/// A coroutine that nobody waits for.
struct detached {
  struct promise_type {
    detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

quotes::QuoteRequest request(std::string scenario, quotes::Behaviour behaviour) {
  quotes::QuoteRequest r;
  r.set_pair("EURUSD");
  r.set_scenario(std::move(scenario));
  *r.mutable_behaviour() = std::move(behaviour);
  return r;
}

quotes::Behaviour fails(int times, std::string pushback_ms = {}) {
  quotes::Behaviour b;
  b.set_fail_times(times);
  b.set_code(grpc::StatusCode::UNAVAILABLE);
  b.set_message("restarting");
  b.set_pushback_ms(std::move(pushback_ms));
  return b;
}

const auto pipeline =
    seawall::compose(seawall::deadline({.after = 5s}),
                     seawall::retry({.backoff = {.initial = 1ms, .max = 2ms}, .attempt_needs = 50ms}),
                     seawall::attempt_timeout({.after = 1s}));
const auto hedged = seawall::compose(seawall::deadline({.after = 5s}), seawall::hedge({.after = 50ms}));

class client {
 public:
  explicit client(const std::string& address)
      : stub_(quotes::Quotes::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()))) {}

  // Reading a quote is idempotent. The key is for the server's log.
  auto get(quotes::QuoteRequest r) {
    return seawall::idempotent_by(
        "quote-4711", seawall::grpc_call(stub_->async(), &async_quotes::Get, std::move(r),
                                         [](grpc::ClientContext& c, const seawall::attempt& a) {
                                           c.AddMetadata("idempotency-key", std::string(a.idempotency_key()));
                                         }));
  }

  template <class Pipeline>
  std::future<answer> start(quotes::QuoteRequest r, const Pipeline& how, seawall::call_options options) {
    struct waiting {
      std::promise<answer> promise;
      answer result;
    };
    auto w = std::make_shared<waiting>();
    options.report = &w->result.report;
    how.start(options, pool_, get(std::move(r)), [w](absl::StatusOr<quotes::Quote> quote) {
      w->result.quote = std::move(quote);
      w->promise.set_value(std::move(w->result));
    });
    return w->promise.get_future();
  }
  std::future<answer> start(quotes::QuoteRequest r, const seawall::call_options& options = {}) {
    return start(std::move(r), pipeline, options);
  }
  answer ask(quotes::QuoteRequest r, const seawall::call_options& options = {}) {
    return start(std::move(r), options).get();
  }

  answer ask_hedged(quotes::QuoteRequest r) { return start(std::move(r), hedged, {}).get(); }

  std::future<answer> await(quotes::QuoteRequest r) {
    std::promise<answer> promise;
    std::future<answer> result = promise.get_future();
    await_into(std::move(promise), std::move(r));
    return result;
  }

  // Blocking, on this thread: what the adapter's parts are for.
  quotes::Counts count(const std::string& scenario) {
    quotes::CountRequest r;
    r.set_scenario(scenario);
    quotes::Counts counts;
    const absl::Status s = pipeline.run(seawall::idempotent([&](const seawall::attempt& a) {
      grpc::ClientContext context;
      if (!seawall::set_deadline(context, a)) return absl::DeadlineExceededError("no time left");
      return seawall::from_grpc(stub_->Count(&context, r, &counts), context);
    }));
    return s.ok() ? counts : quotes::Counts();
  }
  /// The server learns of a cancellation a little later.
  quotes::Counts count_until(const std::string& scenario, int requests, int cancelled) {
    quotes::Counts c = count(scenario);
    for (int i = 0; i < 500 && (c.requests() < requests || c.cancelled() < cancelled); ++i) {
      std::this_thread::sleep_for(10ms);
      c = count(scenario);
    }
    return c;
  }

 private:
  detached await_into(std::promise<answer> promise, quotes::QuoteRequest r) {
    answer a;
    a.quote = co_await pipeline.async({.report = &a.report}, pool_, get(std::move(r)));
    promise.set_value(std::move(a));
  }

  std::unique_ptr<quotes::Quotes::Stub> stub_;
  seawall::pool_scheduler pool_{{.name = "quotes", .threads = 2}};
};

class table {
 public:
  table() {
    fmt::print("{:<26} {:<19} {:>8} {:>8}   {:>8} {:>9}\n", "the server", "the caller gets", "attempts",
               "after", "requests", "cancelled");
  }

  void row(const std::string& scenario, const answer& a, const quotes::Counts& c, bool as_claimed) {
    fmt::print("{:<26} {:<19} {:>8} {:>6}ms   {:>8} {:>9}{}\n", scenario,
               a.quote.ok() ? "1.0842" : absl::StatusCodeToString(a.quote.status().code()), a.report.attempts,
               a.report.elapsed.ns() / 1'000'000, c.requests(), c.cancelled(),
               as_claimed ? "" : "   NOT AS CLAIMED");
    as_claimed_ = as_claimed_ && as_claimed;
  }
  bool as_claimed() const { return as_claimed_; }

 private:
  bool as_claimed_ = true;
};

void fail(client& c, table& t) {
  {
    const answer a = c.ask(request("fails twice", fails(2)));
    const quotes::Counts n = c.count("fails twice");
    t.row("fails twice", a, n, a.quote.ok() && a.report.attempts == 3 && n.requests() == 3);
  }
  {
    const answer a = c.ask(request("pushback 100", fails(1, "100")));
    t.row("pushback 100", a, c.count("pushback 100"), a.quote.ok() && a.report.elapsed >= 100ms);
  }
  for (const std::string pushback : {"-1", "soon"}) {
    const answer a = c.ask(request("pushback " + pushback, fails(1, pushback)));
    const quotes::Counts n = c.count("pushback " + pushback);
    t.row("pushback " + pushback, a, n, a.failed(absl::StatusCode::kUnavailable) && n.requests() == 1);
  }
  {
    quotes::Behaviour busy;
    busy.set_busy_times(1);
    busy.set_busy_ms(50);
    const answer a = c.ask(request("database busy for 50 ms", busy));
    t.row("database busy for 50 ms", a, c.count("database busy for 50 ms"),
          a.quote.ok() && a.report.attempts == 2 && a.report.elapsed >= 50ms);
  }
}

void hang(client& c, table& t) {
  quotes::Behaviour hangs;
  hangs.set_hang_times(1);
  {
    const answer a = c.ask(request("hangs once", hangs));
    const quotes::Counts n = c.count_until("hangs once", 2, 1);
    t.row("hangs once", a, n, a.quote.ok() && a.report.attempts == 2 && n.cancelled() == 1);
  }
  {
    const answer a = c.ask_hedged(request("hangs once, hedged", hangs));
    const quotes::Counts n = c.count_until("hangs once, hedged", 2, 1);
    t.row("hangs once, hedged", a, n, a.quote.ok() && a.quote->request() == 2 && n.cancelled() == 1);
  }
  {
    std::stop_source leaving;
    std::future<answer> pending =
        c.start(request("hangs, caller leaves", hangs), {.stop = leaving.get_token()});
    c.count_until("hangs, caller leaves", 1, 0);
    leaving.request_stop();
    const answer a = pending.get();
    const quotes::Counts n = c.count_until("hangs, caller leaves", 1, 1);
    t.row("hangs, caller leaves", a, n, a.failed(absl::StatusCode::kCancelled) && n.cancelled() == 1);
  }
  {
    quotes::Behaviour slow;
    slow.set_work_ms(10'000);
    const answer a =
        c.ask(request("slow, 300 ms left", slow), {.deadline = seawall::steady_clock::now() + 300ms});
    const quotes::Counts n = c.count_until("slow, 300 ms left", 1, 1);
    t.row("slow, 300 ms left", a, n,
          a.failed(absl::StatusCode::kDeadlineExceeded) && a.report.elapsed < 5s && n.cancelled() == 1);
  }
  {
    const answer a = c.ask(request("1 ms left", {}), {.deadline = seawall::steady_clock::now() + 1ms});
    const quotes::Counts n = c.count("1 ms left");
    t.row("1 ms left", a, n, a.failed(absl::StatusCode::kDeadlineExceeded) && n.requests() == 0);
  }
}

void await(client& c, table& t) {
  const answer a = c.await(request("awaited", fails(1))).get();
  const bool handed_on = a.quote.ok() && a.quote->idempotency_key() == "quote-4711" &&
                         a.quote->time_left_us() <= 1'000'000 &&
                         a.quote->database_left_us() <= a.quote->time_left_us() - 5'000;
  t.row("awaited", a, c.count("awaited"), handed_on);
  if (a.quote.ok()) {
    fmt::print("\nan attempt has 1s; the server sees {} us of it, its database {} us\n",
               a.quote->time_left_us(), a.quote->database_left_us());
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string here = argv[0];
  const server_process server(argc > 1 ? argv[1] : here.substr(0, here.rfind('/') + 1) + "quotes_server");
  client c(server.address());
  table t;
  fail(c, t);
  hang(c, t);
  await(c, t);
  return t.as_claimed() ? 0 : 1;
}
