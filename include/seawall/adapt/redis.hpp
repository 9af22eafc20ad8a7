// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ADAPT_REDIS_HPP
#define SEAWALL_ADAPT_REDIS_HPP

// A rate that several processes share, kept by a Redis server. Each process leases permits in advance, so
// that a call costs no round trip and none of them waits for the server; one that cannot reach it goes on
// with its part of the rate, or refuses. Link seawall::redis. Not a Redis client, and not a limit: give it to
// a rate_limiter, or ask it yourself.

#include <signal.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "seawall/adapt/redis/connection.hpp"
#include "seawall/adapt/redis/script.hpp"
#include "seawall/core/lease_keeper.hpp"
#include "seawall/core/lease_pool.hpp"
#include "seawall/core/mutex.hpp"
#include "seawall/core/stripe.hpp"
#include "seawall/event.hpp"
#include "seawall/options.hpp"
#include "seawall/quota.hpp"
#include "seawall/random.hpp"
#include "seawall/time.hpp"

namespace seawall {

struct redis_quota_options {
  std::string name = {};
  std::string host = "127.0.0.1";  ///< not empty, unless there is a `unix_socket`
  std::uint16_t port = 6379;       ///< at least 1
  std::string unix_socket = {};    ///< a path; takes the place of host and port
  std::string username = {};       ///< of Redis 6 or later; empty: the default user
  std::string password = {};       ///< empty: none
  std::uint32_t database = 0;
  std::string prefix = "seawall:quota:";  ///< of all keys on the server
  std::string key = {};                   ///< whoever has the same one shares the quota: 1 to 512 bytes

  /// The rate of all processes together: `permits` in `per`, all of them with the same figures.
  std::uint64_t permits = 100;  ///< [1, 1e9]
  /// [1 ms, 24 h], whole microseconds; burst * per (in us), times `processes` for `reserved_share`, at most
  /// 2^50.
  duration per = std::chrono::seconds(1);
  std::uint64_t burst = 100;  ///< of all processes together, after a pause: at least `max_lease`

  /// What this process holds in advance grows and shrinks with its traffic between these two. The first is
  /// held by an idle process as well. The second is what a process can use more than its due when it loses
  /// the server; it bounds the throughput too, to one lease a round trip, and no call may want more permits
  /// at once.
  std::uint32_t min_lease = 1;                                ///< [1, max_lease]
  std::uint32_t max_lease = 20;                               ///< [1, 1'000'000]
  duration lease_time = std::chrono::seconds(1);              ///< until a lease expires: [100 ms, 1 h]
  duration connect_timeout = std::chrono::milliseconds(250);  ///< positive, at most 1 min
  duration command_timeout = std::chrono::milliseconds(100);  ///< positive, at most half of `lease_time`
  /// An answer that takes longer lets the process go on by itself meanwhile: positive, at most
  /// `command_timeout`.
  duration slow_after = std::chrono::milliseconds(20);
  duration probe_initial =
      std::chrono::milliseconds(50);  ///< to the first try after a failure, then doubled: [1 ms, probe_max]
  duration probe_max = std::chrono::seconds(2);  ///< at most 10 min

