// SPDX-License-Identifier: Apache-2.0
#include "payment_queue.hpp"

#include <utility>

namespace drill {

bool payment_queue::push(std::string_view key) {
  {
    const std::lock_guard lock(mutex_);
    if (counts_.in_queue >= most_) {
      ++counts_.refused;
      return false;
    }
    ++counts_.queued;
    ++counts_.in_queue;
    keys_.emplace_back(key);
  }
  filled_.notify_one();
  return true;
}

std::string payment_queue::take() {
  std::unique_lock lock(mutex_);
  filled_.wait(lock, [this] { return !keys_.empty(); });
  std::string key = std::move(keys_.front());
  keys_.pop_front();
  return key;
}

void payment_queue::captured() {
  const std::lock_guard lock(mutex_);
  ++counts_.captured;
  --counts_.in_queue;
}

void payment_queue::put_back(std::string key) {
  {
    const std::lock_guard lock(mutex_);
    keys_.push_front(std::move(key));
  }
  filled_.notify_one();
}

payment_queue::counts payment_queue::count() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

}  // namespace drill
