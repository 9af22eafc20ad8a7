// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <iterator>
#include <string>

#include "drill/analysis.hpp"
#include "drill/json_writer.hpp"
#include "drill/report_html.hpp"
#include "drill/report_json.hpp"
#include "drill/report_text.hpp"
#include "drill/terminal.hpp"
#include "drill/timeline.hpp"
#include <doctest/doctest.h>

namespace drill {

using namespace std::chrono_literals;

namespace {

/// A second of it, in which nobody gets anything: of a hundred browsers each leaves as `how` after `waited`.
run_record overloaded_run(shop_kind kind, outcome how, std::chrono::microseconds waited) {
  run_record r;
  r.kind = kind;
  r.acts = {{{.title = "healthy", .lasts = 1s}, {0s, 1s}},
            {{.title = "four times the load", .what = trouble::overload, .lasts = 1s}, {1s, 2s}}};
  for (int i = 0; i < 100; ++i) {
    r.browsers.push_back({.came_at = 1s + i * 10ms, .waited = waited, .how = how, .degraded = {}});
  }
  return r;
}

}  // namespace

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
  CHECK(length_of(full) <= 80s);
  CHECK(length_of(quick) <= 19s);
}

TEST_CASE("timeline: one overload, once every dependency is well again, and a calm act after it") {
  const auto acts = timeline(pace::full);
  const auto is_overload = [](const act& a) { return a.what == trouble::overload; };
  CHECK(std::count_if(acts.begin(), acts.end(), is_overload) == 1);
  REQUIRE(acts.size() >= 3);
  CHECK(acts[acts.size() - 3].what == trouble::none);
  CHECK(is_overload(acts[acts.size() - 2]));
  CHECK(acts.back().what == trouble::none);
}

TEST_CASE("timeline: one act of chaos, after a calm one, so that no earlier trouble counts as its own") {
  const auto acts = timeline(pace::full);
  const auto chaos =
      std::find_if(acts.begin(), acts.end(), [](const act& a) { return a.what == trouble::chaos; });
  REQUIRE(chaos != acts.end());
  REQUIRE(chaos != acts.begin());
  CHECK(std::prev(chaos)->what == trouble::none);
  CHECK(std::count_if(acts.begin(), acts.end(), [](const act& a) { return a.what == trouble::chaos; }) == 1);
}

TEST_CASE("timeline: one act of read-only mode, between two in which everybody is well") {
  const auto acts = timeline(pace::full);
  const auto is_read_only = [](const act& a) { return a.what == trouble::read_only; };
  CHECK(std::count_if(acts.begin(), acts.end(), is_read_only) == 1);
  const auto closed = std::find_if(acts.begin(), acts.end(), is_read_only);
  REQUIRE(closed - acts.begin() >= 1);
  REQUIRE(acts.end() - closed >= 2);
  CHECK(std::prev(closed)->what == trouble::none);
  CHECK(std::next(closed)->what == trouble::none);
  for (const act& a : timeline(pace::quick)) {
    if (is_read_only(a)) CHECK(a.lasts >= 2 * read_only_slack);
  }
}

TEST_CASE("reports: the overload, bare beside seawall") {
  run_record bare = overloaded_run(shop_kind::bare, outcome::gave_up, 1s);
  run_record seawall = overloaded_run(shop_kind::seawall, outcome::refused, 3ms);
  const std::string text = summary(bare, seawall);
  for (const char* line : {"four times the load                      bare  seawall",
                           "  product pages answered                 0.0%     0.0%",
                           "    refused, told when to come back      0.0%   100.0%",
                           "    waited in vain                     100.0%     0.0%",
                           "    p99 until who gets none knows       1.00s      3ms"}) {
    CAPTURE(line);
    CHECK(text.find(line) != std::string::npos);
  }
  const std::string json = json_report({}, bare, seawall, {});
  CHECK(json.find(R"("overload":{"act":"four times the load","offered_share":)") != std::string::npos);
  CHECK(json.find(R"("refused":100,)") != std::string::npos);
  // A record without the act.
  bare.acts.pop_back();
  seawall.acts.pop_back();
  CHECK(summary(bare, seawall).find("four times") == std::string::npos);
  CHECK(json_report({}, bare, seawall, {}).find("overload") == std::string::npos);
}

TEST_CASE("reports: the chaos inside, bare beside seawall") {
  const auto hurt_run = [](shop_kind kind, outcome how, chaos_stats injected) {
    run_record r;
    r.kind = kind;
    r.acts = {{{.title = "chaos inside", .what = trouble::chaos, .lasts = 1s}, {0s, 1s}}};
    r.customers = {{.came_at = 100ms, .waited = 3ms, .how = how, .degraded = {}}};
    r.shop = {{.at = 1s, .stats = {.chaos = injected}}};
    return r;
  };
  run_record bare = hurt_run(shop_kind::bare, outcome::error, {10, 4, 0, 0, 0});
  run_record seawall = hurt_run(shop_kind::seawall, outcome::degraded, {40, 12, 8, 3, 2});
  const std::string text = summary(bare, seawall);
  for (const char* line : {"chaos inside                             bare  seawall",
                           "  calls of inventory, recommendations      10       40",
                           "    failed on purpose                       4       12",
                           "    held up                                 0        8",
                           "    hung until they were given up           0        3",
                           "    answered wrongly                        0        2",
                           "  checkouts answered                     0.0%   100.0%",
                           "    degraded                             0.0%   100.0%"}) {
    CAPTURE(line);
    CHECK(text.find(line) != std::string::npos);
  }
  const std::string json = json_report({}, bare, seawall, {});
  CHECK(json.find(R"("chaos":{"act":"chaos inside","calls":40,"failures":12,"delays":8,"hangs":3,)"
                  R"("wrong_answers":2,"outside":0,"checkout":{)") != std::string::npos);
  // A record without the act.
  bare.acts.clear();
  seawall.acts.clear();
  CHECK(summary(bare, seawall).find("failed on purpose") == std::string::npos);
  CHECK(json_report({}, bare, seawall, {}).find("\"chaos\"") == std::string::npos);
}

