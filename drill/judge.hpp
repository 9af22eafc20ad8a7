// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_JUDGE_HPP
#define SEAWALL_DRILL_JUDGE_HPP

// Did the drill show what it is there to show?

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "analysis.hpp"
#include "checkout.hpp"

namespace drill {

/// What the judge looks at, apart from the processes that it came from.
struct evidence {
  figures bare;
  figures seawall;
  std::vector<isolation> dead;  ///< with seawall: a dead dependency behind its open breaker
  payment_audit books;          ///< with seawall
  reconciliation orders;        ///< with seawall
  std::optional<overload> bare_overload;
  std::optional<overload> overloaded;  ///< with seawall
  std::optional<inner_chaos> bare_chaos;
  std::optional<inner_chaos> chaos;          ///< with seawall
  std::optional<stand_ins> recommendations;  ///< with seawall
  std::optional<read_only_mode> read_only;   ///< with seawall
};

evidence evidence_of(const run_record& bare, const run_record& seawall);

struct criterion {
  std::string what;
  std::string required;
  std::string measured;
  bool met = false;
};

/// On top of the checkout's deadline: the way to the shop and back, and a scheduler with other things to do.
inline constexpr std::chrono::milliseconds latency_tolerance{150};

/// Who is not to get a product page, or may not order, must know it by then: a quarter of what somebody who
/// browses would wait.
inline constexpr std::chrono::milliseconds refusal_bound = browser_patience / 4;

std::vector<criterion> judge(const evidence& e);

bool all_met(const std::vector<criterion>& criteria);

}  // namespace drill

#endif  // SEAWALL_DRILL_JUDGE_HPP
