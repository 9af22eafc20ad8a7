// SPDX-License-Identifier: Apache-2.0
#include "faults.hpp"

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "seawall/election/elector.hpp"
#include "seawall/random.hpp"
#include "settings.hpp"
#include <fmt/format.h>

namespace drill::election {
namespace {

using namespace std::chrono_literals;
using seawall::boot_clock;
using seawall::duration;
using seawall::instant;
using std::chrono::milliseconds;

constexpr milliseconds patience = 30s;

enum class fault { kill, pause };

/// When things happen: drawn beforehand, the same for both clusters.
struct moment {
  fault what;
  milliseconds quiet;  // before it: the phase of the heartbeat is any
  milliseconds pause;  // at least
};
moment draw(std::uint32_t number, seawall::random_source& random) {
  return {.what = number % 2 == 0 ? fault::kill : fault::pause,
          .quiet = 300ms + milliseconds(random.up_to(100)),
          .pause = election_timeout * 3 / 2 + milliseconds(random.up_to(400))};
}

failovers& of(failover_record& r, fault what) { return what == fault::kill ? r.killed : r.paused; }

/// Strikes, and mends once the cluster goes on.
template <class Side, class Member, class Recovery>
void strike(Side& side, Member victim, const moment& m, Recovery recovered) {
  const instant at = boot_clock::now();
  m.what == fault::kill ? side.kill(victim) : side.suspend(victim);
  recovered(at);
  if (m.what == fault::kill) return side.restart(victim);
  const duration left = at + m.pause - boot_clock::now();
  if (left > duration::zero()) std::this_thread::sleep_for(left.to_chrono());
  side.resume(victim);
}

[[noreturn]] void stuck(raft_side& raft, const std::string& what) {
  throw std::runtime_error(fmt::format("seawall: {}\n{}", what, raft.describe()));
}

/// False: somebody else led before the fault.
bool strike_seawall(raft_side& raft, observer& o, const moment& m, failover_record& out) {
  if (!raft.settled(patience)) stuck(raft, "the cluster does not settle");
  std::this_thread::sleep_for(m.quiet);
  const record old = o.newest().value();
  bool counts = true;
  strike(raft, old.from, m, [&](instant at) {
    const auto granted = o.wait(record::kind::valid, old.token, patience);
    if (!granted) stuck(raft, "nobody was elected");
    const auto wrote = o.wait(record::kind::wrote, old.token, patience);
    if (!wrote) stuck(raft, "the new leader could not write");
    counts = at < granted->at;
    if (!counts) return;
    of(out, m.what).until_grant.push_back(granted->at - at);
    of(out, m.what).until_write.push_back(wrote->at - at);
  });
  return counts;
}

bool strike_etcd(etcd_side& etcd, const moment& m, failover_record& out) {
  if (!etcd.settled(patience)) throw std::runtime_error("etcd: the cluster does not settle");
  std::this_thread::sleep_for(m.quiet);
  const auto leader = etcd.settled(patience);
  if (!leader) throw std::runtime_error("etcd: the cluster does not settle");
  strike(etcd, *leader, m, [&](instant at) {
    const auto wrote = etcd.first_write_without(*leader, patience);
    if (!wrote) throw std::runtime_error("etcd: no write succeeds");
    of(out, m.what).until_write.push_back(*wrote - at);
  });
  return true;
}

template <class Strike>
void until_it_counts(failover_record& r, Strike strike_once) {
  while (!strike_once()) {
    if (++r.missed > 1000) throw std::runtime_error("leaders change faster than they can be hit");
  }
}

void progress(std::uint32_t done, std::uint32_t all) {
  if (done % 20 == 0 || done == all) fmt::print(stderr, "{} of {} faults\n", done, all);
}

}  // namespace

failover_result run_faults(const options& o, raft_side& raft, observer& o_log, etcd_side* etcd) {
  failover_result result;
  seawall::random_source random(o.seed);
  for (std::uint32_t i = 0; i < o.faults; ++i) {
    const moment m = draw(i, random);
    const auto seawall = [&] {
      until_it_counts(result.seawall, [&] { return strike_seawall(raft, o_log, m, result.seawall); });
    };
    const auto other = [&] {
      if (etcd != nullptr) until_it_counts(result.etcd, [&] { return strike_etcd(*etcd, m, result.etcd); });
    };
    // Who comes first has no part in it.
    const bool seawall_first = i / 2 % 2 == 0;
    if (seawall_first) seawall();
    other();
    if (!seawall_first) seawall();
    progress(i + 1, o.faults);
  }
  return result;
}

load_result run_loads(const options& o, raft_side& raft, etcd_side* etcd) {
  load_result result;
  const std::vector<std::size_t> in_flight =
      o.quick ? std::vector<std::size_t>{16} : std::vector<std::size_t>{1, 16, 64};
  const std::chrono::seconds length(o.load_seconds);
  if (length == 0s) return result;
  for (const std::size_t n : in_flight) {
    const auto leader = raft.settled(patience);
    if (!leader) stuck(raft, "the cluster does not settle");
    const auto figures = raft.load(leader->from, n, length);
    if (!figures) stuck(raft, "the leader does not answer");
    result.seawall.push_back(*figures);
    if (etcd == nullptr) continue;
    const auto other = etcd->settled(patience);
    if (!other) throw std::runtime_error("etcd: the cluster does not settle");
    result.etcd.push_back(etcd->load(*other, n, length));
  }
  return result;
}

}  // namespace drill::election
