// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_LINE_CHANNEL_HPP
#define SEAWALL_DRILL_LINE_CHANNEL_HPP

// Lines of text between the driver and one child, over a socket pair. Not HTTP: the driver must be able to
// look into a storefront whose HTTP threads are all stuck. And it is a life line: the child that reads its
// end has lost its parent.

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "unique_fd.hpp"

namespace drill {

/// One end. Not thread-safe.
class line_channel {
 public:
  line_channel() = default;
  explicit line_channel(unique_fd fd) : fd_(std::move(fd)) {}

  /// Two connected ends. Neither is inherited by a program that is started later. Throws `std::system_error`.
  static std::pair<unique_fd, unique_fd> make_pair();

  static constexpr std::chrono::milliseconds for_ever{-1};

  /// False if the other side has gone, or does not take anything in.
  bool write(std::string_view line);
  /// The next line; nothing if none came in time or the other side has gone.
  std::optional<std::string> read(std::chrono::milliseconds timeout);

 private:
  std::optional<std::string> buffered_line();

  unique_fd fd_;
  std::string buffer_;
};

}  // namespace drill

#endif  // SEAWALL_DRILL_LINE_CHANNEL_HPP
