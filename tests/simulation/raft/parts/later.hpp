// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_SIMULATION_LATER_HPP
#define SEAWALL_TESTS_SIMULATION_LATER_HPP

// Things that are to happen later in virtual time.

#include <deque>
#include <functional>
#include <utility>
#include <vector>

#include "seawall/exec/scheduler.hpp"
#include "seawall/testing/virtual_scheduler.hpp"
#include "seawall/time.hpp"

namespace raftsim {

class agenda {
 public:
  explicit agenda(seawall::testing::virtual_scheduler& loop) : loop_(loop) {}
  agenda(const agenda&) = delete;
  agenda& operator=(const agenda&) = delete;
  ~agenda() {
    for (point& p : points_) loop_.cancel(p.timer);
  }

  void after(seawall::duration d, std::function<void()> what) {
    point* p = nullptr;
    if (idle_.empty()) {
      p = &points_.emplace_back(*this);
    } else {
      p = idle_.back();
      idle_.pop_back();
    }
    p->what = std::move(what);
    loop_.schedule_at(loop_.now() + d, p->timer, *p);
  }

 private:
  struct point final : seawall::task {
    explicit point(agenda& a)
        : task([](task& t, outcome how) {
            auto& self = static_cast<point&>(t);
            if (how != outcome::run) return;
            const std::function<void()> run = std::move(self.what);
            self.of.idle_.push_back(&self);
            run();
          }),
          of(a) {}
    agenda& of;
    seawall::testing::virtual_scheduler::timer timer;
    std::function<void()> what;
  };

  seawall::testing::virtual_scheduler& loop_;
  std::deque<point> points_;
  std::vector<point*> idle_;
};

}  // namespace raftsim

#endif  // SEAWALL_TESTS_SIMULATION_LATER_HPP
