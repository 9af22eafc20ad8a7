// SPDX-License-Identifier: Apache-2.0
// Headers with a time left as a hostile peer may send them: no text crashes the reader, none gives more time than it says,
// and what is read can be written again.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "must.hpp"
#include "seawall/propagation.hpp"

using namespace seawall;

namespace {

void check_form(timeout_form form, std::string_view text) {
  const auto left = parse_timeout(form, text);
  if (!left) return;
  must(*left >= duration::zero(), "no time left is negative");
  must(text.size() <= timeout_text::capacity, "nothing long is read");
  must(text.front() >= '0' && text.front() <= '9', "a time begins with a digit");
  const auto again = encode_timeout(form, *left);
  if (!again) {
    must(*left == duration::zero(), "only no time at all cannot be written");
    return;
  }
  const auto twice = parse_timeout(form, again->view());
  must(twice.has_value(), "what is written can be read");
  must(*twice <= *left, "and is not longer");
  must(encode_timeout(form, *twice)->view() == again->view(), "and is written the same way");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const auto comma = std::min(all.find(','), size);
  const std::string_view first = all.substr(0, comma);
  const std::string_view second = all.substr(std::min(comma + 1, size));
  for (const auto form : {timeout_form::grpc, timeout_form::milliseconds, timeout_form::seconds})
    check_form(form, first);

  static const propagator reader({.headers = {timeout_headers::grpc, timeout_headers::connect},
                                  .margin = std::chrono::milliseconds(5),
                                  .share = 0.1});
  const instant now = instant::from_ns(size % 2 == 0 ? INT64_MIN + 1 : 1'000'000);
  const inherited in = reader.read(
      [&](std::string_view name) -> std::optional<std::string_view> {
        if (name == timeout_headers::grpc.name) return first;
        return name == timeout_headers::connect.name ? std::optional<std::string_view>(second) : std::nullopt;
      },
      now);
  const auto by_grpc = parse_timeout(timeout_form::grpc, first);
  const auto by_connect = parse_timeout(timeout_form::milliseconds, second);
  must(in.ok() == (by_grpc && by_connect), "every header is read, or there is an error");
  for (const auto& left : {by_grpc, by_connect}) {
    if (left) must(in.deadline <= reader.deadline_in(*left, now), "the earliest wins");
  }
  must(by_grpc || by_connect || in.deadline == instant::never(), "what cannot be read sets no deadline");

  const std::string text = in.error_text();
  must(text.size() < 150, "an error is short");
  must(std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; }),
       "and can be printed");
  return 0;
}
