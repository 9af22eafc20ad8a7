// SPDX-License-Identifier: Apache-2.0
#include "seawall/propagation.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "seawall/circuit_breaker.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include "seawall/status.hpp"
#include "seawall/testing/virtual_clock.hpp"
#include "support.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using namespace std::string_view_literals;
using seawall::duration;
using seawall::instant;
using seawall::propagated;
using seawall::propagator;
using seawall::timeout_form;
using seawall::testing::virtual_clock;
namespace timeout_headers = seawall::timeout_headers;

/// A map of headers, and how often it was written to.
struct carrier {
  std::map<std::string, std::string, std::less<>> headers = {};
  int written = 0;

  auto getter() const {
    return [this](std::string_view name) {
      const auto found = headers.find(name);
      return found == headers.end() ? std::nullopt : std::optional<std::string_view>(found->second);
    };
  }
  auto setter() {
    return [this](std::string_view name, std::string_view value) {
      ++written;
      headers.insert_or_assign(std::string(name), std::string(value));
    };
  }
};

std::string encoded(timeout_form form, duration left) {
  const auto text = seawall::encode_timeout(form, left);
  return text ? std::string(text->view()) : "expired";
}

constexpr duration ns(std::int64_t n) { return duration::from_ns(n); }

struct spelling {
  duration left;
  std::string_view text;
};

