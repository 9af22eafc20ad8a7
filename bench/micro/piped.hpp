// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_BENCH_MICRO_PIPED_HPP
#define SEAWALL_BENCH_MICRO_PIPED_HPP

// Subjects built on seawall: recipes for pipelines, and the call that goes through them.

#include <chrono>

#include "seawall/seawall.hpp"
#include "subject.hpp"

namespace bench {

/// The shared state that recipes refer to.
struct parts {
  seawall::circuit_breaker breaker{{.name = "quotes"}};
  seawall::circuit_breaker consecutive{
      {.name = "quotes", .over_time = {.failure_rate = 0.0}, .consecutive_failures = 5}};
  seawall::retry_budget budget{{.name = "storefront"}};
  // More than two threads can ask for.
  seawall::rate_limiter rate{{.name = "quotes", .permits = 100'000'000, .burst = 100'000'000}};
  seawall::rate_limiter leased{{.name = "quotes", .permits = 100'000'000, .burst = 100'000'000, .lease = 64}};
  seawall::bulkhead bulkhead{{.name = "quotes", .max_concurrent = 256}};
};

inline auto make_deadline() { return seawall::deadline({.after = std::chrono::seconds(2)}); }
inline auto make_timeout() { return seawall::attempt_timeout({.after = std::chrono::milliseconds(250)}); }
inline auto make_retry(seawall::retry_budget* budget) {
  return seawall::retry({.max_attempts = 4, .budget = budget});
}

struct no_layers {
  static auto make(parts&) { return seawall::compose(); }
};
struct breaker_alone {
  static auto make(parts& p) { return seawall::compose(seawall::breaker(p.breaker)); }
};
struct consecutive_alone {
  static auto make(parts& p) { return seawall::compose(seawall::breaker(p.consecutive)); }
};
struct retry_alone {
  static auto make(parts&) { return seawall::compose(make_retry(nullptr)); }
};
struct retry_with_budget {
  static auto make(parts& p) { return seawall::compose(make_retry(&p.budget)); }
};
struct deadline_alone {
  static auto make(parts&) { return seawall::compose(make_deadline()); }
};
struct timeout_alone {
  static auto make(parts&) { return seawall::compose(make_timeout()); }
};
struct fallback_alone {
  static auto make(parts&) {
    return seawall::compose(seawall::fallback([] { return 42; }));
  }
};
struct fallback_status {
  static auto make(parts&) {
    return seawall::compose(seawall::fallback([] { return absl::OkStatus(); }));
  }
};
struct three {
  static auto make(parts& p) {
    return seawall::compose(make_retry(&p.budget), seawall::breaker(p.breaker), make_timeout());
  }
};
struct four {
  static auto make(parts& p) {
    return seawall::compose(make_deadline(), make_retry(&p.budget), seawall::breaker(p.breaker),
                            make_timeout());
  }
};

template <class R>
struct five {
  static auto make(parts& p) {
    return seawall::compose(seawall::fallback([]() -> R { return answer<R>(42); }), make_deadline(),
                            make_retry(&p.budget), seawall::breaker(p.breaker), make_timeout());
  }
};

/// The five of which one is a limit on rate and one on concurrency.
struct five_guards {
  static auto make(parts& p) {
    return seawall::compose(make_deadline(), make_retry(&p.budget), seawall::breaker(p.breaker),
                            seawall::limit_rate(p.rate), seawall::limit_concurrency(p.bulkhead));
  }
};
struct five_guards_leased {
  static auto make(parts& p) {
    return seawall::compose(make_deadline(), make_retry(&p.budget), seawall::breaker(p.breaker),
                            seawall::limit_rate(p.leased), seawall::limit_concurrency(p.bulkhead));
  }
};

/// As `five`, with a reading of results in place of the fallback.
template <class R>
struct five_classified {
  static auto make(parts& p) {
    return seawall::compose(make_deadline(), make_retry(&p.budget), seawall::breaker(p.breaker),
                            make_timeout(), seawall::classify([](const R& r) {
                              return r.ok() ? seawall::verdict::ok() : seawall::verdict::transient();
                            }));
  }
};

/// As `five`, behind virtual functions.
struct any_five {
  static auto make(parts& p) {
    return seawall::any_pipeline<absl::StatusOr<int>>(five<absl::StatusOr<int>>::make(p));
  }
};
struct any_breaker {
  static auto make(parts& p) { return seawall::any_pipeline<absl::StatusOr<int>>(breaker_alone::make(p)); }
};

template <class Recipe, class R>
struct piped {
  R operator()() {
    return pipe.run(seawall::idempotent([](seawall::attempt a) { return answer<R>(a.time_left().ns()); }));
  }

  parts p;
  decltype(Recipe::make(p)) pipe = Recipe::make(p);
};

/// The dependency is down.
template <class Recipe, class R>
struct piped_failure {
  R operator()() {
    return pipe.run(seawall::idempotent([](seawall::attempt a) { return refuse<R>(a.time_left().ns()); }));
  }

  parts p;
  decltype(Recipe::make(p)) pipe = Recipe::make(p);
};

}  // namespace bench

#endif  // SEAWALL_BENCH_MICRO_PIPED_HPP
