// SPDX-License-Identifier: Apache-2.0
#include "rendering.hpp"

#include <algorithm>
#include <thread>

namespace drill {

int browsing_per_s(int checkouts_per_s) {
  const auto wanted = overload_factor * static_cast<int>(render_workers) * std::chrono::milliseconds(1000);
  return static_cast<int>((wanted - checkouts_per_s * checkout_page_takes) / product_page_takes);
}

void renderer::render(std::chrono::microseconds takes) {
  std::this_thread::sleep_until(reserve(clock::now(), takes));
}

renderer::clock::time_point renderer::reserve(clock::time_point now, std::chrono::microseconds takes) {
  const std::lock_guard lock(mutex_);
  const auto first_free = std::min_element(free_at_.begin(), free_at_.end());
  *first_free = std::max(now, *first_free) + takes;
  reserved_ += takes;
  return *first_free;
}

// A worker that is reserved beyond `now` is busy all the way there.
std::chrono::microseconds renderer::spent(clock::time_point now) const {
  const std::lock_guard lock(mutex_);
  clock::duration spent = reserved_;
  for (const clock::time_point free_at : free_at_) spent -= std::max(free_at - now, clock::duration(0));
  return std::chrono::duration_cast<std::chrono::microseconds>(spent);
}

}  // namespace drill
