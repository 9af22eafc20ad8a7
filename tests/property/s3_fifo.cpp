// SPDX-License-Identifier: Apache-2.0
// The table of a cache against lists that are searched from one end to the other: who is in, who fell out, what it takes.

#include "seawall/core/s3_fifo.hpp"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "property/support.hpp"
#include <doctest/doctest.h>

namespace {

using namespace property;
using table = seawall::core::s3_fifo<int>;
using seawall::core::ghost_list;
using seawall::core::hashed_key;

/// S3-FIFO as the paper tells it, with whole queues; the newest in front. The ghosts are the real ones, which have a test of
/// their own.
class s3_model {
 public:
  s3_model(std::size_t max_entries, std::size_t max_bytes)
      : max_entries_(max_entries), max_bytes_(max_bytes), ghosts_(max_entries - max_entries / 10) {}

  struct entry {
    std::string key;
    std::size_t bytes;
    int value;
    int hits = 0;
  };

  entry* find(const std::string& key) {
    for (auto* q : {&small_, &main_}) {
      for (entry& e : *q) {
        if (e.key == key) return &e;
      }
    }
    return nullptr;
  }
  void touch(entry& e) { e.hits = std::min(e.hits + 1, 3); }

  void put(const std::string& key, std::size_t bytes, int value) {
    if (find(key) != nullptr) {
      find(key)->bytes = 0;
      while (total() + bytes > max_bytes_) evict(key);
      entry& e = *find(key);
      e.bytes = bytes;
      e.value = value;
      return;
    }
    while (count() + 1 > max_entries_ || total() + bytes > max_bytes_) evict({});
    auto& q = ghosts_.take(hashed_key(key).hash) ? main_ : small_;
    q.push_front({key, bytes, value});
  }
  void erase(const std::string& key) {
    for (auto* q : {&small_, &main_}) std::erase_if(*q, [&](const entry& e) { return e.key == key; });
  }
  void clear() {
    small_.clear();
    main_.clear();
  }
  void set_limits(std::size_t max_entries, std::size_t max_bytes) {
    if (max_entries != max_entries_) ghosts_ = ghost_list(max_entries - max_entries / 10);
    max_entries_ = max_entries;
    max_bytes_ = max_bytes;
    while (count() > max_entries_ || total() > max_bytes_) evict({});
  }

  std::size_t count() const { return small_.size() + main_.size(); }
  std::size_t total() const { return bytes_of(small_) + bytes_of(main_); }
  std::size_t max_entries() const { return max_entries_; }
  std::size_t max_bytes() const { return max_bytes_; }

 private:
  using queue = std::deque<entry>;
  static std::size_t bytes_of(const queue& q) {
    std::size_t sum = 0;
    for (const entry& e : q) sum += e.bytes;
    return sum;
  }

  void evict(const std::string& spared) {
    for (;;) {
      const bool small_full = small_.size() > max_entries_ / 10 || bytes_of(small_) > max_bytes_ / 10;
      const auto others =
          std::count_if(main_.begin(), main_.end(), [&](const entry& e) { return e.key != spared; });
      if (!small_.empty() && (small_full || others == 0)) {
        entry e = small_.back();
        small_.pop_back();
        if (e.hits > 1 || e.key == spared) {
          e.hits = 0;
          main_.push_front(e);
          continue;
        }
        ghosts_.add(hashed_key(e.key).hash);
        return;
      }
      entry e = main_.back();
      main_.pop_back();
      if (e.hits == 0 && e.key != spared) return;
      e.hits = std::max(e.hits - 1, 0);
      main_.push_front(e);
    }
  }

  std::size_t max_entries_, max_bytes_;
  queue small_, main_;
  ghost_list ghosts_;
};

class s3_duel {
 public:
  using mismatch = std::optional<std::string>;

