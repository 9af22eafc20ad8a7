// SPDX-License-Identifier: Apache-2.0

//   requests --> deadline 100 ms --> admit: line + learned limit --> handler: one worker, 5 ms each
//                                      |
//                                      +--> cannot be served in time any more: rejected
//
// A server that is asked for twice what it can do. Without admission its own queue grows until every answer comes too late; with
// it, nearly everything that the worker does is still wanted. Nobody has told it how fast the worker is. Time is virtual here.

#include "seawall/admission.hpp"

#include <chrono>
#include <deque>
#include <utility>

#include "fmt/format.h"
#include "seawall/adaptive_limit.hpp"
#include "seawall/deadline.hpp"
#include "seawall/exec/async.hpp"
#include "seawall/format.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/status.hpp"
#include "seawall/testing/virtual_scheduler.hpp"

using namespace std::chrono_literals;
using loop = seawall::testing::virtual_scheduler;
using answer = seawall::completion<absl::Status>;

namespace {

// The handler. What it is given while it is busy waits inside of it.
class worker : seawall::task {
 public:
  explicit worker(loop& on) : task(&worker::done), loop_(on) {}
  void serve(answer a) {
    waiting_.push_back(std::move(a));
    if (waiting_.size() == 1) loop_.schedule_at(loop_.now() + 5ms, timer_, *this);
  }

 private:
  static void done(task& t, outcome) {
    auto& self = static_cast<worker&>(t);
    answer first = std::move(self.waiting_.front());
    self.waiting_.pop_front();
    if (!self.waiting_.empty()) self.loop_.schedule_at(self.loop_.now() + 5ms, self.timer_, self);
    first(absl::OkStatus());
  }
  loop& loop_;
  loop::timer timer_;
  std::deque<answer> waiting_;
};

// A request each 2.5 ms for 10 s. Returns how many answers came in time.
template <class Pipeline>
int serve(const Pipeline& server, loop& on) {
  worker one(on);
  int in_time = 0;
  for (int i = 0; i < 4000; ++i) {
    const seawall::instant came = on.now();
    server.start(
        on, [&](seawall::attempt, answer a) { one.serve(std::move(a)); },
        [&in_time, &on, came](const absl::Status& s) {
          if (s.ok() && on.now() - came <= seawall::duration(100ms)) ++in_time;
        });
    on.run_for(2500us);
  }
  on.run();
  return in_time;
}

}  // namespace

int main() {
  loop first, second;
  const int without = serve(seawall::compose(), first);

  seawall::adaptive_limit limit({.name = "workers"});
  seawall::admission requests({.name = "requests", .limit = &limit});
  const auto server = seawall::compose(seawall::deadline({.after = 100ms}), seawall::admit(requests));
  const int with = serve(server, second);

  fmt::print("4000 requests, 2000 of which can be served\n");
  fmt::print("in time without admission: {}\nin time with admission:    {}\n", without, with);
  fmt::print("{}\n", requests.snapshot(second.now()));
  return without < 100 && with >= 1900 ? 0 : 1;
}
