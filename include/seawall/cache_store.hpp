// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CACHE_STORE_HPP
#define SEAWALL_CACHE_STORE_HPP

// The answers that a cache keeps, by key, bounded by entries and bytes; and who fetches them. Can be used
// alone; cache.hpp has the layer that serves them to the calls of a pipeline.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "seawall/core/cache_machine.hpp"
#include "seawall/fallback.hpp"
#include "seawall/options.hpp"
#include "seawall/outcome.hpp"
#include "seawall/random.hpp"

namespace seawall {

template <class R>
class cache_refresh;

/// R is what the operations return: `absl::StatusOr<quote>`, `quote` where failures are thrown.
template <class R>
struct cache_options {
  /// What failures are told as.
  using error_type = typename detail::error_of<typename detail::stored_as<R>::type>::type;

  std::string name = "cache";
  duration ttl = std::chrono::seconds(60);  ///< an answer is fresh while it is younger; positive
  double ttl_jitter = 0;  ///< each answer's TTL is shorter by up to this share, at random: [0, 1)
  duration stale_while_revalidate =
      {};                        ///< after the TTL, served for so long while one call refreshes; not negative
  duration stale_if_error = {};  ///< after the TTL, served for so long in place of a failure; not negative
  /// Failures that are answers ("not found") are kept for so long; 0: not at all. They never take the place
  /// of a good answer: they hide it.
  duration negative_ttl = {};
  /// Who fetches does so alone for so long; then, another may. Positive.
  duration lease = std::chrono::seconds(60);
  std::size_t max_entries = 10'000;  ///< at least `shards`, at most 1e9
  std::size_t max_bytes = std::size_t{64}
                          << 20U;  ///< of keys and answers, as `size` has it; at least `shards`
  std::size_t max_fetches =
      1024;  ///< keys that are being fetched: beyond, calls fetch for themselves; at least `shards`
  std::size_t max_waiting = 1024;  ///< calls that wait for one key's fetch: beyond, they fetch for themselves
  /// Parts with a mutex of their own, among which all bounds are divided evenly: no entry is larger than
  /// `max_bytes` / `shards`. [1, 256]; fixed for the life of the cache.
  unsigned shards = 8;

  // Functions: fixed for the life of the cache; called from several threads, with no lock held.

  /// Bytes of a good answer, its own size included; `sizeof(R)` if not set.
  std::function<std::size_t(const R&)> size = nullptr;
  /// An answer's own TTL (a response that says how long it is good); `ttl` where it says nothing. One that is
  /// not positive is not kept.
  std::function<std::optional<duration>(const R&)> ttl_of = nullptr;
  /// Which failures are worth keeping, of those with which a healthy dependency has said no. If not set:
  /// those that say that something does not exist (`outcome_traits::is_absent`; NOT_FOUND).
  std::function<bool(const error_type&)> keeps = nullptr;
  /// If set, nobody who can be served a stale answer waits for a new one: this is told to fetch it,
  /// elsewhere. It must not take long; what it throws ends the call.
  std::function<void(cache_refresh<R>)> refresh = nullptr;
};

template <class R>
std::optional<option_error> validate(const cache_options<R>& o) {
  constexpr auto not_negative = "must not be negative";
  constexpr auto each_shard = "must be at least shards";
  detail::option_checks checks;
  checks.require(o.ttl > duration::zero(), "ttl", o.ttl, "must be positive")
      .require(o.ttl_jitter >= 0 && o.ttl_jitter < 1, "ttl_jitter", o.ttl_jitter,
               "must be at least 0 and less than 1")
      .require(o.stale_while_revalidate >= duration::zero(), "stale_while_revalidate",
               o.stale_while_revalidate, not_negative)
      .require(o.stale_if_error >= duration::zero(), "stale_if_error", o.stale_if_error, not_negative)
      .require(o.negative_ttl >= duration::zero(), "negative_ttl", o.negative_ttl, not_negative)
      .require(o.lease > duration::zero(), "lease", o.lease, "must be positive")
      .require(o.shards >= 1 && o.shards <= 256, "shards", std::uint64_t{o.shards},
               "must be at least 1 and at most 256")
      .require(o.max_entries >= o.shards && o.max_entries <= 1'000'000'000, "max_entries",
               std::uint64_t{o.max_entries}, "must be at least shards and at most 1000000000")
      .require(o.max_bytes >= o.shards, "max_bytes", std::uint64_t{o.max_bytes}, each_shard)
      .require(o.max_fetches >= o.shards, "max_fetches", std::uint64_t{o.max_fetches}, each_shard);
  return checks.result();
}

namespace detail {

template <class R>
struct cache_state {
  using S = typename stored_as<R>::type;
  using arrival = core::cache_machine::arrival;
  static_assert(!std::is_void_v<R>, "cache<R>: there is nothing to keep of an operation that returns void");

  explicit cache_state(cache_options<R> o)
      : options(std::move(o)),
        machine(options.name, options.shards, times(options), options.max_entries, options.max_bytes,
                flights(options)) {}

