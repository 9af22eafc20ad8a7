// SPDX-License-Identifier: Apache-2.0

// The asynchronous driver beside its goal: twice the same call through the blocking driver, and what the scheduler costs by
// itself: one piece of work posted and run, and where the pipeline bounds time one timer armed and cancelled.

#include "seawall/exec/async.hpp"

#include <cstddef>
#include <optional>

#include "piped.hpp"
#include "seawall/core/timer_heap.hpp"

namespace bench {
namespace {

using result = absl::StatusOr<int>;

/// An event loop without events: real time, one thread, no lock.
class bare_loop {
 public:
  class timer : private seawall::core::timer_node {
    friend class bare_loop;
  };

  static seawall::instant now() noexcept { return seawall::steady_clock::now(); }
  void post(seawall::task& work) noexcept { ready_.push(work); }
  void schedule_at(seawall::instant at, timer& t, seawall::task&) noexcept {
    t.at = at;
    timers_.push(t);
  }
  bool cancel(timer& t) noexcept {
    timers_.remove(t);
    return true;
  }
  /// No timer of a call that succeeds is ever due.
  void run() {
    while (seawall::task* const work = ready_.pop()) work->run();
  }

 private:
  seawall::task_queue ready_;
  seawall::core::timer_heap timers_;
};
static_assert(seawall::scheduler<bare_loop>);

struct no_work final : seawall::task {
  no_work() noexcept : task([](seawall::task&, outcome) {}) {}
};

/// The goal.
template <class Recipe, bool Timed>
struct twice_blocking {
  result operator()() {
    auto first = one_call(blocking);
    benchmark::DoNotOptimize(first);
    loop.post(work);
    loop.run();
    if constexpr (Timed) {
      loop.schedule_at(seawall::instant::from_ns(1), timer, work);
      loop.cancel(timer);
    }
    return one_call(blocking);
  }

  piped<Recipe, result> blocking;
  bare_loop loop;
  bare_loop::timer timer;
  no_work work;
};

template <class Recipe>
struct started {
  parts p;
  decltype(Recipe::make(p)) pipe = Recipe::make(p);
  bare_loop loop;
  result answered = 0;
};

/// The operation completes before it returns.
template <class Recipe>
struct at_once : started<Recipe> {
  result operator()() {
    this->pipe.start(this->loop,
                     seawall::idempotent([](seawall::attempt a, seawall::completion<result> done) {
                       done(answer<result>(a.time_left().ns()));
                     }),
                     [this](result r) { this->answered = std::move(r); });
    this->loop.run();
    return std::move(this->answered);
  }
};

/// The operation completes when the call has been started.
template <class Recipe>
struct later : started<Recipe> {
  result operator()() {
    this->pipe.start(this->loop,
                     seawall::idempotent([this](seawall::attempt a, seawall::completion<result> done) {
                       left = a.time_left();
                       pending.emplace(std::move(done));
                     }),
                     [this](result r) { this->answered = std::move(r); });
    (*pending)(answer<result>(left.ns()));
    pending.reset();
    this->loop.run();
    return std::move(this->answered);
  }

  seawall::duration left;
  std::optional<seawall::completion<result>> pending;
};

/// Room for one call, which the caller owns.
struct one_room {
  alignas(std::max_align_t) std::byte bytes[2048];
};
template <class T>
struct in_room {
  using value_type = T;
  explicit in_room(one_room& r) noexcept : room(&r) {}
  template <class U>
  in_room(const in_room<U>& other) noexcept : room(other.room) {}
  T* allocate(std::size_t) noexcept {
    static_assert(sizeof(T) <= sizeof(one_room::bytes));
    return reinterpret_cast<T*>(room->bytes);
  }
  void deallocate(T*, std::size_t) noexcept {}
  template <class U>
  bool operator==(const in_room<U>& other) const noexcept {
    return room == other.room;
  }
  one_room* room;
};

/// The operation completes before it returns; nothing is allocated.
template <class Recipe>
struct placed : started<Recipe> {
  struct done {
    placed* self;
    void operator()(result r) const { self->answered = std::move(r); }
    in_room<std::byte> get_allocator() const noexcept { return in_room<std::byte>(self->room); }
  };

  result operator()() {
    this->pipe.start(this->loop,
                     seawall::idempotent([](seawall::attempt a, seawall::completion<result> completed) {
                       completed(answer<result>(a.time_left().ns()));
                     }),
                     done{this});
    this->loop.run();
    return std::move(this->answered);
  }

  one_room room;
};

template <class Recipe, bool Timed>
void rows(const std::string& name) {
  alone<at_once<Recipe>>("async/" + name + ", at once/seawall");
  alone<twice_blocking<Recipe, Timed>>("async/" + name + ", at once/floor");
  alone<later<Recipe>>("async/" + name + ", later/seawall");
  alone<twice_blocking<Recipe, Timed>>("async/" + name + ", later/floor");
  alone<placed<Recipe>>("async/" + name + ", in the caller's memory/seawall");
  alone<twice_blocking<Recipe, Timed>>("async/" + name + ", in the caller's memory/floor");
}

const bool registered = [] {
  rows<breaker_alone, false>("breaker");
  rows<five<result>, true>("five");
  return true;
}();

}  // namespace
}  // namespace bench
