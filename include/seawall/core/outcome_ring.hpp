// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_OUTCOME_RING_HPP
#define SEAWALL_CORE_OUTCOME_RING_HPP

// Two small memories of a circuit breaker: the outcomes of the last N calls, and the times of the last N
// failures.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "seawall/core/striped_window.hpp"
#include "seawall/time.hpp"

namespace seawall::core {

/// A queue of the newest `capacity` values; the oldest makes room. Capacity 0 keeps nothing.
/// Thread safety: none; the owner's mutex.
template <class T>
class recent {
 public:
  std::size_t size() const noexcept { return size_; }
  std::size_t capacity() const noexcept { return values_.size(); }
  bool full() const noexcept { return size_ == values_.size(); }
  /// 0 is the oldest.
  const T& operator[](std::size_t i) const noexcept { return values_[(first_ + i) % values_.size()]; }

  void push(const T& value) noexcept {
    if (values_.empty()) return;
    values_[(first_ + size_) % values_.size()] = value;
    if (full()) {
      first_ = (first_ + 1) % values_.size();
    } else {
      ++size_;
    }
  }

  void clear() noexcept { first_ = size_ = 0; }

  /// Keeps the newest values that fit.
  void set_capacity(std::size_t capacity) {
    if (capacity == values_.size()) return;
    std::vector<T> kept(capacity);
    const std::size_t count = size_ < capacity ? size_ : capacity;
    for (std::size_t i = 0; i < count; ++i) kept[i] = (*this)[size_ - count + i];
    values_.swap(kept);
    first_ = 0;
    size_ = count;
  }

 private:
  std::vector<T> values_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

/// Counts over the last N outcomes.
class outcome_ring {
 public:
  std::size_t capacity() const noexcept { return outcomes_.capacity(); }
  const window_counts& counts() const noexcept { return counts_; }
  /// Another good outcome would change nothing: there are N, and all are good.
  bool unmoved_by_success() const noexcept {
    return outcomes_.full() && counts_.bad == 0 && counts_.slow == 0;
  }

  void push(bool bad, bool slow) noexcept {
    if (outcomes_.capacity() == 0) return;
    if (outcomes_.full()) count(outcomes_[0], -1);
    const outcome o{bad, slow};
    outcomes_.push(o);
    count(o, 1);
  }

  void clear() noexcept {
    outcomes_.clear();
    counts_ = {};
  }

  void set_capacity(std::size_t capacity) {
    outcomes_.set_capacity(capacity);
    counts_ = {};
    for (std::size_t i = 0; i < outcomes_.size(); ++i) count(outcomes_[i], 1);
  }

 private:
  struct outcome {
    bool bad = false;
    bool slow = false;
  };

  void count(outcome o, int sign) noexcept {
    const auto step = static_cast<std::uint64_t>(sign);
    counts_.calls += step;
    if (o.bad) counts_.bad += step;
    if (o.slow) counts_.slow += step;
  }

  recent<outcome> outcomes_;
  window_counts counts_;
};

}  // namespace seawall::core

#endif  // SEAWALL_CORE_OUTCOME_RING_HPP
