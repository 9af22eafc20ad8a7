// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_KEYED_HPP
#define SEAWALL_KEYED_HPP

// One instance of a policy for each key (shard, tenant, endpoint), made at first use and bounded in number.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "seawall/core/mutex.hpp"
#include "seawall/options.hpp"
#include "seawall/time.hpp"

namespace seawall {

/// How many keys a `keyed` policy remembers.
struct keyed_options {
  /// At least 1. Beyond it, the key used least recently is forgotten if nobody uses it and forgetting it
  /// loses nothing (a closed breaker without failures); otherwise the new key shares one instance with the
  /// other keys beyond the bound.
  std::size_t max_keys = 1024;
};

inline std::optional<option_error> validate(const keyed_options& o) {
  detail::option_checks checks;
  checks.require(o.max_keys >= 1, "max_keys", std::uint64_t{o.max_keys}, "must be at least 1");
  return checks.result();
}

/// `Policy` must be constructible from (options_type, stripes, key), have `idle(now)` and `reconfigure`.
///
/// Thread safety: shared objects safe; moving is not offered: layers refer to it.
/// Cost: `get`: a mutex (one of 8 with many keys), a hash, a reference count; no allocation for a key that is
/// known.
template <class Policy>
class keyed {
 public:
  using options_type = typename Policy::options_type;

  explicit keyed(options_type options = {}, keyed_options bounds = {})
      : prototype_options_(detail::checked("keyed", std::move(options))),
        shards_used_(detail::checked("keyed", bounds).max_keys >= 256 ? max_shards : 1),
        keys_a_shard_(bounds.max_keys / shards_used_),
        overflow_(std::make_shared<Policy>(prototype_options_, 1U, std::string("(beyond max_keys)"))) {}
  keyed(const keyed&) = delete;
  keyed& operator=(const keyed&) = delete;

  /// The instance of `key`, which lives at least as long as the pointer.
  std::shared_ptr<Policy> get(std::string_view key, instant now) {
    shard& s = shards_[std::hash<std::string_view>()(key) % shards_used_];
    const core::mutex_lock lock(s.mutex);
    if (const auto found = s.index.find(key); found != s.index.end()) {
      s.entries.splice(s.entries.begin(), s.entries, found->second);
      return found->second->policy;
    }
    if (s.entries.size() >= keys_a_shard_ && !make_room(s, now)) return overflow_;
    s.entries.push_front({std::string(key), std::make_shared<Policy>(options(), 1U, std::string(key))});
    s.index.emplace(s.entries.front().key, s.entries.begin());
    return s.entries.front().policy;
  }
  std::shared_ptr<Policy> get(std::string_view key) { return get(key, steady_clock::now()); }

  std::size_t size() const {
    std::size_t total = 0;
    for (shard& s : shards_) {
      const core::mutex_lock lock(s.mutex);
      total += s.entries.size();
    }
    return total;
  }

  /// Calls `f(const std::string& key, Policy&)` for each key known. It must not call back into this object.
  template <class F>
  void for_each(F&& f) const {
    for (shard& s : shards_) {
      const core::mutex_lock lock(s.mutex);
      for (auto& e : s.entries) f(std::as_const(e.key), *e.policy);
    }
  }

  /// For all keys known, and those to come. Returns what is wrong, in which case nothing has changed.
  std::optional<option_error> reconfigure(const options_type& changed) {
    if (auto error = overflow_->reconfigure(changed)) return error;
    {
      const core::mutex_lock lock(options_mutex_);
      prototype_options_ = changed;
    }
    for_each([&](const std::string&, Policy& p) { p.reconfigure(changed); });
    return std::nullopt;
  }

  /// The instance that keys beyond the bound share; it knows what all have in common.
  auto& prototype() const noexcept { return overflow_->machine(); }

 private:
  struct entry {
    std::string key;
    std::shared_ptr<Policy> policy;
  };
  struct alignas(64) shard {
    mutable core::mutex mutex;
    std::list<entry> entries ABSL_GUARDED_BY(mutex);  // the most recently used first
    std::unordered_map<std::string_view, typename std::list<entry>::iterator> index ABSL_GUARDED_BY(mutex);
  };

  static constexpr std::size_t max_shards = 8;
  static constexpr int candidates = 8;

  options_type options() ABSL_LOCKS_EXCLUDED(options_mutex_) {
    const core::mutex_lock lock(options_mutex_);
    return prototype_options_;
  }

  // Looks at a few of the keys used least recently, so that the cost stays bounded when none can go.
  static bool make_room(shard& s, instant now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(s.mutex) {
    auto oldest = s.entries.end();
    for (int i = 0; i < candidates && oldest != s.entries.begin(); ++i) {
      --oldest;
      if (oldest->policy.use_count() != 1 || !oldest->policy->idle(now)) continue;
      s.index.erase(oldest->key);
      s.entries.erase(oldest);
      return true;
    }
    return false;
  }

  core::mutex options_mutex_;
  options_type prototype_options_ ABSL_GUARDED_BY(options_mutex_);
  const std::size_t shards_used_;
  const std::size_t keys_a_shard_;
  const std::shared_ptr<Policy> overflow_;
  mutable std::array<shard, max_shards> shards_;
};

}  // namespace seawall

#endif  // SEAWALL_KEYED_HPP
