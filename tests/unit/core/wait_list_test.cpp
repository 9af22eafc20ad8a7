// SPDX-License-Identifier: Apache-2.0
#include "seawall/core/wait_list.hpp"

#include <array>
#include <vector>

#include "support/frames.hpp"
#include <doctest/doctest.h>

using namespace seawall;

namespace {

struct logging_waker final : waker {
  logging_waker(std::vector<int>& l, int n) : log(l), number(n) {}
  void poke() noexcept override { log.push_back(number); }
  std::vector<int>& log;
  int number;
};

struct three_wait {
  three_wait() {
    for (std::size_t i = 0; i < 3; ++i) {
      nodes[i].waker = &wakers[i];
      list.push_back(nodes[i]);
    }
  }
  std::vector<int> poked() {
    log.clear();
    list.poke_all();
    return log;
  }
  std::vector<int> log;
  std::array<logging_waker, 3> wakers = {logging_waker{log, 0}, logging_waker{log, 1}, logging_waker{log, 2}};
  std::array<core::wait_node, 3> nodes{};
  core::wait_list list;
};

using numbers = std::vector<int>;

}  // namespace

TEST_CASE("wait_list: first come, first poked, and all of them") {
  three_wait w;
  CHECK(w.list.size() == 3);
  CHECK(w.poked() == numbers{0, 1, 2});
  CHECK(w.list.size() == 3);
  CHECK(w.poked() == numbers{0, 1, 2});
}

TEST_CASE("wait_list: anyone may leave, in any order") {
  for (const auto& [leaves, rest] :
       {std::pair{0U, numbers{1, 2}}, std::pair{1U, numbers{0, 2}}, std::pair{2U, numbers{0, 1}}}) {
    three_wait w;
    w.list.remove(w.nodes[leaves]);
    CHECK(w.list.size() == 2);
    CHECK_FALSE(w.nodes[leaves].linked);
    CHECK(w.poked() == rest);
    w.list.push_back(w.nodes[leaves]);
    CHECK(w.poked().back() == static_cast<int>(leaves));
  }
}

TEST_CASE("wait_list: empties from both ends, and is as new") {
  for (const bool forwards : {true, false}) {
    three_wait w;
    for (std::size_t i = 0; i < 3; ++i) w.list.remove(w.nodes[forwards ? i : 2 - i]);
    CHECK(w.list.size() == 0);
    CHECK(w.poked().empty());
    w.list.push_back(w.nodes[1]);
    CHECK(w.poked() == numbers{1});
  }
}

TEST_CASE("wait_list: leaving twice, or without having come, changes nothing") {
  three_wait w;
  w.list.remove(w.nodes[1]);
  w.list.remove(w.nodes[1]);
  core::wait_node stranger{};
  w.list.remove(stranger);
  CHECK(w.list.size() == 2);
  CHECK(w.poked() == numbers{0, 2});
}

TEST_CASE("wait_list: who has no waker is passed over") {
  three_wait w;
  w.nodes[1].waker = nullptr;
  CHECK(w.poked() == numbers{0, 2});
}
