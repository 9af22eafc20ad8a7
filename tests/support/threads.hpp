// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_SUPPORT_THREADS_HPP
#define SEAWALL_TESTS_SUPPORT_THREADS_HPP

#include <barrier>
#include <thread>
#include <vector>

namespace seawall_test {

/// Runs f(0) ... f(count - 1), each on a thread of its own, all let go at the same moment; returns when all are done.
template <class F>
void on_threads(int count, F f) {
  std::barrier together(count);
  std::vector<std::thread> all;
  for (int t = 0; t < count; ++t) {
    all.emplace_back([&, t] {
      together.arrive_and_wait();
      f(t);
    });
  }
  for (auto& t : all) t.join();
}

}  // namespace seawall_test

#endif  // SEAWALL_TESTS_SUPPORT_THREADS_HPP
