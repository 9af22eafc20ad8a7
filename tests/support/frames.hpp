// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_SUPPORT_FRAMES_HPP
#define SEAWALL_TESTS_SUPPORT_FRAMES_HPP

// What tests need to be the driver of a frame themselves.

#include <cstdint>

#include "seawall/call.hpp"
#include "seawall/frame.hpp"

namespace seawall_test {

/// Counts the pokes.
class fake_waker final : public seawall::waker {
 public:
  void poke() noexcept override { ++pokes; }
  int pokes = 0;
};

/// One call of a pipeline, driven by hand.
template <class Pipeline>
struct hand_driven_call {
  hand_driven_call(const Pipeline& pipeline, seawall::instant now, seawall::waker* w = nullptr)
      : call(now, seawall::idempotency::idempotent, nullptr, nullptr), frame(pipeline.make_frame()) {
    call.set_waker(w);
  }

  seawall::resolution start(seawall::instant now) { return frame.start(call, now); }
  seawall::resolution on_time(seawall::instant now) { return frame.on_time(call, now); }
  /// The attempt that was asked for, which must be there, ends like this.
  seawall::resolution finish(seawall::instant now, const seawall::verdict& v) {
    return frame.on_done(call, now, call.take_launch().id, v);
  }
  bool asks_for_attempt() const { return call.pending_launches() == 1; }
  void cancel() { frame.cancel(call); }

  seawall::call call;
  decltype(std::declval<const Pipeline&>().make_frame()) frame;
};

/// Rejects every call without an attempt, as a full bulkhead would.
class refusing_layer : public seawall::layer_base {
 public:
  template <class Inner>
  class frame : public seawall::passthrough<refusing_layer, Inner> {
   public:
    using seawall::passthrough<refusing_layer, Inner>::passthrough;
    seawall::resolution start(seawall::call& c, seawall::instant now) {
      return c.reject(now, {.policy = "refusing", .why = seawall::reason::limit_reached},
                      {.health = seawall::health::silent, .again = seawall::again::always});
    }
  };
};

}  // namespace seawall_test

#endif  // SEAWALL_TESTS_SUPPORT_FRAMES_HPP
