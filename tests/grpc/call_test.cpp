// SPDX-License-Identifier: Apache-2.0
// One attempt of grpc_call, from its start to the last trace of it: against a stub that does as it is told, in virtual time.
#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "seawall/adapt/grpc.hpp"
#include "seawall/attempt_timeout.hpp"
#include "seawall/deadline.hpp"
#include "seawall/exec/async.hpp"
#include "seawall/exec/pool.hpp"
#include "seawall/operation.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include "seawall/testing/virtual_scheduler.hpp"
#include <doctest/doctest.h>
#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>
#include <grpcpp/test/client_context_test_peer.h>
#include <grpcpp/test/server_context_test_spouse.h>

namespace {

using namespace std::chrono_literals;
using seawall::duration;
using answer = absl::StatusOr<std::string>;

/// What a generated stub's `async()` looks like.
class stub {
 public:
  struct sent {
    grpc::ClientContext* context;
    const std::string* request;
    std::string* response;
    std::function<void(grpc::Status)> callback;
  };

  void Get(grpc::ClientContext* context, const std::string* request, std::string* response,
           std::function<void(grpc::Status)> callback) {
    sent s{context, request, response, std::move(callback)};
    if (at_once) return end(std::move(s));
    pending.push_back(std::move(s));
  }
  // The other form of the same name.
  void Get(grpc::ClientContext*, const std::string*, std::string*, int*) {}

  static void end(sent s, const grpc::Status& status = {}) {
    *s.response = "answer to " + *s.request;
    s.callback(status);
  }
  void end_next() {
    sent s = std::move(pending.front());
    pending.erase(pending.begin());
    end(std::move(s));
  }

  bool at_once = false;
  std::vector<sent> pending;
};

std::atomic<int> contexts = 0;

/// gRPC takes such counters once in a program's life.
class context_counter final : public grpc::ClientContext::GlobalCallbacks {
 public:
  static void begin() {
    static context_counter counter;
    static const bool set = (grpc::ClientContext::SetGlobalCallbacks(&counter), true);
    (void)set;
    contexts = 0;
  }
  void DefaultConstructor(grpc::ClientContext*) override { ++contexts; }
  void Destructor(grpc::ClientContext*) override { --contexts; }
};

struct caller {
  seawall::testing::virtual_scheduler loop;
  stub server;
  std::optional<answer> got;
  int contexts_then = -1;

