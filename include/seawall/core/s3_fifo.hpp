// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_S3_FIFO_HPP
#define SEAWALL_CORE_S3_FIFO_HPP

// A bounded table of keys and values that decides what to forget: S3-FIFO (Yang, Zhang, Qiu, Yue, Rashmi:
// "FIFO queues are all you need for cache eviction", SOSP 2023). Three queues: a small one through which what
// is asked for once falls out again, a main one for the rest, and the hashes of what fell out of the small
// one lately. docs/cache.md has it measured.

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "seawall/core/hashed_key.hpp"

namespace seawall::core {

/// The hashes of the last so many keys; now and then (a set of four is full) one is forgotten early. Memory:
/// 16 to 32 bytes a key, allocated once.
class ghost_list {
 public:
  explicit ghost_list(std::size_t capacity)
      : capacity_(static_cast<std::uint32_t>(std::min<std::size_t>(capacity, UINT32_MAX / 2))),
        sets_(std::bit_ceil(std::max<std::size_t>(capacity / 2, 1))) {}

  void add(std::uint64_t hash) noexcept {
    set& s = set_of(hash);
    slot* oldest = &s.slots[0];
    for (slot& one : s.slots) {
      if (!remembers(one)) {
        oldest = &one;
        break;
      }
      if (now_ - one.at > now_ - oldest->at) oldest = &one;
    }
    *oldest = {.mark = mark_of(hash), .at = now_++};
  }
  /// Whether it was there; it is no more.
  bool take(std::uint64_t hash) noexcept {
    for (slot& one : set_of(hash).slots) {
      if (!remembers(one) || one.mark != mark_of(hash)) continue;
      one.mark = 0;
      return true;
    }
    return false;
  }

 private:
  struct slot {
    std::uint32_t mark = 0;  // 0: nothing
    std::uint32_t at = 0;
  };
  struct set {
    slot slots[4];
  };

  // The low bits choose the set; a hash that is the number itself is mixed first.
  static std::uint64_t mixed(std::uint64_t hash) noexcept {
    hash = (hash ^ (hash >> 32U)) * 0x9e3779b97f4a7c15U;
    return hash ^ (hash >> 29U);
  }
  static std::uint32_t mark_of(std::uint64_t hash) noexcept {
    return static_cast<std::uint32_t>(mixed(hash) >> 32U) | 1U;
  }
  set& set_of(std::uint64_t hash) noexcept { return sets_[mixed(hash) & (sets_.size() - 1)]; }
  bool remembers(const slot& s) const noexcept { return s.mark != 0 && now_ - s.at <= capacity_; }

  std::uint32_t capacity_;
  std::uint32_t now_ = 0;  // wraps around: so old a mark would have to be met again at just that moment
  std::vector<set> sets_;
};

/// Guarantees: never more entries, nor more bytes, than the limits; what is put is there afterwards.
///
/// Thread safety: none; the owner's mutex. Cost: constant, of `put` on average (what was asked for is passed
/// over, up to three times); an entry that is found costs a hash table look-up and a counter.
/// Errors: where memory is short, `put` throws and has changed nothing.
template <class Value>
class s3_fifo {
 public:
  class item {
   public:
    std::string_view key() const noexcept { return key_; }
    std::size_t bytes() const noexcept { return bytes_; }
    Value value = {};

   private:
    friend class s3_fifo;
    item(const hashed_key& key, std::size_t bytes) : key_(key.text), hash_(key.hash), bytes_(bytes) {}

    item* newer_ = nullptr;
    item* older_ = nullptr;
    const std::string key_;
    const std::size_t hash_;
    std::size_t bytes_;
    std::uint8_t hits_ = 0;  // at most 3
    bool in_main_ = false;
  };

  /// What has been forgotten, to be destroyed when the owner's mutex is free again: values are the user's.
  class removed {
   public:
    removed() = default;
    removed(const removed&) = delete;
    removed& operator=(const removed&) = delete;
    ~removed() {
      while (first_ != nullptr) delete std::exchange(first_, first_->older_);
    }
    std::size_t size() const noexcept { return size_; }

   private:
    friend class s3_fifo;
    void take(item* i) noexcept {
      i->older_ = std::exchange(first_, i);
      ++size_;
    }
    item* first_ = nullptr;
    std::size_t size_ = 0;
  };

  /// Both at least 1.
  s3_fifo(std::size_t max_entries, std::size_t max_bytes)
      : max_entries_(max_entries), max_bytes_(max_bytes), ghosts_(ghosts_for(max_entries)) {}
  s3_fifo(const s3_fifo&) = delete;
  s3_fifo& operator=(const s3_fifo&) = delete;
  ~s3_fifo() {
    removed all;
    clear(all);
  }

  /// Null if it is not there.
  item* find(const hashed_key& key) noexcept {
    const auto found = index_.find(key);
    return found == index_.end() ? nullptr : found->second;
  }
  /// It was asked for.
  static void touch(item& i) noexcept {
    if (i.hits_ < 3) ++i.hits_;
  }

