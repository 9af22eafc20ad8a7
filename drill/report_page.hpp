// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_REPORT_PAGE_HPP
#define SEAWALL_DRILL_REPORT_PAGE_HPP

// The fixed parts of the report's page, each in the language that it is written in.

#include <string_view>

namespace drill {

std::string_view report_style();   ///< CSS; light or dark as the reader's system is
std::string_view report_script();  ///< JavaScript: draws everything from the JSON in the element "data"
std::string_view report_body();    ///< HTML: the places that the script fills, and what was measured how

}  // namespace drill

#endif  // SEAWALL_DRILL_REPORT_PAGE_HPP
