// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_ELECTION_CONFORMANCE_ELECTOR_CONFORMANCE_HPP
#define SEAWALL_TESTS_ELECTION_CONFORMANCE_ELECTOR_CONFORMANCE_HPP

// What every elector does, whatever is behind it. An engine under test is a world for three candidates, "a", "b" and "c":
//
//   std::unique_ptr<E> make(const std::string& node);   an elector, not yet started
//   void cut_off(const std::string& node);              nothing it sends arrives, nothing arrives at it, and nobody says so
//   void mend(const std::string& node);
//   seawall::duration lease() const;                    the time for which one is valid without a renewal, about: so long
//                                                       that the machine may stand still for a while

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "election_conformance/observer.hpp"
#include "seawall/election/elector.hpp"
#include "seawall/time.hpp"
#include <doctest/doctest.h>

namespace election_test {

using what = election_log::what;

/// Looks until it is so; false after half a minute.
template <class Condition>
bool eventually(Condition so) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!so()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

/// Three candidates, their log, and the observer.
template <class Engine>
class election {
 public:
  using elector_type = typename decltype(std::declval<Engine&>().make(""))::element_type;
  static_assert(seawall::elector<elector_type>);

  explicit election(Engine& e) {
    for (const char* node : {"a", "b", "c"}) all_[node] = e.make(node);
    observer_.emplace([this] {
      std::vector<observer::candidate> c;
      for (const auto& [node, elector] : all_) c.push_back([e = elector.get()] { return e->current(); });
      return c;
    }());
  }
  ~election() {
    observer_->end();
    CHECK(observer_->overlaps() == 0);
    CHECK(observer_->looks() > 0);
    all_.clear();
    CHECK(log_.contradiction() == "");
  }
  election(const election&) = delete;
  election& operator=(const election&) = delete;

  elector_type& operator[](const std::string& node) { return *all_.at(node); }
  election_log& log() { return log_; }
  void start(const std::string& node, std::function<void()> before_lost = {}) {
    all_.at(node)->start(logged(log_, node, std::move(before_lost)));
  }
  /// "a" leads, the others wait.
  void begin_with_a(std::function<void()> before_lost = {}) {
    start("a", std::move(before_lost));
    REQUIRE(log_.wait(what::elected, 1, "a"));
    start("b");
    start("c");
  }

