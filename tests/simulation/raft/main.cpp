// SPDX-License-Identifier: Apache-2.0
// The simulation as a program: ./scripts/raft-sim --help. A test runs a bounded part of the same.

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "simulation/raft/parts/campaign.hpp"
#include "simulation/raft/parts/exploration.hpp"

namespace {

constexpr const char* usage =
    "usage: seawall_raft_sim [option...]\n"
    "  --seeds N      so many runs, each with a seed of its own (default 1000; 0: until the time is up)\n"
    "  --first S      beginning with this seed (default 1)\n"
    "  --minutes N    stop after so many minutes\n"
    "  --nodes N      clusters of 3 or of 5 (default: both)\n"
    "  --jobs N       processes (default 1)\n"
    "  --trace        say all that happens: for one seed\n"
    "  --explore N    all that can happen within small bounds, up to N states for each\n"
    "  --scenario S   only what is played step by step under this name, see parts/plan.hpp\n"
    "  --mutants      put defects back, one at a time, and see how soon each is caught (needs a build with them)\n"
    "  --common       only those that few seeds catch: for a test\n"
    "  --mutant NAME  only this one; with --trace: in one run, of the seed --first\n";

struct wanted {
  raftsim::campaign_options campaign = {};
  std::uint64_t explore = 0;
  bool trace = false;
  bool mutants = false;
  std::string mutant = {};
};

std::optional<wanted> parsed(int argc, char** argv) {
  wanted w;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--trace") {
      w.trace = true;
    } else if (name == "--mutants") {
      w.mutants = true;
    } else if (name == "--common") {
      w.campaign.common = true;
    } else if (i + 1 == argc) {
      return std::nullopt;
    } else if (name == "--mutant") {
      w.mutant = argv[++i];
    } else if (name == "--scenario") {
      const auto& names = raftsim::scenario_names;
      const auto found = std::find(names.begin(), names.end(), std::string_view(argv[++i]));
      if (found == names.end()) return std::nullopt;
      w.campaign.directed = static_cast<raftsim::scenario>(found - names.begin());
    } else {
      char* end = nullptr;
      const std::uint64_t n = std::strtoull(argv[++i], &end, 10);
      if (*end != '\0' || *argv[i] == '\0') return std::nullopt;
      if (name == "--seeds") {
        w.campaign.seeds = n;
      } else if (name == "--first") {
        w.campaign.first = n;
      } else if (name == "--minutes") {
        w.campaign.minutes = n;
      } else if (name == "--nodes" && (n == 3 || n == 5)) {
        w.campaign.replicas = static_cast<unsigned>(n);
      } else if (name == "--jobs" && n >= 1 && n <= 256) {
        w.campaign.jobs = static_cast<unsigned>(n);
      } else if (name == "--explore") {
        w.explore = n;
      } else {
        return std::nullopt;
      }
    }
  }
  // Whoever gives a time and no number means the time.
  if (w.campaign.minutes != 0 && w.campaign.seeds == raftsim::campaign_options{}.seeds) w.campaign.seeds = 0;
  if (w.campaign.minutes == 0 && w.campaign.seeds == 0) return std::nullopt;
  return w;
}

}  // namespace

int main(int argc, char** argv) {
  const std::optional<wanted> w = parsed(argc, argv);
  if (!w) {
    std::fputs(usage, stderr);
    return 2;
  }
  if (w->explore != 0) return raftsim::explore_all(w->explore) ? 0 : 1;
  if (w->trace) return raftsim::run_one(w->campaign, w->mutant) ? 0 : 1;
  if (w->mutants || !w->mutant.empty()) return raftsim::run_mutants(w->campaign, w->mutant) ? 0 : 1;
  return raftsim::run_campaign(w->campaign) ? 0 : 1;
}