  explicit s3_duel(dice& d)
      : d_(d),
        keys_(d.between<std::uint64_t>(1, 60)),
        model_(d.between<std::size_t>(1, 40), d.pick<std::size_t>({1, 10, 100, 400, 100'000})),
        real_(model_.max_entries(), model_.max_bytes()) {}

  mismatch step() {
    table::removed out;
    const auto roll = d_.below(1000);
    if (roll < 500) {
      ask(key());
    } else if (roll < 940) {
      put(key(), out);
    } else if (roll < 980) {
      erase(key(), out);
    } else if (roll < 985) {
      model_.clear();
      real_.clear(out);
    } else if (roll < 990) {
      model_.set_limits(d_.between<std::size_t>(1, 40), d_.pick<std::size_t>({1, 10, 100, 400, 100'000}));
      real_.set_limits(model_.max_entries(), model_.max_bytes(), out);
    }
    return compare();
  }

 private:
  // Some more often than others.
  std::string key() {
    return "key " + std::to_string(d_.chance(50) ? d_.below(keys_) : d_.below(keys_ / 4 + 1));
  }

  void ask(const std::string& k) {
    if (auto* const e = model_.find(k)) model_.touch(*e);
    if (auto* const i = real_.find(hashed_key(k))) table::touch(*i);
  }
  void put(const std::string& k, table::removed& out) {
    const auto bytes = d_.between<std::size_t>(0, 30);
    if (!real_.fits(bytes)) return;
    model_.put(k, bytes, ++last_);
    real_.put(hashed_key(k), bytes, out).value = last_;
  }
  void erase(const std::string& k, table::removed& out) {
    model_.erase(k);
    if (auto* const i = real_.find(hashed_key(k))) real_.erase(*i, out);
  }

  mismatch compare() {
    if (real_.size() != model_.count()) return text("entries ", real_.size(), ", should be ", model_.count());
    if (real_.bytes() != model_.total()) return text("bytes ", real_.bytes(), ", should be ", model_.total());
    if (real_.size() > model_.max_entries() || real_.bytes() > model_.max_bytes())
      return text("out of bounds");
    for (std::uint64_t k = 0; k < keys_; ++k) {
      const std::string name = "key " + std::to_string(k);
      const auto* const e = model_.find(name);
      const auto* const i = real_.find(hashed_key(name));
      if ((e == nullptr) != (i == nullptr)) return text(name, i == nullptr ? " is gone" : " is still there");
      if (e != nullptr && (e->value != i->value || e->bytes != i->bytes())) return text(name, " differs");
    }
    return std::nullopt;
  }

  dice& d_;
  std::uint64_t keys_;
  int last_ = 0;
  s3_model model_;
  table real_;
};

}  // namespace

TEST_CASE("s3_fifo: who is in, as the paper's three queues have it, within both bounds") {
  run_sequences(2'000, [](dice& d, std::uint64_t& operations) -> std::optional<std::string> {
    s3_duel duel(d);
    for (int i = 0; i < 300; ++i, ++operations) {
      if (auto m = duel.step()) return text("after ", i + 1, " steps: ", *m);
    }
    return std::nullopt;
  });
}

TEST_CASE("s3_fifo: a ghost is remembered for as long as there is room, and once") {
  run_sequences(300, [](dice& d, std::uint64_t& operations) -> std::optional<std::string> {
    const auto capacity = d.between<std::size_t>(1, 2'000);
    ghost_list ghosts(capacity);
    std::deque<std::uint64_t> all;  // the newest in front
    std::size_t forgotten_early = 0, asked = 0;
    for (int i = 0; i < 3'000; ++i, ++operations) {
      const std::uint64_t hash = d.next();
      ghosts.add(hash);
      all.push_front(hash);
      if (!d.chance(20)) continue;
      const auto back = d.below(all.size());
      const bool there = ghosts.take(all[back]);
      if (back >= capacity && there) return text("still there after ", back, " of ", capacity);
      if (there && ghosts.take(all[back])) return text("taken twice");
      if (back < capacity && all[back] != 0) {
        ++asked;
        if (!there) ++forgotten_early;
      }
      all[back] = 0;
    }
    // Sets of four, half full on average.
    if (capacity >= 100 && forgotten_early * 5 > asked)
      return text(forgotten_early, " of ", asked, " forgotten early");
    return std::nullopt;
  });
}

TEST_CASE("s3_fifo: a scan of keys that are asked for once does not drive out what is asked for again") {
  table t(100, 1'000'000);
  table::removed out;
  for (int round = 0; round < 5; ++round) {
    for (int k = 0; k < 50; ++k) {
      const std::string key = "hot " + std::to_string(k);
      if (auto* const i = t.find(hashed_key(key))) {
        table::touch(*i);
      } else {
        t.put(hashed_key(key), 1, out);
      }
    }
  }
  for (int k = 0; k < 10'000; ++k) t.put(hashed_key("scan " + std::to_string(k)), 1, out);
  int left = 0;
  for (int k = 0; k < 50; ++k) left += t.find(hashed_key("hot " + std::to_string(k))) != nullptr ? 1 : 0;
  CHECK(left == 50);
}
