// SPDX-License-Identifier: Apache-2.0
#include "drill/election/report.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "drill/election/judge.hpp"
#include "drill/election/record.hpp"
#include "seawall/time.hpp"
#include <doctest/doctest.h>

using namespace drill::election;
using namespace std::chrono_literals;

namespace {

outcome with_writes(std::vector<seawall::duration> seawall, std::vector<seawall::duration> etcd) {
  outcome o{.etcd_version = "3.4"};
  o.faults.seawall.killed = {.until_grant = seawall, .until_write = seawall};
  o.faults.etcd.paused.until_write = std::move(etcd);
  return o;
}
bool all_met(const outcome& o) {
  const auto all = criteria(o);
  return std::all_of(all.begin(), all.end(), [](const criterion& c) { return c.met; });
}

}  // namespace

TEST_CASE("election drill: an overlap or a wrong token fails any run, a slow median a long one with etcd") {
  CHECK(all_met(with_writes({100ms}, {100ms})));
  CHECK_FALSE(all_met(with_writes({101ms}, {100ms})));

  outcome quick = with_writes({101ms}, {100ms});
  quick.asked.quick = true;
  CHECK(all_met(quick));
  quick.leases.overlaps.push_back("two");
  CHECK_FALSE(all_met(quick));

  outcome alone = with_writes({101ms}, {});
  alone.etcd_version.clear();
  CHECK(all_met(alone));
  alone.leases.wrong_tokens.push_back("old");
  CHECK_FALSE(all_met(alone));
}

TEST_CASE("election drill: the report says what overlapped, and what was not met") {
  outcome o = with_writes({230ms, 250ms}, {210ms});
  o.leases.overlaps.push_back("node 2 with token 3 began early");
  o.loads.seawall.push_back({.in_flight = 16, .per_second = 1000, .latency = {.count = 5, .median = 2ms}});
  const std::string text = text_report(o);
  CHECK(text.find("etcd 3.4") != std::string::npos);
  CHECK(text.find("node 2 with token 3 began early") != std::string::npos);
  CHECK(text.find("[NOT MET] median until a write: 230 ms, at or below etcd's 210 ms") != std::string::npos);
  CHECK(text.find("16 in flight") != std::string::npos);
  CHECK(json_report(o).find("\"overlaps\":1") != std::string::npos);
}

TEST_CASE("election drill: the log is written so that others can judge it") {
  const seawall::instant t = seawall::instant::from_ns(5);
  CHECK(json_lines({{.from = 0, .what = record::kind::valid, .token = 3, .at = t, .until = t + 1ms},
                    {.from = 1, .what = record::kind::ended, .token = 3, .at = t}}) ==
        "{\"node\": 1, \"what\": \"valid\", \"token\": 3, \"at_ns\": 5, \"until_ns\": 1000005}\n"
        "{\"node\": 2, \"what\": \"ended\", \"token\": 3, \"at_ns\": 5}\n");
}
