// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_PAIRING_HEAP_HPP
#define SEAWALL_CORE_PAIRING_HEAP_HPP

// An intrusive heap from whose middle one can take things out: timers that are cancelled, waiting calls that
// give up. The links live in the nodes, so that pushing allocates nothing and cannot fail. A node may be in
// several heaps at once, with links of its own for each.

namespace seawall::core {

/// A node's place in one heap, set by pushing. Neither copied nor moved while it is in there.
template <class Node>
struct heap_links {
  Node* child;     // the first of those that come later
  Node* next;      // the next child of the same node
  Node* previous;  // the child before, or the parent of a first child
};

/// A pairing heap (Fredman, Sedgewick, Sleator, Tarjan: "The Pairing Heap", Algorithmica 1986).
/// `Before()(a, b)` is a strict order that does not change while the nodes are in the heap.
///
/// Thread safety: none of its own; the owner's mutex.
/// Cost: `push` and `top` constant; `remove` constant for a node that nothing was compared with since it was
/// pushed, else logarithmic, amortised; no allocation; no recursion.
template <class Node, heap_links<Node> Node::*Links, class Before>
class pairing_heap {
 public:
  /// The one that comes first; null if there is none.
  Node* top() const noexcept { return root_; }

  /// Of a node that is not in the heap.
  void push(Node& n) noexcept {
    n.*Links = {};
    root_ = root_ != nullptr ? meld(root_, &n) : &n;
  }

  /// Of a node that is in the heap.
  void remove(Node& n) noexcept {
    auto& own = n.*Links;
    if (&n == root_) {
      root_ = combine(own.child);
      return;
    }
    auto& before = own.previous->*Links;
    (before.child == &n ? before.child : before.next) = own.next;
    if (own.next != nullptr) (own.next->*Links).previous = own.previous;
    if (Node* const orphans = combine(own.child)) root_ = meld(root_, orphans);
  }

 private:
  // Of two roots the later becomes the first child of the earlier.
  static Node* meld(Node* a, Node* b) noexcept {
    if (Before()(*b, *a)) {
      Node* const later = a;
      a = b;
      b = later;
    }
    auto& of_a = a->*Links;
    auto& of_b = b->*Links;
    of_b.previous = a;
    of_b.next = of_a.child;
    if (of_a.child != nullptr) (of_a.child->*Links).previous = b;
    of_a.child = b;
    return a;
  }

  // Siblings become one tree: in pairs from the left, then the pairs from the right.
  static Node* combine(Node* first) noexcept {
    Node* pairs = nullptr;  // linked through `next`, the last pair first
    while (first != nullptr) {
      Node* const a = first;
      Node* const b = (a->*Links).next;
      first = b != nullptr ? (b->*Links).next : nullptr;
      Node* const pair = b != nullptr ? meld(detached(a), detached(b)) : detached(a);
      (pair->*Links).next = pairs;
      pairs = pair;
    }
    if (pairs == nullptr) return nullptr;
    Node* root = pairs;
    pairs = (pairs->*Links).next;
    root = detached(root);
    while (pairs != nullptr) {
      Node* const tree = pairs;
      pairs = (pairs->*Links).next;
      root = meld(detached(tree), root);
    }
    return root;
  }
  static Node* detached(Node* n) noexcept {
    (n->*Links).next = (n->*Links).previous = nullptr;
    return n;
  }

  Node* root_ = nullptr;
};

}  // namespace seawall::core

#endif  // SEAWALL_CORE_PAIRING_HEAP_HPP
