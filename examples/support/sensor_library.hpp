// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_EXAMPLES_SUPPORT_SENSOR_LIBRARY_HPP
#define SEAWALL_EXAMPLES_SUPPORT_SENSOR_LIBRARY_HPP

// A library as there are many: a thread of its own, and callbacks that come from it. The first reading fails, the second one
// is forgotten, the others succeed.

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

class sensor_library {
 public:
  using callback = std::function<void(int error, double celsius)>;

  sensor_library() : thread_([this] { work(); }) {}
  ~sensor_library() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }

  void read(const std::string& /*sensor*/, callback done) {
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(std::move(done));
    }
    wake_.notify_one();
  }

 private:
  void work() {
    for (int number = 1;; ++number) {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !requests_.empty(); });
      if (requests_.empty()) return;
      callback done = std::move(requests_.front());
      requests_.pop_front();
      lock.unlock();
      if (number == 2) {
        forgotten_.push_back(std::move(done));
      } else {
        done(number == 1 ? 5 : 0, 81.5);
      }
    }
  }

  std::mutex mutex_;  // guards requests_ and stopping_
  std::condition_variable wake_;
  std::deque<callback> requests_;
  bool stopping_ = false;
  std::vector<callback> forgotten_;  // the thread's own
  std::thread thread_;
};

#endif  // SEAWALL_EXAMPLES_SUPPORT_SENSOR_LIBRARY_HPP
