// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_REPORT_HTML_HPP
#define SEAWALL_DRILL_REPORT_HTML_HPP

#include <string>
#include <string_view>

namespace drill {

/// The page around a JSON report: one file, opens without a network.
std::string html_report(std::string_view json);

}  // namespace drill

#endif  // SEAWALL_DRILL_REPORT_HTML_HPP
