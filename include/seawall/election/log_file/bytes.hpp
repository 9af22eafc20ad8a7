// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_LOG_FILE_BYTES_HPP
#define SEAWALL_ELECTION_LOG_FILE_BYTES_HPP

// Numbers as they stand in the log's files: little-endian, of fixed width.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace seawall::raft::wal {

template <std::unsigned_integral T>
void put(std::string& out, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) out.push_back(static_cast<char>(value >> 8U * i & 0xffU));
}

inline void put_text(std::string& out, std::string_view text) {
  put(out, static_cast<std::uint32_t>(text.size()));
  out.append(text);
}

/// Takes from the front. What is asked for beyond the end is zero or empty, and from then on `failed`.
///
/// Thread safety: distinct objects safe, shared objects unsafe.
class byte_reader {
 public:
  explicit byte_reader(std::string_view bytes) noexcept : rest_(bytes) {}

  template <std::unsigned_integral T>
  T take() noexcept {
    const std::string_view bytes = take_bytes(sizeof(T));
    T value = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i)
      value = static_cast<T>(value | static_cast<T>(T{static_cast<unsigned char>(bytes[i])} << 8U * i));
    return value;
  }
  std::string_view take_bytes(std::size_t count) noexcept {
    if (failed_ || count > rest_.size()) {
      failed_ = true;
      return {};
    }
    const std::string_view bytes = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return bytes;
  }
  std::string_view take_text() noexcept { return take_bytes(take<std::uint32_t>()); }

  void fail() noexcept { failed_ = true; }
  bool failed() const noexcept { return failed_; }
  std::size_t left() const noexcept { return failed_ ? 0 : rest_.size(); }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

}  // namespace seawall::raft::wal

#endif  // SEAWALL_ELECTION_LOG_FILE_BYTES_HPP
