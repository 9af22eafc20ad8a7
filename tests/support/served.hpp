// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_SUPPORT_SERVED_HPP
#define SEAWALL_TESTS_SUPPORT_SERVED_HPP

// A small discrete-event simulation of a server behind a limit on concurrency: who calls, how long a call takes, how much
// of it the server can do at once, and what of that changes on the way. Makes some million calls a second, so that a
// limit can be compared with every static one on the same workload.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "seawall/adaptive_limit.hpp"
#include "seawall/random.hpp"
#include "seawall/time.hpp"
#include "seawall/verdict.hpp"

namespace served {

/// How much work a call is, on average 1.
enum class law : std::uint8_t { deterministic, exponential, lognormal, hyperexponential, pareto };

inline const char* name(law l) {
  constexpr const char* names[] = {"deterministic", "exponential", "lognormal", "hyperexponential", "pareto"};
  return names[static_cast<int>(l)];
}

/// From `at` seconds on.
struct phase {
  double at = 0;
  double servers = 16;  ///< calls served at once
  double speed = 1;     ///< of each
  double load = 2;      ///< arrivals, as a multiple of what 1 / mean_service * workload::servers is
  bool down = false;    ///< calls are not answered at all; see `workload::timeout`
};

struct workload {
  std::string name = {};
  std::vector<phase> phases = {{}};
  double seconds = 60;
  double warm_up = 10;         ///< not counted
  double mean_service = 0.01;  ///< seconds, of a call that is alone
  double servers = 16;         ///< for `phase::load`
  law service = law::exponential;
  // Universal Scalability Law: n calls together take 1 + contention (n - 1) + coherence n (n - 1) times as long.
  double contention = 0, coherence = 0;
  bool shared = false;       ///< processor sharing, instead of first come first served
  double network = 0;        ///< seconds on the way
  unsigned clients = 0;      ///< closed: so many, who call again when answered; 0: open, Poisson
  double on_share = 1;       ///< bursts: share of the time in which calls arrive, at 1/on_share the rate
  double burst_seconds = 1;  ///< mean length of on + off
  bool regular = false;      ///< arrivals at equal distances
  double timeout = 0;        ///< the caller gives up, the server does not; 0: never
  unsigned room = 0;         ///< the server refuses at once what is more; 0: never
  double bound = 5;          ///< an answer is in time within so many mean service times (plus network)
};

struct figures {
  double goodput = 0;     ///< answers in time, a second
  double throughput = 0;  ///< answers, a second
  double latency = 0;     ///< mean of the answers, seconds
  double limit = 0;       ///< mean over time
  double power() const { return latency > 0 ? throughput / latency : 0; }
};

/// What a simulation asks of a limit.
class limiter {
 public:
  virtual ~limiter() = default;
  virtual bool admit(seawall::instant now) = 0;
  virtual void done(seawall::instant begun, seawall::instant now, const seawall::verdict& v) = 0;
  virtual double limit() const = 0;
};

class static_limit final : public limiter {
 public:
  explicit static_limit(double most) : most_(most) {}
  bool admit(seawall::instant) override { return in_flight_ < most_ ? (++in_flight_, true) : false; }
  void done(seawall::instant, seawall::instant, const seawall::verdict&) override { --in_flight_; }
  double limit() const override { return most_; }

 private:
  const double most_;
  double in_flight_ = 0;
};

/// The shipped policy as a limit.
class adaptive final : public limiter {
 public:
  explicit adaptive(seawall::adaptive_limit_options o = {}) : limit_(std::move(o)) {}
  bool admit(seawall::instant) override { return limit_.machine().try_acquire(0); }
  void done(seawall::instant begun, seawall::instant now, const seawall::verdict& v) override {
    limit_.machine().settle(begun, v, now);
  }
  double limit() const override { return limit_.snapshot().limit; }
  seawall::adaptive_limit_snapshot seen() const { return limit_.snapshot(); }

