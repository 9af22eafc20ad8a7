// SPDX-License-Identifier: Apache-2.0
// Calls over real connections to the service of examples/grpc. What waits here waits for something to happen, not for time
// to pass; the generous bounds are for machines that are busy.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "quotes.grpc.pb.h"
#include "quotes_service.hpp"
#include "seawall/adapt/grpc.hpp"
#include "seawall/attempt_timeout.hpp"
#include "seawall/deadline.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/exec/pool.hpp"
#include "seawall/hedge.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include <doctest/doctest.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

namespace {

using namespace std::chrono_literals;
using quotes::Behaviour;
using quotes::Counts;
using quotes::Quote;
using quotes::QuoteRequest;
using seawall::duration;
using async_quotes = quotes::Quotes::StubInterface::async_interface;
using answer = absl::StatusOr<Quote>;

QuoteRequest request_for(const std::string& scenario, const Behaviour& behaviour = {}) {
  QuoteRequest r;
  r.set_scenario(scenario);
  *r.mutable_behaviour() = behaviour;
  return r;
}

/// The service on a free port of this process, and a stub for it.
class running_service {
 public:
  running_service() {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    REQUIRE(port != 0);
    stub_ = quotes::Quotes::NewStub(
        grpc::CreateChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials()));
  }
  ~running_service() { server_->Shutdown(std::chrono::system_clock::now()); }

  quotes::Quotes::Stub& stub() { return *stub_; }
  auto get(const QuoteRequest& r) { return seawall::grpc_call(stub_->async(), &async_quotes::Get, r); }

  Counts count(const std::string& scenario) {
    quotes::CountRequest r;
    r.set_scenario(scenario);
    Counts c;
    grpc::ClientContext context;
    CHECK(stub_->Count(&context, r, &c).ok());
    return c;
  }
  bool counts(const std::string& scenario, int requests, int cancelled) {
    for (int i = 0; i < 3000; ++i) {
      const Counts c = count(scenario);
      if (c.requests() >= requests && c.cancelled() >= cancelled) {
        return c.requests() == requests && c.cancelled() == cancelled;
      }
      std::this_thread::sleep_for(5ms);
    }
    return false;
  }

 private:
  quotes::service service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<quotes::Quotes::Stub> stub_;
};

template <class Pipeline, class Op>
std::future<answer> start(const Pipeline& p, seawall::pool_scheduler& pool, Op op,
                          const seawall::call_options& options = {}) {
  auto promise = std::make_shared<std::promise<answer>>();
  p.start(options, pool, std::move(op), [promise](answer a) { promise->set_value(std::move(a)); });
  return promise->get_future();
}

template <class Pipeline, class Op>
answer ask(const Pipeline& p, seawall::pool_scheduler& pool, Op op,
           const seawall::call_options& options = {}) {
  return start(p, pool, std::move(op), options).get();
}

Behaviour fails(int times, grpc::StatusCode code, const std::string& pushback = {}) {
  Behaviour b;
  b.set_fail_times(times);
  b.set_code(code);
  b.set_message("as asked");
  b.set_pushback_ms(pushback);
  return b;
}

Behaviour hangs(int times) {
  Behaviour b;
  b.set_hang_times(times);
  return b;
}

const auto three_tries = seawall::compose(seawall::retry({.backoff = {.initial = 1ms, .max = 1ms}}));

TEST_CASE("every code that a server sends arrives with its message and details") {
  running_service service;
  seawall::pool_scheduler pool({.threads = 1});
  const auto once = seawall::compose(seawall::deadline({.after = 30s}));
  for (int code = 1; code <= 16; ++code) {
    CAPTURE(code);
    const answer a = ask(once, pool,
                         service.get(request_for("code " + std::to_string(code),
                                                 fails(1, static_cast<grpc::StatusCode>(code)))));
    CHECK(static_cast<int>(a.status().code()) == code);
    CHECK(a.status().message() == "as asked");
    CHECK(seawall::to_grpc(a.status()).error_details() == "details of as asked");
    CHECK(seawall::classify(a.status()) == seawall::classify(static_cast<absl::StatusCode>(code)));
  }
}

