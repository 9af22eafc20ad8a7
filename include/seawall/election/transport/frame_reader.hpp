// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_TRANSPORT_FRAME_READER_HPP
#define SEAWALL_ELECTION_TRANSPORT_FRAME_READER_HPP

// A stream of bytes cut into frames. Room grows with what has arrived, never with what a length promises. Pure.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "seawall/election/raft_codec.hpp"

namespace seawall::raft::detail {

/// Thread safety: none.
class frame_reader {
 public:
  /// `limit`: of a body.
  explicit frame_reader(std::uint32_t limit) noexcept : limit_(limit) {}

  /// From the next frame on.
  void set_limit(std::uint32_t limit) noexcept { limit_ = limit; }

  /// Where the next bytes belong: at least one byte. Ends what `next` has returned.
  std::span<char> space() {
    const std::size_t had = size();
    if (begin_ > 0 && had > 0) std::memmove(buffer_.data(), buffer_.data() + begin_, had);
    begin_ = 0;
    end_ = had;
    const std::size_t wanted = std::max(first, std::min(needed(), 2 * had));
    if (buffer_.size() < wanted || (had == 0 && buffer_.size() > first)) {
      buffer_.resize(wanted);
      if (had == 0) buffer_.shrink_to_fit();
    }
    return std::span(buffer_).subspan(end_);
  }
  /// So many bytes were put there.
  void filled(std::size_t bytes) noexcept { end_ += bytes; }

  /// The next body that is complete. Empty: more bytes are needed, or there is an `error`.
  std::optional<std::string_view> next() {
    if (error_ || size() < length_bytes) return std::nullopt;
    const std::uint32_t length = frame_length(front());
    if (length == 0 || length > limit_) {
      error_ = bad("length", length, "must be at least 1 and at most " + to_text(std::uint64_t{limit_}));
      return std::nullopt;
    }
    if (size() < length_bytes + length) return std::nullopt;
    const std::string_view body = front().substr(length_bytes, length);
    begin_ += length_bytes + length;
    return body;
  }
  const std::optional<option_error>& error() const noexcept { return error_; }

 private:
  static constexpr std::size_t first = 16U << 10U;

  std::size_t size() const noexcept { return end_ - begin_; }
  std::string_view front() const noexcept { return {buffer_.data() + begin_, size()}; }
  // One byte more than there is, if it is not known yet.
  std::size_t needed() const noexcept {
    return size() < length_bytes ? first : std::size_t{length_bytes} + frame_length(front());
  }

  std::vector<char> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::uint32_t limit_;
  std::optional<option_error> error_;
};

}  // namespace seawall::raft::detail

#endif  // SEAWALL_ELECTION_TRANSPORT_FRAME_READER_HPP
