// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_EXEC_KEPT_OPTIONS_HPP
#define SEAWALL_EXEC_KEPT_OPTIONS_HPP

// What the caller and an enclosing call say about an asynchronous call, copied: both may be gone before it
// ends.

#include <algorithm>
#include <cstddef>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "seawall/call.hpp"

namespace seawall::detail {

/// The caller's options, kept while the call and its late attempts run; what an enclosing call hands down is
/// copied, as that call may end first.
class kept_options {
 public:
  kept_options(const call_options* options, const attempt* outer) {
    if (options != nullptr) kept_ = *options;
    if (outer != nullptr) inherit(*outer);
    key_ = kept_.key;
    kept_.key = key_;
    for (const attribute& a : kept_.attributes) {
      texts_.emplace_back(a.name);
      texts_.emplace_back(a.value);
    }
    for (std::size_t i = 0; i < texts_.size(); i += 2) attributes_.push_back({texts_[i], texts_[i + 1]});
    kept_.attributes = attributes_;
  }
  kept_options(const kept_options&) = delete;
  kept_options& operator=(const kept_options&) = delete;

  const call_options* get() const noexcept { return &kept_; }
  bool retried_outside() const noexcept { return retried_outside_; }
  const std::stop_token& outer_stop() const noexcept { return outer_stop_; }

 private:
  void inherit(const attempt& outer) {
    const call& c = outer.context();
    retried_outside_ = c.retries() || c.retried_outside();
    if (!kept_.priority) kept_.priority = outer.priority();
    kept_.degradation = std::max(kept_.degradation, outer.degradation());
    if (outer.deadline() < kept_.deadline) kept_.deadline = outer.deadline();
    outer_stop_ = outer.stop_token();
    // So that frames see it as well.
    if (!kept_.stop.stop_possible()) kept_.stop = std::exchange(outer_stop_, {});
    c.for_each_attribute([this](const attribute& a) { inherited_.push_back(a); });
    if (inherited_.empty()) return;
    // The innermost of a name comes first, and is the one that is found.
    inherited_.insert(inherited_.begin(), kept_.attributes.begin(), kept_.attributes.end());
    kept_.attributes = inherited_;
  }

  call_options kept_;
  std::string key_;
  std::vector<std::string> texts_;
  std::vector<attribute> attributes_;
  std::vector<attribute> inherited_;
  std::stop_token outer_stop_;
  bool retried_outside_ = false;
};
struct no_options {
  no_options(std::nullptr_t, std::nullptr_t) noexcept {}
  static const call_options* get() noexcept { return nullptr; }
};

}  // namespace seawall::detail

#endif  // SEAWALL_EXEC_KEPT_OPTIONS_HPP