// The largest of each unit, and one more: it goes to the next unit, and loses what that one cannot say.
constexpr spelling grpc_spellings[] = {
    {ns(1), "1n"},
    {99'999'999ns, "99999999n"},
    {100'000'000ns, "100000u"},
    {100'000'999ns, "100000u"},
    {99'999'999us, "99999999u"},
    {99'999'999us + 999ns, "99999999u"},
    {100'000'000us, "100000m"},
    {99'999'999ms, "99999999m"},
    {99'999'999ms + 999'999ns, "99999999m"},
    {100'000'000ms, "100000S"},
    {99'999'999s, "99999999S"},
    {99'999'999s + 999ms, "99999999S"},
    {100'000'000s, "1666666M"},
    {99'999'999min, "99999999M"},
    {99'999'999min + 59s, "99999999M"},
    {100'000'000min, "1666666H"},
    {2'562'047h, "2562047H"},
    {duration::infinite(), "2562047H"},
};

TEST_CASE("propagation: grpc-timeout is in the finest unit that has room, and rounded down") {
  for (const spelling& s : grpc_spellings) CHECK(encoded(timeout_form::grpc, s.left) == s.text);
  static_assert(seawall::encode_timeout(timeout_form::grpc, 250ms)->view() == "250000u",
                "when it compiles as well");
}

TEST_CASE("propagation: milliseconds and seconds are rounded down, and end at ten digits") {
  const auto ms = timeout_form::milliseconds;
  CHECK(encoded(ms, 1ms) == "1");
  CHECK(encoded(ms, 1'999us) == "1");
  CHECK(encoded(ms, 9'999'999'999ms) == "9999999999");
  CHECK(encoded(ms, 10'000'000'000ms) == "9999999999");
  CHECK(encoded(ms, duration::infinite()) == "9999999999");
  CHECK(encoded(timeout_form::seconds, 1s) == "1");
  CHECK(encoded(timeout_form::seconds, 59'999ms) == "59");
  CHECK(encoded(timeout_form::seconds, duration::infinite()) == "9223372036");
}

TEST_CASE(
    "propagation: less than one unit has expired, and is never a zero, which some peers take for no limit") {
  for (const duration left : {ns(0), ns(-1), duration(-1h), ns(INT64_MIN)}) {
    for (const auto form : {timeout_form::grpc, timeout_form::milliseconds, timeout_form::seconds})
      CHECK(encoded(form, left) == "expired");
  }
  CHECK(encoded(timeout_form::milliseconds, 999'999ns) == "expired");
  CHECK(encoded(timeout_form::seconds, 999'999'999ns) == "expired");
}

constexpr spelling grpc_texts[] = {
    {99'999'999ns, "99999999n"},
    {99'999'999us, "99999999u"},
    {99'999'999ms, "99999999m"},
    {99'999'999s, "99999999S"},
    {99'999'999min, "99999999M"},
    {2'562'047h, "2562047H"},
    {duration::infinite(), "99999999H"},
    {duration::infinite(), "2562048H"},
    {1s, "1S"},
    {1s, "00000001S"},
    {ns(0), "0n"},
    {ns(0), "00000000H"},
};

TEST_CASE("propagation: every unit of grpc-timeout is read, and what is too long saturates") {
  for (const spelling& s : grpc_texts) {
    CAPTURE(s.text);
    CHECK(seawall::parse_timeout(timeout_form::grpc, s.text) == s.left);
  }
  static_assert(seawall::parse_timeout(timeout_form::grpc, "3M") == duration(3min), "M and m differ");
  static_assert(seawall::parse_timeout(timeout_form::grpc, "3m") == duration(3ms), "m and M differ");
}

TEST_CASE("propagation: plain numbers are read") {
  CHECK(seawall::parse_timeout(timeout_form::milliseconds, "250") == duration(250ms));
  CHECK(seawall::parse_timeout(timeout_form::milliseconds, "9999999999") == duration(9'999'999'999ms));
  CHECK(seawall::parse_timeout(timeout_form::seconds, "30") == duration(30s));
  CHECK(seawall::parse_timeout(timeout_form::seconds, "9999999999") == duration::infinite());
  CHECK(seawall::parse_timeout(timeout_form::seconds, "0") == ns(0));
}

TEST_CASE("propagation: hostile text is no timeout") {
  const std::string endless(100'000, '9');
  for (const std::string_view text : {""sv,
                                      "n"sv,
                                      "S"sv,
                                      "5"sv,
                                      "5s"sv,
                                      "5h"sv,
                                      "5U"sv,
                                      "5 S"sv,
                                      " 5S"sv,
                                      "5S "sv,
                                      "5SS"sv,
                                      "S5"sv,
                                      "+5S"sv,
                                      "-5S"sv,
                                      "-1n"sv,
                                      "5.0S"sv,
                                      "0x5S"sv,
                                      "1e3S"sv,
                                      "5S,1S"sv,
                                      "5S\n"sv,
                                      "5\0S"sv,
                                      "5S\0"sv,
                                      "٥S"sv,
                                      "100000000n"sv,
                                      "000000001S"sv,
                                      std::string_view(endless),
                                      "18446744073709551617S"sv,
                                      "nan"sv,
                                      "inf"sv,
                                      ":S"sv,
                                      "/S"sv}) {
    CAPTURE(text.substr(0, 20));
    CHECK_FALSE(seawall::parse_timeout(timeout_form::grpc, text));
  }
  for (const std::string_view text : {""sv, " "sv, "5S"sv, "5ms"sv, "-5"sv, "+5"sv, "5.5"sv, "5 "sv, " 5"sv,
                                      "5,5"sv, "0x10"sv, "1e3"sv, "5\0"sv, "10000000000"sv, "00000000001"sv,
                                      std::string_view(endless), "18446744073709551617"sv, ":"sv, "/"sv}) {
    CAPTURE(text.substr(0, 20));
    CHECK_FALSE(seawall::parse_timeout(timeout_form::milliseconds, text));
    CHECK_FALSE(seawall::parse_timeout(timeout_form::seconds, text));
  }
}

TEST_CASE("propagation: all headers are written, with the names that peers know") {
  const propagator out({.headers = {timeout_headers::grpc, timeout_headers::envoy, timeout_headers::connect,
                                    timeout_headers::request}});
  carrier c;
  CHECK(out.write(2'500ms, c.setter()) == propagated::limited);
  CHECK(c.headers == decltype(c.headers){{"grpc-timeout", "2500000u"},
                                         {"x-envoy-expected-rq-timeout-ms", "2500"},
                                         {"connect-timeout-ms", "2500"},
                                         {"request-timeout", "2"}});
}

TEST_CASE("propagation: without a deadline nothing is written, margin or not") {
  const propagator out({.margin = 1h, .share = 0.5});
  carrier c;
  CHECK(out.write(duration::infinite(), c.setter()) == propagated::unlimited);
  CHECK(c.written == 0);
}

TEST_CASE("propagation: nothing left after the margin is expired, and nothing is written") {
  const propagator out({.margin = 100ms});
  for (const duration left : {duration(100ms), duration(99ms), ns(0), duration(-1s), ns(INT64_MIN)}) {
    carrier c;
    CHECK(out.write(left, c.setter()) == propagated::expired);
    CHECK(c.written == 0);
  }
  carrier c;
  CHECK(out.write(100ms + 1ns, c.setter()) == propagated::limited);
  CHECK(c.headers["grpc-timeout"] == "1n");
}

TEST_CASE(
    "propagation: a header too coarse for what is left holds back the others: its reader would see no limit") {
  const propagator out({.headers = {timeout_headers::grpc, timeout_headers::envoy}});
  carrier c;
  CHECK(out.write(900us, c.setter()) == propagated::expired);
  CHECK(c.written == 0);
}

TEST_CASE("propagation: margin and share are both kept back") {
  CHECK(propagator().after_margin(1s) == duration(1s));
  CHECK(propagator({.margin = 50ms}).after_margin(1s) == duration(950ms));
  CHECK(propagator({.share = 0.25}).after_margin(1s) == duration(750ms));
  CHECK(propagator({.margin = 50ms, .share = 0.25}).after_margin(1s) == duration(700ms));
  CHECK(propagator({.margin = 50ms, .share = 0.25}).after_margin(duration::infinite()) ==
        duration::infinite());
  CHECK(propagator({.margin = 1s}).after_margin(ns(INT64_MIN)) == ns(INT64_MIN));
}

TEST_CASE("propagation: what is read is a deadline on the reader's clock, less the margin") {
  const instant now = instant::from_ns(-7'000'000'000);  // an epoch says nothing
  carrier c{.headers = {{"grpc-timeout", "300m"}}};
  CHECK(propagator().read(c.getter(), now).deadline == now + 300ms);
  CHECK(propagator({.margin = 20ms}).read(c.getter(), now).deadline == now + 280ms);
  CHECK(propagator({.margin = 20ms, .share = 0.5}).read(c.getter(), now).deadline == now + 130ms);
}

TEST_CASE("propagation: absent headers are no error, and no limit") {
  const auto in = propagator().read(carrier().getter(), instant());
  CHECK(in.ok());
  CHECK(in.deadline == instant::never());
  CHECK(in.error_text().empty());
}

TEST_CASE("propagation: the earliest of several headers wins, whatever their order") {
  carrier c{.headers = {{"grpc-timeout", "300m"}, {"connect-timeout-ms", "200"}, {"request-timeout", "1"}}};
  std::vector<seawall::timeout_header> headers = {timeout_headers::connect, timeout_headers::grpc,
                                                  timeout_headers::request};
  for (int order = 0; order < 3; ++order) {
    CHECK(propagator({.headers = headers}).read(c.getter(), instant()).deadline == instant() + 200ms);
    std::rotate(headers.begin(), headers.begin() + 1, headers.end());
  }
}

TEST_CASE("propagation: a header that is not listed is not believed") {
  const carrier c{.headers = {{"x-envoy-expected-rq-timeout-ms", "1"}}};
  CHECK(propagator().read(c.getter(), instant()).deadline == instant::never());
}

TEST_CASE("propagation: a time too long for the clock saturates to never, and does not wrap into the past") {
  const instant late = instant::from_ns(INT64_MAX - 10);
  for (const char* text : {"99999999H", "2562047H"}) {
    const carrier c{.headers = {{"grpc-timeout", text}}};
    CHECK(propagator().read(c.getter(), late).deadline == instant::never());
    CHECK(propagator({.margin = 1s}).read(c.getter(), instant::from_ns(-5)).deadline >
          instant() + 24h * 365 * 100);
  }
}

TEST_CASE(
    "propagation: a malformed header is reported with its name, value and range; the others still count") {
  const carrier c{
      .headers = {{"grpc-timeout", "5s"}, {"connect-timeout-ms", "70"}, {"request-timeout", "soon"}}};
  const propagator p(
      {.headers = {timeout_headers::grpc, timeout_headers::connect, timeout_headers::request}});
  const auto in = p.read(c.getter(), instant());
  CHECK_FALSE(in.ok());
  CHECK(in.error_text() ==
        "propagation: grpc-timeout is '5s'; must be 1 to 8 digits and one of H, M, S, m, u, n");
  CHECK(in.deadline == instant() + 70ms);

  const auto decimal = propagator({.headers = {timeout_headers::request}}).read(c.getter(), instant());
  CHECK(decimal.error_text() == "propagation: request-timeout is 'soon'; must be 1 to 10 digits");
}

TEST_CASE("propagation: an error shows a bounded part of what came, and nothing that forges a log") {
  const carrier c{.headers = {{"grpc-timeout", "1S'\r\nlevel=info\x1b[2J\xff" + std::string(10'000, 'x')}}};
  const std::string text = propagator().read(c.getter(), instant()).error_text();
  CHECK(text.size() < 150);
  CHECK(text.starts_with("propagation: grpc-timeout is '1S???level=info?[2J?xxx"));
  CHECK(std::all_of(text.begin(), text.end(), [](char ch) { return ch >= ' ' && ch <= '~'; }));
}

TEST_CASE("propagation: headers may be owned by what the getter returns") {
  const auto get = [](std::string_view) { return std::optional<std::string>("300m"); };
  CHECK(propagator().read(get, instant()).deadline == instant() + 300ms);
}

TEST_CASE("propagation: the overload without a moment reads the steady clock") {
  const carrier c{.headers = {{"grpc-timeout", "1H"}}};
  const instant before = seawall::steady_clock::now();
  const instant deadline = propagator().read(c.getter()).deadline;
  CHECK(deadline >= before + 1h);
  CHECK(deadline <= seawall::steady_clock::now() + 1h);
}

TEST_CASE("propagation: each attempt writes what is left for it, not for the call") {
  virtual_clock clock;
  const propagator out({.headers = {timeout_headers::envoy}, .margin = 10ms});
  const auto pipeline = seawall::compose(seawall::retry(
      {.max_attempts = 3,
       .backoff = {
           .shape = seawall::backoff_shape::constant, .initial = 0ms, .jitter = seawall::jitter::none}}));
  std::vector<std::string> sent;
  run(clock, pipeline, {.deadline = clock.now() + 1s}, seawall::idempotent([&](const seawall::attempt& a) {
        carrier c;
        CHECK(out.write(a, c.setter()) == propagated::limited);
        sent.push_back(c.headers["x-envoy-expected-rq-timeout-ms"]);
        clock.advance(300ms);
        return absl::UnavailableError("");
      }))
      .IgnoreError();
  CHECK(sent == std::vector<std::string>{"990", "690", "390"});
}

TEST_CASE("propagation: an operation that has spent time before it sends writes what is left then") {
  virtual_clock clock;
  const propagator out({.headers = {timeout_headers::envoy}});
  const auto op = [&](const seawall::attempt& a) {
    clock.advance(300ms);
    carrier c;
    CHECK(out.write(a, clock.now(), c.setter()) == propagated::limited);
    CHECK(c.headers["x-envoy-expected-rq-timeout-ms"] == "700");
    CHECK(out.write(a, a.deadline(), c.setter()) == propagated::expired);
    return absl::OkStatus();
  };
  CHECK(run(clock, seawall::compose(), {.deadline = clock.now() + 1s}, op).ok());
  const auto unlimited = [&](const seawall::attempt& a) {
    carrier c;
    CHECK(out.write(a, clock.now(), c.setter()) == propagated::unlimited);
    return absl::OkStatus();
  };
  CHECK(run(clock, seawall::compose(), unlimited).ok());
}

TEST_CASE("propagation: a request that arrives expired is rejected without an attempt") {
  virtual_clock clock(instant::from_ns(1'000));
  for (const char* text : {"0n", "1n", "20m"}) {
    const carrier c{.headers = {{"grpc-timeout", text}}};
    const auto in = propagator({.margin = 20ms}).read(c.getter(), clock.now());
    int calls = 0;
    const absl::Status got =
        run(clock, seawall::compose(), {.deadline = in.deadline}, [&] { return ++calls, absl::OkStatus(); });
    CHECK(in.ok());
    CHECK(calls == 0);
    CHECK(got.code() == absl::StatusCode::kDeadlineExceeded);
    CHECK(seawall::rejection_of(got)->why == seawall::reason::deadline_expired);
  }
}

TEST_CASE("propagation: calls nested in the one that serves a request inherit its deadline") {
  virtual_clock clock;
  const carrier c{.headers = {{"grpc-timeout", "300m"}}};
  const auto in = propagator({.margin = 20ms}).read(c.getter(), clock.now());
  duration left;
  run(clock, seawall::compose(), {.deadline = in.deadline}, [&](const seawall::attempt& outer) {
    clock.advance(80ms);
    return seawall::compose().run(
        outer, [&](const seawall::attempt& a) { return left = a.time_left(), absl::OkStatus(); });
  }).IgnoreError();
  CHECK(left == duration(200ms));
}

// What an attempt with these options sends.
carrier sent_with(const propagator& out, const seawall::call_options& options) {
  virtual_clock clock;
  carrier c;
  run(clock, seawall::compose(), options, [&](const seawall::attempt& a) {
    CHECK(out.write(a, c.setter()) == propagated::unlimited);
    return absl::OkStatus();
  }).IgnoreError();
  return c;
}

TEST_CASE("propagation: priority and level of service travel along, and nothing is said of what is 0") {
  const propagator out;
  CHECK(sent_with(out, {}).written == 0);
  CHECK(sent_with(out, {.priority = 0}).written == 0);
  CHECK(sent_with(out, {.priority = -3, .degradation = 2}).headers ==
        decltype(carrier::headers){{"x-seawall-degradation", "2"}, {"x-seawall-priority", "-3"}});
  CHECK(sent_with(out, {.degradation = UINT32_MAX}).headers ==
        decltype(carrier::headers){{"x-seawall-degradation", "15"}});
  CHECK(sent_with(propagator({.context = {.priority = {}, .degradation = {}}}),
                  {.priority = 1, .degradation = 1})
            .written == 0);
}

TEST_CASE("propagation: an expired call writes nothing, not even its priority") {
  virtual_clock clock;
  carrier c;
  const propagator out({.margin = 1h});
  run(clock, seawall::compose(), {.priority = 5, .deadline = clock.now() + 1s},
      [&](const seawall::attempt& a) {
        CHECK(out.write(a, c.setter()) == propagated::expired);
        return absl::OkStatus();
      })
      .IgnoreError();
  CHECK(c.written == 0);
}

TEST_CASE(
    "propagation: priority and level are read back, and nested calls forward them as they do deadlines") {
  const carrier request{
      .headers = {{"grpc-timeout", "1S"}, {"x-seawall-degradation", "3"}, {"x-seawall-priority", "9"}}};
  const propagator p;
  const auto in = p.read(request.getter(), instant());
  CHECK(in.ok());
  CHECK(in.priority == 9);
  CHECK(in.degradation == 3);
  virtual_clock clock;
  carrier next;
  const seawall::call_options options{
      .priority = in.priority, .degradation = in.degradation, .deadline = in.deadline};
  run(clock, seawall::compose(), options, [&](const seawall::attempt& outer) {
    return seawall::compose().run(outer, {.degradation = 1}, [&](const seawall::attempt& a) {
      CHECK(p.write(a, next.setter()) == propagated::limited);
      return absl::OkStatus();
    });
  }).IgnoreError();
  CHECK(next.headers["x-seawall-priority"] == "9");
  CHECK(next.headers["x-seawall-degradation"] == "3");
}

TEST_CASE("propagation: who says nothing has no priority, and runs at the best level") {
  const auto in = propagator().read(carrier().getter(), instant());
  CHECK_FALSE(in.priority);
  CHECK(in.degradation == 0);
}

TEST_CASE("propagation: a stranger's priority is capped, and a low one is not raised") {
  const propagator edge({.context = {.priority_max = 0}});
  const auto read = [&](const char* text) {
    return edge.read(carrier{.headers = {{"x-seawall-priority", text}}}.getter(), instant()).priority;
  };
  CHECK(read("2147483647") == 0);
  CHECK(read("-5") == -5);
}

TEST_CASE("propagation: priorities have one spelling, from the least to the greatest") {
  for (const int p : {0, 1, -1, 9, 10, 2147483647, -2147483647 - 1}) {
    CHECK(seawall::priority_text(p).view() == std::to_string(p));
    CHECK(seawall::parse_priority(std::to_string(p)) == p);
  }
  const std::string endless(100'000, '1');
  for (const std::string_view text : {""sv,           "-"sv,
                                      "--1"sv,        "+1"sv,
                                      " 1"sv,         "1 "sv,
                                      "01"sv,         "-0"sv,
                                      "00"sv,         "1.0"sv,
                                      "1e3"sv,        "0x1"sv,
                                      "1,2"sv,        "1\0"sv,
                                      "2147483648"sv, "-2147483649"sv,
                                      "9999999999"sv, "18446744073709551617"sv,
                                      "nan"sv,        ":"sv,
                                      "/"sv,          std::string_view(endless)}) {
    CAPTURE(text.substr(0, 20));
    CHECK_FALSE(seawall::parse_priority(text));
    CHECK_FALSE(seawall::parse_level(text));
  }
  CHECK(seawall::parse_level("0") == 0);
  CHECK(seawall::parse_level("15") == 15);
  CHECK_FALSE(seawall::parse_level("16"));
  CHECK_FALSE(seawall::parse_level("-1"));
}

TEST_CASE(
    "propagation: a malformed priority or level is reported, and taken for nothing; the rest still counts") {
  const carrier c{
      .headers = {{"grpc-timeout", "1S"}, {"x-seawall-degradation", "16"}, {"x-seawall-priority", "high"}}};
  const auto in = propagator().read(c.getter(), instant());
  CHECK(in.error_text() ==
        "propagation: x-seawall-priority is 'high'; must be a whole number from -2147483648 to 2147483647");
  CHECK(in.deadline == instant() + 1s);
  CHECK_FALSE(in.priority);
  CHECK(in.degradation == 0);
  const carrier level{.headers = {{"x-seawall-degradation", "16"}}};
  CHECK(propagator().read(level.getter(), instant()).error_text() ==
        "propagation: x-seawall-degradation is '16'; must be a whole number from 0 to 15");
}

absl::Status refuse_to_send(const seawall::attempt& a) {
  return seawall::outcome_traits<absl::Status>::reject(seawall::no_time_left(a), nullptr);
}

TEST_CASE("propagation: no time left is not tried again, and no verdict on a dependency that was not asked") {
  virtual_clock clock;
  seawall::circuit_breaker breaker({.consecutive_failures = 1});
  const propagator out({.margin = 100ms});
  int asked = 0;
  const auto pipeline = seawall::compose(seawall::retry({.max_attempts = 3}), seawall::breaker(breaker));
  const absl::Status got = run(
      clock, pipeline, {.deadline = clock.now() + 100ms}, seawall::idempotent([&](const seawall::attempt& a) {
        ++asked;
        carrier c;
        return out.write(a, c.setter()) == propagated::expired ? refuse_to_send(a) : absl::OkStatus();
      }));
  CHECK(asked == 1);
  CHECK(got.code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(seawall::rejection_of(got)->why == seawall::reason::deadline_expired);
  CHECK(seawall_test::contains(got, "deadline (less its margin) had passed before the first attempt"));
  CHECK(breaker.snapshot(clock.now()).state == seawall::breaker_state::closed);
}

TEST_CASE("propagation: no time left for a later attempt says that there have been attempts") {
  virtual_clock clock;
  const auto pipeline = seawall::compose(seawall::retry(
      {.backoff = {
           .shape = seawall::backoff_shape::constant, .initial = 5ms, .jitter = seawall::jitter::none}}));
  seawall::rejection r;
  run(clock, pipeline, seawall::idempotent([&](const seawall::attempt& a) {
        r = seawall::no_time_left(a);
        return a.number() == 1 ? absl::UnavailableError("") : refuse_to_send(a);
      }))
      .IgnoreError();
  CHECK(r.why == seawall::reason::deadline_exceeded);
  CHECK(r.attempts == 1);
  CHECK(r.elapsed == duration(5ms));
}

}  // namespace
