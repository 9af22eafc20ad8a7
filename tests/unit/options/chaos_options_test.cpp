// SPDX-License-Identifier: Apache-2.0
#include "seawall/chaos.hpp"
#include "support/bad_options.hpp"

using namespace seawall;
using namespace seawall_test;

namespace {

// One field more or less does not compile: it belongs into the tables below.
[[maybe_unused]] void every_field(const chaos_options& o, const fault& f) {
  [[maybe_unused]] const auto& [name, enabled, faults, script, seed, max_at_once, max_delay, applies_to,
                                events] = o;
  [[maybe_unused]] const auto& [kind, rate, code, text, retry_after, delay, shape, delay_max, delay_from] = f;
}

using options = chaos_options;

constexpr auto rate_range = "must be at least 0 and at most 1";
constexpr auto delay_range = "must be at least 0 and at most max_delay";
constexpr auto spread_range = "must be at least delay and at most max_delay";

template <class Spoil>
void with_fault(options& o, Spoil spoil) {
  fault f{.rate = 0.5, .delay = 1s};
  spoil(f);
  o.faults = {f};
}

const std::vector<bad_options<options>> bad = {
    {[](options& o) { o.max_at_once = 0; }, "max_at_once", "0", "must be at least 1"},
    {[](options& o) { o.max_delay = 0s; }, "max_delay", "0s", "must be positive and at most 24h"},
    {[](options& o) { o.max_delay = 25h; }, "max_delay", "25h", "must be positive and at most 24h"},
    {[](options& o) { o.faults.assign(65, fault{}); }, "faults", "65", "entries: must be at most 64"},
    {[](options& o) { with_fault(o, [](fault& f) { f.kind = fault_kind::none; }); }, "faults.kind", "0",
     "must be a fault"},
    {[](options& o) { with_fault(o, [](fault& f) { f.rate = -0.1; }); }, "faults.rate", "-0.1", rate_range},
    {[](options& o) { with_fault(o, [](fault& f) { f.rate = 1.1; }); }, "faults.rate", "1.1", rate_range},
    {[](options& o) { with_fault(o, [](fault& f) { f.rate = not_a_number; }); }, "faults.rate", "nan",
     rate_range},
    {[](options& o) {
       o.faults = {{.rate = 0.6}, {.rate = 0.6}};
     },
     "faults.rate", "1.2", "must be at most 1 for all faults together"},
    {[](options& o) { with_fault(o, [](fault& f) { f.code = absl::StatusCode::kOk; }); }, "faults.code", "0",
     "must be that of a failure"},
    {[](options& o) { with_fault(o, [](fault& f) { f.delay = -1ns; }); }, "faults.delay", "-1ns",
     delay_range},
    {[](options& o) { with_fault(o, [](fault& f) { f.delay = 2min; }); }, "faults.delay", "2min",
     delay_range},
    {[](options& o) {
       with_fault(o, [](fault& f) {
         f.kind = fault_kind::latency;
         f.delay = 0s;
       });
     },
     "faults.delay", "0s", "must be positive for fault_kind::latency"},
    {[](options& o) {
       with_fault(o, [](fault& f) {
         f.shape = delay_shape::uniform;
         f.delay_max = 999ms;
       });
     },
     "faults.delay_max", "999ms", spread_range},
    {[](options& o) {
       with_fault(o, [](fault& f) {
         f.shape = delay_shape::exponential;
         f.delay_max = 61s;
       });
     },
     "faults.delay_max", "1.016min", spread_range},
    {[](options& o) { with_fault(o, [](fault& f) { f.shape = delay_shape::custom; }); }, "faults.delay_from",
     "0", "must be set for delay_shape::custom"},
    {[](options& o) { o.script = "explode"; }, "script", "'explode'",
     "script: outcome is 'explode'; must be ok, fail, hang, wrong or a status code in lower case"},
    {[](options& o) { o.script = "fail at 101%"; }, "script", "'fail at 101%'",
     "script: share is '101%'; must be more than 0% and at most 100%"},
    {[](options& o) { o.script = "ok after 2min"; }, "script", "2min", "after: must be at most max_delay"},
};

const good_options<options> good = {
    [](options&) {},
    [](options& o) { o.max_delay = 24h; },
    [](options& o) { o.max_delay = 1ns; },
    [](options& o) { o.faults.assign(64, fault{.rate = 1.0 / 64}); },
    [](options& o) { o.faults.assign(10, fault{.rate = 0.1}); },
    [](options& o) { with_fault(o, [](fault& f) { f.delay = 1min; }); },
    [](options& o) { with_fault(o, [](fault& f) { f.shape = delay_shape::exponential; }); },
    [](options& o) { o.script = "until 1min: fail at 0.1%, wrong x3 ...; hang"; },
};

}  // namespace

TEST_CASE("options: chaos: every bad value is refused with field, value and range") {
  check_validate(bad);
  check_constructor<chaos>("chaos", bad);
  check_create<chaos>("chaos", bad);
}

TEST_CASE("options: chaos: values at the edge of their range are accepted") { check_accepted(good); }
