// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdio>

#include <seawall/adapt/redis.hpp>

int main() {
  // Nobody listens on port 1: it is the library that is tried here, not the server.
  seawall::redis_quota quota({.port = 1, .key = "consumer", .processes = 1});
  const bool answered = quota.wait_until_answered(std::chrono::milliseconds(10));
  std::printf("%s\n", answered ? "answered" : "not answered");
  return answered ? 1 : 0;
}
