// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_TRANSPORT_PACER_HPP
#define SEAWALL_ELECTION_TRANSPORT_PACER_HPP

// When what has come may be looked at, so that a rate is kept: the project's GCRA, for those who can wait. And strangers'
// connections, a bucket for each address without a table that strangers could fill. Pure: told the time.

#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>

#include "seawall/core/gcra.hpp"
#include "seawall/time.hpp"
#include <asio/ip/address.hpp>

namespace seawall::raft::detail {

/// A rate per second. Thread safety: none.
class pacer {
 public:
  /// `burst`: at least what is asked for at once.
  pacer(std::uint32_t per_second, std::uint32_t burst) noexcept
      : refill_(duration::from_ns(seawall::detail::saturating_from_double(1e9 * burst / per_second)) +
                std::chrono::seconds(1)),
        scale_(per_second, std::chrono::seconds(1), refill_ * 4),
        bucket_(scale_, {scale_.interval(per_second, std::chrono::seconds(1)),
                         scale_.interval(per_second, std::chrono::seconds(1)) * burst}) {}

  /// Takes `permits`; they may be used from the instant on that is returned.
  instant take(instant now, std::uint32_t permits) noexcept {
    return ask(now, permits, now + refill_ * 2).at;
  }
  /// Now, or not at all.
  bool try_take(instant now, std::uint32_t permits) noexcept {
    return ask(now, permits, now).what == core::gcra::said::granted;
  }

 private:
  core::gcra::answer ask(instant now, std::uint32_t permits, instant latest) noexcept {
    core::gcra::answer a;
    while ((a = bucket_.take(now, permits, permits, latest)).what == core::gcra::said::review)
      now = bucket_.cover(now, instant::never());
    return a;
  }

  duration refill_;
  core::gcra_scale scale_;
  core::gcra bucket_;
};

/// Connections of one address in a second, as a burst as well. Addresses may share a bucket: which ones is not for others to
/// know. Thread safety: none.
class door {
 public:
  door(std::uint32_t per_second, std::uint64_t secret) : secret_(secret) {
    for (std::size_t i = 0; i < buckets; ++i) pacers_.emplace_back(per_second, per_second);
  }

  bool opens(const asio::ip::address& from, instant now) noexcept {
    return pacers_[bucket_of(from)].try_take(now, 1);
  }

  /// What counts as one address: in IPv6 the first 64 bits, as the rest is the holder's to choose.
  static asio::ip::address network_of(const asio::ip::address& a) {
    if (a.is_v4()) return a;
    auto bytes = a.to_v6().to_bytes();
    if (a.to_v6().is_v4_mapped()) return asio::ip::make_address_v4(asio::ip::v4_mapped, a.to_v6());
    for (std::size_t i = 8; i < bytes.size(); ++i) bytes[i] = 0;
    return asio::ip::address_v6(bytes);
  }

 private:
  static constexpr std::size_t buckets = 256;

  // FNV-1a with a secret beginning, and a last step that spreads it.
  std::size_t bucket_of(const asio::ip::address& from) const noexcept {
    std::uint64_t h = secret_;
    const auto add = [&h](const auto& bytes) {
      for (const unsigned char b : bytes) h = (std::rotl(h, 23) ^ b) * 0x100000001b3U;
    };
    const asio::ip::address a = network_of(from);
    a.is_v4() ? add(a.to_v4().to_bytes()) : add(a.to_v6().to_bytes());
    h ^= h >> 32U;
    return static_cast<std::size_t>((h * 0x9e3779b97f4a7c15U) >> 56U);
  }

  const std::uint64_t secret_;
  std::deque<pacer> pacers_;
};

}  // namespace seawall::raft::detail

#endif  // SEAWALL_ELECTION_TRANSPORT_PACER_HPP
