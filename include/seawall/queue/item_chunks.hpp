// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_QUEUE_ITEM_CHUNKS_HPP
#define SEAWALL_QUEUE_ITEM_CHUNKS_HPP

// Items in the order of their arrival, side by side, for queues that need no more of them than that: what a
// consumer takes shares cache lines with what he takes next, and many leave as one. Chunks are used again and
// again.

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

#include "seawall/time.hpp"

namespace seawall::detail {

/// Thread safety: none of its own; the queue's mutex. Chunks that were detached are their owner's.
/// Cost: constant. Allocates nothing: who calls brings chunks.
template <class T>
class item_chunks {
 public:
  struct entry {
    entry() noexcept {}
    ~entry() {}
    union {
      T item;
    };
    instant deadline;
    std::uint64_t bytes;
    int priority;
  };
  static constexpr std::size_t chunk_bytes = 2048;
  static constexpr std::uint32_t chunk_items =
      std::max<std::uint32_t>(8, static_cast<std::uint32_t>(chunk_bytes / sizeof(entry)));
  struct chunk {
    chunk* next = nullptr;
    std::uint64_t number = 0;  // with `begin`: before or after another
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    entry entries[chunk_items];

    std::uint32_t size() const noexcept { return end - begin; }
    entry& front() noexcept { return entries[begin]; }
    /// The item has been moved from.
    void drop_front() noexcept {
      front().item.~T();
      ++begin;
    }
    bool before(const chunk& other) const noexcept {
      return number != other.number ? number < other.number : begin < other.begin;
    }
  };
  /// Chunks that have left, in order. Their owner empties them, or puts them back.
  struct chain {
    chunk* first = nullptr;
    chunk* last = nullptr;
    std::size_t items = 0;

    void push(chunk& c) noexcept {
      c.next = nullptr;
      (first != nullptr ? last->next : first) = &c;
      last = &c;
    }
    chunk* pop() noexcept { return first != nullptr ? std::exchange(first, first->next) : nullptr; }
  };

  item_chunks() = default;
  item_chunks(const item_chunks&) = delete;
  item_chunks& operator=(const item_chunks&) = delete;
  /// Empty by now.
  ~item_chunks() {
    assert(empty());
    if (head_ != nullptr) recycle(*head_);
    while (chunk* const c = spares_.pop()) delete c;
  }

  bool empty() const noexcept { return head_ == nullptr || head_->size() == 0; }
  /// There is a place for one more, or a chunk that has some.
  bool has_place() const noexcept { return !tail_is_full() || has_spare(); }
  bool has_spare() const noexcept { return spares_.first != nullptr; }
  /// Takes it over, to be used or used again.
  void recycle(chunk& c) noexcept {
    c.next = spares_.first;
    if (spares_.first == nullptr) spares_.last = &c;
    spares_.first = &c;
    c.begin = c.end = 0;
  }

  /// There is a place.
  void push(T&& item, instant deadline, std::uint64_t bytes, int priority) noexcept {
    if (tail_is_full()) add_chunk();
    push_in_tail(std::move(item), deadline, bytes, priority);
  }
  bool tail_is_full() const noexcept { return tail_ == nullptr || tail_->end == chunk_items; }
  [[gnu::always_inline]] void push_in_tail(T&& item, instant deadline, std::uint64_t bytes,
                                           int priority) noexcept {
    entry& e = tail_->entries[tail_->end++];
    ::new (static_cast<void*>(&e.item)) T(std::move(item));
    e.deadline = deadline;
    e.bytes = bytes;
    e.priority = priority;
  }
  /// There is one.
  entry& front() noexcept { return head_->front(); }
  /// The item has been moved from.
  [[gnu::always_inline]] void pop_front() noexcept {
    head_->drop_front();
    if (head_->size() != 0) return;
    if (head_ == tail_) {
      head_->begin = head_->end = 0;
      head_->number = ++number_;
    } else {
      chunk& c = *head_;
      head_ = c.next;
      recycle(c);
    }
  }

  /// At most `max` items leave, whole chunks where that can be. Needs a spare, unless all leave.
  chain detach(std::size_t max) noexcept {
    chain out;
    while (!empty() && max != 0) {
      chunk& c = *head_;
      const std::size_t here = c.size();
      if (here > max) {
        out.push(detach_some(c, static_cast<std::uint32_t>(max)));
        out.items += max;
        break;
      }
      head_ = c.next;
      if (head_ == nullptr) tail_ = nullptr;
      out.push(c);
      out.items += here;
      max -= here;
    }
    return out;
  }
  /// What is left of it goes to where it was.
  void put_back(chunk& c) noexcept {
    chunk** at = &head_;
    while (*at != nullptr && (*at)->size() != 0 && (*at)->before(c)) at = &(*at)->next;
    c.next = *at;
    *at = &c;
    if (c.next == nullptr) tail_ = &c;
  }

 private:
  void add_chunk() noexcept {
    chunk& c = *spares_.pop();
    c.next = nullptr;
    c.number = ++number_;
    (tail_ != nullptr ? tail_->next : head_) = &c;
    tail_ = &c;
  }
  chunk& detach_some(chunk& from, std::uint32_t count) noexcept {
    chunk& out = *spares_.pop();
    out.number = from.number;
    out.begin = out.end = from.begin;
    for (const std::uint32_t end = from.begin + count; out.end != end; ++out.end) {
      entry& e = from.front();
      entry& to = out.entries[out.end];
      ::new (static_cast<void*>(&to.item)) T(std::move(e.item));
      to.deadline = e.deadline;
      to.bytes = e.bytes;
      to.priority = e.priority;
      from.drop_front();
    }
    return out;
  }

  chunk* head_ = nullptr;
  chunk* tail_ = nullptr;
  chain spares_;
  std::uint64_t number_ = 0;
};

}  // namespace seawall::detail

#endif  // SEAWALL_QUEUE_ITEM_CHUNKS_HPP
