// SPDX-License-Identifier: Apache-2.0
// Hedge frames against a list of attempts.

#include <cstdint>
#include <optional>
#include <string>

#include "property/hedge_duel.hpp"
#include "property/support.hpp"
#include <doctest/doctest.h>

namespace {

using namespace property;

TEST_CASE("hedge: frames do what the rules say about a list of attempts") {
  run_sequences(500'000, [](dice& d, std::uint64_t& operations) { return hedge_duel(d).play(operations); });
}

}  // namespace
