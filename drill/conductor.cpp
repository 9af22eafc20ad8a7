// SPDX-License-Identifier: Apache-2.0
#include "conductor.hpp"

#include <signal.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "child_process.hpp"
#include "load.hpp"
#include "port.hpp"
#include "rendering.hpp"
#include "storefront.hpp"
#include <fmt/format.h>

namespace drill {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using clock = std::chrono::steady_clock;

volatile std::sig_atomic_t interrupt_seen = 0;

constexpr milliseconds tick{20};
constexpr milliseconds sampling{100};
constexpr milliseconds payment_drain_limit{20'000};
constexpr milliseconds getting_ready{100};  ///< to start a thread for everyone who may have to wait

/// The four processes and their ports.
class company {
 public:
  company(shop_kind kind, std::uint64_t seed) : seed_(seed) {
    for (const dependency d : all_dependencies) start(d);
    std::vector<std::string> arguments{"serve-storefront", "--kind", std::string(name_of(kind)), "--port",
                                       std::to_string(shop_port_.number())};
    for (const dependency d : all_dependencies) {
      arguments.push_back("--" + std::string(name_of(d)));
      arguments.push_back(std::to_string(ports_[d].number()));
    }
    arguments.push_back("--seed");
    arguments.push_back(std::to_string(seed_ + all_dependencies.size()));
    shop_ = child_process::start(fmt::format("{} storefront", name_of(kind)), arguments);
  }

  void begin(const act& a) {
    switch (a.what) {
      case trouble::none:
      case trouble::overload: break;  // the crowd knows when to come
      case trouble::faulty: tell(a.victim, a.does); break;
      case trouble::hung: children_[a.victim].suspend(); break;
      case trouble::killed: children_[a.victim].kill_now(); break;
      case trouble::chaos: tell_shop("chaos on"); break;
      case trouble::read_only: tell_shop("read-only on"); break;
    }
  }

  void end(const act& a) {
    switch (a.what) {
      case trouble::none:
      case trouble::overload: break;
      case trouble::faulty: tell(a.victim, {}); break;
      case trouble::hung: children_[a.victim].resume(); break;
      case trouble::killed: start(a.victim); break;
      case trouble::chaos: tell_shop("chaos off"); break;
      case trouble::read_only: tell_shop("read-only off"); break;
    }
  }

  std::optional<shop_stats> stats() {
    const auto words = shop_.ask("stats", sampling);
    return words ? shop_stats_from_words(*words) : std::nullopt;
  }

  payment_audit audit() {
    const auto words = children_[dependency::payment].ask("audit", milliseconds(5000));
    const auto audit = words ? payment_audit_from_words(*words) : std::nullopt;
    if (!audit) throw std::runtime_error("payment does not open its books");
    return *audit;
  }

  void dismiss() {
    shop_.end();
    for (const dependency d : all_dependencies) children_[d].end();
  }

  std::uint16_t shop_port() const { return shop_port_.number(); }

 private:
  void start(dependency d) {
    const auto index = static_cast<std::uint64_t>(d);
    const std::vector<std::string> arguments{"serve-dependency",
                                             "--name",
                                             std::string(name_of(d)),
                                             "--port",
                                             std::to_string(ports_[d].number()),
                                             "--seed",
                                             std::to_string(seed_ + index)};
    children_[d] = child_process::start(std::string(name_of(d)), arguments);
  }

  void tell(dependency d, const fault& f) {
    if (children_[d].ask("fault " + to_words(f), milliseconds(2000)) != "done") {
      throw std::runtime_error(fmt::format("{} does not obey", name_of(d)));
    }
  }

  void tell_shop(std::string_view words) {
    const auto said = shop_.ask(words, milliseconds(2000));
    if (said != "done" && said != no_such_mode) throw std::runtime_error("the storefront does not obey");
  }

  const std::uint64_t seed_;
  reserved_port shop_port_;
  per_dependency<reserved_port> ports_;
  per_dependency<child_process> children_;
  child_process shop_;
};

/// Who browses in the plan's act of that trouble, or nobody if it has none.
load browsing_in(trouble t, int per_s, const std::vector<act>& plan, const load& customers) {
  load browsing{.what = visit::browsing,
                .port = customers.port,
                .per_s = per_s,
                .begins = customers.begins,
                .lasts = microseconds(0)};
  for (const act& a : plan) {
    if (a.what == t) {
      browsing.lasts = a.lasts;
      break;
    }
    browsing.begins += a.lasts;
  }
  return browsing;
}

struct browsers {
  load_generator come;
  std::size_t noted = 0;  ///< of those who have left
};

class run {
 public:
  run(shop_kind kind, const options& o, spectator& watching)
      : plan_(timeline(o.pace)),
        company_(kind, o.seed),
        expected_{.what = visit::checkout,
                  .port = company_.shop_port(),
                  .per_s = o.rate_per_s,
                  .begins = clock::now() + getting_ready},
        load_(expected_),
        browsers_{
            {{load_generator(browsing_in(trouble::read_only, leisurely_browsing_per_s, plan_, expected_))},
             {load_generator(
                 browsing_in(trouble::overload, browsing_per_s(o.rate_per_s), plan_, expected_))}}},
        watching_(watching) {
    record_.kind = kind;
  }

  // Children first: waiting for customers of a shop that hangs could take a while.
  ~run() { company_.dismiss(); }

  run_record play() {
    std::this_thread::sleep_until(load_.began());
    for (const act& a : plan_) play(a);
    load_.stop();
    for (browsers& b : browsers_) b.come.stop();
    note_customers();
    wait_for_payments();
    record_.audit = company_.audit();
    return std::move(record_);
  }

 private:
  void play(const act& a) {
    const microseconds begins_at = record_.whole().end;
    record_.acts.push_back({a, {begins_at, begins_at}});
    note_stats();  // what belongs to which act is not left to interpolation
    planned_end_ += a.lasts;
    company_.begin(a);
    record_.acts.back().in_force.begin = now();
    while (now() < planned_end_) {
      throw_if_interrupted();
      std::this_thread::sleep_for(std::min<microseconds>(tick, planned_end_ - now()));
      record_.acts.back().when.end = now();
      take_notes();
    }
    record_.acts.back().in_force.end = now();
    company_.end(a);
    record_.acts.back().when.end = now();
  }

  void take_notes() {
    if (now() < next_sample_at_) return;
    next_sample_at_ = now() + sampling;
    note_customers();
    note_stats();
    watching_.look(record_, length_of(plan_));
  }

  void note_customers() {
    for (const customer& c : load_.customers(record_.customers.size())) record_.customers.push_back(c);
    for (browsers& b : browsers_) note(b);
  }

  void note(browsers& b) {
    const auto later = std::chrono::duration_cast<microseconds>(b.come.began() - load_.began());
    for (customer c : b.come.customers(b.noted)) {
      c.came_at += later;
      record_.browsers.push_back(c);
      ++b.noted;
    }
  }

  std::optional<shop_stats> note_stats() {
    const microseconds asked_at = now();
    const auto stats = company_.stats();
    if (stats) record_.shop.push_back({asked_at, *stats});
    return stats;
  }

  void wait_for_payments() {
    const auto closed_at = now();
    while (now() - closed_at < payment_drain_limit) {
      throw_if_interrupted();
      const auto stats = note_stats();
      record_.drained_after = now() - closed_at;
      if (stats && stats->payments_in_queue == 0) return;
      std::this_thread::sleep_for(tick);
    }
  }

  microseconds now() const { return std::chrono::duration_cast<microseconds>(clock::now() - load_.began()); }

  const std::vector<act> plan_;
  company company_;
  const load expected_;
  load_generator load_;
  std::array<browsers, 2> browsers_;
  spectator& watching_;
  run_record record_;
  microseconds planned_end_{0};  ///< of the act under way
  microseconds next_sample_at_{0};
};

}  // namespace

void catch_interrupts() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    // Ignored from outside stays ignored: nohup means it.
    const auto before = ::signal(signal, [](int) { interrupt_seen = 1; });
    if (before == SIG_IGN) ::signal(signal, SIG_IGN);
  }
  ::signal(SIGPIPE, SIG_IGN);
}

void throw_if_interrupted() {
  if (interrupt_seen != 0) throw interrupted();
}

run_record play(shop_kind kind, const options& o, spectator& watching) {
  return run(kind, o, watching).play();
}

}  // namespace drill
