// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_SUPPORT_HAND_DRIVEN_BULKHEAD_HPP
#define SEAWALL_TESTS_SUPPORT_HAND_DRIVEN_BULKHEAD_HPP

// A bulkhead in the hands of a test: time passes when the test says so, and every caller is driven by it.

#include <chrono>
#include <cstddef>
#include <list>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "seawall/bulkhead.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/status.hpp"
#include "support/frames.hpp"

namespace seawall_test {

using namespace std::chrono_literals;
using seawall::reason;

/// Room for one, two may wait for up to 10 s.
inline seawall::bulkhead_options room_for_one(seawall::wait_order order = seawall::wait_order::fifo) {
  return {.name = "subject", .max_concurrent = 1, .max_waiting = 2, .max_wait = 10s, .order = order};
}

struct hand_driven_bulkhead {
  using pipeline = seawall::pipeline<seawall::detail::bulkhead_layer<seawall::detail::one_bulkhead>>;
  using permit = seawall::bulkhead::permit;

  explicit hand_driven_bulkhead(seawall::bulkhead_options o) : bulkhead(std::move(o)) {}

  /// A call with whatever it says about itself. What it is at: `attempt` is under way, or why it was rejected.
  struct caller {
    caller(hand_driven_bulkhead& b, seawall::call_options said)
        : owner(b), options(said), call(b.now, seawall::idempotency::idempotent, &options, nullptr) {
      call.set_waker(&waker);
      frame.emplace(b.pipe.make_frame());
      take(frame->start(call, b.now));
    }

    bool waits() const { return frame && !attempt && !rejected; }
    bool runs() const { return attempt.has_value(); }
    reason why() const { return rejected.value_or(reason::none); }
    bool poked() { return std::exchange(waker.pokes, 0) != 0; }

    void look() { take(frame->on_time(call, owner.now)); }
    void look_if_poked() {
      if (poked()) look();
    }
    void finish() {
      take(frame->on_done(call, owner.now, *std::exchange(attempt, {}), seawall::verdict::ok()));
    }
    void cancel() { frame->cancel(call); }
    void die() { frame.reset(); }

    hand_driven_bulkhead& owner;
    seawall::call_options options;
    fake_waker waker;
    seawall::call call;
    std::optional<decltype(std::declval<const pipeline&>().make_frame())> frame;
    std::optional<seawall::attempt_id> attempt;
    std::optional<reason> rejected;

   private:
    void take(const seawall::resolution& r) {
      if (call.pending_launches() != 0) attempt = call.take_launch().id;
      if (r.how == seawall::resolution::kind::rejection) rejected = call.last_rejection().why;
    }
  };

  caller& comes(seawall::call_options said = {}) { return callers.emplace_back(*this, said); }
  permit acquire(std::uint32_t weight = 1) { return bulkhead.try_acquire(now, weight); }
  seawall::bulkhead_snapshot seen() const { return bulkhead.snapshot(now); }
  void pass(seawall::duration d) { now = now + d; }
  /// Those who were poked look, until nobody is.
  void let_all_look() {
    for (auto& c : callers) {
      if (c.frame && c.waits()) c.look_if_poked();
    }
  }

  seawall::instant now = seawall::instant::from_ns(1'000'000'000'000);
  seawall::bulkhead bulkhead;
  pipeline pipe = seawall::compose(seawall::limit_concurrency(bulkhead));
  std::list<caller> callers;
};

}  // namespace seawall_test

#endif  // SEAWALL_TESTS_SUPPORT_HAND_DRIVEN_BULKHEAD_HPP
