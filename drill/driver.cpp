// SPDX-License-Identifier: Apache-2.0
#include "driver.hpp"

#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <string>
#include <variant>

#include "conductor.hpp"
#include "judge.hpp"
#include "options.hpp"
#include "report_html.hpp"
#include "report_json.hpp"
#include "report_text.hpp"
#include "terminal.hpp"
#include <fmt/format.h>

namespace drill {
namespace {

void write_file(const std::string& name, const std::string& text) {
  std::ofstream file(name, std::ios::binary);
  file << text;
  file.close();
  if (!file) throw std::runtime_error(fmt::format("{} cannot be written", name));
}

/// Now rather than after two minutes.
void check_writable(const std::string& name) {
  if (name.empty()) return;
  if (!std::ofstream(name, std::ios::app)) {
    throw std::runtime_error(fmt::format("{} cannot be written", name));
  }
}

int run_drill(const options& o) {
  check_writable(o.report_file);
  check_writable(o.json_file);
  catch_interrupts();
  run_record bare;
  run_record seawall;
  {
    const auto view = make_view(o.live);
    bare = play(shop_kind::bare, o, *view);
    view->keep_for_comparison(bare);
    seawall = play(shop_kind::seawall, o, *view);
  }

  const auto criteria = judge(evidence_of(bare, seawall));
  fmt::print("\n{}\n{}\n", summary(bare, seawall), verdicts(criteria));
  const std::string json = json_report(o, bare, seawall, criteria);
  write_file(o.report_file, html_report(json));
  if (!o.json_file.empty()) write_file(o.json_file, json);
  fmt::print("report: {}\n", o.report_file);
  return all_met(criteria) ? 0 : 1;
}

}  // namespace

int drive(std::span<const std::string_view> arguments) {
  const auto parsed = parse_options(arguments);
  if (std::holds_alternative<help_wanted>(parsed)) {
    fmt::print("{}", usage());
    return 0;
  }
  if (const auto* wrong = std::get_if<usage_error>(&parsed)) {
    fmt::print(stderr, "seawall_drill: {}\n{}", wrong->message, usage());
    return 2;
  }
  try {
    return run_drill(std::get<options>(parsed));
  } catch (const interrupted&) {
    fmt::print(stderr, "\ninterrupted; all processes of the drill have been ended\n");
    return 130;
  }
}

}  // namespace drill
