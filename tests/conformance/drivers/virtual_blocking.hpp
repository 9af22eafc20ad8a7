// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_CONFORMANCE_DRIVERS_VIRTUAL_BLOCKING_HPP
#define SEAWALL_TESTS_CONFORMANCE_DRIVERS_VIRTUAL_BLOCKING_HPP

// `testing::run` on a `virtual_clock`.

#include <cstdint>
#include <list>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "conformance/drivers/asking.hpp"
#include "conformance/operation.hpp"
#include "conformance/scenario.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/testing/script.hpp"
#include "seawall/testing/virtual_clock.hpp"

namespace conformance {

struct virtual_blocking {
  static constexpr std::string_view name = "virtual blocking";
  static constexpr bool preempts = false;
  static constexpr bool exact = true;

  class clock_stage final : public stage {
   public:
    clock_stage(recorder& r, seawall::testing::virtual_clock& clock) : stage(r), clock_(clock) {}
    instant now() override { return clock_.now(); }
    void pass(duration d) override { clock_.advance(d); }

   private:
    seawall::testing::virtual_clock& clock_;
  };

  template <class R>
  struct operation {
    attempt_log log;
    seawall::testing::virtual_clock* clock;
    seawall::testing::scripted<int>* script;

    R operator()(const attempt& a) const {
      log.started(a, clock->now());
      absl::StatusOr<int> answer = (*script)(a);
      log.ended(a.number(), answer.status(), clock->now());
      return as<R>(std::move(answer));
    }
  };

  /// With `asks`, the caller has options and wants a report.
  template <class R, bool Idempotent, class Pipeline, class Nested = nothing_nested>
  static played play(const scenario& sc, const maker<Pipeline>& make, bool asks,
                     const maker<Nested>& make_nested = {}) {
    seawall::testing::virtual_clock clock;
    recorder log{instant()};
    clock_stage st(log, clock);
    const Pipeline p = make(st);
    seawall::testing::scripted<int> script(clock, sc.script, 42);
    std::list<asking> callers;
    for (const caller& c : sc.callers) {
      asking& one = callers.emplace_back(c, log, static_cast<std::uint32_t>(callers.size()));
      if (c.stops) clock.at(log.at(*c.stops), [&one] { one.goes(); });
    }
    const Nested inner = [&]() -> Nested {
      if constexpr (std::is_same_v<Nested, nothing_nested>) {
        return {};
      } else {
        return make_nested(st).listen(st.hears());
      }
    }();
    // One by one, whatever the scenario says.
    auto c = sc.callers.begin();
    for (asking& one : callers) {
      clock.advance_to(log.at((c++)->at));
      const operation<R> op{one.attempts(), &clock, &script};
      if constexpr (std::is_same_v<Nested, nothing_nested>) {
        call<R>(clock, p, one, asks, st.hears(one.number()), declared<Idempotent>(op));
      } else {
        call<R>(clock, p, one, asks, st.hears(one.number()),
                declared<Idempotent>([&](attempt a) -> R { return inner.run(a, declared<Idempotent>(op)); }));
      }
    }
    return {log.take(), held_by_policies(st)};
  }

 private:
  template <class R, class Pipeline, class Op>
  static void call(seawall::testing::virtual_clock& clock, const Pipeline& p, asking& one, bool asks,
                   seawall::listener& listener, Op op) {
    const auto run = [&]() -> R {
      if (asks) return seawall::testing::run(clock, p, one.options(), op);
      return seawall::testing::run(clock, p.listen(listener), op);
    };
    const auto answer = seawall::detail::stored_as<R>::keep(run);
    one.told(answer, clock.now());
    if (asks) one.reports(clock.now());
  }
};

}  // namespace conformance

#endif  // SEAWALL_TESTS_CONFORMANCE_DRIVERS_VIRTUAL_BLOCKING_HPP
