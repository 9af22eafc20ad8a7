// SPDX-License-Identifier: Apache-2.0

//                                 +--> shard-0
//   caller --> [ breaker(key) ] --+--> shard-1   dead
//                                 +--> shard-2
//
// One breaker for each shard, beside one breaker for all three: a dead shard must not take the other two down.

#include <array>
#include <chrono>
#include <cstddef>
#include <string>

#include "seawall/format.hpp"
#include "seawall/seawall.hpp"
#include "seawall/testing/virtual_clock.hpp"

using namespace std::chrono_literals;

namespace {

constexpr int calls = 3000;

// 30 s of traffic, 100 calls a second, the shards in turn. Returns the share that succeeded.
template <class Pipeline>
double success_of(const Pipeline& pipeline) {
  seawall::testing::virtual_clock clock;
  const std::array<std::string, 3> shards = {"shard-0", "shard-1", "shard-2"};
  int succeeded = 0;
  for (std::size_t i = 0; i < calls; ++i) {
    const auto read = [](const seawall::attempt& a) -> absl::Status {
      return a.key() == "shard-1" ? absl::UnavailableError("connection refused") : absl::OkStatus();
    };
    if (seawall::testing::run(clock, pipeline, {.key = shards[i % 3]}, read).ok()) ++succeeded;
    clock.advance(10ms);
  }
  return static_cast<double>(succeeded) / calls;
}

}  // namespace

int main() {
  const seawall::circuit_breaker_options options = {.name = "shards", .over_time = {.failure_rate = 0.3}};

  seawall::circuit_breaker for_all(options);
  const double one = success_of(seawall::compose(seawall::breaker(for_all)));

  seawall::keyed<seawall::circuit_breaker> for_each(options, {.max_keys = 100});
  const double keyed = success_of(seawall::compose(seawall::breaker(for_each)));

  fmt::print("one breaker for all:    {:.3f} of the calls succeed\n", one);
  fmt::print("a breaker for each key: {:.3f}\n", keyed);
  const seawall::instant end = seawall::instant() + 30s;
  for_each.for_each([end](const std::string& key, const seawall::circuit_breaker& b) {
    fmt::print("  {}: {}\n", key, b.snapshot(end).state);
  });
  return keyed >= 0.66 && one < 0.1 && for_each.size() == 3 ? 0 : 1;
}
