// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_TIMER_HEAP_HPP
#define SEAWALL_CORE_TIMER_HEAP_HPP

// Timers in the order in which they are due: what an event loop with one native timer needs to serve any number of calls.
// Intrusive: the nodes live in the calls, so that arming a timer allocates nothing and cannot fail. Most timers of a
// resilience library are cancelled before they are due; here that costs a few pointers.

#include <cstdint>

#include "seawall/time.hpp"

namespace seawall::core {

/// A place in a heap. Must be removed before it dies; neither copied nor moved.
struct timer_node {
  timer_node() = default;
  timer_node(const timer_node&) = delete;
  timer_node& operator=(const timer_node&) = delete;

  instant at;
  std::uint64_t order = 0;  ///< decides among timers that are due at the same instant
  bool linked = false;

  timer_node* child = nullptr;     // the first of those that are due later
  timer_node* next = nullptr;      // the next child of the same node
  timer_node* previous = nullptr;  // the child before, or the parent of a first child
};

/// A pairing heap (Fredman, Sedgewick, Sleator, Tarjan: "The Pairing Heap", Algorithmica 1986).
///
/// Thread safety: none of its own; the owner's mutex.
/// Cost: `push` and `top` constant; `remove` constant for a node that nothing was compared with since it was pushed, else
/// logarithmic, amortised; no allocation; no recursion.
class timer_heap {
 public:
  bool empty() const noexcept { return root_ == nullptr; }
  /// The one that is due first; null if there is none.
  timer_node* top() const noexcept { return root_; }
  /// `never()` if there is none.
  instant next_due() const noexcept { return root_ != nullptr ? root_->at : instant::never(); }

  void push(timer_node& n) noexcept {
    n.child = n.next = n.previous = nullptr;
    n.linked = true;
    root_ = root_ != nullptr ? meld(root_, &n) : &n;
  }

  /// Nothing happens to one that is in no heap.
  void remove(timer_node& n) noexcept {
    if (!n.linked) return;
    n.linked = false;
    if (&n == root_) {
      root_ = combine(n.child);
      return;
    }
    (n.previous->child == &n ? n.previous->child : n.previous->next) = n.next;
    if (n.next != nullptr) n.next->previous = n.previous;
    if (timer_node* const orphans = combine(n.child)) root_ = meld(root_, orphans);
  }

 private:
  static bool before(const timer_node& a, const timer_node& b) noexcept {
    return a.at != b.at ? a.at < b.at : a.order < b.order;
  }

  // Of two roots the later becomes the first child of the earlier.
  static timer_node* meld(timer_node* a, timer_node* b) noexcept {
    if (before(*b, *a)) {
      timer_node* const later = a;
      a = b;
      b = later;
    }
    b->previous = a;
    b->next = a->child;
    if (a->child != nullptr) a->child->previous = b;
    a->child = b;
    return a;
  }

  // Siblings become one tree: in pairs from the left, then the pairs from the right.
  static timer_node* combine(timer_node* first) noexcept {
    timer_node* pairs = nullptr;  // linked through `next`, the last pair first
    while (first != nullptr) {
      timer_node* const a = first;
      timer_node* const b = a->next;
      first = b != nullptr ? b->next : nullptr;
      timer_node* const pair = b != nullptr ? meld(detached(a), detached(b)) : detached(a);
      pair->next = pairs;
      pairs = pair;
    }
    if (pairs == nullptr) return nullptr;
    timer_node* root = pairs;
    pairs = pairs->next;
    root = detached(root);
    while (pairs != nullptr) {
      timer_node* const tree = pairs;
      pairs = pairs->next;
      root = meld(detached(tree), root);
    }
    return root;
  }
  static timer_node* detached(timer_node* n) noexcept {
    n->next = n->previous = nullptr;
    return n;
  }

  timer_node* root_ = nullptr;
};

}  // namespace seawall::core

#endif  // SEAWALL_CORE_TIMER_HEAP_HPP
