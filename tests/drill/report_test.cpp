// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <string>

#include "drill/json_writer.hpp"
#include "drill/report_html.hpp"
#include "drill/terminal.hpp"
#include "drill/timeline.hpp"
#include <doctest/doctest.h>

namespace drill {

using namespace std::chrono_literals;

TEST_CASE("JSON: objects, arrays and commas") {
  json_writer w;
  w.object([&] {
    w.member("n", 1.23456);
    w.member("t", true);
    w.key("empty").array([] {});
    w.key("list").array([&] {
      w.value(1);
      w.object([&] { w.member("s", "x"); });
      w.object([] {});
    });
    w.member("last", "y");
  });
  CHECK(w.text() == R"({"n":1.235,"t":true,"empty":[],"list":[1,{"s":"x"},{}],"last":"y"})");
}

TEST_CASE("JSON: text cannot break out of its string, nor out of a script element") {
  json_writer w;
  w.value("a\"b\\c\n</script>");
  CHECK(w.text() == R"("a\"b\\c\u000a\u003c/script\u003e")");
}

TEST_CASE("report page: stands alone") {
  const std::string page = html_report("{\"a\":1}");
  CHECK(page.find("<script type=\"application/json\" id=\"data\">{\"a\":1}</script>") != std::string::npos);
  // The one address in it is the name of SVG.
  for (const char* outside : {"src=", "href=", "url(", "@import", "fetch("}) {
    CAPTURE(outside);
    CHECK(page.find(outside) == std::string::npos);
  }
}

TEST_CASE("timeline: the quick one has the same acts in a quarter of the time") {
  const auto full = timeline(pace::full);
  const auto quick = timeline(pace::quick);
  REQUIRE(full.size() == quick.size());
  for (std::size_t i = 0; i < full.size(); ++i) {
    CHECK(full[i].title == quick[i].title);
    CHECK(full[i].does == quick[i].does);
    CHECK(quick[i].lasts < full[i].lasts);
  }
  CHECK(full.front().what == trouble::none);  // the yardstick of the others
  CHECK(length_of(full) <= 60s);
  CHECK(length_of(quick) <= 13s);
}

TEST_CASE("live table: the same number of lines in all of the second run") {
  const auto lines = [](const std::string& text) { return std::count(text.begin(), text.end(), '\n'); };
  run_record bare;
  run_record seawall;
  seawall.kind = shop_kind::seawall;
  for (const act& a : timeline(pace::quick)) bare.acts.push_back({a, {0s, 1s}});
  const auto at_first = lines(live_table(seawall, &bare, 13s));
  seawall.acts = bare.acts;
  CHECK(lines(live_table(seawall, &bare, 13s)) == at_first);
}

}  // namespace drill
