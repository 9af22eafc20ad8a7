// SPDX-License-Identifier: Apache-2.0
// Deadlines over real HTTP: callers, servers that serve through pipelines of their own, and what each of them knows of the
// time. Nothing here waits for time to pass: deadlines are either far away or have passed already.
#include "seawall/propagation.hpp"

#include <httplib.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "seawall/attempt_timeout.hpp"
#include "seawall/deadline.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include "seawall/status.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using seawall::duration;
using seawall::propagated;
using seawall::propagator;
namespace timeout_headers = seawall::timeout_headers;

/// What the server at the end of the chain had left, in nanoseconds.
using answer = absl::StatusOr<std::int64_t>;

answer not_sent(const seawall::attempt& a) {
  return seawall::outcome_traits<answer>::reject(seawall::no_time_left(a), nullptr);
}

answer status_of(const httplib::Result& result) {
  if (!result) return absl::UnavailableError(httplib::to_string(result.error()));
  switch (result->status) {
    case 200: return std::stoll(result->body);
    case 400: return absl::InvalidArgumentError(result->body);
    case 504: return absl::DeadlineExceededError(result->body);
    default: return absl::UnavailableError(result->body);
  }
}

answer get(int port, const httplib::Headers& headers) {
  httplib::Client client("127.0.0.1", port);
  client.set_read_timeout(30s);
  return status_of(client.Get("/time-left", headers));
}

/// A request in the name of an attempt.
answer send(int port, const propagator& out, const seawall::attempt& a) {
  httplib::Headers headers;
  const auto set = [&](std::string_view name, std::string_view value) {
    headers.erase(std::string(name));
    headers.emplace(name, value);
  };
  return out.write(a, set) == propagated::expired ? not_sent(a) : get(port, headers);
}

