// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ADAPT_REDIS_CONNECTION_HPP
#define SEAWALL_ADAPT_REDIS_CONNECTION_HPP

// A connection to a Redis server on which everything has an end: time, and what the other side may send.
// hiredis speaks the protocol (0.14 to 1.2), without blocking; its own time-outs are for each read, and a
// server that sends a byte at a time would never meet one.

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "seawall/options.hpp"
#include "seawall/time.hpp"
#include <hiredis/hiredis.h>

namespace seawall::detail {

/// What ends a thread's wait: a pipe, so that neither side ever blocks on the other.
class wake_pipe {
 public:
  wake_pipe() {
    if (::pipe(ends_.data()) != 0) refuse("redis_quota: no pipe: " + std::string(std::strerror(errno)));
    for (const int end : ends_) {
      ::fcntl(end, F_SETFL, O_NONBLOCK);
      ::fcntl(end, F_SETFD, FD_CLOEXEC);
    }
  }
  ~wake_pipe() {
    for (const int end : ends_) ::close(end);
  }
  wake_pipe(const wake_pipe&) = delete;
  wake_pipe& operator=(const wake_pipe&) = delete;

  /// From any thread. A full pipe wakes as well.
  void wake() noexcept {
    const char byte = 0;
    [[maybe_unused]] const auto written = ::write(ends_[1], &byte, 1);
  }
  /// Waits until `until`, a wake, or `events` on `fd` if there is one; true for the latter.
  bool wait(instant until, int fd = -1, short events = 0) noexcept {
    std::array<pollfd, 2> watched{pollfd{ends_[0], POLLIN, 0}, pollfd{fd, events, 0}};
    const std::int64_t left_ns = (until - steady_clock::now()).ns();
    const std::int64_t ms = left_ns <= 0 ? 0 : std::min<std::int64_t>(left_ns / 1'000'000 + 1, 60'000);
    if (::poll(watched.data(), fd < 0 ? 1 : 2, static_cast<int>(ms)) <= 0) return false;
    if (watched[0].revents != 0) drain();
    return watched[1].revents != 0;
  }

 private:
  void drain() noexcept {
    std::array<char, 64> bytes;
    while (::read(ends_[0], bytes.data(), bytes.size()) > 0) {
    }
  }

  std::array<int, 2> ends_{-1, -1};
};

struct redis_address {
  std::string host;
  std::uint16_t port = 0;
  std::string unix_socket;  // instead of the two above
};

/// One connection, one command at a time; after any failure it is closed.
///
/// Errors: `error()` says what ended it. Thread safety: none.
/// Cancellation: `stop`, followed by a wake, ends whatever is under way.
class redis_connection {
 public:
  redis_connection(wake_pipe& wake, const std::atomic<bool>& stop) noexcept : wake_(wake), stop_(stop) {}

  bool is_open() const noexcept { return context_ != nullptr; }
  const std::string& error() const noexcept { return error_; }
  /// The last command was, as far as one can know, never sent.
  bool nothing_sent() const noexcept { return nothing_sent_; }
  void close() noexcept { context_.reset(); }

