// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_SUPPORT_MANY_CALLERS_HPP
#define SEAWALL_TESTS_SUPPORT_MANY_CALLERS_HPP

// Several calls of one pipeline at once, in virtual time. Each attempt waits until the test ends it; attempts
// are numbered from 0 in the order in which they were started, whoever's they are.

#include <cstddef>
#include <deque>
#include <stop_token>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "seawall/call.hpp"
#include "seawall/exec/async.hpp"
#include "seawall/operation.hpp"
#include "seawall/status.hpp"
#include "seawall/testing/virtual_scheduler.hpp"
#include "support/async.hpp"

namespace seawall_test {

struct one_caller {
  answered<> answer;
  seawall::call_report report;
  std::stop_source stop;

  bool waits() const { return answer.times == 0; }
  bool got(int value) const { return answer.times == 1 && *answer.value == value; }
  absl::StatusCode code() const { return answer.value->status().code(); }
};

template <class Pipeline>
class many_callers {
 public:
  explicit many_callers(Pipeline p) : pipeline(std::move(p)) {}

  one_caller& call(std::string key = "k", seawall::instant deadline = seawall::instant::never()) {
    one_caller& c = callers.emplace_back();
    pipeline.start({.key = key, .stop = c.stop.get_token(), .deadline = deadline, .report = &c.report}, loop,
                   seawall::idempotent(operation.operation()), c.answer.taker());
    settle();
    return c;
  }
  /// Attempt `which` ends.
  template <class Result>
  void end(std::size_t which, Result&& with) {
    operation.end(which, std::forward<Result>(with));
    settle();
  }
  void fail(std::size_t which) { end(which, absl::UnavailableError("down")); }
  void leave(one_caller& c) {
    c.stop.request_stop();
    settle();
  }
  void pass(seawall::duration d) { loop.run_for(d); }
  std::size_t started() const { return operation.started(); }
  seawall::instant now() const { return loop.now(); }

  Pipeline pipeline;
  seawall::testing::virtual_scheduler loop;
  held<> operation;
  std::deque<one_caller> callers;

 private:
  void settle() { loop.run_until(loop.now()); }
};

}  // namespace seawall_test

#endif  // SEAWALL_TESTS_SUPPORT_MANY_CALLERS_HPP
