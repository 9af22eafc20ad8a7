// SPDX-License-Identifier: Apache-2.0
#include "seawall/election/raft_elector/change_book.hpp"

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "seawall/election/raft_types.hpp"
#include "seawall/status.hpp"
#include "seawall/time.hpp"
#include <doctest/doctest.h>

namespace {

using namespace seawall;
using namespace std::chrono_literals;
using detail::change_book;
using detail::change_request;
using result = detail::awaited_result<raft::log_index>;
using code = absl::StatusCode;

constexpr instant start = instant::from_ns(1'000'000'000);

}  // namespace

TEST_CASE("change_book: whoever asks before it is open, or after it was closed, does not wait for ever") {
  change_book book;
  result r;
  CHECK_FALSE(book.submit({.whom = &r}));
  CHECK(r.wait().status().code() == code::kUnavailable);
  book.open();
  result taken, left;
  CHECK(book.submit({.whom = &taken}));
  for (const change_request& c : book.take()) CHECK(book.add(c));
  CHECK(book.submit({.whom = &left}));
  book.close(absl::UnavailableError("over"));
  result late;
  CHECK_FALSE(book.submit({.whom = &late}));
  const absl::Status refused = late.wait().status();
  CHECK(refused.message() == "over");
  CHECK(seawall::classify(refused).again == again::always);
  book.fail_all();
  CHECK(taken.wait().status().code() == code::kUnavailable);
  CHECK(left.wait().status().code() == code::kUnavailable);
  CHECK(book.wake_at() == instant::never());
}

TEST_CASE("change_book: not more than 16 wait") {
  change_book book;
  std::vector<result> waiting(17);
  for (std::size_t i = 0; i < 16; ++i) CHECK(book.add({.whom = &waiting[i]}));
  CHECK_FALSE(book.add({.whom = &waiting[16]}));
  CHECK(waiting[16].wait().status().code() == code::kResourceExhausted);
  book.fail_all();
  for (std::size_t i = 0; i < 16; ++i) CHECK(waiting[i].wait().status().code() == code::kUnavailable);
}

TEST_CASE("change_book: a deadline, and an answer that comes after it") {
  change_book book;
  result early, late;
  const auto first = book.add({.deadline = start + 20ms, .whom = &late});
  const auto second = book.add({.deadline = start + 10ms, .whom = &early});
  REQUIRE(first);
  REQUIRE(second);
  CHECK(book.wake_at() == start + 10ms);
  book.on_time(start + 10ms);
  CHECK(early.wait().status().code() == code::kDeadlineExceeded);
  book.answered(*second, {.request = *second, .index = 7}, std::nullopt);
  CHECK(book.wake_at() == start + 20ms);
  book.answered(*first, {.request = *first, .index = 8}, std::nullopt);
  CHECK(*late.wait() == 8);
}

TEST_CASE("change_book: what a core refuses with, as a status") {
  const struct {
    raft::refusal why;
    code how;
    bool again;
  } rows[] = {{raft::refusal::not_leader, code::kFailedPrecondition, true},
              {raft::refusal::bad_change, code::kInvalidArgument, false},
              {raft::refusal::unknown, code::kUnknown, false},
              {raft::refusal::not_ready, code::kUnavailable, true},
              {raft::refusal::transferring, code::kUnavailable, true},
              {raft::refusal::halted, code::kUnavailable, true}};
  for (const auto& row : rows) {
    change_book book;
    result r;
    const auto number = book.add({.whom = &r});
    REQUIRE(number);
    book.answered(*number, {.request = *number, .refused = row.why}, "b");
    const absl::Status s = r.wait().status();
    CAPTURE(s.ToString());
    CHECK(s.code() == row.how);
    CHECK((seawall::classify(s).again == again::always) == row.again);
    if (row.why == raft::refusal::not_leader) CHECK(s.message().find("that is b") != std::string::npos);
  }
}