  /// A name is looked up by the system's resolver, which knows no time-out of ours; an address is not.
  bool open(const redis_address& address, instant deadline) {
    nothing_sent_ = true;
    context_.reset(address.unix_socket.empty() ? redisConnectNonBlock(address.host.c_str(), address.port)
                                               : redisConnectUnixNonBlock(address.unix_socket.c_str()));
    if (!context_) return fail("out of memory");
    if (context_->err != 0) return fail_as_told();
    ::fcntl(context_->fd, F_SETFD, FD_CLOEXEC);
    if (!ready(POLLOUT, deadline)) return fail("no connection in time");
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(context_->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error == 0 || fail(std::strerror(error));
  }

  struct reply {
    bool is_error = false;
    std::string text;  ///< a string, or a whole number in digits
  };

  /// Sends it and waits for the answer. Empty: the connection is closed.
  std::optional<reply> command(std::span<const std::string_view> words, instant deadline) {
    nothing_sent_ = true;
    std::vector<const char*> starts;
    std::vector<std::size_t> sizes;
    for (const std::string_view word : words) {
      starts.push_back(word.data());
      sizes.push_back(word.size());
    }
    if (redisAppendCommandArgv(context_.get(), static_cast<int>(words.size()), starts.data(), sizes.data()) !=
        REDIS_OK)
      return fail_as_told(), std::nullopt;
    if (!write_all(deadline)) return std::nullopt;
    return read_one(deadline);
  }

 private:
  // The answers to what is asked here fit into one; hiredis reads 16 kB at a time.
  static constexpr int most_reads = 64;
  static constexpr std::size_t most_text = 256;

  struct closing {
    void operator()(redisContext* c) const noexcept { redisFree(c); }
    void operator()(redisReply* r) const noexcept { freeReplyObject(r); }
  };

  bool fail(std::string_view why) {
    error_.assign(why.substr(0, most_text));
    context_.reset();
    return false;
  }
  bool fail_as_told() {
    const std::string why = context_->errstr;
    return fail(why.empty() ? "connection failed" : why);
  }

  bool ready(short events, instant deadline) noexcept {
    while (!stop_.load(std::memory_order_acquire) && steady_clock::now() < deadline) {
      if (wake_.wait(deadline, context_->fd, events)) return true;
    }
    return false;
  }

  bool write_all(instant deadline) {
    int done = 0;
    while (true) {
      nothing_sent_ = false;
      if (redisBufferWrite(context_.get(), &done) != REDIS_OK) return fail_as_told();
      if (done != 0) return true;
      if (!ready(POLLOUT, deadline)) return fail("no answer in time");
    }
  }

  std::optional<reply> read_one(instant deadline) {
    bool begun = false;
    for (int reads = 0; reads < most_reads; ++reads) {
      if (!ready(POLLIN, deadline)) return fail("no answer in time"), std::nullopt;
      if (redisBufferRead(context_.get()) != REDIS_OK) return fail_as_told(), std::nullopt;
      const redisReader& input = *context_->reader;
      if (!begun && input.len > input.pos) {
        // Nothing is asked here that is answered with a list, whose mere length would make hiredis allocate.
        begun = true;
        if (std::string_view("+-:$").find(input.buf[input.pos]) == std::string_view::npos)
          return fail("an answer that is none"), std::nullopt;
      }
      void* raw = nullptr;
      if (redisGetReplyFromReader(context_.get(), &raw) != REDIS_OK) return fail_as_told(), std::nullopt;
      if (raw != nullptr) return taken(std::unique_ptr<redisReply, closing>(static_cast<redisReply*>(raw)));
    }
    return fail("an answer without end"), std::nullopt;
  }

  std::optional<reply> taken(std::unique_ptr<redisReply, closing> r) {
    // What comes unasked would be taken for the answer to the next question.
    if (context_->reader->len > context_->reader->pos)
      return fail("more answers than questions"), std::nullopt;
    switch (r->type) {
      case REDIS_REPLY_STATUS:
      case REDIS_REPLY_STRING: return reply{.text = std::string(r->str, std::min(r->len, most_text))};
      case REDIS_REPLY_ERROR:
        return reply{.is_error = true, .text = std::string(r->str, std::min(r->len, most_text))};
      case REDIS_REPLY_INTEGER: return reply{.text = std::to_string(r->integer)};
      default: return fail("an answer that is none"), std::nullopt;
    }
  }

  wake_pipe& wake_;
  const std::atomic<bool>& stop_;
  std::unique_ptr<redisContext, closing> context_;
  std::string error_;
  bool nothing_sent_ = true;
};

}  // namespace seawall::detail

#endif  // SEAWALL_ADAPT_REDIS_CONNECTION_HPP