  bool fits(std::size_t bytes) const noexcept { return bytes <= max_bytes_; }

  /// The entry of `key`, which takes `bytes` from now on (they fit); made if it is not there, with an empty
  /// value.
  item& put(const hashed_key& key, std::size_t bytes, removed& out) {
    if (item* const known = find(key)) {
      resize(*known, bytes, out);
      return *known;
    }
    std::unique_ptr<item> made(new item(key, bytes));
    index_.emplace(hashed_key(made->key_, key.hash), made.get());
    while (size() > max_entries_ || bytes_ + bytes > max_bytes_) evict(nullptr, out);
    bytes_ += bytes;
    item& i = *made.release();
    i.in_main_ = ghosts_.take(key.hash);
    queue_of(i).push(i);
    return i;
  }

  void erase(item& i, removed& out) noexcept {
    queue_of(i).remove(i);
    forget(i, out);
  }
  void clear(removed& out) noexcept {
    for (queue* q : {&small_, &main_}) {
      while (q->oldest != nullptr) erase(*q->oldest, out);
    }
  }

  void set_limits(std::size_t max_entries, std::size_t max_bytes, removed& out) {
    if (max_entries != max_entries_) ghosts_ = ghost_list(ghosts_for(max_entries));
    max_entries_ = max_entries;
    max_bytes_ = max_bytes;
    while (size() > max_entries_ || bytes_ > max_bytes_) evict(nullptr, out);
  }

  std::size_t size() const noexcept { return index_.size(); }
  std::size_t bytes() const noexcept { return bytes_; }

 private:
  struct queue {
    item* newest = nullptr;
    item* oldest = nullptr;
    std::size_t entries = 0;
    std::size_t bytes = 0;

    void push(item& i) noexcept {
      i.newer_ = nullptr;
      i.older_ = newest;
      (newest != nullptr ? newest->newer_ : oldest) = &i;
      newest = &i;
      ++entries;
      bytes += i.bytes_;
    }
    void remove(item& i) noexcept {
      (i.newer_ != nullptr ? i.newer_->older_ : newest) = i.older_;
      (i.older_ != nullptr ? i.older_->newer_ : oldest) = i.newer_;
      --entries;
      bytes -= i.bytes_;
    }
  };

  // As many as the main queue has entries, as the paper has it.
  static std::size_t ghosts_for(std::size_t max_entries) noexcept { return max_entries - max_entries / 10; }

  queue& queue_of(const item& i) noexcept { return i.in_main_ ? main_ : small_; }
  // The small queue has a tenth of the room.
  bool small_is_full() const noexcept {
    return small_.entries > max_entries_ / 10 || small_.bytes > max_bytes_ / 10;
  }

  void resize(item& i, std::size_t bytes, removed& out) noexcept {
    queue_of(i).bytes -= i.bytes_;
    bytes_ -= i.bytes_;
    i.bytes_ = 0;
    while (bytes_ + bytes > max_bytes_) evict(&i, out);
    i.bytes_ = bytes;
    queue_of(i).bytes += bytes;
    bytes_ += bytes;
  }

  // One entry, but not `spared`.
  void evict(item* spared, removed& out) noexcept {
    for (bool gone = false; !gone;) {
      const bool spares_one = spared != nullptr && spared->in_main_;
      const bool main_has_some = main_.entries > (spares_one ? 1U : 0U);
      const bool from_small = small_.oldest != nullptr && (small_is_full() || !main_has_some);
      gone = from_small ? evict_from_small(spared, out) : evict_from_main(spared, out);
    }
  }
  // What was asked for again goes on to the main queue instead.
  bool evict_from_small(item* spared, removed& out) noexcept {
    item& i = *small_.oldest;
    small_.remove(i);
    if (i.hits_ > 1 || &i == spared) {
      i.hits_ = 0;
      i.in_main_ = true;
      main_.push(i);
      return false;
    }
    ghosts_.add(i.hash_);
    forget(i, out);
    return true;
  }
  // What was asked for gets another round for each time.
  bool evict_from_main(item* spared, removed& out) noexcept {
    item& i = *main_.oldest;
    main_.remove(i);
    if (i.hits_ > 0 || &i == spared) {
      if (i.hits_ > 0) --i.hits_;
      main_.push(i);
      return false;
    }
    forget(i, out);
    return true;
  }

  // It is in no queue any more.
  void forget(item& i, removed& out) noexcept {
    index_.erase(hashed_key(i.key_, i.hash_));
    bytes_ -= i.bytes_;
    out.take(&i);
  }

  std::size_t max_entries_;
  std::size_t max_bytes_;
  std::size_t bytes_ = 0;
  queue small_, main_;
  ghost_list ghosts_;
  std::unordered_map<hashed_key, item*, hash_of_key> index_;
};

}  // namespace seawall::core

#endif  // SEAWALL_CORE_S3_FIFO_HPP