 private:
  election_log log_;
  std::map<std::string, std::unique_ptr<elector_type>> all_;
  std::optional<observer> observer_;
};

template <class Engine>
struct elector_row {
  const char* name;
  void (*check)(Engine&);
};

template <class Engine>
std::vector<elector_row<Engine>> elector_conformance() {
  return {
      {"who was not started does not lead, and resigning or handing over is nothing to it",
       [](Engine& e) {
         election all(e);
         all["a"].resign();
         all["a"].transfer_to("b");
         CHECK(!all["a"].current());
       }},
      {"one leads, and its leadership is valid, has a token, and is renewed",
       [](Engine& e) {
         election all(e);
         all.begin_with_a();
         const auto l = all["a"].current();
         REQUIRE(l);
         CHECK(l->valid());
         CHECK(l->token() > 0);
         CHECK(!l->valid(seawall::duration::infinite()));
         const auto until = l->valid_until();
         CHECK(eventually([&] { return l->valid_until() > until; }));
         CHECK(l->valid());
         CHECK(!l->stop().stop_requested());
         CHECK(all.log().count(what::elected) == 1);
       }},
      {"who resigns does not lead when resign returns, and somebody else does with a newer token",
       [](Engine& e) {
         election all(e);
         all.begin_with_a();
         const auto l = all["a"].current();
         REQUIRE(l);
         all["a"].resign();
         CHECK(!l->valid());
         CHECK(l->stop().stop_requested());
         CHECK(!all["a"].current());
         const auto next = all.log().wait(what::elected, 2);
         REQUIRE(next);
         CHECK(next->node != "a");
         CHECK(next->token > l->token());
       }},
      {"nobody is elected before the on_lost of who has resigned returned",
       [](Engine& e) {
         std::atomic<bool> working{true};
         election all(e);
         all.begin_with_a([&] {
           std::this_thread::sleep_for((e.lease() * 3 / 2).to_chrono());
           working = false;
         });
         all["a"].resign();
         REQUIRE(all.log().wait(what::elected, 2));
         CHECK(!working);
         CHECK(all.log().count(what::lost, "a") == 1);
         CHECK(all.log().entries()[1].happened == what::lost);
       }},
      {"on_elected may work until it is asked to stop, while the lease is renewed",
       [](Engine& e) {
         election_log log;
         auto a = e.make("a");
         std::atomic<bool> renewed{false};
         std::atomic<bool> stopped{false};
         auto callbacks = logged(log, "a");
         callbacks.on_elected = [&, told = callbacks.on_elected](const seawall::leadership& l) {
           told(l);
           const auto until = l.valid_until();
           while (!l.stop().stop_requested()) {
             std::this_thread::sleep_for(std::chrono::milliseconds(1));
             if (l.valid_until() > until) renewed = true;
           }
           stopped = true;
         };
         a->start(std::move(callbacks));
         REQUIRE(log.wait(what::elected, 1));
         CHECK(eventually([&] { return renewed.load(); }));
         CHECK(a->current());
         CHECK(!stopped);
         a->resign();
         REQUIRE(log.wait(what::lost, 1));
         CHECK(stopped);
       }},
      {"who hands over is followed by whom it has named",
       [](Engine& e) {
         election all(e);
         all.begin_with_a();
         // Both wait already, so that each could be first.
         std::this_thread::sleep_for(std::chrono::milliseconds(300));
         for (const std::string to : {"c", "b", "a"}) {
           const std::string from = all.log().entries().back().node;
           const std::size_t n = all.log().count(what::elected);
           all[from].transfer_to(to);
           const auto next = all.log().wait(what::elected, n + 1);
           REQUIRE(next);
           CHECK(next->node == to);
         }
       }},
      {"who is cut off loses by its own clock, before somebody else is elected, and does not lead when it is back",
       [](Engine& e) {
         election all(e);
         all.begin_with_a();
         const auto l = all["a"].current();
         REQUIRE(l);
         e.cut_off("a");
         const auto until = l->valid_until();
         REQUIRE(all.log().wait(what::lost, 1, "a"));
         const auto next = all.log().wait(what::elected, 2);
         REQUIRE(next);
         CHECK(next->node != "a");
         CHECK(until <= next->at);
         CHECK(!l->valid());
         CHECK(l->stop().stop_requested());
         e.mend("a");
         std::this_thread::sleep_for(std::chrono::seconds(1));
         CHECK(!all["a"].current());
         CHECK(!l->valid());
       }},
      {"who is destroyed while it leads is told of its loss, and gives the lease back",
       [](Engine& e) {
         election_log log;
         auto a = e.make("a");
         auto b = e.make("b");
         a->start(logged(log, "a"));
         REQUIRE(log.wait(what::elected, 1, "a"));
         b->start(logged(log, "b"));
         const auto l = a->current();
         REQUIRE(l);
         a.reset();
         CHECK(log.count(what::lost, "a") == 1);
         CHECK(!l->valid());
         CHECK(l->stop().stop_requested());
         REQUIRE(log.wait(what::elected, 1, "b"));
         b.reset();
         CHECK(log.contradiction() == "");
       }},
      {"a callback may resign",
       [](Engine& e) {
         election_log log;
         auto a = e.make("a");
         auto callbacks = logged(log, "a");
         callbacks.on_elected = [&, told = callbacks.on_elected](const seawall::leadership& l) {
           told(l);
           a->resign();
         };
         a->start(std::move(callbacks));
         REQUIRE(log.wait(what::lost, 1));
         a.reset();
         CHECK(log.contradiction() == "");
       }},
      {"everybody hears who leads",
       [](Engine& e) {
         std::mutex mutex;
         std::map<std::string, std::string> heard;
         const auto hear = [&](const std::string& node) {
           return seawall::election_callbacks{
               .on_leader_changed = [&, node](std::optional<std::string> leader) {
                 const std::lock_guard<std::mutex> lock(mutex);
                 heard[node] = leader.value_or("-");
               }};
         };
         auto a = e.make("a");
         auto b = e.make("b");
         a->start(hear("a"));
         b->start(hear("b"));
         const auto agree = [&] {
           const std::lock_guard<std::mutex> lock(mutex);
           return heard["a"] == heard["b"] && heard["a"] == (a->current() ? "a" : b->current() ? "b" : "?");
         };
         CHECK(eventually(agree));
         a->transfer_to("b");
         b->transfer_to("a");
         CHECK(eventually(agree));
       }},
  };
}

}  // namespace election_test

#endif  // SEAWALL_TESTS_ELECTION_CONFORMANCE_ELECTOR_CONFORMANCE_HPP
