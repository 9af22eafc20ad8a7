// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_REPORT_JSON_HPP
#define SEAWALL_DRILL_REPORT_JSON_HPP

#include <string>
#include <vector>

#include "judge.hpp"
#include "options.hpp"
#include "record.hpp"

namespace drill {

/// All figures of both runs; also what the page of charts is drawn from.
std::string json_report(const options& o, const run_record& bare, const run_record& seawall,
                        const std::vector<criterion>& criteria);

}  // namespace drill

#endif  // SEAWALL_DRILL_REPORT_JSON_HPP
