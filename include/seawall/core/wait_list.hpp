// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_WAIT_LIST_HPP
#define SEAWALL_CORE_WAIT_LIST_HPP

// Calls that wait for shared state: an intrusive list of wakers, first come first. The nodes live in the
// frames; nothing is allocated. The owner's mutex guards the list, and wakers are poked under it, so that a
// node that has been removed is never poked.

#include <cstddef>

#include "seawall/call.hpp"

namespace seawall::core {

/// A place in a list. Must be removed before it dies.
struct wait_node {
  seawall::waker* waker;  // set before it is pushed; the neighbours are set by pushing
  wait_node* previous;
  wait_node* next;
  bool linked = false;
};

/// Thread safety: none of its own; the owner's mutex. Cost: constant, but for `poke_all`.
class wait_list {
 public:
  std::size_t size() const noexcept { return size_; }

  void push_back(wait_node& n) noexcept {
    n.previous = last_;
    n.next = nullptr;
    (last_ != nullptr ? last_->next : first_) = &n;
    last_ = &n;
    n.linked = true;
    ++size_;
  }

  void remove(wait_node& n) noexcept {
    if (!n.linked) return;
    (n.previous != nullptr ? n.previous->next : first_) = n.next;
    (n.next != nullptr ? n.next->previous : last_) = n.previous;
    n.linked = false;
    --size_;
  }

  /// It stays in the list until it removes itself; so do all below.
  void poke_first() noexcept {
    if (first_ != nullptr && first_->waker != nullptr) first_->waker->poke();
  }
  /// All stay in the list until they remove themselves.
  void poke_all() noexcept {
    for (wait_node* n = first_; n != nullptr; n = n->next) {
      if (n->waker != nullptr) n->waker->poke();
    }
  }

 private:
  wait_node* first_ = nullptr;
  wait_node* last_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace seawall::core

#endif  // SEAWALL_CORE_WAIT_LIST_HPP