  static core::cache_times times(const cache_options<R>& o) {
    return {o.ttl, o.ttl_jitter, o.stale_while_revalidate, o.stale_if_error, o.negative_ttl};
  }
  static core::single_flight_limits flights(const cache_options<R>& o) {
    return {.max_keys = o.max_fetches / o.shards, .max_waiting = o.max_waiting, .lease = o.lease};
  }

  static const R& value_of(const S& kept) {
    if constexpr (std::is_same_v<R, S>) {
      return kept;
    } else {
      return kept.value();
    }
  }

  bool worth_keeping(const S& failure) const {
    if constexpr (requires { outcome_traits<S>::error(failure); }) {
      if (options.keeps) return options.keeps(outcome_traits<S>::error(failure));
    }
    if constexpr (requires { outcome_traits<S>::is_absent(failure); })
      return outcome_traits<S>::is_absent(failure);
    return false;
  }

  // Copies `kept` and measures it. `v` is its verdict.
  arrival made_of(const core::hashed_key& key, const S& kept, const verdict& v, double draw) const {
    arrival a{.how = arrival::kind::failure, .degraded = v.degraded, .bytes = key.text.size() + sizeof(S)};
    const core::cache_times now_in_force = machine.times();
    if (v.success) {
      const R& value = value_of(kept);
      a.how = v.degraded ? arrival::kind::shared : arrival::kind::good;
      if (options.size) a.bytes = key.text.size() + std::min(options.size(value), SIZE_MAX - key.text.size());
      std::optional<duration> own;
      if (options.ttl_of) own = options.ttl_of(value);
      a.ttl = own.value_or(now_in_force.ttl);
      if (a.ttl <= duration::zero()) a.how = arrival::kind::shared;
      if (now_in_force.ttl_jitter > 0) {
        const double lost = static_cast<double>(a.ttl.ns()) * now_in_force.ttl_jitter * draw;
        a.ttl -= duration::from_ns(saturating_from_double(lost));
      }
    } else if (v.health == health::healthy && !v.degraded) {
      const bool kept_too = now_in_force.negative_ttl > duration::zero() && worth_keeping(kept);
      a.how = kept_too ? arrival::kind::negative : arrival::kind::shared;
    }
    a.what = std::make_shared<const S>(kept);
    return a;
  }

  // What throws here must not cost the caller an answer that it has: it is not kept, and the next call
  // fetches.
  void settle(const core::hashed_key& key, const core::cache_machine::fetch& f, const S& kept,
              const verdict& v, instant now, double draw) noexcept {
#if defined(__cpp_exceptions)
    try {
#endif
      machine.settle(key, f, now, made_of(key, kept, v, draw));
#if defined(__cpp_exceptions)
    } catch (...) {
      machine.count_not_stored();
      machine.abandon(key, f);
    }
#endif
  }

  double draw() const noexcept { return machine.jitters() ? thread_random().unit() : 0.0; }

  const cache_options<R> options;  // those that cannot be changed
  core::cache_machine machine;
};

}  // namespace detail

/// What `cache::get` has found.
template <class R>
class cache_answer {
  using S = typename detail::stored_as<R>::type;
  using found = core::cache_machine::answer;

 public:
  cache_answer(const found& f, instant now) : what_(f.what), how_(f.how), age_(now - f.since) {}

  explicit operator bool() const noexcept { return what_ != nullptr && how_ != found::kind::none; }
  bool stale() const noexcept { return how_ == found::kind::stale; }
  /// It is a failure.
  bool negative() const noexcept { return how_ == found::kind::negative; }
  duration age() const noexcept { return age_; }
  /// A copy; where failures are thrown, a negative answer is. There must be an answer.
  R value() const { return detail::stored_as<R>::release(S(*static_cast<const S*>(what_.get()))); }

 private:
  std::shared_ptr<const void> what_;
  found::kind how_;
  duration age_;
};

/// Answers by key, and who fetches them; shared by all pipelines in which it stands. A handle: moving it
/// leaves layers valid.
///
/// Errors: invalid options: the constructor throws `std::invalid_argument` (aborts without exceptions);
/// `create` returns them as a status; both name field, value and range.
/// Thread safety: distinct and shared objects safe; moving is not. Answers are copied from several threads at
/// once.
/// Cost: see `core::cache_machine`; an entry takes about 300 bytes beside key and answer, and 16 to 32 for
/// what it once pushed out.
template <class R>
class cache {
  using S = typename detail::stored_as<R>::type;

 public:
  using options_type = cache_options<R>;
  static constexpr std::string_view policy_name = "cache";

  explicit cache(cache_options<R> options = {})
      : state_(std::make_unique<detail::cache_state<R>>(detail::checked(policy_name, std::move(options)))) {}

  /// `absl::StatusOr<cache<R>>`; needs seawall/status.hpp.
  template <class Creator = detail::creator<cache>>
  static auto create(cache_options<R> options) {
    return Creator::make(std::move(options));
  }