 private:
  seawall::adaptive_limit limit_;
};

class simulation {
 public:
  /// `seen(seconds)` is called at `every` seconds, if that is positive.
  simulation(const workload& w, limiter& l, std::uint64_t seed, std::function<void(double)> seen = {},
             double every = 0)
      : w_(w), limit_(l), arrivals_(seed), work_(seed + 1), seen_(std::move(seen)), every_(every) {}

  /// Figures of the time between `from` and the end, or `until`.
  struct span {
    double from, until;
    figures f = {};
  };

  figures run() {
    std::vector<span> whole{{w_.warm_up, w_.seconds}};
    run(whole);
    return whole[0].f;
  }
  void run(std::vector<span>& spans) {
    spans_ = &spans;
    if (w_.clients == 0) {
      at(0, kind::arrival);
    } else {
      for (unsigned i = 0; i < w_.clients; ++i) at(w_.mean_service * unit(), kind::arrival);
    }
    for (std::size_t i = 0; i < w_.phases.size(); ++i)
      at(w_.phases[i].at, kind::phase, static_cast<std::uint32_t>(i));
    if (w_.on_share < 1) at(0, kind::burst);
    if (every_ > 0) at(every_, kind::look);
    for (;;) {
      // Shared service keeps its next end outside the heap: every arrival moves it.
      const double due = events_.empty() ? infinity : events_.top().at;
      if (std::min(due, shared_due_) > w_.seconds) break;
      if (shared_due_ < due) {
        pass(shared_due_);
        const std::uint32_t id = shared_.top().which;
        shared_.pop();
        leave_server(id);
        reschedule_shared();
        continue;
      }
      const event e = events_.top();
      events_.pop();
      pass(e.at);
      act(e);
    }
    pass(w_.seconds);
    for (span& s : spans) {
      const double length = s.until - s.from;
      s.f.latency = s.f.throughput > 0 ? s.f.latency / s.f.throughput : 0;
      s.f.goodput /= length;
      s.f.throughput /= length;
      s.f.limit /= length;
    }
  }
  std::uint64_t calls() const { return jobs_made_; }
  double now() const { return now_; }

 private:
  enum class kind : std::uint8_t { arrival, served, answered, phase, burst, look, timeout };
  struct event {
    double at;
    std::uint64_t order;
    kind what;
    std::uint32_t which;
    std::uint32_t version;
    bool operator>(const event& o) const { return at != o.at ? at > o.at : order > o.order; }
  };
  struct job {
    double begun = 0, work = 0;
    std::uint32_t version = 0;
    bool given_up = false, on_server = false;
  };
  struct finish {
    double at;  // in shared service
    std::uint32_t which;
    bool operator>(const finish& o) const { return at > o.at; }
  };