  auto get() { return seawall::idempotent(seawall::grpc_call(&server, &stub::Get, "EURUSD")); }
  template <class Pipeline>
  void start(const Pipeline& p, const seawall::call_options& options = {}) {
    context_counter::begin();
    p.start(options, loop, get(), [this](answer a) {
      got = std::move(a);
      contexts_then = contexts;
    });
  }
};

const auto once = seawall::compose(seawall::deadline({.after = 10s}));

TEST_CASE("a stub that calls back before the sending returns ends the attempt like any other") {
  caller c;
  c.server.at_once = true;
  c.start(once);
  CHECK(!c.got);
  c.loop.run();
  REQUIRE(c.got);
  CHECK(c.got->value() == "answer to EURUSD");
  CHECK(contexts == 0);
}

TEST_CASE("nothing of an attempt is left when its call is completed") {
  caller c;
  c.start(once);
  REQUIRE(c.server.pending.size() == 1);
  CHECK(contexts == 1);
  c.server.end_next();
  c.loop.run();
  REQUIRE(c.got);
  CHECK(c.contexts_then == 0);
}

TEST_CASE("an attempt that was given up keeps what gRPC uses until gRPC has called back") {
  caller c;
  const auto twice =
      seawall::compose(seawall::retry({.max_attempts = 2, .backoff = {.initial = 1ms, .max = 1ms}}),
                       seawall::attempt_timeout({.after = 100ms}));
  c.start(twice);
  c.loop.run();
  REQUIRE(c.got);
  CHECK(absl::IsDeadlineExceeded(c.got->status()));
  REQUIRE(c.server.pending.size() == 2);
  CHECK(contexts == 2);
  // The request is still there, and the answer goes nowhere.
  CHECK(*c.server.pending.back().request == "EURUSD");
  c.server.end_next();
  c.server.end_next();
  CHECK(contexts == 0);
}

TEST_CASE("a callback that gRPC throws away ends the attempt without an answer") {
  caller c;
  c.start(once);
  c.server.pending.clear();
  c.loop.run();
  REQUIRE(c.got);
  REQUIRE(seawall::rejection_of(c.got->status()));
  CHECK(seawall::rejection_of(c.got->status())->why == seawall::reason::no_answer);
  CHECK(contexts == 0);
}

TEST_CASE("gRPC's deadline is the attempt's, less what gRPC rounds up, and never later") {
  for (const duration left : std::vector<duration>{3ms, 100ms, 1s, 90s, 24h, 365 * 24h, 200 * 365 * 24h}) {
    CAPTURE(left.seconds());
    caller c;
    const auto before = std::chrono::system_clock::now();
    const auto bounded = seawall::compose(seawall::deadline({.after = left}));
    c.start(bounded);
    REQUIRE(c.server.pending.size() == 1);
    const duration given = c.server.pending.front().context->deadline() - before;
    const duration spent = std::chrono::system_clock::now() - before;
    CHECK(given <= left + spent - 2ms);
    CHECK(given >= left - left / 100 - 2ms);
    c.server.end_next();
    c.loop.run();
  }
}

TEST_CASE("an attempt with no more than gRPC cannot say is not sent, and is not held against the server") {
  caller c;
  const auto bounded = seawall::compose(seawall::deadline({.after = 2ms}), seawall::retry({}));
  c.start(bounded);
  c.loop.run();
  REQUIRE(c.got);
  CHECK(c.server.pending.empty());
  CHECK(absl::IsDeadlineExceeded(c.got->status()));
  CHECK(seawall::classify(c.got->status()) == seawall::verdict::cancelled());
}

TEST_CASE("without a deadline gRPC is given none") {
  caller c;
  const auto unbounded = seawall::compose(seawall::retry({}));
  c.start(unbounded);
  REQUIRE(c.server.pending.size() == 1);
  CHECK(c.server.pending.front().context->deadline() == std::chrono::system_clock::time_point::max());
  c.server.end_next();
  c.loop.run();
}

TEST_CASE(
    "an attempt carries the priority and the level of service of its call, and nothing where they are 0") {
  for (const bool says : {true, false}) {
    caller c;
    c.start(once, says ? seawall::call_options{.priority = -3, .degradation = 2} : seawall::call_options{});
    REQUIRE(c.server.pending.size() == 1);
    const auto sent =
        grpc::testing::ClientContextTestPeer(c.server.pending.front().context).GetSendInitialMetadata();
    const std::multimap<std::string, std::string> all = {{"x-seawall-degradation", "2"},
                                                         {"x-seawall-priority", "-3"}};
    CHECK(sent == (says ? all : std::multimap<std::string, std::string>()));
    c.server.end_next();
    c.loop.run();
  }
}

TEST_CASE(
    "a handler reads back what its caller has said; what cannot be read is an error and counts as nothing") {
  grpc::ServerContext context;
  grpc::testing::ServerContextTestSpouse spouse(&context);
  CHECK_FALSE(seawall::inherited_from(context).priority);
  spouse.AddClientMetadata("x-seawall-priority", "7");
  spouse.AddClientMetadata("x-seawall-degradation", "2");
  CHECK(seawall::inherited_from(context).priority == 7);
  CHECK(seawall::inherited_from(context, 3).priority == 3);
  CHECK(seawall::inherited_from(context).degradation == 2);
  CHECK(seawall::inherited_from(context).ok());
  grpc::ServerContext bad_context;
  grpc::testing::ServerContextTestSpouse bad(&bad_context);
  bad.AddClientMetadata("x-seawall-degradation", "99");
  CHECK_FALSE(seawall::inherited_from(bad_context).ok());
  CHECK(seawall::inherited_from(bad_context).degradation == 0);
}

/// Calls back from a thread of its own, as soon as it can.
class busy_stub {
 public:
  void Get(grpc::ClientContext* context, const std::string* request, std::string* response,
           std::function<void(grpc::Status)> callback) {
    const std::lock_guard lock(mutex_);
    pending_.push_back({context, request, response, std::move(callback)});
  }
  ~busy_stub() {
    done_ = true;
    thread_.join();
  }

 private:
  void work() {
    while (!done_) {
      std::vector<stub::sent> taken;
      {
        const std::lock_guard lock(mutex_);
        taken.swap(pending_);
      }
      for (stub::sent& s : taken) stub::end(std::move(s));
    }
  }

  std::mutex mutex_;
  std::vector<stub::sent> pending_;
  std::atomic<bool> done_ = false;
  std::thread thread_{[this] { work(); }};
};

TEST_CASE("an attempt that ends while it is being cancelled on another thread ends once, and is gone") {
  context_counter::begin();
  {
    seawall::pool_scheduler pool({.threads = 2});
    busy_stub server;
    std::atomic<int> ended = 0;
    const auto get = seawall::idempotent(seawall::grpc_call(&server, &busy_stub::Get, "EURUSD"));
    for (int i = 0; i < 2000; ++i) {
      std::stop_source leaving;
      once.start({.stop = leaving.get_token()}, pool, get, [&ended](const answer& a) {
        ended += a.ok() || absl::IsCancelled(a.status()) ? 1 : 0;
        ended.notify_one();
      });
      for (int spin = i % 200; spin > 0; --spin) std::atomic_signal_fence(std::memory_order_seq_cst);
      leaving.request_stop();
      ended.wait(i);
      REQUIRE(ended == i + 1);
    }
    pool.shut_down();
  }
  CHECK(contexts == 0);
}

}  // namespace