TEST_CASE("pushback on the wire: a pause is kept, a wish not to be asked again is heeded") {
  running_service service;
  seawall::pool_scheduler pool({.threads = 1});
  const auto ask_for = [&](const std::string& scenario, const std::string& pushback) {
    seawall::call_report report;
    const answer a = ask(
        three_tries, pool,
        seawall::idempotent(service.get(request_for(scenario, fails(1, grpc::RESOURCE_EXHAUSTED, pushback)))),
        {.report = &report});
    CHECK(a.ok() == (report.attempts == 2));
    return report;
  };
  CHECK(ask_for("pause", "150").elapsed >= duration(150ms));
  CHECK(ask_for("zero", "0").attempts == 2);
  CHECK(ask_for("never", "-1").attempts == 1);
  CHECK(ask_for("malformed", "soon").attempts == 1);
  CHECK(ask_for("too long", "3600000").gave_up == seawall::give_up::pushback);
}

TEST_CASE("a pause that the server's own pipeline asks for reaches the client") {
  running_service service;
  seawall::pool_scheduler pool({.threads = 1});
  Behaviour busy;
  busy.set_busy_times(1);
  busy.set_busy_ms(120);
  seawall::call_report report;
  const answer a = ask(three_tries, pool, seawall::idempotent(service.get(request_for("busy", busy))),
                       {.report = &report});
  CHECK(a.ok());
  CHECK(report.attempts == 2);
  CHECK(report.elapsed >= duration(120ms));
}

TEST_CASE("a server never sees more time than its caller has, and hands on less") {
  running_service service;
  seawall::pool_scheduler pool({.threads = 1});
  const auto unbounded = seawall::compose(seawall::retry({}));
  // On both sides of the steps in which gRPC writes time-outs.
  for (const duration left : std::vector<duration>{200ms, 999ms, 1s, 1001ms, 1234567us, 9999ms, 12345678us,
                                                   99s, 101s, 1001s, 2h, 3000h}) {
    CAPTURE(left.seconds());
    const answer a = ask(unbounded, pool, seawall::idempotent(service.get(request_for("left"))),
                         {.deadline = seawall::steady_clock::now() + left});
    REQUIRE(a.ok());
    CHECK(a->time_left_us() <= left.ns() / 1000);
    CHECK(a->time_left_us() > 0);
    CHECK(a->database_left_us() <= std::min<std::int64_t>(a->time_left_us() - 5000, 10'000'000));
  }
}

TEST_CASE("without a deadline the server sees none") {
  running_service service;
  seawall::pool_scheduler pool({.threads = 1});
  const answer a = ask(three_tries, pool, seawall::idempotent(service.get(request_for("none"))));
  REQUIRE(a.ok());
  CHECK(a->time_left_us() == -1);
}

TEST_CASE("a call whose time is over sends nothing, before the first attempt or at it") {
  running_service service;
  seawall::pool_scheduler pool({.threads = 1});
  const auto now = [] { return seawall::steady_clock::now(); };
  const auto op = [&] { return seawall::idempotent(service.get(request_for("expired"))); };
  CHECK(absl::IsDeadlineExceeded(ask(three_tries, pool, op(), {.deadline = now()}).status()));
  // Less than gRPC can say.
  const answer a = ask(three_tries, pool, op(), {.deadline = now() + 1500us});
  CHECK(absl::IsDeadlineExceeded(a.status()));
  CHECK(seawall::classify(a.status()) == seawall::verdict::cancelled());
  CHECK(service.count("expired").requests() == 0);
}

TEST_CASE("an attempt that times out is cancelled at the server, and another is made") {
  running_service service;
  seawall::pool_scheduler pool({.threads = 1});
  const auto impatient = seawall::compose(seawall::retry({.backoff = {.initial = 1ms, .max = 1ms}}),
                                          seawall::attempt_timeout({.after = 1s}));
  const answer a = ask(impatient, pool, seawall::idempotent(service.get(request_for("hangs", hangs(1)))));
  CHECK(a.ok());
  CHECK(service.counts("hangs", 2, 1));
}

TEST_CASE("an attempt that is given up without a deadline of its own is cancelled at the server") {
  running_service service;
  seawall::pool_scheduler pool({.threads = 1});
  std::stop_source leaving;
  std::future<answer> pending =
      start(three_tries, pool, seawall::idempotent(service.get(request_for("left alone", hangs(1)))),
            {.stop = leaving.get_token()});
  REQUIRE(service.counts("left alone", 1, 0));
  leaving.request_stop();
  CHECK(absl::IsCancelled(pending.get().status()));
  CHECK(service.counts("left alone", 1, 1));
}

