// SPDX-License-Identifier: Apache-2.0
// Every state x every event. The breaker is one that any single failure or slow call trips, so that a cell in which nothing
// happens says something.
#include <string>
#include <vector>

#include "support/hand_driven_breaker.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;

namespace {

enum class event_of {
  success,       // of a call admitted in this state; where none is admitted, of one from before
  failure,       // likewise
  slow_success,  // likewise
  silent,        // likewise
  dropped,       // likewise: no verdict at all
  open_time,     // 10 s pass: the open time, and the recovery ramp
  late_failure,  // of a call admitted while closed, before this state
  late_success,  // likewise
  force_open,
  isolate,
  disable,
  metrics_only,
  reset,
};

circuit_breaker_options trips_at_anything() {
  return {.over_time = {.failure_rate = 0.5, .minimum_calls = 1},
          .slow = {.limit = 100ms},
          .open_for = 10s,
          .recovery = {.length = 10s, .initial_share = 0.5}};
}

// A call admitted while closed, and one admitted in the state under test if it admits any.
struct under_test : hand_driven {
  under_test() : hand_driven(trips_at_anything()), late(acquire()), current(acquire()) {}
  permit late;
  permit current;

  void in(const std::string& state) {
    if (state == "open") open();
    if (state == "half_open" || state == "recovering") half_open();
    if (state == "recovering") breaker.try_acquire(now).success(now);
    if (state == "isolated") breaker.isolate(now);
    if (state == "disabled") breaker.disable(now);
    if (state == "metrics_only") breaker.metrics_only(now);
    if (state == "open" || state == "isolated") return;
    // The ramp admits half of the calls: one of a thousand gets through for certain.
    for (int i = 0; i < 1000; ++i) {
      if ((current = acquire())) return;
    }
    FAIL("nothing was admitted");
  }

  void happens(event_of e) {
    switch (e) {
      case event_of::success: return current.success(now);
      case event_of::failure: return current.failure(now);
      case event_of::slow_success: return current.success(now + 100ms);
      case event_of::silent: return current.settle(verdict::cancelled(), now);
      case event_of::dropped: return current.release();
      case event_of::open_time: return pass(10s);
      case event_of::late_failure: return late.failure(now);
      case event_of::late_success: return late.success(now);
      case event_of::force_open: return breaker.force_open(now);
      case event_of::isolate: return breaker.isolate(now);
      case event_of::disable: return breaker.disable(now);
      case event_of::metrics_only: return breaker.metrics_only(now);
      case event_of::reset: return breaker.reset(now);
    }
  }

  // "open 1 trip, 2 calls (1 bad, 0 slow), 1 probe", zeros left out.
  std::string in_words() const {
    const breaker_snapshot s = seen();
    std::string out = s.admitted_share < 1.0 ? "recovering" : std::string(to_string(s.state));
    const auto add = [&](std::uint64_t n, const char* what) {
      if (n != 0) out.append(" ").append(std::to_string(n)).append(what);
    };
    add(s.trips, " trips");
    add(s.counts.over_time.calls, " calls");
    add(s.counts.over_time.bad, " bad");
    add(s.counts.over_time.slow, " slow");
    add(s.probes, " probes");
    return out;
  }
};

struct cell {
  event_of event;
  const char* after;
};

void check_row(const std::string& state, const std::vector<cell>& cells) {
  CHECK(cells.size() == static_cast<std::size_t>(event_of::reset) + 1);
  for (std::size_t i = 0; i < cells.size(); ++i) {
    CHECK(cells[i].event == static_cast<event_of>(i));
    CAPTURE(state);
    CAPTURE(i);
    under_test b;
    b.in(state);
    b.happens(cells[i].event);
    CHECK(b.in_words() == cells[i].after);
  }
}

}  // namespace

TEST_CASE("circuit_breaker: state x event: closed") {
  check_row("closed", {{event_of::success, "closed 1 calls"},
                       {event_of::failure, "open 1 trips"},
                       {event_of::slow_success, "open 1 trips"},
                       {event_of::silent, "closed"},
                       {event_of::dropped, "closed"},
                       {event_of::open_time, "closed"},
                       {event_of::late_failure, "open 1 trips"},  // not late: the same generation
                       {event_of::late_success, "closed 1 calls"},
                       {event_of::force_open, "open 1 trips"},
                       {event_of::isolate, "isolated"},
                       {event_of::disable, "disabled"},
                       {event_of::metrics_only, "metrics_only"},
                       {event_of::reset, "closed"}});
}

TEST_CASE("circuit_breaker: state x event: open") {
  check_row("open", {{event_of::success, "open 1 trips"},
                     {event_of::failure, "open 1 trips"},
                     {event_of::slow_success, "open 1 trips"},
                     {event_of::silent, "open 1 trips"},
                     {event_of::dropped, "open 1 trips"},
                     {event_of::open_time, "half_open 1 trips"},
                     {event_of::late_failure, "open 1 trips"},
                     {event_of::late_success, "open 1 trips"},
                     {event_of::force_open, "open 1 trips"},
                     {event_of::isolate, "isolated 1 trips"},
                     {event_of::disable, "disabled 1 trips"},
                     {event_of::metrics_only, "metrics_only 1 trips"},
                     {event_of::reset, "closed"}});
}

