// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_ORDERED_WAIT_LIST_HPP
#define SEAWALL_CORE_ORDERED_WAIT_LIST_HPP

// Who waits, and whose turn it is: first come, last come, the more important, the more urgent. Intrusive: the
// nodes live in whatever waits, nothing is allocated. The list knows nothing of what is waited for, nor whom
// to wake; wait_list.hpp is the plain one, in which all are woken.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "seawall/core/pairing_heap.hpp"
#include "seawall/time.hpp"

namespace seawall {

/// Whose turn it is among those who wait.
enum class wait_order : std::uint8_t {
  fifo,           ///< who came first
  lifo,           ///< who came last: under overload, the one whose caller is still there
  adaptive_lifo,  ///< who came first, until the list has not been empty for some time; then who came last
  by_priority,    ///< the most important first; among equals, who came first
  by_deadline,    ///< the earliest deadline first; among equals, who came first
};

constexpr std::string_view to_string(wait_order o) noexcept {
  switch (o) {
    case wait_order::fifo: return "fifo";
    case wait_order::lifo: return "lifo";
    case wait_order::adaptive_lifo: return "adaptive_lifo";
    case wait_order::by_priority: return "by_priority";
    case wait_order::by_deadline: return "by_deadline";
  }
  return "?";
}

namespace core {

/// A place in a list. Must be removed before it dies; neither copied nor moved while it is in there.
struct ordered_wait_node {
  // What the order may ask for: set before it is pushed.
  int priority = 0;  // higher is more important
  instant deadline = instant::never();

  // The list's own, set by pushing.
  bool linked = false;
  instant since;        ///< when it came
  std::int64_t rank;    // less is earlier, in the orders that rank
  std::uint64_t order;  // in which they came
  ordered_wait_node* older;
  ordered_wait_node* newer;
  heap_links<ordered_wait_node> from_first;
  heap_links<ordered_wait_node> from_last;
};

/// How a list is ordered.
struct wait_rules {
  wait_order order = wait_order::fifo;
  /// `adaptive_lifo`: how long the list must have been without an empty moment. (Maurer, "Fail at Scale", ACM
  /// Queue 13(8), 2015: first come, first served while nobody waits for long; in overload the oldest are
  /// those whose callers have gone.)
  duration lifo_after = std::chrono::milliseconds(100);
  /// `by_priority`: waiting for so long is worth one step of priority; zero: waiting is worth nothing. What
  /// counts is then the instant of arrival, moved ahead by `aging` for each step: an order that does not
  /// change while one waits.
  duration aging = duration::zero();
};

/// The list. First and last are the ends of one strict order, in which every node has a place of its own.
///
/// Thread safety: none of its own; the owner's mutex.
/// Cost: constant, for `by_priority` and `by_deadline` logarithmic, amortised; `set_rules` walks the list; no
/// allocation.
class ordered_wait_list {
 public:
  using node = ordered_wait_node;

  explicit ordered_wait_list(wait_rules rules = {}) noexcept : rules_(rules) {}
  ordered_wait_list(const ordered_wait_list&) = delete;
  ordered_wait_list& operator=(const ordered_wait_list&) = delete;
  ordered_wait_list(ordered_wait_list&&) = default;  // of an empty one
  ordered_wait_list& operator=(ordered_wait_list&&) = delete;

  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }

  /// Comes at `now`. `order` counts arrivals, also across lists: greater than that of everyone who came
  /// before.
  void push(node& n, std::uint64_t order, instant now) noexcept {
    if (empty()) standing_since_ = now;
    n.since = now;
    n.order = order;
    n.rank = rank_of(n);
    n.older = newest_;
    n.newer = nullptr;
    (newest_ != nullptr ? newest_->newer : oldest_) = &n;
    newest_ = &n;
    n.linked = true;
    ++size_;
    enter_heaps(n);
  }

  /// Nothing happens to one that is in no list.
  void remove(node& n) noexcept {
    if (!n.linked) return;
    (n.older != nullptr ? n.older->newer : oldest_) = n.newer;
    (n.newer != nullptr ? n.newer->older : newest_) = n.older;
    n.linked = false;
    --size_;
    if (!ranks()) return;
    first_.remove(n);
    last_.remove(n);
  }

  /// Whose turn it is; null if nobody waits.
  node* first(instant now) const noexcept {
    if (ranks()) return first_.top();
    return newest_first(now) ? newest_ : oldest_;
  }
  /// Whose turn comes after everybody else's.
  node* last(instant now) const noexcept {
    if (ranks()) return last_.top();
    return newest_first(now) ? oldest_ : newest_;
  }
  /// The order among nodes of several lists with the same rules; an adaptive list goes by arrival then.
  bool before(const node& a, const node& b) const noexcept {
    if (rules_.order == wait_order::lifo) return a.order > b.order;
    return ranks() ? earlier()(a, b) : a.order < b.order;
  }

  /// Who has waited longest, whatever the order; `node::newer` leads to the others.
  node* oldest() const noexcept { return oldest_; }

  /// Orders those who wait anew.
  void set_rules(wait_rules rules) noexcept {
    rules_ = rules;
    first_ = {};
    last_ = {};
    for (node* n = oldest_; n != nullptr; n = n->newer) {
      n->rank = rank_of(*n);
      enter_heaps(*n);
    }
  }

 private:
  struct earlier {
    bool operator()(const node& a, const node& b) const noexcept {
      return a.rank != b.rank ? a.rank < b.rank : a.order < b.order;
    }
  };
  struct later {
    bool operator()(const node& a, const node& b) const noexcept { return earlier()(b, a); }
  };

  bool ranks() const noexcept {
    return rules_.order == wait_order::by_priority || rules_.order == wait_order::by_deadline;
  }
  bool newest_first(instant now) const noexcept {
    if (rules_.order == wait_order::lifo) return true;
    return rules_.order == wait_order::adaptive_lifo && now - standing_since_ >= rules_.lifo_after;
  }
  std::int64_t rank_of(const node& n) const noexcept {
    if (rules_.order == wait_order::by_deadline) return n.deadline.ns();
    if (rules_.aging == duration::zero()) return -std::int64_t{n.priority};
    return (n.since - rules_.aging * n.priority).ns();
  }
  void enter_heaps(node& n) noexcept {
    if (!ranks()) return;
    first_.push(n);
    last_.push(n);
  }

  wait_rules rules_;
  node* oldest_ = nullptr;
  node* newest_ = nullptr;
  std::size_t size_ = 0;
  instant standing_since_;
  pairing_heap<node, &node::from_first, earlier> first_;
  pairing_heap<node, &node::from_last, later> last_;
};

}  // namespace core
}  // namespace seawall

#endif  // SEAWALL_CORE_ORDERED_WAIT_LIST_HPP