TEST_CASE("the loser of a hedge is cancelled at the server") {
  running_service service;
  seawall::pool_scheduler pool({.threads = 1});
  const auto hedged = seawall::compose(seawall::hedge({.after = 20ms}));
  const answer a = ask(hedged, pool, seawall::idempotent(service.get(request_for("hedged", hangs(1)))));
  REQUIRE(a.ok());
  CHECK(a->request() == 2);
  CHECK(service.counts("hedged", 2, 1));
}

TEST_CASE("metadata is prepared for each attempt anew") {
  running_service service;
  seawall::pool_scheduler pool({.threads = 1});
  std::atomic<int> prepared = 0;
  const auto with_key = [&](grpc::ClientContext& c, const seawall::attempt& a) {
    ++prepared;
    c.AddMetadata("idempotency-key", std::string(a.idempotency_key()) + "/" + std::to_string(a.number()));
  };
  const answer a =
      ask(three_tries, pool,
          seawall::idempotent_by(
              "4711", seawall::grpc_call(service.stub().async(), &async_quotes::Get,
                                         request_for("key", fails(1, grpc::UNAVAILABLE)), with_key)));
  REQUIRE(a.ok());
  CHECK(a->idempotency_key() == "4711/2");
  CHECK(prepared == 2);
}

TEST_CASE("metadata that cannot be prepared ends the attempt; nothing is sent") {
  running_service service;
  seawall::pool_scheduler pool({.threads = 1});
  const auto throws = [](grpc::ClientContext&, const seawall::attempt&) {
    throw std::runtime_error("no token");
  };
  const auto once = seawall::compose(seawall::deadline({.after = 30s}));
  const answer a =
      ask(once, pool,
          seawall::grpc_call(service.stub().async(), &async_quotes::Get, request_for("throws"), throws));
  REQUIRE(seawall::rejection_of(a.status()));
  CHECK(seawall::rejection_of(a.status())->why == seawall::reason::threw);
  CHECK(service.count("throws").requests() == 0);
}

TEST_CASE("a server that is not there is unavailable, and the call ends") {
  const auto stub =
      quotes::Quotes::NewStub(grpc::CreateChannel("127.0.0.1:1", grpc::InsecureChannelCredentials()));
  seawall::pool_scheduler pool({.threads = 1});
  const answer a = ask(
      three_tries, pool,
      seawall::non_idempotent(seawall::grpc_call(stub->async(), &async_quotes::Get, request_for("nobody"))));
  CHECK(absl::IsUnavailable(a.status()));
}

TEST_CASE("the parts serve a blocking call as well") {
  running_service service;
  Quote quote;
  const auto request = request_for("blocking", fails(2, grpc::UNAVAILABLE));
  const absl::Status s = three_tries.run(
      {.deadline = seawall::steady_clock::now() + 30s}, seawall::idempotent([&](const seawall::attempt& a) {
        grpc::ClientContext context;
        CHECK(seawall::set_deadline(context, a));
        return seawall::from_grpc(service.stub().Get(&context, request, &quote), context);
      }));
  CHECK(s.ok());
  CHECK(quote.request() == 3);
}

// Cancelling, calling back and time-outs meet in every order: nobody waits for ever, and nobody touches what is gone.
TEST_CASE("calls that end while they are being cancelled end once, and leave nothing behind") {
  running_service service;
  seawall::pool_scheduler pool({.threads = 2});
  const auto impatient = seawall::compose(seawall::retry({.backoff = {.initial = 1ms, .max = 1ms}}),
                                          seawall::attempt_timeout({.after = 8ms}));
  Behaviour slow;
  slow.set_work_ms(2);
  std::vector<std::stop_source> leaving(200);
  std::vector<std::future<answer>> pending;
  for (std::stop_source& s : leaving) {
    pending.push_back(start(impatient, pool, seawall::idempotent(service.get(request_for("crowd", slow))),
                            {.stop = s.get_token()}));
  }
  std::thread leaver([&] {
    for (std::size_t i = 0; i < leaving.size(); i += 2) {
      std::this_thread::sleep_for(100us);
      leaving[i].request_stop();
    }
  });
  int ended = 0;
  for (std::future<answer>& p : pending) ended += p.get().status().code() != absl::StatusCode::kInternal;
  leaver.join();
  CHECK(ended == 200);
}

}  // namespace
