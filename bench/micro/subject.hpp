// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_BENCH_MICRO_SUBJECT_HPP
#define SEAWALL_BENCH_MICRO_SUBJECT_HPP

// What is measured, and how it is entered. A subject is an object whose `operator()` makes one call; a row is a subject
// built on seawall and, beside it, its floor: the same clock reads and atomic operations written by hand, and nothing
// else. Both sit behind the same wall: an object that the optimiser knows nothing about, called out of line.

#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "benchmark/benchmark.h"

namespace bench {

/// Allocations made by this thread so far; counted by the operator new of allocations.cpp.
std::uint64_t allocations() noexcept;

/// The dependency: another translation unit, as a client library would be. It succeeds, and costs a call and a return.
template <class R>
R answer(std::int64_t time_left_ns);
extern template int answer<int>(std::int64_t);
extern template absl::Status answer<absl::Status>(std::int64_t);
extern template absl::StatusOr<int> answer<absl::StatusOr<int>>(std::int64_t);

/// The same when it is down.
template <class R>
R refuse(std::int64_t time_left_ns);
extern template int refuse<int>(std::int64_t);
extern template absl::Status refuse<absl::Status>(std::int64_t);
extern template absl::StatusOr<int> refuse<absl::StatusOr<int>>(std::int64_t);

/// For callgrind: makes `calls` calls of the one subject whose name was given on the command line.
using repeated_call = void (*)(std::uint64_t calls);
void add_for_counting(const std::string& name, repeated_call run);

template <class Subject>
[[gnu::noinline]] auto one_call(Subject& s) {
  return s();
}

template <class Subject>
void repeat(Subject& s, std::uint64_t calls) {
  for (std::uint64_t i = 0; i < calls; ++i) {
    auto result = one_call(s);
    benchmark::DoNotOptimize(result);
  }
}

template <class Subject>
void loop(benchmark::State& state, Subject& s) {
  repeat(s, 100);
  const std::uint64_t before = allocations();
  for (auto _ : state) {
    auto result = one_call(s);
    benchmark::DoNotOptimize(result);
  }
  const auto made = static_cast<double>(allocations() - before);
  state.counters["allocations"] =
      benchmark::Counter(made / static_cast<double>(state.iterations()), benchmark::Counter::kAvgThreads);
}

template <class Subject>
std::unique_ptr<Subject> make_subject() {
  auto made = std::make_unique<Subject>();
  benchmark::DoNotOptimize(made.get());
  return made;
}

template <class Subject>
void alone(const std::string& name) {
  benchmark::RegisterBenchmark((name + "/alone").c_str(), [](benchmark::State& state) {
    const auto s = make_subject<Subject>();
    loop(state, *s);
  });
  add_for_counting(name, [](std::uint64_t calls) {
    const auto s = make_subject<Subject>();
    repeat(*s, calls);
  });
}

/// Binds this thread to a processor of its own while it lives: on a busy machine both threads of a pair would otherwise
/// take turns on one, and never meet. Does nothing where that cannot be asked for.
class own_processor {
 public:
  explicit own_processor(int thread);
  own_processor(const own_processor&) = delete;
  own_processor& operator=(const own_processor&) = delete;
  ~own_processor();
};

/// Two threads on the same object, and each on one of its own.
template <class Subject>
void in_pairs(const std::string& name) {
  benchmark::RegisterBenchmark((name + "/shared").c_str(), [](benchmark::State& state) {
    static const auto s = make_subject<Subject>();
    const own_processor bound(state.thread_index());
    loop(state, *s);
  })->Threads(2);
  benchmark::RegisterBenchmark((name + "/separate").c_str(), [](benchmark::State& state) {
    const own_processor bound(state.thread_index());
    const auto s = make_subject<Subject>();
    loop(state, *s);
  })->Threads(2);
}

}  // namespace bench

#endif  // SEAWALL_BENCH_MICRO_SUBJECT_HPP
