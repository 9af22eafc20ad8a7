// SPDX-License-Identifier: Apache-2.0

// What it costs to be served by a cache, and to lead a flight that nobody joins. The floor of a hit: the
// clock, a hash, one of eight mutexes, a look-up, a reference count, a copy. That of a flight: the same with
// an entry made and removed.

#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "by_hand.hpp"
#include "seawall/cache.hpp"
#include "seawall/coalesce.hpp"
#include "seawall/seawall.hpp"
#include "subject.hpp"

namespace bench {
namespace {

using status_or = absl::StatusOr<int>;
constexpr auto hour = std::chrono::hours(1);

struct one_key {
  std::string_view operator()(const seawall::call&) const noexcept { return "EURUSD"; }
};

struct cached_hit {
  seawall::cache<status_or> store{{.ttl = hour}};
  decltype(seawall::compose(seawall::cached(store, one_key()))) pipe =
      seawall::compose(seawall::cached(store, one_key()));

  status_or operator()() {
    return pipe.run([](seawall::attempt a) { return answer<status_or>(a.time_left().ns()); });
  }
};

struct get_alone {
  seawall::cache<status_or> store{{.ttl = hour}};
  seawall::instant now;
  get_alone() { store.put("EURUSD", 42, now); }
  status_or operator()() const { return store.get("EURUSD", now).value(); }
};

struct hand_cache {
  struct entry {
    std::shared_ptr<const status_or> what;
    std::int64_t fresh_until = 0;
    std::uint8_t hits = 0;
  };
  struct alignas(64) shard {
    std::mutex mutex;
    std::unordered_map<std::string_view, entry> entries;
  };
  std::array<shard, 8> shards;
  std::string key = "EURUSD";

  shard& find_shard() { return shards[(std::hash<std::string_view>()(key) >> 40U) % shards.size()]; }
  hand_cache() {
    find_shard().entries[key] = {std::make_shared<const status_or>(42),
                                 read_clock() + seawall::duration(hour).ns()};
  }
  status_or ask(std::int64_t now) {
    std::shared_ptr<const status_or> what;
    {
      shard& s = find_shard();
      const std::lock_guard lock(s.mutex);
      const auto found = s.entries.find(key);
      if (found == s.entries.end() || now >= found->second.fresh_until) return answer<status_or>(0);
      if (found->second.hits < 3) ++found->second.hits;
      what = found->second.what;
    }
    return *what;
  }
};
struct floor_of_hit : hand_cache {
  status_or operator()() { return ask(read_clock()); }
};
struct floor_of_get : hand_cache {
  std::int64_t now = read_clock();
  status_or operator()() { return ask(now); }
};

struct flight_alone {
  seawall::coalescer<status_or> flights;
  decltype(seawall::compose(seawall::coalesce(flights, one_key()))) pipe =
      seawall::compose(seawall::coalesce(flights, one_key()));

  status_or operator()() {
    return pipe.run([](seawall::attempt a) { return answer<status_or>(a.time_left().ns()); });
  }
};

struct floor_of_flight {
  struct alignas(64) shard {
    std::mutex mutex;
    std::unordered_map<std::string, std::int64_t> flying;
  };
  std::array<shard, 8> shards;
  std::string_view key = "EURUSD";

  shard& find_shard() { return shards[(std::hash<std::string_view>()(key) >> 40U) % shards.size()]; }
  status_or operator()() {
    const std::int64_t now = read_clock();
    {
      shard& s = find_shard();
      const std::lock_guard lock(s.mutex);
      s.flying.emplace(key, now + seawall::duration(hour).ns());
    }
    status_or result = answer<status_or>(0);
    shard& s = find_shard();
    const std::lock_guard lock(s.mutex);
    s.flying.erase(std::string(key));
    return result;
  }
};

const bool added = [] {
  alone<cached_hit>("success/cache, hit/seawall");
  alone<floor_of_hit>("success/cache, hit/floor");
  in_pairs<cached_hit>("success/cache, hit/seawall");
  in_pairs<floor_of_hit>("success/cache, hit/floor");
  alone<get_alone>("success/cache, get, now given/seawall");
  alone<floor_of_get>("success/cache, get, now given/floor");
  alone<flight_alone>("success/coalesce, alone/seawall");
  alone<floor_of_flight>("success/coalesce, alone/floor");
  in_pairs<flight_alone>("success/coalesce, alone/seawall");
  in_pairs<floor_of_flight>("success/coalesce, alone/floor");
  return true;
}();

}  // namespace
}  // namespace bench
