// SPDX-License-Identifier: Apache-2.0
// What hedging is for, and what it must not do, in simulations that run the frames that ship. The law of latencies
// is that of Dean and Barroso, "The Tail at Scale" (CACM 2013): 10 ms at 98%, 69 ms at 99.9%, 1800 ms at 1 - 1e-6,
// interpolated in logarithms; a request needs the answers of 1000 such calls.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <vector>

#include "property/support.hpp"
#include "seawall/deadline.hpp"
#include "seawall/hedge.hpp"
#include "seawall/pipeline.hpp"
#include <doctest/doctest.h>

namespace {

using namespace property;
using namespace std::chrono_literals;
using seawall::attempt_id;
using seawall::hedge;
using seawall::hedge_layer;
using seawall::resolution;

duration from_ms(double ms) { return duration::from_ns(static_cast<std::int64_t>(ms * 1e6)); }
double to_ms(duration d) { return d.seconds() * 1e3; }

/// Uniform in (0, 1].
double unit_of(dice& d) { return (static_cast<double>(d.next() >> 11U) + 1) * 0x1p-53; }

/// The latency that a share `p` of the calls exceed.
double exceeded_by(double p) {
  struct point {
    double ms, p;
  };
  static constexpr point law[] = {{1, 1}, {10, 0.02}, {69, 1e-3}, {1800, 1e-6}};
  std::size_t i = 1;
  while (i + 1 < std::size(law) && p < law[i].p) ++i;
  const point a = law[i - 1], b = law[i];
  return a.ms * std::pow(b.ms / a.ms, std::log(p / a.p) / std::log(b.p / a.p));
}

/// Runs one call, whose attempts take as long as `draw` says, and returns how long it took.
template <class Pipeline, class Draw>
duration time_of(const Pipeline& p, instant begin, Draw&& draw) {
  seawall::call c(begin, seawall::idempotency::idempotent, nullptr, nullptr);
  seawall::call::room room;
  c.lend(room);
  auto frame = p.make_frame();
  struct {
    attempt_id id;
    instant at;
  } under_way[seawall::max_hedged_attempts];
  std::size_t count = 0;
  instant now = begin;
  const auto launch = [&] {
    c.take_launches([&](const seawall::launch& l) { under_way[count++] = {l.id, now + draw()}; });
  };
  resolution r = frame.start(c, now);
  for (launch(); !r; launch()) {
    auto* const first = std::min_element(under_way, under_way + count,
                                         [](const auto& a, const auto& b) { return a.at < b.at; });
    now = std::min(first->at, frame.wake_at());
    if (first->at <= now) {
      const attempt_id id = first->id;
      *first = under_way[--count];
      r = frame.on_done(c, now, id, seawall::verdict::ok());
    } else {
      r = frame.on_time(c, now);
    }
  }
  return now - begin;
}

double quantile_of(std::vector<double>& values, double p) {
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(p * static_cast<double>(values.size()));
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

// The 98% of the keys that answer within 10 ms are not hedged, and do not matter to the slowest of a thousand: only
// the others are run.
TEST_CASE("tail: of 1000 keys a request, p99.9 falls from 1775 ms to 76 ms for 2.2% more load") {
  const std::uint64_t requests = sequences_wanted(200'000);
  if (requests < 20'000) return;  // too few for a p99.9
  dice d(seed());
  const auto hedged = seawall::compose(hedge({.after = 10ms, .reached_max = 1}));
  std::uint64_t hedges = 0;
  std::vector<double> without, with;
  for (std::uint64_t i = 0; i < requests; ++i) {
    // Slow keys come one after the other with geometric gaps.
    double slowest = 0, slowest_hedged = 0;
    for (double key = std::log(unit_of(d)) / std::log(0.98); key < 1000;
         key += 1 + std::log(unit_of(d)) / std::log(0.98)) {
      const double first = exceeded_by(0.02 * unit_of(d));
      unsigned attempts = 0;
      const duration took = time_of(
          hedged, instant(), [&] { return from_ms(attempts++ == 0 ? first : exceeded_by(unit_of(d))); });
      hedges += attempts - 1;
      slowest = std::max(slowest, first);
      slowest_hedged = std::max(slowest_hedged, to_ms(took));
    }
    without.push_back(slowest);
    with.push_back(slowest_hedged);
  }
  const double before = quantile_of(without, 0.999), after = quantile_of(with, 0.999);
  const double extra = static_cast<double>(hedges) / (1000.0 * static_cast<double>(requests));
  MESSAGE("p99.9 of ", requests, " requests: ", before, " ms unhedged, ", after, " ms hedged, ", extra * 100,
          "% more load");
  CHECK(before > 1500);
  CHECK(before < 2100);
  CHECK(after <= 76);
  CHECK(extra <= 0.022);
}

// The slow attempts that lose to their hedges are in the distribution as slow: else it would look fast, the delay
// would shrink, more calls would be hedged, and so on.
TEST_CASE("tail: the delay from a quantile settles where that share of the calls reaches it") {
  for (const double p : {0.9, 0.95, 0.98}) {
    dice d(seed());
    const hedge_layer h = hedge({.quantile = p});
    const auto calls = seawall::compose(h);
    instant now;
    const int count = 200'000;
    int late = 0;
    double lowest = 1e9, highest = 0;
    for (int i = 0; i < count; ++i) {
      unsigned attempts = 0;
      time_of(calls, now, [&] {
        ++attempts;
        return from_ms(exceeded_by(unit_of(d)));
      });
      if (i > count / 2) {
        late += static_cast<int>(attempts) - 1;
        const double delay = to_ms(h.snapshot(now).delay);
        lowest = std::min(lowest, delay), highest = std::max(highest, delay);
      }
      now = now + 1ms;
    }
    const double share = late / (count / 2.0), best = exceeded_by(1 - p);
    MESSAGE("p", p * 100, ": delay ", lowest, " to ", highest, " ms, best ", best, " ms, hedged ",
            share * 100, "%");
    CHECK(lowest > best * 0.9);
    CHECK(highest < best * 1.1);
    CHECK(std::abs(share - (1 - p)) < (1 - p) * 0.1);
    CHECK(h.snapshot(now).totals.withheld_slow == 0);
    CHECK(h.snapshot(now).totals.withheld_useless == 0);
  }
}

/// Workers behind one queue, first come first served. What is cancelled leaves the queue; work under way is
/// finished for nothing.
class overloaded_service {
 public:
  using pipeline = seawall::pipeline<seawall::deadline_layer, hedge_layer>;

  overloaded_service(std::uint64_t seed, const pipeline& p, unsigned workers, duration mean, std::size_t room)
      : arrivals_(seed), work_(seed + 1), pipeline_(p), idle_(workers), mean_(mean), room_(room) {}

  /// Poisson arrivals at `rate` for so long.
  void run(double rate, duration length) {
    const instant end = now_ + length;
    for (instant next = now_ + exponential(arrivals_, 1 / rate); next < end;
         next = next + exponential(arrivals_, 1 / rate)) {
      until(next);
      begin_call();
    }
    until(end);
  }

  std::uint64_t calls = 0, answered = 0;
  instant now() const { return now_; }

 private:
  struct client {
    client(const pipeline& p, instant now)
        : call(now, seawall::idempotency::idempotent, nullptr, nullptr), frame(p.make_frame()) {
      call.lend(room);
    }
    seawall::call::room room;
    seawall::call call;
    decltype(std::declval<const pipeline&>().make_frame()) frame;
    bool over = false;
    std::vector<attempt_id> cancelled;
  };
  struct job {
    std::shared_ptr<client> from;
    attempt_id id;
  };
  struct event {
    instant at;
    std::uint64_t number;
    std::function<void()> what;
    bool operator>(const event& o) const { return at != o.at ? at > o.at : number > o.number; }
  };

  static duration exponential(dice& d, double mean_seconds) {
    return from_ms(-std::log(unit_of(d)) * mean_seconds * 1e3);
  }

  void at(instant when, std::function<void()> what) { events_.push({when, number_++, std::move(what)}); }
  void until(instant end) {
    while (!events_.empty() && events_.top().at <= end) {
      const auto what = events_.top().what;
      now_ = events_.top().at;
      events_.pop();
      what();
    }
    now_ = end;
  }

  void begin_call() {
    ++calls;
    const auto c = std::make_shared<client>(pipeline_, now_);
    told(c, c->frame.start(c->call, now_));
  }
  void told(const std::shared_ptr<client>& c, const resolution& r) {
    c->call.take_launches([&](const seawall::launch& l) { enter({c, l.id}); });
    c->call.take_cancels([&](attempt_id id) { c->cancelled.push_back(id); });
    serve();
    if (r) {
      c->over = true;
      answered += r.v.success;
    } else if (const instant wake = c->frame.wake_at(); wake != instant::never()) {
      at(wake, [this, c] {
        if (!c->over && c->frame.wake_at() <= now_) told(c, c->frame.on_time(c->call, now_));
      });
    }
  }
  void enter(const job& j) {
    if (queue_.size() < room_) return queue_.push_back(j);
    at(now_, [this, j] {
      if (!wanted(j)) return;
      told(j.from, j.from->frame.on_done(j.from->call, now_, j.id, seawall::verdict::transient()));
    });
  }
  static bool wanted(const job& j) {
    const auto& gone = j.from->cancelled;
    return !j.from->over && std::find(gone.begin(), gone.end(), j.id) == gone.end();
  }
  void serve() {
    while (idle_ > 0 && !queue_.empty()) {
      const job j = queue_.front();
      queue_.pop_front();
      if (!wanted(j)) continue;
      --idle_;
      at(now_ + exponential(work_, mean_.seconds()), [this, j] {
        ++idle_;
        if (wanted(j)) told(j.from, j.from->frame.on_done(j.from->call, now_, j.id, seawall::verdict::ok()));
        serve();
      });
    }
  }

  // Of their own, so that the same calls arrive whatever is hedged.
  dice arrivals_, work_;
  const pipeline& pipeline_;
  unsigned idle_;
  const duration mean_;
  const std::size_t room_;
  instant now_;
  std::uint64_t number_ = 0;
  std::deque<job> queue_;
  std::priority_queue<event, std::vector<event>, std::greater<>> events_;
};

struct overload_figures {
  double goodput;       // share of what the service can do
  double hedged;        // share of the calls
  double hedged_later;  // when it has been healthy again for a while
};

// Two minutes at 1.2 times what the service can do, between healthy times.
overload_figures overload_with(const hedge_layer& h, std::size_t room) {
  const auto p = seawall::compose(seawall::deadline({.after = 100ms}), h);
  overloaded_service service(seed(), p, 8, 10ms, room);
  service.run(400, 60s);
  const std::uint64_t calls = service.calls, answered = service.answered,
                      hedges = h.snapshot(service.now()).totals.hedges;
  service.run(960, 120s);
  const std::uint64_t more = h.snapshot(service.now()).totals.hedges - hedges;
  const overload_figures f{.goodput = static_cast<double>(service.answered - answered) / (800.0 * 120),
                           .hedged = static_cast<double>(more) / static_cast<double>(service.calls - calls),
                           .hedged_later = 0};
  service.run(400, 60s);
  const std::uint64_t calls_later = service.calls, hedges_later = h.snapshot(service.now()).totals.hedges;
  service.run(400, 60s);
  const double later = static_cast<double>(h.snapshot(service.now()).totals.hedges - hedges_later);
  return {f.goodput, f.hedged, later / static_cast<double>(service.calls - calls_later)};
}

// A queue without a bound, in which the deadlines of most pass, so that goodput is a matter of luck by some
// percent; and one with room for 40 ms, that refuses the rest.
TEST_CASE(
    "tail: at 1.2 times what the service can do, at most 0.5% of the calls are hedged and no goodput is lost") {
  if (slowdown > 1) return;
  for (const bool bounded : {false, true}) {
    const std::size_t room = bounded ? 32 : 1'000'000;
    const overload_figures without = overload_with(hedge({.max_attempts = 1}), room);
    seawall::retry_budget budget({.ratio = 0.05});
    struct row {
      std::string what;
      hedge_layer layer;
    };
    for (const row& r : {row{"p95", hedge({})}, row{"p95, budget", hedge({.budget = &budget})},
                         row{"p98", hedge({.quantile = 0.98})}, row{"30 ms", hedge({.after = 30ms})}}) {
      const overload_figures f = overload_with(r.layer, room);
      const auto t = r.layer.snapshot(instant()).totals;
      MESSAGE(r.what, ": goodput ", f.goodput * 100, "% (without ", without.goodput * 100, "%), hedged ",
              f.hedged * 100, "%, later ", f.hedged_later * 100, "%; won ", t.wins, " of ", t.hedges,
              ", slow ", t.withheld_slow, ", useless ", t.withheld_useless, ", after failures ",
              t.after_failure);
      CHECK(f.hedged <= 0.005);
      CHECK(f.goodput >= without.goodput * (bounded ? 0.995 : 0.95));
    }
  }
}

}  // namespace