TEST_CASE("circuit_breaker: state x event: half_open") {
  check_row("half_open", {{event_of::success, "recovering"},
                          {event_of::failure, "open 2 trips"},
                          {event_of::slow_success, "open 2 trips"},
                          {event_of::silent, "half_open 1 trips"},
                          {event_of::dropped, "half_open 1 trips"},
                          {event_of::open_time, "half_open 1 trips 1 probes"},
                          {event_of::late_failure, "half_open 1 trips 1 probes"},
                          {event_of::late_success, "half_open 1 trips 1 probes"},
                          {event_of::force_open, "open 2 trips"},
                          {event_of::isolate, "isolated 1 trips"},
                          {event_of::disable, "disabled 1 trips"},
                          {event_of::metrics_only, "metrics_only 1 trips"},
                          {event_of::reset, "closed"}});
}

TEST_CASE("circuit_breaker: state x event: recovering") {
  check_row("recovering", {{event_of::success, "recovering 1 calls"},
                           {event_of::failure, "open 1 trips"},
                           {event_of::slow_success, "open 1 trips"},
                           {event_of::silent, "recovering"},
                           {event_of::dropped, "recovering"},
                           {event_of::open_time, "closed"},
                           {event_of::late_failure, "recovering"},
                           {event_of::late_success, "recovering"},
                           {event_of::force_open, "open 1 trips"},
                           {event_of::isolate, "isolated"},
                           {event_of::disable, "disabled"},
                           {event_of::metrics_only, "metrics_only"},
                           {event_of::reset, "closed"}});
}

TEST_CASE("circuit_breaker: state x event: isolated") {
  check_row("isolated", {{event_of::success, "isolated"},
                         {event_of::failure, "isolated"},
                         {event_of::slow_success, "isolated"},
                         {event_of::silent, "isolated"},
                         {event_of::dropped, "isolated"},
                         {event_of::open_time, "isolated"},
                         {event_of::late_failure, "isolated"},
                         {event_of::late_success, "isolated"},
                         {event_of::force_open, "open 1 trips"},
                         {event_of::isolate, "isolated"},
                         {event_of::disable, "disabled"},
                         {event_of::metrics_only, "metrics_only"},
                         {event_of::reset, "closed"}});
}

TEST_CASE("circuit_breaker: state x event: disabled") {
  check_row("disabled", {{event_of::success, "disabled"},
                         {event_of::failure, "disabled"},
                         {event_of::slow_success, "disabled"},
                         {event_of::silent, "disabled"},
                         {event_of::dropped, "disabled"},
                         {event_of::open_time, "disabled"},
                         {event_of::late_failure, "disabled"},
                         {event_of::late_success, "disabled"},
                         {event_of::force_open, "open 1 trips"},
                         {event_of::isolate, "isolated"},
                         {event_of::disable, "disabled"},
                         {event_of::metrics_only, "metrics_only"},
                         {event_of::reset, "closed"}});
}

TEST_CASE("circuit_breaker: state x event: metrics_only") {
  check_row("metrics_only", {{event_of::success, "metrics_only 1 calls"},
                             {event_of::failure, "metrics_only 1 calls 1 bad"},
                             {event_of::slow_success, "metrics_only 1 calls 1 slow"},
                             {event_of::silent, "metrics_only"},
                             {event_of::dropped, "metrics_only"},
                             {event_of::open_time, "metrics_only"},
                             {event_of::late_failure, "metrics_only"},
                             {event_of::late_success, "metrics_only"},
                             {event_of::force_open, "open 1 trips"},
                             {event_of::isolate, "isolated"},
                             {event_of::disable, "disabled"},
                             {event_of::metrics_only, "metrics_only"},
                             {event_of::reset, "closed"}});
}

TEST_CASE("circuit_breaker: what each state admits, and the reason it gives for refusing") {
  struct expected {
    const char* state;
    bool admits;
    reason why;
  };
  for (const auto& e :
       {expected{"closed", true, reason::none}, expected{"open", false, reason::open},
        expected{"isolated", false, reason::isolated}, expected{"disabled", true, reason::none},
        expected{"metrics_only", true, reason::none}}) {
    CAPTURE(e.state);
    under_test b;
    b.in(e.state);
    for (int i = 0; i < 50; ++i) {
      const auto p = b.acquire();
      CHECK(static_cast<bool>(p) == e.admits);
      CHECK(p.why() == e.why);
    }
  }
  under_test half_open;
  half_open.in("half_open");  // holds the one probe
  CHECK(half_open.acquire().why() == reason::half_open);
}
