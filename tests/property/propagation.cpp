// SPDX-License-Identifier: Apache-2.0
// Writing the time left and reading it back, over random times and margins.

#include "seawall/propagation.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "property/support.hpp"
#include <doctest/doctest.h>

namespace {

using namespace property;
using seawall::timeout_form;

/// Of every magnitude, often next to where a unit ends.
duration random_time(dice& d) {
  if (d.chance(50)) {
    const std::int64_t unit_ns =
        d.pick<std::int64_t>({1, 1'000, 1'000'000, 1'000'000'000, 60'000'000'000, 3'600'000'000'000});
    const std::int64_t count = d.pick<std::int64_t>({1, 999, 1'000, 99'999'999, 100'000'000, 9'999'999'999});
    return duration::from_ns(unit_ns) * count + duration::from_ns(d.between<std::int64_t>(-2, 2));
  }
  return duration::from_ns(static_cast<std::int64_t>(d.next() << 32U ^ d.next()) >> d.below(64));
}

/// What a time may lose when it is written, from the text of the specifications: the finest unit of which there are at
/// most as many as the digits can say.
std::int64_t resolution(timeout_form form, std::int64_t ns) {
  if (form == timeout_form::milliseconds) return 1'000'000;
  if (form == timeout_form::seconds) return 1'000'000'000;
  std::int64_t unit_ns = 1;
  for (const std::int64_t next : {1'000, 1'000, 1'000, 60, 60}) {
    if (ns < unit_ns * 100'000'000) break;
    unit_ns *= next;
  }
  return unit_ns;
}

std::optional<std::string> check_text(timeout_form form, duration left) {
  const auto written = seawall::encode_timeout(form, left);
  const std::int64_t unit_ns = resolution(form, left.ns());
  if (!written) return left.ns() < unit_ns ? std::nullopt : std::optional(text(left.ns(), " ns expired"));
  const auto read = seawall::parse_timeout(form, written->view());
  if (!read) return text(left.ns(), " ns is written as ", written->view(), " and not read");
  if (*read > left) return text(left.ns(), " ns gains time as ", written->view());
  if (*read <= duration::zero()) return text(left.ns(), " ns is written as no time");
  const bool longest = form == timeout_form::milliseconds && left.ns() / unit_ns > 9'999'999'999;
  if (!longest && left - *read >= duration::from_ns(unit_ns))
    return text(left.ns(), " ns loses more than a unit as ", written->view());
  return std::nullopt;
}

std::optional<std::string> play_text(dice& d, std::uint64_t& operations) {
  for (const auto form : {timeout_form::grpc, timeout_form::milliseconds, timeout_form::seconds}) {
    ++operations;
    if (auto mismatch = check_text(form, random_time(d))) return mismatch;
  }
  return std::nullopt;
}

TEST_CASE("propagation: writing and reading never gains time, and loses less than a unit") {
  run_sequences(200'000, play_text);
}

/// A caller, a journey and a callee whose clocks have nothing to do with each other.
std::optional<std::string> play_hop(dice& d, std::uint64_t& operations) {
  ++operations;
  const auto margins = [&] {
    return seawall::propagation_options{
        .headers = {seawall::timeout_headers::grpc, seawall::timeout_headers::connect},
        .margin = duration::from_ns(static_cast<std::int64_t>(d.below(2'000'000'000) >> d.below(31))),
        .share = d.pick({0.0, 0.0, 0.1, 0.5, 0.99})};
  };
  const seawall::propagator out(margins()), in(margins());
  const duration left = random_time(d);
  const instant arrival = instant::from_ns(static_cast<std::int64_t>(d.next()) >> (1 + d.below(32)));
  std::vector<std::pair<std::string, std::string>> headers;
  const auto set = [&](std::string_view name, std::string_view value) { headers.emplace_back(name, value); };
  const auto get = [&](std::string_view name) -> std::optional<std::string_view> {
    for (const auto& h : headers) {
      if (h.first == name) return h.second;
    }
    return std::nullopt;
  };

  const auto written = out.write(left, set);
  const duration given = out.after_margin(left);
  if (written == seawall::propagated::unlimited)
    return left == duration::infinite() ? std::nullopt : std::optional(text(left.ns(), " ns is unlimited"));
  if ((written == seawall::propagated::expired) != (given < std::chrono::milliseconds(1)))
    return text(left.ns(), " ns, ", given.ns(), " after the margin: ", static_cast<int>(written));
  if (written == seawall::propagated::expired) return std::nullopt;

  const auto received = in.read(get, arrival);
  if (!received.ok()) return received.error_text();
  // Both margins are missing at least; where there is no share, not much else is: milliseconds are the coarsest header.
  const duration got = received.deadline - arrival;
  const duration most = left - out.options().margin - in.options().margin;
  if (got > most) return text(left.ns(), " ns gains time on the way: ", got.ns());
  const bool plain = out.options().share == 0.0 && in.options().share == 0.0;
  if (plain && left < std::chrono::hours(24) && most - got >= std::chrono::milliseconds(1))
    return text(left.ns(), " ns loses time on the way: ", got.ns());
  if (headers.size() != 2) return text(headers.size(), " headers");
  return std::nullopt;
}

TEST_CASE("propagation: over a hop with margins on both sides, the callee never has longer than its caller") {
  run_sequences(100'000, play_hop);
}

}  // namespace
