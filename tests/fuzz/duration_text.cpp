// SPDX-License-Identifier: Apache-2.0
// The parser of durations: no text crashes it, and what it prints it reads.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "must.hpp"
#include "seawall/testing/script.hpp"

using namespace seawall;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto d = detail::script_text::parse_duration(text);
  if (!d.ok()) {
    must(absl::IsInvalidArgument(d.status()), "a refusal is an invalid argument");
    return 0;
  }
  must(*d >= duration::zero(), "there is no negative duration");
  must(text.front() >= '0' && text.front() <= '9', "a duration begins with a digit");
  if (*d == duration::infinite()) return 0;
  // Printed to three places, rounded down.
  const auto again = detail::script_text::parse_duration(*d == duration::zero() ? "0s" : to_text(*d));
  must(again.ok(), "what is printed can be read");
  must(std::abs((*again - *d).seconds()) <= 1e-3 * d->seconds() + 1e-9, "and is nearly the same");
  return 0;
}
