// SPDX-License-Identifier: Apache-2.0
#include "report_html.hpp"

#include "report_page.hpp"
#include <fmt/format.h>

namespace drill {

std::string html_report(std::string_view json) {
  return fmt::format(R"(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>seawall drill</title>
<style>
{}</style>
</head>
<body>
{}<script type="application/json" id="data">{}</script>
<script>
{}</script>
</body>
</html>
)",
                     report_style(), report_body(), json, report_script());
}

}  // namespace drill
