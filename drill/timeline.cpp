// SPDX-License-Identifier: Apache-2.0
#include "timeline.hpp"

#include <string_view>

namespace drill {
namespace {

using std::chrono::milliseconds;

constexpr fault slow{.what = fault::kind::slow, .delay = milliseconds(1200)};
constexpr fault errors{.what = fault::kind::errors, .share = 0.3};
constexpr fault resets{.what = fault::kind::resets, .share = 0.7};

struct length {
  milliseconds full;
  milliseconds quick;
};

act calm(std::string_view title, milliseconds lasts) { return {.title = std::string(title), .lasts = lasts}; }

}  // namespace

// A hang lasts longer than a customer waits, or its end would answer everybody. The only trouble of the
// recommendations, the one optional dependency, is to be slow: nobody can say that bare checkout fails
// because it was too naive to do without them. Inventory and payment it cannot do without. Chaos comes when
// both storefronts are well, or the bare one would be charged with what is left of the trouble before. So
// does the hand on the level of service. The bare one has no such levels: to it that act is a calm one.
std::vector<act> timeline(pace p) {
  const auto pick = [p](length l) { return p == pace::quick ? l.quick : l.full; };
  using enum dependency;
  using std::chrono_literals::operator""ms;
  return {
      calm("healthy", pick({6000ms, 1400ms})),
      {"recommendations slow", trouble::faulty, recommendations, slow, pick({7000ms, 1400ms})},
      calm("recovering", pick({4000ms, 800ms})),
      {"chaos inside", trouble::chaos, {}, {}, pick({6000ms, 1400ms})},
      {"payment 30% errors", trouble::faulty, payment, errors, pick({7000ms, 1300ms})},
      {"inventory resets", trouble::faulty, inventory, resets, pick({7000ms, 1300ms})},
      {"payment hung", trouble::hung, payment, {}, pick({8000ms, 3000ms})},
      calm("payment back", pick({5000ms, 1000ms})),
      {"inventory killed", trouble::killed, inventory, {}, pick({7000ms, 1400ms})},
      calm("inventory restarted", pick({7000ms, 1400ms})),
      {"read-only by hand", trouble::read_only, {}, {}, pick({4000ms, 1000ms})},
      calm("orders again", pick({2000ms, 600ms})),
      {"four times the load", trouble::overload, {}, {}, pick({6000ms, 2000ms})},
      calm("crowd gone", pick({3500ms, 800ms})),
  };
}

milliseconds length_of(const std::vector<act>& acts) {
  milliseconds sum{0};
  for (const act& a : acts) sum += a.lasts;
  return sum;
}

}  // namespace drill
