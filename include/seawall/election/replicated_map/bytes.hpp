// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_REPLICATED_MAP_BYTES_HPP
#define SEAWALL_ELECTION_REPLICATED_MAP_BYTES_HPP

// Numbers and text as bytes, and back: fixed widths, least significant byte first, so that there is one way
// to write anything. What is read may be hostile: nothing is read past the end, and nothing is allocated for
// a length that lies.

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

namespace seawall::detail {

class byte_writer {
 public:
  void u8(std::uint8_t v) { out_.push_back(static_cast<char>(v)); }
  void u32(std::uint32_t v) { number(v, 4); }
  void u64(std::uint64_t v) { number(v, 8); }
  /// Its length, and then the text.
  void text(std::string_view t) {
    assert(t.size() <= std::numeric_limits<std::uint32_t>::max());
    u32(static_cast<std::uint32_t>(t.size()));
    out_.append(t);
  }

  std::string take() { return std::move(out_); }

 private:
  void number(std::uint64_t v, int bytes) {
    for (int i = 0; i < bytes; ++i, v >>= 8U) out_.push_back(static_cast<char>(v & 0xffU));
  }

  std::string out_;
};

/// After the first thing that is not there, all is zero and empty, and `failed`.
class byte_reader {
 public:
  explicit byte_reader(std::string_view bytes) noexcept : rest_(bytes) {}

  std::uint8_t u8() noexcept { return static_cast<std::uint8_t>(number(1)); }
  std::uint32_t u32() noexcept { return static_cast<std::uint32_t>(number(4)); }
  std::uint64_t u64() noexcept { return number(8); }
  /// Of `most` bytes at most. Lies in what is read.
  std::string_view text(std::size_t most) noexcept {
    const std::size_t size = u32();
    if (size > most || size > rest_.size()) fail();
    if (failed_) return {};
    return taken(size);
  }

  std::size_t left() const noexcept { return rest_.size(); }
  void fail() noexcept {
    failed_ = true;
    rest_ = {};
  }
  bool failed() const noexcept { return failed_; }
  /// All was there, and nothing more.
  bool ended() const noexcept { return !failed_ && rest_.empty(); }

 private:
  std::string_view taken(std::size_t size) noexcept {
    const std::string_view t = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return t;
  }
  std::uint64_t number(std::size_t bytes) noexcept {
    if (rest_.size() < bytes) fail();
    if (failed_) return 0;
    std::uint64_t v = 0;
    const std::string_view t = taken(bytes);
    for (std::size_t i = bytes; i-- > 0;) v = v << 8U | static_cast<unsigned char>(t[i]);
    return v;
  }

  std::string_view rest_;
  bool failed_ = false;
};

}  // namespace seawall::detail

#endif  // SEAWALL_ELECTION_REPLICATED_MAP_BYTES_HPP
