// SPDX-License-Identifier: Apache-2.0

//   requests --try_push--> [ queue: 100 ms to live ] --pop--> one worker, 5 ms each
//                                   |
//                                   +--> dropped: answered "503" at once
//
// Twice as much work comes as can be done. The worker still answers in time whatever it takes up: once the oldest request has
// used half of its time, the newest goes first, and what cannot make it any more is turned away. Time is virtual here.

#include "seawall/queue/backpressure_queue.hpp"

#include <chrono>

#include "fmt/format.h"

using namespace std::chrono_literals;

namespace {

struct request {
  int id;
  seawall::instant arrived;
};

}  // namespace

int main() {
  int turned_away = 0, in_time = 0, late = 0;
  seawall::backpressure_queue<request> queue(
      {.name = "requests", .max_items = 1000, .when_full = seawall::queue_full::reject},
      {.dropped = [&](request&&, seawall::queue_drop) { ++turned_away; }});

  seawall::instant now, worker_free;
  int id = 0;
  for (; id < 4000; now = now + 2500us) {
    if (!queue.try_push({id++, now}, {.deadline = now + 100ms}, now)) ++turned_away;
    if (now < worker_free) continue;
    auto next = queue.try_pop(now);
    if (!next) continue;
    worker_free = now + 5ms;
    (worker_free - next->arrived <= seawall::duration(100ms) ? in_time : late) += 1;
  }
  const int left = static_cast<int>(queue.snapshot(now).items);
  queue.tick(now + 1s);  // nobody serves them any more: they are turned away as well

  fmt::print("{} requests in {:.0f} s, twice what one worker can do\n", id,
             (now - seawall::instant()).seconds());
  fmt::print("in time {}, late {}, turned away {} ({} of them at the end)\n", in_time, late, turned_away,
             left);
  const bool all_accounted_for = in_time + late + turned_away == id;
  return all_accounted_for && late == 0 && in_time >= 1990 ? 0 : 1;
}
