// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_INNER_CHAOS_HPP
#define SEAWALL_DRILL_INNER_CHAOS_HPP

// Faults from within a storefront, where it calls inventory and recommendations: the same ones for both
// storefronts, from the library's own chaos. Off unless the driver says otherwise.

#include <cstdint>
#include <string>

#include "dependencies.hpp"
#include "dependency_client.hpp"
#include "seawall/chaos.hpp"
#include "shop_stats.hpp"

namespace drill {

/// More than half of the calls suffer: most of those fail, some are late, a few hang or get a wrong answer.
seawall::chaos_options inner_faults(std::uint64_t seed);

/// What looks like an answer of `d`. Nobody can tell by looking at it.
std::string wrong_answer_of(dependency d);

/// A bare call with `faults` where a pipeline would have its innermost layer: a call that hangs is given up
/// when its read times out.
http_reply call_with(seawall::chaos& faults, dependency d, dependency_client& client,
                     const std::string& order, const http_timeouts& timeouts);

chaos_stats chaos_stats_of(const seawall::chaos& faults);

}  // namespace drill

#endif  // SEAWALL_DRILL_INNER_CHAOS_HPP
