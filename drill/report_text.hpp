// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_REPORT_TEXT_HPP
#define SEAWALL_DRILL_REPORT_TEXT_HPP

#include <string>
#include <vector>

#include "judge.hpp"
#include "record.hpp"

namespace drill {

/// Side by side, an act to a line, and what counts as what.
std::string summary(const run_record& bare, const run_record& seawall);

std::string verdicts(const std::vector<criterion>& criteria);

/// "31 ms", "2.00 s"; "-" if nobody was there to have one.
std::string latency_text(const figures& f, std::chrono::microseconds value);

}  // namespace drill

#endif  // SEAWALL_DRILL_REPORT_TEXT_HPP
