// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_TIMER_HEAP_HPP
#define SEAWALL_CORE_TIMER_HEAP_HPP

// Timers in the order in which they are due: what an event loop with one native timer needs to serve any
// number of calls. Intrusive: the nodes live in the calls, so that arming a timer allocates nothing and
// cannot fail. Most timers of a resilience library are cancelled before they are due; here that costs a few
// pointers.

#include <cstdint>

#include "seawall/core/pairing_heap.hpp"
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
  heap_links<timer_node> links = {};
};

/// Thread safety: none of its own; the owner's mutex. Cost: see `pairing_heap`.
class timer_heap {
 public:
  bool empty() const noexcept { return heap_.top() == nullptr; }
  /// The one that is due first; null if there is none.
  timer_node* top() const noexcept { return heap_.top(); }
  /// `never()` if there is none.
  instant next_due() const noexcept { return empty() ? instant::never() : top()->at; }

  void push(timer_node& n) noexcept {
    n.linked = true;
    heap_.push(n);
  }

  /// Nothing happens to one that is in no heap.
  void remove(timer_node& n) noexcept {
    if (!n.linked) return;
    n.linked = false;
    heap_.remove(n);
  }

 private:
  struct due_before {
    bool operator()(const timer_node& a, const timer_node& b) const noexcept {
      return a.at != b.at ? a.at < b.at : a.order < b.order;
    }
  };

  pairing_heap<timer_node, &timer_node::links, due_before> heap_;
};

}  // namespace seawall::core

#endif  // SEAWALL_CORE_TIMER_HEAP_HPP
