// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdio>
#include <optional>
#include <thread>

#include <seawall/adapt/etcd.hpp>

int main() {
  // Nobody listens on port 1: it is the library that is tried here, not the server.
  seawall::etcd_elector elector(
      {.etcd = {.endpoints = {"http://127.0.0.1:1"}}, .election = "consumer", .node = "a"});
  elector.start({});
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  const bool leads = elector.current().has_value();
  std::printf("%s\n", leads ? "leads" : "does not lead");
  return leads ? 1 : 0;
}
