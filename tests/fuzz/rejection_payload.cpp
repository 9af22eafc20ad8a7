// SPDX-License-Identifier: Apache-2.0
// Payloads as a hostile peer may send them: no bytes crash the reader, and what it reads it would write.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "must.hpp"
#include "seawall/status.hpp"

using namespace seawall;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  absl::Status s = absl::UnavailableError("x");
  s.SetPayload(detail::to_absl(detail::rejection_payload), absl::Cord(detail::to_absl(text)));
  const auto info = detail::decode(text);
  must(info.has_value() == rejection_of(s).has_value(), "a status is read as its payload is");

  const verdict v = classify(s);
  must(!v.success, "no payload makes a failure a success");
  if (!info) {
    must(v == classify(s.code()), "what is no rejection counts by its code");
    return 0;
  }
  must(info->why <= reason::custom, "a reason is one that is known");
  must(!info->retry_after || *info->retry_after >= duration::zero(), "no time left is negative");
  const rejection again{.policy = info->policy,
                        .name = info->name,
                        .why = info->why,
                        .retry_after = info->retry_after.value_or(verdict::no_pushback())};
  const auto twice = detail::decode(detail::encode(again));
  must(twice.has_value(), "what is written can be read");
  must(twice->why == info->why && twice->policy == info->policy && twice->name == info->name &&
           twice->retry_after == info->retry_after,
       "and is the same");
  must(!describe(again).empty(), "and has words");

  absl::Status pushed = absl::UnavailableError("x");
  pushed.SetPayload(detail::to_absl(detail::pushback_payload), absl::Cord(detail::to_absl(text)));
  must(retry_after_of(pushed).value_or(duration::zero()) >= duration::zero(), "no wish is negative");
  return 0;
}
