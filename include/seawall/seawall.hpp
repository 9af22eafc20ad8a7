// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_SEAWALL_HPP
#define SEAWALL_SEAWALL_HPP

// Everything but formatters (seawall/format.hpp) and testing tools (seawall/testing/).

#include "seawall/adaptive_limit.hpp"            // IWYU pragma: export
#include "seawall/admission.hpp"                 // IWYU pragma: export
#include "seawall/any_pipeline.hpp"              // IWYU pragma: export
#include "seawall/attempt_timeout.hpp"           // IWYU pragma: export
#include "seawall/brownout.hpp"                  // IWYU pragma: export
#include "seawall/bulkhead.hpp"                  // IWYU pragma: export
#include "seawall/cache.hpp"                     // IWYU pragma: export
#include "seawall/chaos.hpp"                     // IWYU pragma: export
#include "seawall/circuit_breaker.hpp"           // IWYU pragma: export
#include "seawall/classify.hpp"                  // IWYU pragma: export
#include "seawall/coalesce.hpp"                  // IWYU pragma: export
#include "seawall/deadline.hpp"                  // IWYU pragma: export
#include "seawall/degradation.hpp"               // IWYU pragma: export
#include "seawall/exec/async.hpp"                // IWYU pragma: export
#include "seawall/exec/blocking.hpp"             // IWYU pragma: export
#include "seawall/exec/pool.hpp"                 // IWYU pragma: export
#include "seawall/exec/sleep.hpp"                // IWYU pragma: export
#include "seawall/expected.hpp"                  // IWYU pragma: export
#include "seawall/fallback.hpp"                  // IWYU pragma: export
#include "seawall/feature_gate.hpp"              // IWYU pragma: export
#include "seawall/hedge.hpp"                     // IWYU pragma: export
#include "seawall/keyed.hpp"                     // IWYU pragma: export
#include "seawall/latency_window.hpp"            // IWYU pragma: export
#include "seawall/pipeline.hpp"                  // IWYU pragma: export
#include "seawall/propagation.hpp"               // IWYU pragma: export
#include "seawall/queue/async_pop.hpp"           // IWYU pragma: export
#include "seawall/queue/async_push.hpp"          // IWYU pragma: export
#include "seawall/queue/backpressure_queue.hpp"  // IWYU pragma: export
#include "seawall/quota.hpp"                     // IWYU pragma: export
#include "seawall/rate_limiter.hpp"              // IWYU pragma: export
#include "seawall/retry.hpp"                     // IWYU pragma: export
#include "seawall/retry_budget.hpp"              // IWYU pragma: export
#include "seawall/status.hpp"                    // IWYU pragma: export
#include "seawall/throttle.hpp"                  // IWYU pragma: export
#include "seawall/version.hpp"                   // IWYU pragma: export

#endif  // SEAWALL_SEAWALL_HPP