/// Answers with the time left that its own dependency sees, which is a function here or another service.
class service {
 public:
  explicit service(seawall::propagation_options in, const service* next = nullptr)
      : in_(std::move(in)), next_(next) {
    server_.set_keep_alive_max_count(1);
    server_.Get("/time-left", [this](const httplib::Request& request, httplib::Response& response) {
      const seawall::instant arrived = seawall::steady_clock::now();
      ++requests_;
      if (failures_ > 0 && failures_-- > 0)
        response.status = 503;
      else
        serve(request, response, arrived);
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
  }
  /// Also when a check has failed.
  ~service() {
    while (!server_.is_running()) std::this_thread::yield();
    server_.stop();
    thread_.join();
  }

  int port() const { return port_; }
  int requests() const { return requests_; }
  int asked_dependency() const { return asked_dependency_; }
  void fail(int times) { failures_ = times; }

 private:
  void serve(const httplib::Request& request, httplib::Response& response, seawall::instant arrived) {
    const auto header = [&](std::string_view name) -> std::optional<std::string> {
      const std::string key(name);
      return request.has_header(key) ? std::optional(request.get_header_value(key)) : std::nullopt;
    };
    const seawall::inherited in = in_.read(header, arrived);
    if (!in.ok()) return reply(response, 400, in.error_text());
    const answer got = pipeline_.run({.deadline = in.deadline}, [&](const seawall::attempt& a) -> answer {
      ++asked_dependency_;
      return next_ != nullptr ? send(next_->port(), out_, a) : a.time_left().ns();
    });
    if (got.ok()) return reply(response, 200, std::to_string(*got));
    reply(response, absl::IsDeadlineExceeded(got.status()) ? 504 : 500, got.status().ToString());
  }
  static void reply(httplib::Response& response, int status, const std::string& text) {
    response.status = status;
    response.set_content(text, "text/plain");
  }

  const propagator in_;
  const propagator out_;
  const service* const next_;
  // Longer than any caller here has: the caller's deadline is the one that counts.
  const seawall::pipeline<seawall::deadline_layer> pipeline_ =
      seawall::compose(seawall::deadline({.after = 24h}));
  std::atomic<int> requests_ = 0;
  std::atomic<int> asked_dependency_ = 0;
  std::atomic<int> failures_ = 0;
  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace

TEST_CASE("a callee has less time than its caller, and more than none") {
  const service server({.margin = 10ms});
  const propagator out({.margin = 20ms});
  duration callers;
  const answer got = seawall::compose(seawall::deadline({.after = 1min})).run([&](const seawall::attempt& a) {
    callers = a.time_left();
    return send(server.port(), out, a);
  });
  REQUIRE_MESSAGE(got.ok(), got.status().ToString());
  CHECK(duration::from_ns(*got) <= callers - 30ms);
  CHECK(*got > 0);
  CHECK(server.requests() == 1);
}

TEST_CASE("every form of header limits the callee") {
  for (const auto& header :
       {timeout_headers::grpc, timeout_headers::envoy, timeout_headers::connect, timeout_headers::request}) {
    const service server({.headers = {header}});
    const propagator out({.headers = {header}});
    const answer got =
        seawall::compose(seawall::deadline({.after = 1min})).run([&](const seawall::attempt& a) {
          return send(server.port(), out, a);
        });
    CAPTURE(header.name);
    REQUIRE_MESSAGE(got.ok(), got.status().ToString());
    CHECK(duration::from_ns(*got) <= duration(1min));
    CHECK(*got > 0);
  }
}

TEST_CASE("time only shrinks along a chain of services") {
  const service last({.margin = 1s});
  const service middle({.margin = 1s}, &last);
  const service first({.margin = 1s}, &middle);
  const answer got = seawall::compose(seawall::deadline({.after = 1min})).run([&](const seawall::attempt& a) {
    return send(first.port(), propagator(), a);
  });
  REQUIRE_MESSAGE(got.ok(), got.status().ToString());
  CHECK(duration::from_ns(*got) <= duration(57s));
  CHECK(*got > 0);
  for (const service* s : {&first, &middle, &last}) CHECK(s->requests() == 1);
}

TEST_CASE("a caller without a deadline sends none: the callee's own is all there is") {
  const service server({});
  const answer got = seawall::compose().run(
      [&](const seawall::attempt& a) { return send(server.port(), propagator({.margin = 1h}), a); });
  REQUIRE_MESSAGE(got.ok(), got.status().ToString());
  CHECK(duration::from_ns(*got) == duration(24h));
}

TEST_CASE("a later attempt sends what is left for it, not what the first one had") {
  service server({});
  server.fail(1);
  const auto pipeline =
      seawall::compose(seawall::deadline({.after = 1min}),
                       seawall::retry({.backoff = {.initial = 0ms, .jitter = seawall::jitter::none}}));
  duration left;
  const answer got = pipeline.run(seawall::idempotent([&](const seawall::attempt& a) {
    left = a.time_left();
    return send(server.port(), propagator(), a);
  }));
  REQUIRE_MESSAGE(got.ok(), got.status().ToString());
  CHECK(server.requests() == 2);
  CHECK(left < duration(1min));
  CHECK(duration::from_ns(*got) <= left);
}

TEST_CASE("a call whose time is used up sends no request") {
  const service server({});
  const auto pipeline = seawall::compose(seawall::deadline({.after = 1min}));
  int attempts = 0;
  const auto op = [&](const propagator& out) {
    return [&attempts, &server, &out](const seawall::attempt& a) {
      ++attempts;
      return send(server.port(), out, a);
    };
  };

  // By its caller's deadline: no attempt at all.
  const propagator plain;
  const answer late = pipeline.run({.deadline = seawall::steady_clock::now()}, op(plain));
  CHECK(attempts == 0);
  // By the margin: the attempt sees that there is no use in sending.
  const propagator careful({.margin = 1min});
  const answer hopeless = pipeline.run(op(careful));
  CHECK(attempts == 1);

  for (const answer& got : {late, hopeless}) {
    CHECK(absl::IsDeadlineExceeded(got.status()));
    CHECK(seawall::rejection_of(got.status())->why == seawall::reason::deadline_expired);
  }
  CHECK(server.requests() == 0);
}

TEST_CASE(
    "a request that arrives expired, or with less than the margin, is rejected before its dependency is asked") {
  const service server({.margin = 1min});
  for (const char* left : {"0n", "1n", "500m", "59S", "1M"}) {
    CAPTURE(left);
    const answer got = get(server.port(), {{"grpc-timeout", left}});
    CHECK(got.status().code() == absl::StatusCode::kDeadlineExceeded);
    CHECK(std::string(got.status().message()).find("had passed before the first attempt") !=
          std::string::npos);
  }
  CHECK(server.requests() == 5);
  CHECK(server.asked_dependency() == 0);
  CHECK(get(server.port(), {{"grpc-timeout", "1H"}}).ok());
  CHECK(server.asked_dependency() == 1);
}

TEST_CASE("a malformed header is a bad request that says what is wrong, and not a call without limit") {
  const service server({});
  for (const char* bad : {"soon", "-1S", "123456789S", "5s", "1S, 2S"}) {
    CAPTURE(bad);
    const answer got = get(server.port(), {{"Grpc-Timeout", bad}});  // case does not matter
    CHECK(got.status().code() == absl::StatusCode::kInvalidArgument);
    CHECK(std::string(got.status().message()) == std::string("propagation: grpc-timeout is '") + bad +
                                                     "'; must be 1 to 8 digits and one of H, M, S, m, u, n");
  }
  CHECK(server.asked_dependency() == 0);
}
