// SPDX-License-Identifier: Apache-2.0

//   process 1 --> [ limit_rate ] -- lease --+
//   process 2 --> [ limit_rate ] -- lease --+-- Redis: 200 in a second, for all of them
//   process 3 --> [ limit_rate ] -- lease --+
//
// A partner allows 200 calls a second, whoever makes them. Each process leases a few permits in advance and takes from them:
// no call waits for Redis. Without a server (shared_quota [port], 6379 if not said) each goes on with a third of the rate.
// Here the three processes are three threads.

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <thread>
#include <vector>

#include "seawall/adapt/redis.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/rate_limiter.hpp"
#include "seawall/status.hpp"
#include <fmt/format.h>

using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t processes = 3;
constexpr std::uint32_t max_lease = 10;

struct outcome {
  std::uint64_t calls = 0;
  std::uint64_t without_server = 0;
};

// What one process does for two seconds: all the calls that it may make.
outcome process(std::uint16_t port) {
  seawall::redis_quota quota({.port = port,
                              .key = "partner",
                              .permits = 200,
                              .per = 1s,
                              .burst = 40,
                              .max_lease = max_lease,
                              .processes = processes});
  seawall::rate_limiter limiter({.name = "partner", .max_wait = 200ms, .quota = &quota});
  const auto partner = seawall::compose(seawall::limit_rate(limiter));
  quota.wait_until_answered(100ms);

  outcome made;
  const auto end = std::chrono::steady_clock::now() + 2s;
  while (std::chrono::steady_clock::now() < end) {
    if (partner.run([] { return absl::OkStatus(); }).ok()) ++made.calls;
  }
  made.without_server = quota.snapshot().locally_granted;
  return made;
}

}  // namespace

int main(int argc, char** argv) {
  const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 6379);
  std::array<outcome, processes> made;
  std::vector<std::thread> threads;
  for (outcome& o : made) threads.emplace_back([&o, port] { o = process(port); });
  for (std::thread& t : threads) t.join();

  std::uint64_t all = 0;
  for (const outcome& o : made) {
    fmt::print("{} calls, {} of them without the server\n", o.calls, o.without_server);
    all += o.calls;
  }
  fmt::print("together {} in two seconds, of 200 a second\n", all);
  // The rate, the burst, a lease each; and the last calls that waited.
  return all > 0 && all <= 200 * 22 / 10 + 40 + processes * max_lease ? 0 : 1;
}
