// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_RAFT_ELECTOR_MAP_REQUEST_HPP
#define SEAWALL_ELECTION_RAFT_ELECTOR_MAP_REQUEST_HPP

// What a user has asked of the replicated map, while it is under way: who is to hear of it, and how. First it
// is settled, where the answer comes to be known; then told, where the user's function may run.

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "seawall/election/replicated_map.hpp"
#include "seawall/status.hpp"
#include "seawall/time.hpp"

namespace seawall::detail {

/// Thread safety: none of its own; one thread has it at a time.
class map_request {
 public:
  explicit map_request(instant deadline) noexcept : deadline_(deadline) {}
  map_request(const map_request&) = delete;
  map_request& operator=(const map_request&) = delete;
  virtual ~map_request() = default;

  /// By `steady_clock`.
  instant deadline() const noexcept { return deadline_; }
  /// Settles it.
  virtual void fail(absl::Status why) = 0;
  /// Whether `tell` runs nothing of the user's.
  virtual bool told_at_once() const noexcept = 0;
  /// Once, after it was settled.
  virtual void tell() = 0;

 private:
  const instant deadline_;
};

/// One that changes the map.
class map_write : public map_request {
 public:
  map_write(map_command command, instant deadline) : map_request(deadline), what(std::move(command)) {}

  virtual void answer(const map_answer& a) = 0;

  map_command what;  // session and sequence are filled in when it is sent
};

/// One that looks.
class map_read : public map_request {
 public:
  using map_request::map_request;

  virtual void serve(const replicated_map& map) = 0;
};

/// Where somebody waits for a result.
template <class T>
class awaited_result {
 public:
  void operator()(absl::StatusOr<T> r) {
    // Under the lock, as whoever waits destroys this once he has seen the result.
    const std::lock_guard lock(mutex_);
    result_ = std::move(r);
    there_.notify_one();
  }
  absl::StatusOr<T> wait() {
    std::unique_lock lock(mutex_);
    there_.wait(lock, [this] { return result_.has_value(); });
    return *std::move(result_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable there_;
  std::optional<absl::StatusOr<T>> result_;
};

/// `Done` takes an `absl::StatusOr<T>`, once.
template <class T, class Done>
class told_result {
 public:
  explicit told_result(Done done) : done_(std::move(done)) {}
  void settle(absl::StatusOr<T> r) { result_.emplace(std::move(r)); }
  void tell() { done_(*std::move(result_)); }

 private:
  Done done_;
  std::optional<absl::StatusOr<T>> result_;
};
/// Of somebody who waits.
template <class T>
class told_result<T, awaited_result<T>*> {
 public:
  explicit told_result(awaited_result<T>* where) : where_(where) {}
  void settle(absl::StatusOr<T> r) { result_.emplace(std::move(r)); }
  void tell() { (*where_)(*std::move(result_)); }

 private:
  awaited_result<T>* where_;
  std::optional<absl::StatusOr<T>> result_;
};
template <class Done>
inline constexpr bool is_awaited = false;
template <class T>
inline constexpr bool is_awaited<awaited_result<T>*> = true;

template <class Done>
class map_write_for final : public map_write {
 public:
  map_write_for(map_command command, instant deadline, Done done)
      : map_write(std::move(command), deadline), result_(std::move(done)) {}

  void answer(const map_answer& a) override { result_.settle(a); }
  void fail(absl::Status why) override { result_.settle(std::move(why)); }
  bool told_at_once() const noexcept override { return is_awaited<Done>; }
  void tell() override { result_.tell(); }

 private:
  told_result<map_answer, Done> result_;
};

/// `Look` makes a T of the map.
template <class T, class Look, class Done>
class map_read_for final : public map_read {
 public:
  map_read_for(Look look, instant deadline, Done done)
      : map_read(deadline), look_(std::move(look)), result_(std::move(done)) {}

  void serve(const replicated_map& map) override { result_.settle(look_(map)); }
  void fail(absl::Status why) override { result_.settle(std::move(why)); }
  bool told_at_once() const noexcept override { return is_awaited<Done>; }
  void tell() override { result_.tell(); }

 private:
  Look look_;
  told_result<T, Done> result_;
};

}  // namespace seawall::detail

#endif  // SEAWALL_ELECTION_RAFT_ELECTOR_MAP_REQUEST_HPP
