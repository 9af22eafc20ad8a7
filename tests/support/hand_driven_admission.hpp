// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_SUPPORT_HAND_DRIVEN_ADMISSION_HPP
#define SEAWALL_TESTS_SUPPORT_HAND_DRIVEN_ADMISSION_HPP

// An admission in the hands of a test: time passes when the test says so, and every caller is driven by it.

#include <chrono>
#include <cstddef>
#include <list>
#include <optional>
#include <string>
#include <utility>

#include "seawall/admission.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/status.hpp"
#include "support/frames.hpp"

namespace seawall_test {

using namespace std::chrono_literals;
using seawall::reason;

/// Room for one, and for a line of three that is first come, first served; they wait for up to 10 s.
inline seawall::admission_options room_for_one(seawall::queue_order order = seawall::queue_order::fifo) {
  return {.name = "subject", .max_concurrent = 1, .max_waiting = 3, .max_wait = 10s, .order = order};
}

struct hand_driven_admission {
  using pipeline = seawall::pipeline<seawall::detail::admission_layer<seawall::detail::one_admission>>;

  explicit hand_driven_admission(seawall::admission_options o) : admission(std::move(o)) {}

  /// A call with whatever it says about itself.
  struct caller {
    caller(hand_driven_admission& a, seawall::call_options said)
        : owner(a), options(said), call(a.now, seawall::idempotency::idempotent, &options, nullptr) {
      call.set_waker(&waker);
      frame.emplace(a.pipe.make_frame());
      take(frame->start(call, a.now));
    }

    bool waits() const { return frame && !attempt && !rejected; }
    bool runs() const { return attempt.has_value(); }
    reason why() const { return rejected.value_or(reason::none); }
    bool poked() { return std::exchange(waker.pokes, 0) != 0; }

    void look() { take(frame->on_time(call, owner.now)); }
    void finish(const seawall::verdict& v = seawall::verdict::ok()) {
      take(frame->on_done(call, owner.now, *std::exchange(attempt, {}), v));
    }
    void cancel() { frame->cancel(call); }
    void die() { frame.reset(); }

    hand_driven_admission& owner;
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
  seawall::admission_snapshot seen() const { return admission.snapshot(now); }
  void pass(seawall::duration d) { now = now + d; }
  /// Those who were poked look.
  void let_all_look() {
    for (auto& c : callers) {
      if (c.frame && c.waits() && c.poked()) c.look();
    }
  }
  /// Whoever runs ends, and so do those who follow it; the order in which they ran, as indices into `callers`.
  std::string run_all() {
    std::string out;
    for (bool any = true; any;) {
      any = false;
      char index = '0';
      for (auto& c : callers) {
        if (c.runs()) {
          out += index;
          c.finish();
          let_all_look();
          any = true;
          break;
        }
        ++index;
      }
    }
    return out;
  }

  seawall::instant now = seawall::instant::from_ns(1'000'000'000'000);
  seawall::admission admission;
  pipeline pipe = seawall::compose(seawall::admit(admission));
  std::list<caller> callers;
};

}  // namespace seawall_test

#endif  // SEAWALL_TESTS_SUPPORT_HAND_DRIVEN_ADMISSION_HPP