  /// What can be served: fresh, negative, or stale within `stale_while_revalidate`. Nobody is told to refresh
  /// it.
  cache_answer<R> get(std::string_view key, instant now) const {
    return {state_->machine.find_stale(core::hashed_key(key), now), now};
  }
  cache_answer<R> get(std::string_view key) const { return get(key, steady_clock::now()); }

  /// Keeps `answer`, which those who wait for `key` get, and which no fetch under way replaces. A failure is
  /// kept as a negative answer if it is one. False: it is none that is kept.
  /// Errors: what copying or measuring throws; then nothing has changed.
  bool put(std::string_view key, R answer, instant now) {
    return store(key, detail::stored_as<R>::keep([&]() -> R { return std::move(answer); }), now);
  }
  bool put(std::string_view key, R answer) { return put(key, std::move(answer), steady_clock::now()); }

  /// Forgets the answer, and what a fetch brings that was asked for before. Whether there was one.
  bool invalidate(std::string_view key) noexcept { return state_->machine.invalidate(core::hashed_key(key)); }
  /// The same for all keys.
  void clear() noexcept { state_->machine.clear(); }

  cache_snapshot snapshot() const {
    const core::cache_counts c = state_->machine.counts();
    return {.name = state_->machine.name(),
            .entries = c.entries,
            .bytes = c.bytes,
            .hits = c.hits,
            .negative_hits = c.negative_hits,
            .misses = c.misses,
            .stale_while_revalidate = c.stale_while_revalidate,
            .stale_if_error = c.stale_if_error,
            .refreshes = c.refreshes,
            .waited = c.waited,
            .evictions = c.evictions,
            .too_large = c.too_large,
            .not_stored = c.not_stored,
            .refreshing = c.refreshing,
            .waiting = c.waiting};
  }
  const std::string& name() const noexcept { return state_->machine.name(); }

  /// New times and bounds from now on; answers and fetches are kept, as far as there is room. The TTL is that
  /// with which an answer was stored. Name, shards and functions are fixed. Returns what is wrong with the
  /// options, in which case nothing has changed.
  std::optional<option_error> reconfigure(const cache_options<R>& options) {
    if (auto error = validate(options)) return error;
    const unsigned shards = state_->machine.shards();
    detail::option_checks checks;
    checks.require(options.shards == shards, "shards", std::uint64_t{options.shards},
                   "cannot be changed: " + std::to_string(shards));
    if (auto error = checks.result()) return error;
    state_->machine.reconfigure(state_->times(options), options.max_entries, options.max_bytes,
                                state_->flights(options));
    return std::nullopt;
  }

  detail::cache_state<R>& state() noexcept { return *state_; }

 private:
  bool store(std::string_view text, const S& kept, instant now) {
    const core::hashed_key key(text);
    const auto made = state_->made_of(key, kept, outcome_traits<S>::classify(kept), state_->draw());
    using kind = core::cache_machine::arrival::kind;
    if (made.how != kind::good && made.how != kind::negative) return false;
    state_->machine.put(key, now, made);
    return true;
  }

  std::unique_ptr<detail::cache_state<R>> state_;
};

/// A fetch that `cache_options::refresh` has been asked for, for as long as the lease. Move-only; dropping it
/// without a result lets the next call ask again. The cache must outlive it.
///
/// Thread safety: distinct objects safe.
template <class R>
class cache_refresh {
  using S = typename detail::stored_as<R>::type;

 public:
  cache_refresh(detail::cache_state<R>& state, std::string_view key, const core::cache_machine::fetch& f)
      : state_(&state), key_(key), fetch_(f) {}
  cache_refresh(cache_refresh&& other) noexcept
      : state_(std::exchange(other.state_, nullptr)), key_(std::move(other.key_)), fetch_(other.fetch_) {}
  cache_refresh& operator=(cache_refresh&& other) noexcept {
    if (this != &other) {
      drop();
      state_ = std::exchange(other.state_, nullptr);
      key_ = std::move(other.key_);
      fetch_ = other.fetch_;
    }
    return *this;
  }
  ~cache_refresh() { drop(); }

  const std::string& key() const noexcept { return key_; }
  /// The result of the fetch: kept if it is one that is kept. Not after an invalidation, nor over something
  /// newer.
  void put(R result, instant now) {
    if (state_ == nullptr) return;
    const S kept = detail::stored_as<R>::keep([&]() -> R { return std::move(result); });
    auto& s = *std::exchange(state_, nullptr);
    s.settle(core::hashed_key(key_), fetch_, kept, outcome_traits<S>::classify(kept), now, s.draw());
  }
  void put(R result) { put(std::move(result), steady_clock::now()); }
  void drop() noexcept {
    if (state_ != nullptr) std::exchange(state_, nullptr)->machine.abandon(core::hashed_key(key_), fetch_);
  }

 private:
  detail::cache_state<R>* state_;
  std::string key_;
  core::cache_machine::fetch fetch_;
};

}  // namespace seawall

#endif  // SEAWALL_CACHE_STORE_HPP
