// SPDX-License-Identifier: Apache-2.0

//   web,   200 calls a second --+
//                               +--> [ bulkhead: 10 at once, ] --> dependency
//   batch, 200 calls a second --+    [ 6 of them are web's   ]
//
// One dependency, two kinds of callers. Without partitions, batch work that comes in bursts fills the bulkhead whenever it
// wants to; with them, the web's share is lent while it is idle, and comes back as soon as it is asked for.

#include "seawall/bulkhead.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <string_view>
#include <utility>
#include <vector>

#include "seawall/format.hpp"
#include "seawall/testing/virtual_clock.hpp"

using namespace std::chrono_literals;

namespace {

constexpr int calls = 2000;

struct admitted {
  int web = 0;
  int batch = 0;
};

// Ten seconds: each 100 ms a burst of 20 batch calls, and every 5 ms a call of the web, which take 95 ms and 10 ms.
admitted ten_seconds(seawall::bulkhead& b) {
  admitted counted;
  std::deque<std::pair<seawall::instant, seawall::bulkhead::permit>> under_way;
  const auto try_call = [&](seawall::instant now, std::string_view who, seawall::duration takes) {
    auto permit = b.try_acquire(now, {.partition = who});
    if (!permit) return 0;
    under_way.emplace_back(now + takes, std::move(permit));
    return 1;
  };
  seawall::testing::virtual_clock clock;
  for (int i = 0; i < calls; ++i, clock.advance(5ms)) {
    const seawall::instant now = clock.now();
    std::erase_if(under_way, [&](auto& one) { return one.first <= now; });
    for (int k = 0; k < (i % 20 == 0 ? 20 : 0); ++k) counted.batch += try_call(now, "batch", 95ms);
    counted.web += try_call(now, "web", 10ms);
  }
  return counted;
}

}  // namespace

int main() {
  seawall::bulkhead one_for_all({.name = "ledger", .max_concurrent = 10});
  seawall::bulkhead shared(
      {.name = "ledger",
       .max_concurrent = 10,
       .partitions = {{.name = "web", .guaranteed = 6}, {.name = "batch", .guaranteed = 2}}});
  const admitted without = ten_seconds(one_for_all);
  const admitted with = ten_seconds(shared);

  fmt::print("admitted of {} calls of the web: {} without shares, {} with\n", calls, without.web, with.web);
  fmt::print("admitted of {} batch calls:      {} without shares, {} with\n", calls, without.batch,
             with.batch);
  return with.web >= calls * 9 / 10 && without.web < calls / 2 && with.batch > 0 ? 0 : 1;
}