TEST_CASE("reports: recommendations from the stale cache, in the act and in all") {
  run_record seawall;
  seawall.kind = shop_kind::seawall;
  seawall.acts = {{{.title = "recommendations slow",
                    .what = trouble::faulty,
                    .victim = dependency::recommendations,
                    .lasts = 1s},
                   {0s, 1s}}};
  seawall.customers = {{.came_at = 100ms, .waited = 3ms, .how = outcome::degraded, .degraded = {}}};
  seawall.customers[0].degraded[dependency::recommendations] = true;
  seawall.shop = {{.at = 1s, .stats = {.recommendations = {7, 5, 2}}},
                  {.at = 2s, .stats = {.recommendations = {9, 6, 2}}}};
  const std::string text = summary({}, seawall);
  for (
      const char* line :
      {"seawall  recommendations slow: 5 recommendations from the stale cache, 2 bestsellers",
       "seawall  in all acts 9 recommendations from the cache while they were fresh, 6 stale, 2 bestsellers; 1 "
       "customers were told"}) {
    CAPTURE(line);
    CHECK(text.find(line) != std::string::npos);
  }
  const std::string json = json_report({}, {}, seawall, {});
  CHECK(json.find(R"("recommendations":{"act":"recommendations slow","fresh":7,"stale":5,"none":2,)"
                  R"("fresh_in_all":9,"stale_in_all":6,"none_in_all":2,"told_in_all":1})") !=
        std::string::npos);
  // A record without the act.
  seawall.acts.clear();
  CHECK(summary({}, seawall).find("stale cache") == std::string::npos);
  CHECK(json_report({}, {}, seawall, {}).find("told_in_all") == std::string::npos);
}

TEST_CASE("reports: the read-only mode, bare beside seawall") {
  const auto closed_run = [](shop_kind kind, outcome how, level_view level, level_view next) {
    run_record r;
    r.kind = kind;
    r.acts = {{{.title = "read-only by hand", .what = trouble::read_only, .lasts = 1s}, {0s, 1s}, {0s, 1s}},
              {{.title = "orders again", .lasts = 1s}, {1s, 2s}}};
    r.customers = {{.order = 1, .came_at = 100ms, .waited = 3ms, .how = how, .degraded = {}},
                   {.order = 2, .came_at = 1100ms, .waited = 3ms, .how = outcome::full, .degraded = {}}};
    r.browsers = {{.came_at = 100ms, .waited = 81ms, .how = outcome::full, .degraded = {}}};
    r.shop = {{.at = 100ms, .stats = {.service = {.level = level}}},
              {.at = 1100ms, .stats = {.service = {.level = next}}}};
    return r;
  };
  run_record bare = closed_run(shop_kind::bare, outcome::full, level_view::absent, level_view::absent);
  run_record seawall =
      closed_run(shop_kind::seawall, outcome::turned_away, level_view::read_only, level_view::full);
  bare.audit.orders = {1, 2};
  seawall.audit.orders = {2};
  const std::string text = summary(bare, seawall);
  for (const char* line : {"read-only by hand                           bare  seawall",
                           "  checkouts that came in the midst of it       1        1",
                           "    turned away, told when to come back        0        1",
                           "    charged                                    1        0",
                           "    p99 until they knew                      3ms      3ms",
                           "  product pages answered                  100.0%   100.0%",
                           "  checkouts answered in the next act      100.0%   100.0%",
                           "Level of service: read-only until 1.10s, full until 2.00s."}) {
    CAPTURE(line);
    CHECK(text.find(line) != std::string::npos);
  }
  const std::string json = json_report({}, bare, seawall, {});
  CHECK(json.find(R"("read_only":{"act":"read-only by hand","came":1,"turned_away":1,"charged":0,"p99_ms":3,)"
                  R"("outside":0,"checkout":{)") != std::string::npos);
  CHECK(json.find(R"("levels":[{"state":"read-only","begin_s":0.1,"end_s":1.1},)") != std::string::npos);
  CHECK(live_table(seawall, &bare, 2s).find("level of service: full\n") != std::string::npos);
  CHECK(live_table(bare, nullptr, 2s).find("level of service") == std::string::npos);
  CHECK(progress_line(seawall).find("level") == std::string::npos);
  seawall.shop.pop_back();
  CHECK(progress_line(seawall).find("  level read-only") != std::string::npos);
  // A record without the act.
  bare.acts.erase(bare.acts.begin());
  seawall.acts.erase(seawall.acts.begin());
  CHECK(summary(bare, seawall).find("in the midst") == std::string::npos);
  CHECK(json_report({}, bare, seawall, {}).find("\"read_only\"") == std::string::npos);
}

TEST_CASE("live table: the same number of lines in all of the second run") {
  const auto lines = [](const std::string& text) { return std::count(text.begin(), text.end(), '\n'); };
  run_record bare;
  run_record seawall;
  seawall.kind = shop_kind::seawall;
  for (const act& a : timeline(pace::quick)) bare.acts.push_back({a, {0s, 1s}});
  const auto at_first = lines(live_table(seawall, &bare, 13s));
  seawall.acts = bare.acts;
  seawall.browsers.push_back({.came_at = 500ms, .waited = 3ms, .how = outcome::refused, .degraded = {}});
  CHECK(lines(live_table(seawall, &bare, 13s)) == at_first);
  CHECK(at_first < 24);  // one more is the cursor's
}

}  // namespace drill
