// SPDX-License-Identifier: Apache-2.0
#include "fault.hpp"

#include <array>
#include <sstream>

#include <fmt/format.h>

namespace drill {
namespace {

struct named_kind {
  fault::kind kind;
  std::string_view name;
};

constexpr std::array kinds{
    named_kind{fault::kind::none, "none"},
    named_kind{fault::kind::slow, "slow"},
    named_kind{fault::kind::errors, "errors"},
    named_kind{fault::kind::resets, "resets"},
};

}  // namespace

std::string to_words(const fault& f) {
  std::string_view name;
  for (const auto& k : kinds) {
    if (k.kind == f.what) name = k.name;
  }
  return fmt::format("{} {} {}", name, f.share, f.delay.count());
}

std::optional<fault> fault_from_words(std::string_view words) {
  std::istringstream in{std::string(words)};
  std::string name;
  std::int64_t delay_ms = 0;
  fault f;
  if (!(in >> name >> f.share >> delay_ms) || !(in >> std::ws).eof()) return std::nullopt;
  if (f.share < 0 || f.share > 1 || delay_ms < 0) return std::nullopt;
  f.delay = std::chrono::milliseconds(delay_ms);
  for (const auto& k : kinds) {
    if (k.name != name) continue;
    f.what = k.kind;
    return f;
  }
  return std::nullopt;
}

}  // namespace drill
