// SPDX-License-Identifier: Apache-2.0
#include "line_channel.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace drill {

std::pair<unique_fd, unique_fd> line_channel::make_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) {
    throw std::system_error(errno, std::generic_category(), "socketpair");
  }
  for (const int fd : ends) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  return {unique_fd(ends[0]), unique_fd(ends[1])};
}

bool line_channel::write(std::string_view line) {
  std::string text(line);
  text += '\n';
  for (std::size_t done = 0; done < text.size();) {
    pollfd ready{.fd = fd_.get(), .events = POLLOUT, .revents = 0};
    if (::poll(&ready, 1, 1000) <= 0) return false;
    const ssize_t n = ::send(fd_.get(), text.data() + done, text.size() - done, MSG_DONTWAIT);
    if (n < 0 && errno != EINTR && errno != EAGAIN) return false;
    if (n > 0) done += static_cast<std::size_t>(n);
  }
  return true;
}

std::optional<std::string> line_channel::read(std::chrono::milliseconds timeout) {
  using clock = std::chrono::steady_clock;
  const auto until = clock::now() + timeout;
  for (;;) {
    if (auto line = buffered_line()) return line;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - clock::now()).count();
    pollfd ready{.fd = fd_.get(), .events = POLLIN, .revents = 0};
    const int patience_ms =
        timeout < timeout.zero() ? -1 : static_cast<int>(std::max<decltype(left)>(left, 0));
    const int polled = ::poll(&ready, 1, patience_ms);
    if (polled < 0 && errno == EINTR) continue;
    if (polled <= 0) return std::nullopt;

    std::array<char, 4096> piece;
    const ssize_t n = ::recv(fd_.get(), piece.data(), piece.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return std::nullopt;
    buffer_.append(piece.data(), static_cast<std::size_t>(n));
  }
}

std::optional<std::string> line_channel::buffered_line() {
  const std::size_t end = buffer_.find('\n');
  if (end == std::string::npos) return std::nullopt;
  std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 1);
  return line;
}

}  // namespace drill