  double unit() { return (static_cast<double>(arrivals_.next() >> 11U) + 1) * 0x1p-53; }
  double exponential(seawall::random_source& r) {
    return -std::log((static_cast<double>(r.next() >> 11U) + 1) * 0x1p-53);
  }
  double normal(seawall::random_source& r) {
    return std::sqrt(2 * exponential(r)) * std::cos(6.283185307179586 * r.unit());
  }
  double draw() {
    switch (w_.service) {
      case law::deterministic: return 1;
      case law::exponential: return exponential(work_);
      case law::lognormal:
        return std::exp(normal(work_) - 0.5);  // cv 1.31
      // 90% short ones, 10% ten times as long: cv 2.2.
      case law::hyperexponential: return exponential(work_) * (work_.unit() < 0.1 ? 10 : 1) / 1.9;
      case law::pareto: {  // shape 2.2, mean 1: cv 1.5 at infinity, slow to converge
        const double u = (static_cast<double>(work_.next() >> 11U) + 1) * 0x1p-53;
        return 1.2 / 2.2 * std::pow(u, -1 / 2.2);
      }
    }
    return 1;
  }
  static seawall::instant instant_of(double t) {
    return seawall::instant::from_ns(1'000'000'000 + static_cast<std::int64_t>(t * 1e9));
  }

  void at(double when, kind what, std::uint32_t which = 0, std::uint32_t version = 0) {
    events_.push({when, order_++, what, which, version});
  }

  void pass(double t) {
    const double l = limit_.limit();
    for (span& s : *spans_) s.f.limit += std::max(0.0, std::min(t, s.until) - std::max(now_, s.from)) * l;
    if (!shared_.empty()) virtual_ += (t - now_) * rate();
    now_ = t;
  }

  void act(const event& e) {
    switch (e.what) {
      case kind::arrival:
        if (w_.clients != 0 || e.version == stream_) arrive();
        return;
      case kind::served:
        if (e.version == jobs_[e.which].version) served(e.which);
        return;
      case kind::answered:
        if (e.version == jobs_[e.which].version) answer(e.which);
        return;
      case kind::timeout:
        if (e.version == jobs_[e.which].version && !jobs_[e.which].given_up) give_up(e.which);
        return;
      case kind::phase:
        phase_ = w_.phases[e.which];
        begin_waiting();
        reschedule_shared();
        return;
      case kind::burst:
        on_ = !on_;
        at(now_ + exponential(arrivals_) * w_.burst_seconds * (on_ ? w_.on_share : 1 - w_.on_share),
           kind::burst);
        ++stream_;
        next_arrival();
        return;
      case kind::look:
        seen_(now_);
        at(now_ + every_, kind::look);
        return;
    }
  }

  void next_arrival() {
    if (!on_) return;
    const double rate = phase_.load * w_.servers / w_.mean_service / w_.on_share;
    at(now_ + (w_.regular ? 1 : exponential(arrivals_)) / rate, kind::arrival, 0, stream_);
  }
  void arrive() {
    if (w_.clients == 0) next_arrival();
    if (!limit_.admit(instant_of(now_))) {
      // A closed client that is refused does something else for about one service time.
      if (w_.clients != 0) at(now_ + w_.mean_service * exponential(arrivals_) * 0.5, kind::arrival);
      return;
    }
    ++jobs_made_;
    const std::uint32_t id = fresh();
    job& j = jobs_[id];
    j.begun = now_;
    j.work = draw() * w_.mean_service;
    if (w_.timeout > 0) at(now_ + w_.timeout, kind::timeout, id, j.version);
    if (w_.room != 0 && busy_ + waiting_.size() + shared_.size() >= w_.room) {
      end(id, {.health = seawall::health::silent, .again = seawall::again::if_idempotent});
      return;
    }
    j.on_server = true;
    if (w_.shared || w_.contention > 0 || w_.coherence > 0) {
      shared_.push({virtual_ + j.work, id});
      reschedule_shared();
    } else {
      waiting_.push_back(id);
      begin_waiting();
    }
  }

  std::uint32_t fresh() {
    if (!free_.empty()) {
      const std::uint32_t id = free_.back();
      free_.pop_back();
      const std::uint32_t version = jobs_[id].version;
      jobs_[id] = {};
      jobs_[id].version = version + 1;
      return id;
    }
    jobs_.emplace_back();
    return static_cast<std::uint32_t>(jobs_.size() - 1);
  }

  void begin_waiting() {
    while (!phase_.down && busy_ < phase_.servers && !waiting_.empty()) {
      const std::uint32_t id = waiting_.front();
      waiting_.pop_front();
      ++busy_;
      at(now_ + jobs_[id].work / phase_.speed, kind::served, id, jobs_[id].version);
    }
  }

  // Shared service: everybody proceeds at the same rate.
  double rate() const {
    if (phase_.down) return 0;
    const double n = static_cast<double>(shared_.size());
    const double slower = 1 + w_.contention * (n - 1) + w_.coherence * n * (n - 1);
    return phase_.speed * std::min(1.0, phase_.servers / n) / slower;
  }
  void reschedule_shared() {
    shared_due_ = infinity;
    if (shared_.empty() || rate() <= 0) return;
    shared_due_ = now_ + std::max(0.0, shared_.top().at - virtual_) / rate();
  }

  void served(std::uint32_t id) {
    --busy_;
    begin_waiting();
    leave_server(id);
  }
  void leave_server(std::uint32_t id) {
    jobs_[id].on_server = false;
    if (jobs_[id].given_up) {
      free_.push_back(id);
      return;
    }
    if (w_.network > 0) {
      at(now_ + w_.network, kind::answered, id, jobs_[id].version);
    } else {
      answer(id);
    }
  }
  void answer(std::uint32_t id) {
    const double took = now_ - jobs_[id].begun;
    const bool in_time = took <= w_.bound * w_.mean_service + w_.network;
    for (span& s : *spans_) {
      if (now_ < s.from || now_ >= s.until) continue;
      s.f.throughput += 1;
      s.f.goodput += in_time ? 1 : 0;
      s.f.latency += took;
    }
    end(id, seawall::verdict::ok());
  }
  void give_up(std::uint32_t id) {
    job& j = jobs_[id];
    j.given_up = true;
    const double begun = j.begun;
    const bool stays = j.on_server;
    if (!stays) {
      free_.push_back(id);
      ++j.version;  // an answer on its way is dropped
    }
    tell(begun, seawall::verdict::transient());
  }
  void end(std::uint32_t id, const seawall::verdict& v) {
    const double begun = jobs_[id].begun;
    jobs_[id].given_up = true;
    ++jobs_[id].version;
    free_.push_back(id);
    tell(begun, v);
  }
  void tell(double begun, const seawall::verdict& v) {
    limit_.done(instant_of(begun), instant_of(now_), v);
    if (w_.clients != 0) at(now_, kind::arrival);
  }

  static constexpr double infinity = std::numeric_limits<double>::infinity();

  const workload w_;
  limiter& limit_;
  seawall::random_source arrivals_, work_;
  std::function<void(double)> seen_;
  const double every_;
  phase phase_;
  double now_ = 0, virtual_ = 0, busy_ = 0, shared_due_ = infinity;
  bool on_ = true;
  std::uint64_t order_ = 0, jobs_made_ = 0;
  std::uint32_t stream_ = 0;  // of arrivals; a burst that ends makes what is scheduled void
  std::vector<span>* spans_ = nullptr;
  std::vector<job> jobs_;
  std::vector<std::uint32_t> free_;
  std::deque<std::uint32_t> waiting_;
  std::priority_queue<event, std::vector<event>, std::greater<>> events_;
  std::priority_queue<finish, std::vector<finish>, std::greater<>> shared_;
};

/// The static limit with the most answers in time, found by trying them all, in steps of 8%.
struct best {
  double limit = 0;
  figures f = {};
};
inline best best_static(const workload& w, std::uint64_t seed) {
  best found;
  const double most = std::max(40.0, w.servers * 6);
  for (double l = 1; l <= most; l = std::max(l + 1, std::floor(l * 1.08))) {
    static_limit s(l);
    const figures f = simulation(w, s, seed).run();
    if (f.goodput > found.f.goodput) found = {l, f};
  }
  return found;
}

/// The same calls at a server that never changes.
inline workload steady(workload w, const phase& p, double seconds) {
  w.phases = {p};
  w.phases[0].at = 0;
  w.warm_up = seconds / 10;
  w.seconds = seconds;
  return w;
}

/// Windows from `from` seconds on until the limit is where `reached` says; -1: never.
inline int windows_until(const workload& w, std::uint64_t seed, double from, double until,
                         const std::function<bool(double)>& reached) {
  adaptive limit;
  std::int64_t before = -1, then = -1;
  simulation s(
      w, limit, seed,
      [&](double t) {
        const auto seen = limit.seen();
        if (t < from) before = static_cast<std::int64_t>(seen.windows);
        if (t >= from && t < until && then < 0 && reached(seen.settled_limit))
          then = static_cast<std::int64_t>(seen.windows);
      },
      w.mean_service);
  s.run();
  return then < 0 ? -1 : static_cast<int>(then - before);
}

}  // namespace served

#endif  // SEAWALL_TESTS_SUPPORT_SERVED_HPP
