// SPDX-License-Identifier: Apache-2.0
#include "simulation/raft/parts/campaign.hpp"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <vector>

#include "simulation/raft/parts/exploration.hpp"

namespace raftsim {

namespace {

using wall_clock = std::chrono::steady_clock;
constexpr std::chrono::seconds between_reports(60);

/// Every `jobs`th seed, from the `job`th on.
totals work(const campaign_options& o, unsigned job) {
  const auto end = wall_clock::now() + std::chrono::minutes(o.minutes);
  auto tell_at = wall_clock::now() + between_reports;
  totals sum;
  for (std::uint64_t k = job; o.seeds == 0 || k < o.seeds; k += o.jobs) {
    if (o.minutes != 0 && wall_clock::now() >= end) break;
    const verdict v = run(o.plan_of(o.first + k));
    sum.add(v);
    if (job == 0 && wall_clock::now() >= tell_at) {
      std::fprintf(stderr, "so far, in one of %u: %s\n", o.jobs, sum.told().c_str());
      tell_at = wall_clock::now() + between_reports;
    }
    if (v.broken.empty()) continue;
    std::printf("seed %llu: %s\n", static_cast<unsigned long long>(v.seed), v.broken.c_str());
    std::fflush(stdout);
  }
  return sum;
}

totals in_processes(const campaign_options& o) {
  totals sum;
  std::vector<int> from;
  std::vector<::pid_t> children;
  for (unsigned job = 0; job < o.jobs; ++job) {
    int ends[2];
    if (::pipe(ends) != 0) std::abort();
    std::fflush(stdout);
    const ::pid_t child = ::fork();
    if (child < 0) std::abort();
    if (child == 0) {
      const totals t = work(o, job);
      const bool told = ::write(ends[1], &t, sizeof t) == static_cast<::ssize_t>(sizeof t);
      ::_exit(told ? 0 : 1);
    }
    ::close(ends[1]);
    from.push_back(ends[0]);
    children.push_back(child);
  }
  for (std::size_t i = 0; i < children.size(); ++i) {
    totals t;
    if (::read(from[i], &t, sizeof t) != static_cast<::ssize_t>(sizeof t)) {
      std::printf("process %zu died\n", i);
      ++sum.broken;
      t = {};
    }
    ::close(from[i]);
    ::waitpid(children[i], nullptr, 0);
    sum.add(t);
  }
  return sum;
}

}  // namespace

void totals::add(const verdict& v) {
  ++seeds;
  if (!v.broken.empty() && ++broken == 1) first_broken = v.seed;
  steps += v.steps;
  operations += v.operations;
  committed += v.committed;
  leaders += v.leaders;
  grants += v.grants;
  faults += v.faults;
  crashes += v.crashes;
  syncs += v.syncs;
  virtual_seconds += v.virtual_time.seconds();
  slowest_election = std::max(slowest_election, v.to_elect.seconds());
}

void totals::add(const totals& t) {
  seeds += t.seeds;
  if (broken == 0) first_broken = t.first_broken;
  broken += t.broken;
  steps += t.steps;
  operations += t.operations;
  committed += t.committed;
  leaders += t.leaders;
  grants += t.grants;
  faults += t.faults;
  crashes += t.crashes;
  syncs += t.syncs;
  virtual_seconds += t.virtual_seconds;
  slowest_election = std::max(slowest_election, t.slowest_election);
}

std::string totals::told() const {
  char text[512];
  const auto n = [](std::uint64_t v) { return static_cast<unsigned long long>(v); };
  std::snprintf(
      text, sizeof text,
      "%llu seeds, %llu steps, %.2f virtual hours: %llu faults, %llu crashes, %llu leaders elected, %llu leases, %llu entries committed, "
      "%llu operations checked, %llu syncs; slowest election after all was well %.3f s; violations: %llu",
      n(seeds), n(steps), virtual_seconds / 3600, n(faults), n(crashes), n(leaders), n(grants), n(committed),
      n(operations), n(syncs), slowest_election, n(broken));
  return text;
}

bool run_campaign(const campaign_options& o) {
  const auto begun = wall_clock::now();
  const totals sum = o.jobs == 1 ? work(o, 0) : in_processes(o);
  const double took = std::chrono::duration<double>(wall_clock::now() - begun).count();
  std::printf("seeds from %llu: %s\n%.1f s, %.2f ms a seed\n", static_cast<unsigned long long>(o.first),
              sum.told().c_str(), took,
              took * 1000 / static_cast<double>(std::max<std::uint64_t>(sum.seeds, 1)));
  if (sum.broken != 0)
    std::printf("again, in words: ./scripts/raft-sim --trace%s%s%s --first %llu\n",
                o.replicas == 0   ? ""
                : o.replicas == 3 ? " --nodes 3"
                                  : " --nodes 5",
                o.directed == scenario::none ? "" : " --scenario ",
                o.directed == scenario::none ? "" : scenario_names[static_cast<std::size_t>(o.directed)],
                static_cast<unsigned long long>(sum.first_broken));
  return sum.broken == 0;
}

#ifdef SEAWALL_ELECTION_MUTANTS

namespace {

/// Where a process that tries a mutant leaves word; it may die of what it tries.
struct note {
  std::uint64_t seeds;
  scenario directed;  // none: by chance
  bool caught;
  char how[160];
};

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

constexpr std::uint64_t most_seeds = 5'000;
constexpr std::uint64_t most_seeds_common = 50;
constexpr std::uint64_t most_seeds_directed = 10;

/// Take a hundred seeds and more, and no scenario is theirs.
constexpr raft::mutant rare[] = {
    raft::mutant::votes_lost_on_restart,  raft::mutant::conflict_kept_at_snapshot,
    raft::mutant::snapshot_during_append, raft::mutant::stalled_disk_leads,
    raft::mutant::read_before_own_commit, raft::mutant::change_while_changing,
};

bool catches(const plan& p, note& left) {
  ++left.seeds;
  const verdict v = run(p);
  if (v.broken.empty()) return false;
  std::snprintf(left.how, sizeof left.how, "%s", first_line(v.broken).c_str());
  return left.caught = true;
}

/// By chance, and then, where that takes too long, step by step.
void try_one(const campaign_options& o, raft::mutant m, note& left) {
  raft::active_mutant = m;
  const std::uint64_t usual = o.common ? most_seeds_common : most_seeds;
  const std::uint64_t most = o.seeds == campaign_options{}.seeds ? usual : o.seeds;
  for (std::uint64_t k = 0; k < most; ++k) {
    if (catches(o.plan_of(o.first + k), left)) return;
  }
  for (std::size_t s = 1; s < scenario_names.size(); ++s) {
    left.directed = static_cast<scenario>(s);
    left.seeds = 0;
    for (std::uint64_t seed = 1; seed <= most_seeds_directed; ++seed) {
      if (catches(directed_plan(left.directed, seed), left)) return;
    }
  }
}

std::optional<raft::mutant> mutant_of(const std::string& name) {
  const auto& names = raft::mutant_names;
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return std::nullopt;
  return static_cast<raft::mutant>(found - names.begin());
}

}  // namespace

bool run_mutants(const campaign_options& o, const std::string& only) {
  if (!only.empty() && !mutant_of(only)) {
    std::printf("there is no mutant %s\n", only.c_str());
    return false;
  }
  void* const shared =
      ::mmap(nullptr, sizeof(note), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return false;
  bool all = true;
  std::printf("%-34s %6s  %-20s  %s\n", "mutant", "seeds", "in a run by", "which breaks");
  for (std::size_t i = 1; i < raft::mutant_names.size(); ++i) {
    const std::string name(raft::mutant_names[i]);
    if (!only.empty() && name != only) continue;
    if (o.common && std::count(std::begin(rare), std::end(rare), static_cast<raft::mutant>(i)) != 0) continue;
    std::memset(shared, 0, sizeof(note));
    auto& left = *static_cast<note*>(shared);
    std::fflush(stdout);
    const ::pid_t child = ::fork();
    if (child == 0) {
      std::fclose(stderr);
      try_one(o, static_cast<raft::mutant>(i), left);
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    if (!WIFEXITED(status)) {
      left.caught = true;
      std::snprintf(left.how, sizeof left.how, "%s", "an assertion in the core");
    }
    all = all && left.caught;
    std::printf(
        "%-34s %6llu  %-20s  %s\n", name.c_str(), static_cast<unsigned long long>(left.seeds),
        left.directed == scenario::none ? "chance" : scenario_names[static_cast<std::size_t>(left.directed)],
        left.caught ? left.how : "NOT CAUGHT");
  }
  ::munmap(shared, sizeof(note));
  return all;
}

bool run_one(const campaign_options& o, const std::string& mutant) {
  if (const auto m = mutant_of(mutant)) raft::active_mutant = *m;
#else

bool run_mutants(const campaign_options&, const std::string&) {
  std::printf("this is the code that ships: there are no mutants in it\n");
  return false;
}

bool run_one(const campaign_options& o, const std::string& mutant) {
  if (!mutant.empty()) return run_mutants(o, mutant);
#endif
  const verdict v = run(o.plan_of(o.first), true);
  totals sum;
  sum.add(v);
  std::printf("seed %llu: %s\n%s\n", static_cast<unsigned long long>(o.first), sum.told().c_str(),
              v.broken.empty() ? "all is well" : v.broken.c_str());
  return v.broken.empty();
}

bool explore_all(std::uint64_t most_states) {
  struct row {
    const char* name;
    small_world world;
  };
  const row rows[] = {
      {"one time-out, one proposal", {.time_outs = 1, .proposals = 1, .last_term = 1}},
      {"two time-outs, one proposal", {.time_outs = 2, .proposals = 1, .last_term = 2}},
      {"two time-outs, a crash, a slow disk",
       {.time_outs = 2, .proposals = 0, .crashes = 1, .slow_disk = true, .last_term = 2}},
      {"two time-outs, a message twice", {.time_outs = 2, .proposals = 0, .doubled = 1, .last_term = 2}},
      {"three time-outs, a heartbeat", {.time_outs = 3, .heartbeats = 1, .proposals = 1, .last_term = 3}},
      {"four time-outs, a crash", {.time_outs = 4, .proposals = 1, .crashes = 1, .last_term = 3}},
  };
  bool all = true;
  for (row r : rows) {
    r.world.most_states = static_cast<std::size_t>(most_states);
    const exploration e = explore(r.world);
    all = all && e.broken.empty();
    std::printf(
        "%-40s %9llu states, %10llu transitions, %3u steps deep, %s, up to term %llu; %llu states with a leader, %llu with a "
        "commit%s%s\n",
        r.name, static_cast<unsigned long long>(e.states), static_cast<unsigned long long>(e.transitions),
        e.depth, e.exhausted ? "all of them" : "not all of them",
        static_cast<unsigned long long>(e.highest_term), static_cast<unsigned long long>(e.with_leader),
        static_cast<unsigned long long>(e.with_commit),
        e.broken.empty() ? "" : "\nbroken: ", e.broken.c_str());
    std::fflush(stdout);
  }
  return all;
}

}  // namespace raftsim
