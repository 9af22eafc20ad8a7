// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_UNIT_QUEUE_SUPPORT_HPP
#define SEAWALL_TESTS_UNIT_QUEUE_SUPPORT_HPP

#include <chrono>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "seawall/queue/backpressure_queue.hpp"
#include "seawall/time.hpp"

namespace queue_test {

using namespace std::chrono_literals;

inline seawall::instant at(seawall::duration d) { return seawall::instant() + d; }

/// First come first, and nothing is ever dropped.
inline seawall::backpressure_queue_options plain() {
  return {.order = seawall::queue_order::fifo, .expire = false};
}

/// What the queue has dropped, and why.
template <class T>
struct recorded {
  seawall::queue_hooks<T> hooks() {
    seawall::queue_hooks<T> h;
    h.dropped = [this](T&& item, seawall::queue_drop why) { what.emplace_back(std::move(item), why); };
    return h;
  }
  std::string items() const {
    std::string out;
    if constexpr (std::is_same_v<T, char>) {
      for (const auto& [item, why] : what) out += item;
    }
    return out;
  }
  std::vector<std::pair<T, seawall::queue_drop>> what;
};

/// Pops until it is empty.
inline std::string all(seawall::backpressure_queue<char>& q, seawall::instant now = at(0ms)) {
  std::string out;
  while (auto p = q.try_pop(now)) out += *p;
  return out;
}

}  // namespace queue_test

#endif  // SEAWALL_TESTS_UNIT_QUEUE_SUPPORT_HPP