  quota_fallback fallback = quota_fallback::reserved_share;
  /// How many processes share the quota at most; the fallbacks but `deny` divide the rate by it: [1, 10'000].
  /// There is no default that is right.
  std::uint32_t processes = 0;
  listener* events = nullptr;  ///< outlives the quota; told of changes of state, on the quota's own thread
};

namespace detail {

/// Where shares are reserved, the server counts in parts of this size.
inline std::uint64_t reserved_members(const redis_quota_options& o) noexcept {
  return o.fallback == quota_fallback::reserved_share ? std::uint64_t{o.processes} : 1;
}

inline void check_rate(option_checks& checks, const redis_quota_options& o) {
  const std::int64_t us = o.per.ns() / 1000;
  const bool per_fits = o.per >= std::chrono::milliseconds(1) && o.per <= std::chrono::hours(24);
  checks.require(o.permits >= 1 && o.permits <= 1'000'000'000, "permits", o.permits,
                 "must be at least 1 and at most 1000000000");
  checks.require(per_fits && o.per.ns() % 1000 == 0, "per", o.per,
                 "must be at least 1ms, at most 24h, and whole microseconds");
  checks.require(o.burst >= o.max_lease, "burst", o.burst,
                 "must be at least max_lease, " + to_text(std::uint64_t{o.max_lease}));
  if (!per_fits) return;
  const std::uint64_t most =
      redis_rate::most / (static_cast<std::uint64_t>(us) * std::max<std::uint64_t>(reserved_members(o), 1));
  checks.require(o.burst <= most, "burst", o.burst, "must be at most " + to_text(most) + " with this per");
}

inline void check_times(option_checks& checks, const redis_quota_options& o) {
  const duration none = duration::zero();
  checks
      .require(o.lease_time >= std::chrono::milliseconds(100) && o.lease_time <= std::chrono::hours(1),
               "lease_time", o.lease_time, "must be at least 100ms and at most 1h")
      .require(o.connect_timeout > none && o.connect_timeout <= std::chrono::minutes(1), "connect_timeout",
               o.connect_timeout, "must be positive and at most 1min")
      .require(o.command_timeout > none && o.command_timeout <= o.lease_time / 2, "command_timeout",
               o.command_timeout,
               "must be positive and at most half of lease_time, " + to_text(o.lease_time / 2))
      .require(o.slow_after > none && o.slow_after <= o.command_timeout, "slow_after", o.slow_after,
               "must be positive and at most command_timeout, " + to_text(o.command_timeout))
      .require(o.probe_max <= std::chrono::minutes(10), "probe_max", o.probe_max, "must be at most 10min")
      .require(o.probe_initial >= std::chrono::milliseconds(1) && o.probe_initial <= o.probe_max,
               "probe_initial", o.probe_initial,
               "must be at least 1ms and at most probe_max, " + to_text(o.probe_max));
}

}  // namespace detail

inline std::optional<option_error> validate(const redis_quota_options& o) {
  if (o.host.empty() && o.unix_socket.empty())
    return option_error{"host", "empty", "must not be, unless there is a unix_socket"};
  if (o.key.empty() || o.key.size() > 512)
    return option_error{"key", std::to_string(o.key.size()) + " bytes", "must be at least 1 and at most 512"};
  detail::option_checks checks;
  checks.require(o.port >= 1 || !o.unix_socket.empty(), "port", std::uint64_t{o.port}, "must be at least 1")
      .require(o.max_lease >= 1 && o.max_lease <= 1'000'000, "max_lease", std::uint64_t{o.max_lease},
               "must be at least 1 and at most 1000000")
      .require(o.min_lease >= 1 && o.min_lease <= o.max_lease, "min_lease", std::uint64_t{o.min_lease},
               "must be at least 1 and at most max_lease, " + to_text(std::uint64_t{o.max_lease}))
      .require(
          o.fallback == quota_fallback::deny || (o.processes >= 1 && o.processes <= 10'000), "processes",
          std::uint64_t{o.processes},
          "must be at least 1 and at most 10000: a process that has lost the quota divides the rate by it");
  detail::check_rate(checks, o);
  detail::check_times(checks, o);
  return checks.result();
}

struct redis_quota_snapshot {
  std::string name = {};
  quota_state state = quota_state::starting;
  bool local = false;                 ///< what is not held is granted locally
  std::uint64_t held = 0;             ///< permits
  std::uint64_t lease = 0;            ///< permits that it wants to hold at present
  std::uint64_t leased = 0;           ///< permits that the server has granted
  std::uint64_t returned = 0;         ///< ... and was told to take back
  std::uint64_t locally_granted = 0;  ///< permits
  std::uint64_t contacts = 0;         ///< that succeeded
  std::uint64_t failures = 0;
  duration round_trip = {};
  std::string last_error = {};  ///< the server's words, or the system's; at most 256 bytes
};

namespace detail {

/// What talks to the server: a connection, logged in or not.
class redis_dialogue {
 public:
  redis_dialogue(const redis_quota_options& o, wake_pipe& wake, const std::atomic<bool>& stop)
      : options_(o),
        rate_(redis_rate::of(o.permits, o.per, o.burst, reserved_members(o))),
        kept_(rate_.full_drain * 2 + o.lease_time * 2 + std::chrono::seconds(10)),
        key_(o.prefix + "{" + o.key + "}"),
        members_key_(key_ + ":members"),
        member_(std::to_string(entropy_seed())),
        connection_(wake, stop) {}

  bool is_open() const noexcept { return connection_.is_open(); }
  const std::string& error() const noexcept { return error_; }

  /// Connects and logs in.
  bool open(instant now) {
    const redis_address address{options_.host, options_.port, options_.unix_socket};
    if (!connection_.open(address, now + options_.connect_timeout)) return broken();
    if (!options_.password.empty()) {
      std::vector<std::string_view> words{"AUTH"};
      if (!options_.username.empty()) words.push_back(options_.username);
      words.push_back(options_.password);
      if (!expect_ok(words)) return false;
    }
    return options_.database == 0 || expect_ok({"SELECT", std::to_string(options_.database)});
  }

  bool ping() {
    const std::array<std::string_view, 1> words{"PING"};
    const auto answer = connection_.command(words, in_time());
    if (!answer) return broken();
    return (!answer->is_error && answer->text == "PONG") || refused(answer->text);
  }

  /// Carries out a request. Empty: it failed, and the connection is closed.
  std::optional<core::lease_reply> ask(const core::lease_request& r, bool leaving) {
    asked_ = false;
    const bool reserved = options_.fallback == quota_fallback::reserved_share;
    const redis_quota_arguments arguments(rate_, r, kept_, reserved ? options_.processes : 0, member_,
                                          options_.lease_time, leaving);
    const instant deadline = in_time();
    auto answer = run("EVALSHA", redis_quota_digest, arguments, deadline);
    // A server that has restarted, or another one after a failover, does not know the script.
    if (answer && answer->is_error && answer->text.starts_with("NOSCRIPT"))
      answer = run("EVAL", redis_quota_script, arguments, deadline);
    if (!answer) return broken(), std::nullopt;
    if (answer->is_error) return refused(answer->text), std::nullopt;
    const auto granted = parse_quota_reply(answer->text, r.wanted);
    if (!granted) refused("not an answer of the script: " + answer->text);
    return granted;
  }
  /// May the last `ask` have been carried out, whatever came of it?
  bool asked() const noexcept { return asked_; }

 private:
  using reply = redis_connection::reply;

  instant in_time() const noexcept { return steady_clock::now() + options_.command_timeout; }

  std::optional<reply> run(std::string_view how, std::string_view script,
                           const redis_quota_arguments& arguments, instant deadline) {
    std::vector<std::string_view> words{how, script, "2", key_, members_key_};
    words.insert(words.end(), arguments.values.begin(), arguments.values.end());
    auto answer = connection_.command(words, deadline);
    asked_ = asked_ || !connection_.nothing_sent();
    return answer;
  }

  bool expect_ok(const std::vector<std::string_view>& words) {
    const auto answer = connection_.command(words, in_time());
    if (!answer) return broken();
    return !answer->is_error || refused(answer->text);
  }
  bool broken() {
    error_ = connection_.error();
    return false;
  }
  /// A replica, a server that is loading, a wrong password: to be tried anew, perhaps elsewhere.
  bool refused(const std::string& why) {
    connection_.close();
    error_ = why;
    return false;
  }

  const redis_quota_options& options_;
  const redis_rate rate_;
  const duration kept_;
  const std::string key_;
  const std::string members_key_;
  const std::string member_;
  redis_connection connection_;
  std::string error_;
  bool asked_ = false;
};

}  // namespace detail

/// A rate that all processes with the same key share. What they use, all together and over any stretch of
/// time, is at most rate * time + burst + one lease (`max_lease`) for each process; docs/redis.md says what
/// of that holds when the server is lost, for some or for all.
///
/// Errors: a server that cannot be reached, or says no, is no error but a state; see `snapshot`.
/// Thread safety: shared objects safe. It has one thread of its own, which alone talks to the server.
/// Cost: `take`: see `core::lease_pool`, no clock read, no system call but one to wake the thread when half
/// of a lease is used up. A command in a third of `lease_time` when idle, at most 1000 a second.
class redis_quota final : public quota_source {
 public:
  using options_type = redis_quota_options;
  static constexpr std::string_view policy_name = "redis_quota";

  /// Connects in the background: `wait_until_answered` for those who would rather not begin without.
  explicit redis_quota(redis_quota_options options)
      : options_(detail::checked(policy_name, std::move(options))),
        pool_(options_.max_lease, local_interval(options_), local_burst(options_),
              core::lease_keeper::local_from(terms(options_), steady_clock::now()), core::default_stripes()),
        keeper_(terms(options_), pool_, steady_clock::now(), random_source(detail::entropy_seed())),
        dialogue_(options_, wake_, stop_),
        thread_([this] { run(); }) {}

  static absl::StatusOr<std::unique_ptr<redis_quota>> create(redis_quota_options options) {
    if (const auto error = validate(options)) return absl::InvalidArgumentError(error->text(policy_name));
    return std::make_unique<redis_quota>(std::move(options));
  }

  /// Returns what is held, if the server answers within `command_timeout`; else ends without.
  ~redis_quota() {
    stop_.store(true, std::memory_order_release);
    wake_.wake();
    thread_.join();
  }
  redis_quota(const redis_quota&) = delete;
  redis_quota& operator=(const redis_quota&) = delete;

  quota_answer take(std::uint32_t permits, instant now) noexcept override {
    const auto answer = pool_.take(permits, now);
    if (answer.ask) [[unlikely]]
      wake_.wake();
    return {.granted = answer.granted,
            .retry_after = answer.granted ? verdict::no_pushback() : answer.retry_after};
  }
  void give_back(std::uint32_t permits, instant) noexcept override { pool_.give_back(permits); }

  /// Waits for the first answer of the server, at most as long as that; true if the server granted something.
  bool wait_until_answered(duration at_most) ABSL_LOCKS_EXCLUDED(mutex_) {
    const auto until = (steady_clock::now() + at_most).to_chrono();
    std::unique_lock<core::mutex> lock(mutex_);
    return told_.wait_until(lock, until,
                            [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return seen_.contacts > 0; });
  }

  redis_quota_snapshot snapshot(instant now) const ABSL_LOCKS_EXCLUDED(mutex_) {
    redis_quota_snapshot s;
    {
      const core::mutex_lock lock(mutex_);
      s = seen_;
    }
    s.name = options_.name;
    s.held = pool_.left();
    s.local = options_.fallback != quota_fallback::deny && pool_.local_at(now);
    s.locally_granted = pool_.locally_granted();
    return s;
  }
  redis_quota_snapshot snapshot() const { return snapshot(steady_clock::now()); }
  const std::string& name() const noexcept { return options_.name; }

 private:
  static core::lease_terms terms(const redis_quota_options& o) noexcept {
    return {.min_lease = o.min_lease,
            .max_lease = o.max_lease,
            .lease_time = o.lease_time,
            .slow_after = o.slow_after,
            .probe_initial = o.probe_initial,
            .probe_max = o.probe_max,
            .fallback = o.fallback,
            .local_burst = local_burst(o)};
  }
  /// Rounded so that all together never have more than the rate.
  static duration local_interval(const redis_quota_options& o) noexcept {
    if (o.fallback == quota_fallback::deny) return duration::infinite();
    const auto permits = static_cast<std::int64_t>(o.permits);
    return duration::from_ns(((o.per * std::int64_t{o.processes}).ns() + permits - 1) / permits);
  }
  static std::uint64_t local_burst(const redis_quota_options& o) noexcept {
    return o.fallback == quota_fallback::deny ? 1 : (o.burst + o.processes - 1) / o.processes;
  }

  bool stopping() const noexcept { return stop_.load(std::memory_order_acquire); }

  void run() {
    // Signals are for the program's own threads; and one that writes to a connection that is gone must not
    // end it.
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
    while (!stopping()) {
      if (steady_clock::now() < keeper_.wake_at())
        wake_.wait(keeper_.wake_at());
      else
        contact();
    }
    say_goodbye();
  }

  void contact() {
    const quota_state before = keeper_.state();
    const instant began = steady_clock::now();
    keeper_.begin(began);
    bool asked = false;
    std::optional<core::lease_reply> reply;
    core::lease_request request;
    if ((dialogue_.is_open() || dialogue_.open(began)) && (!keeper_.must_probe() || dialogue_.ping())) {
      request = keeper_.request(steady_clock::now());
      reply = dialogue_.ask(request, false);
      asked = dialogue_.asked();
    }
    const instant ended = steady_clock::now();
    if (reply)
      keeper_.succeeded(ended, *reply);
    else if (!stopping())
      keeper_.failed(ended, asked);
    note(request, reply);
    if (options_.events != nullptr && keeper_.state() != before) tell(before, ended, reply.has_value());
  }

  void note(const core::lease_request& request, const std::optional<core::lease_reply>& reply)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    {
      const core::mutex_lock lock(mutex_);
      seen_.state = keeper_.state();
      seen_.lease = keeper_.target();
      seen_.round_trip = keeper_.round_trip();
      if (reply) {
        ++seen_.contacts;
        seen_.leased += reply->granted;
        seen_.returned += request.returned;
      } else {
        ++seen_.failures;
        seen_.last_error = dialogue_.error();
      }
    }
    told_.notify_all();
  }

  void tell(quota_state before, instant now, bool answered) const noexcept {
    options_.events->on(event::state_changed{.policy = policy_name,
                                             .name = options_.name,
                                             .key = options_.key,
                                             .from = to_string(before),
                                             .to = to_string(keeper_.state()),
                                             .why = answered ? "answered" : dialogue_.error(),
                                             .at = now});
  }

  /// Bounded by one command, whatever the server does.
  void say_goodbye() {
    if (!dialogue_.is_open() || keeper_.must_probe()) return;
    stop_.store(false, std::memory_order_relaxed);
    dialogue_.ask(keeper_.farewell(steady_clock::now()), true);
  }

  const redis_quota_options options_;
  detail::wake_pipe wake_;
  std::atomic<bool> stop_{false};
  core::lease_pool pool_;
  core::lease_keeper keeper_;        // the thread's
  detail::redis_dialogue dialogue_;  // the thread's
  mutable core::mutex mutex_;
  std::condition_variable_any told_;
  redis_quota_snapshot seen_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;  // last: it uses everything above
};

}  // namespace seawall

#endif  // SEAWALL_ADAPT_REDIS_HPP
