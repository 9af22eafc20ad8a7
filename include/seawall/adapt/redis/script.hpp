// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ADAPT_REDIS_SCRIPT_HPP
#define SEAWALL_ADAPT_REDIS_SCRIPT_HPP

// What a shared quota is on the Redis server: a script, carried out as one step, its arguments and its
// answer. Knows no connection; see adapt/redis.hpp.

#include <array>
#include <charconv>
#include <cstdint>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>

#include "seawall/core/lease_keeper.hpp"
#include "seawall/time.hpp"

namespace seawall::detail {

/// GCRA in whole numbers. The state is a debt that grows by `unit` with each permit and shrinks by `drain` in
/// each microsecond, and never exceeds `cap` by what is granted: with `permits` per `per`, a permit is `per`
/// in microseconds and a microsecond drains `permits`, both divided by what they have in common. So a third
/// of a permit is exact. All values stay below 2^52, where Lua's numbers (doubles) are whole.
///
/// The clock is the server's. When it steps back, nothing drains until it goes on from there; when it steps
/// ahead, at most all debts are forgotten, which is one burst.
///
/// Where the state is gone, and the caller has been answered lately, it was lost (a restart, a replica that
/// lagged): the debt is then the most that it can be, so that a failover is worth no burst.
///
/// Where shares are reserved, a member's part is drained only while the server hears from it.
inline constexpr std::string_view redis_quota_script = R"lua(
local unit, drain, cap = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local settled, returned, wanted = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local silent_us, keep_ms = tonumber(ARGV[7]), ARGV[8]
local members, member, gone_us = tonumber(ARGV[9]), ARGV[10], tonumber(ARGV[11])
local function whole(x) return string.format('%.0f', x) end
if redis.replicate_commands then redis.replicate_commands() end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local before, after = 1, 1
if members > 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', whole(now - gone_us))
  before = math.min(redis.call('ZCARD', KEYS[2]), members)
  if wanted >= 0 then
    redis.call('ZADD', KEYS[2], whole(now), member)
  else
    redis.call('ZREM', KEYS[2], member)
  end
  after = math.max(1, math.min(redis.call('ZCARD', KEYS[2]), members))
  redis.call('PEXPIRE', KEYS[2], keep_ms)
end
local kept = redis.call('HMGET', KEYS[1], 'debt', 'at', 'unit')
local debt, at, kept_unit = tonumber(kept[1]), tonumber(kept[2]), tonumber(kept[3])
if not (debt and at and kept_unit) then
  debt, at = 0, now
  if silent_us >= 0 then debt = math.max(cap - silent_us * drain * before, 0) end
elseif kept_unit ~= unit then
  debt = math.ceil(debt / kept_unit * unit)
end
local passed = math.max(now - at, 0)
if passed * drain * before >= debt then debt = 0 else debt = debt - passed * drain * before end
debt = math.max(math.min(debt + settled * unit, 2 * cap) - returned * unit, 0)
local granted = math.max(0, math.min(wanted, math.floor((cap - debt) / unit)))
debt = debt + granted * unit
local retry_us = math.max(0, math.ceil((debt + unit - cap) / (drain * after)))
redis.call('HMSET', KEYS[1], 'debt', whole(debt), 'at', whole(now), 'unit', whole(unit))
redis.call('PEXPIRE', KEYS[1], keep_ms)
return whole(granted) .. ' ' .. whole(retry_us)
)lua";

/// SHA-1 of the script, by which a server knows it. A test compares.
inline constexpr std::string_view redis_quota_digest = "1084530c5ac4f13710bd79300592d7c60265eb11";

/// The rate as the script wants it.
struct redis_rate {
  std::uint64_t unit = 1;
  std::uint64_t drain = 1;
  std::uint64_t cap = 1;
  duration full_drain = {};  ///< from a whole burst to nothing

  /// What must not be exceeded by burst times unit before anything is divided.
  static constexpr std::uint64_t most = std::uint64_t{1} << 50U;

  /// `members`: with whom the rate is shared where shares are reserved, else 1.
  static redis_rate of(std::uint64_t permits, duration per, std::uint64_t burst, std::uint64_t members) {
    const auto us = static_cast<std::uint64_t>(per.ns() / 1000);
    const std::uint64_t common = std::gcd(us * members, permits);
    redis_rate r;
    r.unit = us * members / common;
    r.drain = permits / common;
    r.cap = burst * r.unit;
    r.full_drain = duration::from_ns(static_cast<std::int64_t>(
        static_cast<double>(per.ns()) * static_cast<double>(burst) / static_cast<double>(permits)));
    return r;
  }
};

/// What is behind the keys: as many arguments as the script takes.
struct redis_quota_arguments {
  std::array<std::string, 11> values;

  /// `members` 0: no shares are reserved. Leaving: the member is forgotten at once.
  redis_quota_arguments(const redis_rate& rate, const core::lease_request& r, duration kept,
                        std::uint64_t members, const std::string& member, duration gone_after, bool leaving)
      : values{std::to_string(rate.unit),
               std::to_string(rate.drain),
               std::to_string(rate.cap),
               std::to_string(r.settled),
               std::to_string(r.returned),
               leaving ? "-1" : std::to_string(r.wanted),
               std::to_string(r.silent == duration::infinite() ? -1 : r.silent.ns() / 1000),
               std::to_string(kept.ns() / 1'000'000 + 1),
               std::to_string(members),
               member,
               std::to_string(gone_after.ns() / 1000)} {}
};

/// "3 0": what was granted, microseconds to the next permit. Empty if it is anything else, or more than was
/// wanted.
inline std::optional<core::lease_reply> parse_quota_reply(std::string_view text, std::uint64_t wanted) {
  const char* const end = text.data() + text.size();
  std::uint64_t granted = 0;
  std::int64_t retry_us = 0;
  const auto first = std::from_chars(text.data(), end, granted);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != ' ') return std::nullopt;
  const auto second = std::from_chars(first.ptr + 1, end, retry_us);
  if (second.ec != std::errc() || second.ptr != end) return std::nullopt;
  if (granted > wanted || retry_us < 0) return std::nullopt;
  return core::lease_reply{.granted = granted, .retry_after = std::chrono::microseconds(retry_us)};
}

}  // namespace seawall::detail

#endif  // SEAWALL_ADAPT_REDIS_SCRIPT_HPP
