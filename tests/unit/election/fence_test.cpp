// SPDX-License-Identifier: Apache-2.0
#include "seawall/election/fence.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

namespace {

using seawall::fence;
using seawall::fence_answer;

/// A resource with a disk.
struct resource {
  std::uint64_t on_disk = 0;
  bool disk_works = true;
  std::vector<std::string> written;
  fence guard{0};

  fence_answer write(std::uint64_t token, const std::string& text) {
    return guard.write(
        token, [&](std::uint64_t t) { return disk_works && (on_disk = t, true); },
        [&] { written.push_back(text); });
  }
};

TEST_CASE("fence: a token that is older than the newest seen does not write") {
  resource r;
  CHECK(r.write(5, "a") == fence_answer::admitted);
  CHECK(r.write(6, "b") == fence_answer::admitted);
  CHECK(r.write(5, "c") == fence_answer::stale);
  CHECK(r.write(6, "d") == fence_answer::admitted);
  CHECK(r.written == std::vector<std::string>{"a", "b", "d"});
  CHECK(r.guard.newest() == 6);
}

TEST_CASE("fence: the first token is durable before its first write, and once") {
  std::vector<std::string> order;
  fence guard(0);
  for (int i = 0; i < 2; ++i) {
    guard.write(
        3,
        [&](std::uint64_t) {
          order.push_back("persist");
          return true;
        },
        [&] { order.push_back("write"); });
  }
  CHECK(order == std::vector<std::string>{"persist", "write", "write"});
}

TEST_CASE("fence: what cannot be made durable writes nothing, and keeps nobody out") {
  resource r;
  r.write(5, "a");
  r.disk_works = false;
  CHECK(r.write(6, "b") == fence_answer::not_durable);
  CHECK(r.write(5, "c") == fence_answer::admitted);
  CHECK(r.written == std::vector<std::string>{"a", "c"});
}

TEST_CASE("fence: a resource that restarts with what it kept refuses the old token still") {
  fence guard(9);
  const auto yes = [](std::uint64_t) { return true; };
  CHECK(guard.write(8, yes, [] {}) == fence_answer::stale);
  CHECK(guard.write(9, yes, [] {}) == fence_answer::admitted);
}

TEST_CASE("fence: zero is nobody's token") {
  resource r;
  CHECK(r.write(0, "a") == fence_answer::stale);
  CHECK(r.written.empty());
}

TEST_CASE("fence: threads with all kinds of tokens never write in the wrong order") {
  fence guard(0);
  std::vector<std::uint64_t> written;
  std::vector<std::thread> threads;
  for (std::uint64_t first = 1; first <= 4; ++first) {
    threads.emplace_back([&, first] {
      for (std::uint64_t t = first; t < 4000; t += 4)
        guard.write(
            t, [](std::uint64_t) { return true; }, [&, t] { written.push_back(t); });
    });
  }
  for (auto& t : threads) t.join();
  CHECK(!written.empty());
  for (std::size_t i = 1; i < written.size(); ++i)
    if (written[i] < written[i - 1]) FAIL("an older token wrote after a newer one");
}

}  // namespace
