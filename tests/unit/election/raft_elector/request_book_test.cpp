// SPDX-License-Identifier: Apache-2.0
#include "seawall/election/raft_elector/request_book.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "seawall/election/replicated_map.hpp"
#include "seawall/status.hpp"
#include <doctest/doctest.h>

namespace {

using namespace seawall;
using namespace std::chrono_literals;
using detail::request_book;
using detail::request_to_send;

/// A book, the time, a map with its log, and what users were told.
struct setting {
  request_book book{{.limits = {},
                     .repeat_after = 1s,
                     .backoff = {.shape = backoff_shape::constant, .initial = 100ms, .jitter = jitter::none}},
                    1};
  instant now = instant::from_ns(1'000'000'000);
  replicated_map map;
  std::vector<std::string> told;

  std::string text(const absl::StatusOr<map_answer>& a) const {
    if (!a.ok()) return std::string(absl::StatusCodeToString(a.status().code()));
    return std::string(to_string(a->how)) + " " + std::to_string(a->revision);
  }
  void put(const std::string& key, duration within = duration::infinite(), map_condition when = {}) {
    auto done = [this, key](absl::StatusOr<map_answer> a) {
      const bool harmless = !a.ok() && seawall::classify(a.status()).again == again::always;
      told.push_back(key + ": " + text(a) + (harmless ? ", not executed" : ""));
    };
    map_command c{.what = map_command::kind::put,
                  .when = std::move(when),
                  .key = key,
                  .value = "v",
                  .max_entries = 100,
                  .max_bytes = 1000};
    book.add(std::make_unique<detail::map_write_for<decltype(done)>>(std::move(c), now + within, done));
  }
  void get(const std::string& key, duration within = duration::infinite()) {
    auto look = [key](const replicated_map& m) { return m.get(key).has_value(); };
    auto done = [this, key](absl::StatusOr<bool> there) {
      told.push_back("get " + key + ": " +
                     (there.ok() ? (*there ? "there" : "not there")
                                 : std::string(absl::StatusCodeToString(there.status().code()))));
    };
    book.add(std::make_unique<detail::map_read_for<bool, decltype(look), decltype(done)>>(look, now + within,
                                                                                          done));
  }

  std::vector<request_to_send> take(bool own) { return book.take(now, own); }
  /// A command reaches the log, and everybody's map.
  map_applied commit(const std::string& command) {
    const map_applied a = map.apply(map.index() + 1, command);
    if (a.session != 0) book.applied(a);
    return a;
  }
  /// ... and the core answers.
  void commit(const request_to_send& r) {
    const map_applied a = commit(r.command);
    book.granted(r.ticket, map.index(), a.answer);
  }
  void tell() {
    for (const auto& r : book.take_settled()) r->tell();
  }
  /// The book has a session.
  void open() {
    put("first");
    for (int i = 0; i < 2; ++i) {
      const auto out = take(true);
      REQUIRE(out.size() == 1);
      commit(out[0]);
    }
    tell();
    told.clear();
  }
};
using words = std::vector<std::string>;

}  // namespace

TEST_CASE("request_book: opens a session first, and then sends what waits") {
  setting s;
  s.put("a");
  s.put("b");
  const auto open = s.take(true);
  REQUIRE(open.size() == 1);
  CHECK(parse_map_command(open[0].command)->what == map_command::kind::open_session);
  CHECK(s.take(true).empty());
  s.commit(open[0]);
  CHECK(s.book.session() == 1);
  const auto out = s.take(true);
  REQUIRE(out.size() == 2);
  CHECK(parse_map_command(out[0].command)->sequence == 1);
  CHECK(parse_map_command(out[1].command)->sequence == 2);
  CHECK(parse_map_command(out[1].command)->awaited == 1);
  s.commit(out[1]);
  s.commit(out[0]);
  s.tell();
  CHECK(s.told == words{"b: done 2", "a: done 3"});
  CHECK(s.book.size() == 0);
  CHECK(s.book.wake_at() == instant::never());
}

TEST_CASE("request_book: a refusal is a pause, and then the same command again") {
  setting s;
  s.open();
  s.put("a");
  const auto once = s.take(true);
  s.book.refused(once[0].ticket, raft::refusal::too_many, s.now);
  CHECK(s.take(true).empty());
  CHECK(s.book.wake_at() == s.now + 100ms);
  s.now = s.now + 100ms;
  s.book.on_time(s.now);
  const auto again = s.take(true);
  REQUIRE(again.size() == 1);
  CHECK(again[0].command == once[0].command);
  CHECK(again[0].ticket != once[0].ticket);
  s.book.refused(once[0].ticket, raft::refusal::unknown, s.now);  // of a sending that is over
  s.commit(again[0]);
  s.tell();
  CHECK(s.told == words{"a: done 3"});
  CHECK(s.book.repeats() == 1);
}

TEST_CASE("request_book: leadership was lost meanwhile: it is sent again, and was done once") {
  setting s;
  s.open();
  s.put("a", duration::infinite(), map_condition::absent());
  const auto once = s.take(true);
  s.book.refused(once[0].ticket, raft::refusal::unknown, s.now);
  s.book.leader_changed();  // nobody waits for the pause then
  const auto again = s.take(false);
  REQUIRE(again.size() == 1);
  s.map.apply(s.map.index() + 1, once[0].command);  // it had come through, and its answer had not
  s.commit(again[0]);
  s.tell();
  CHECK(s.told == words{"a: done 3"});
}

TEST_CASE(
    "request_book: an answer that is lost on its way is asked for again; what the own map shows will do") {
  setting s;
  s.open();
  s.put("a");
  s.put("b");
  const auto out = s.take(false);
  REQUIRE(out.size() == 2);
  CHECK(s.book.wake_at() == s.now + 1s);
  s.commit(out[0].command);
  s.tell();
  CHECK(s.told == words{"a: done 3"});
  s.now = s.now + 1s;
  s.book.on_time(s.now);
  const auto again = s.take(false);
  REQUIRE(again.size() == 1);
  CHECK(parse_map_command(again[0].command)->key == "b");
  CHECK(parse_map_command(again[0].command)->awaited == 3);  // the first one's is here
}

TEST_CASE("request_book: what the own core has is answered by it, and not sent again before") {
  setting s;
  s.open();
  s.put("a");
  CHECK(s.take(true).size() == 1);
  CHECK(s.book.wake_at() == instant::never());
  s.book.leader_changed();
  CHECK(s.take(false).empty());
}

TEST_CASE("request_book: a deadline ends a request, and tells whether it may have been done") {
  setting s;
  s.open();
  s.put("sent", 50ms);
  s.get("asked", 50ms);
  const auto out = s.take(true);
  CHECK(out.size() == 2);
  s.put("not sent", 50ms);
  s.get("not asked", 50ms);
  CHECK(s.book.wake_at() == s.now + 50ms);
  s.now = s.now + 50ms;
  s.book.on_time(s.now);
  s.tell();
  CHECK(s.told == words{"sent: DEADLINE_EXCEEDED", "get asked: DEADLINE_EXCEEDED",
                        "not sent: DEADLINE_EXCEEDED, not executed", "get not asked: DEADLINE_EXCEEDED"});
  CHECK(s.book.size() == 0);
  CHECK(s.take(true).empty());
  // What comes after that is for nobody.
  for (const request_to_send& r : out) s.book.granted(r.ticket, 99, std::nullopt);
  s.book.serve(s.map);
  s.tell();
  CHECK(s.told.size() == 4);
}

TEST_CASE("request_book: one that was given up is not done by a delayed copy of it") {
  setting s;
  s.open();
  s.put("late", 50ms);
  const auto late = s.take(true);
  s.now = s.now + 50ms;
  s.book.on_time(s.now);
  s.put("next");
  s.commit(s.take(true)[0]);
  CHECK(s.commit(late[0].command).answer.how == map_outcome::forgotten);
  CHECK_FALSE(s.map.get("late"));
}

TEST_CASE("request_book: an answer to an earlier life is not taken for one to this one") {
  request_book earlier({}, 1), later({}, 2);
  for (request_book* b : {&earlier, &later}) {
    auto look = [](const replicated_map&) { return true; };
    auto done = [](absl::StatusOr<bool>) { FAIL("answered"); };
    b->add(std::make_unique<detail::map_read_for<bool, decltype(look), decltype(done)>>(
        look, instant::never(), done));
  }
  const auto old = earlier.take({}, false);
  REQUIRE(later.take({}, false).size() == 1);
  replicated_map map;
  for (const request_to_send& r : old) later.granted(r.ticket, 0, std::nullopt);
  later.serve(map);
  CHECK(later.take_settled().empty());
}

TEST_CASE("request_book: reads that wait share one question; one that comes later asks anew") {
  setting s;
  s.get("a");
  s.get("b");
  const auto first = s.take(true);
  REQUIRE(first.size() == 1);
  CHECK(first[0].command.empty());
  s.get("c");
  const auto second = s.take(true);
  REQUIRE(second.size() == 1);
  CHECK(second[0].ticket != first[0].ticket);
  s.book.granted(second[0].ticket, 2, std::nullopt);
  s.book.granted(first[0].ticket, 1, std::nullopt);
  s.book.serve(s.map);
  s.tell();
  CHECK(s.told.empty());  // the map is not there yet
  s.map.pass(1);
  s.book.serve(s.map);
  s.tell();
  CHECK(s.told == words{"get a: not there", "get b: not there"});
  s.map.pass(2);
  s.book.serve(s.map);
  s.tell();
  CHECK(s.told.size() == 3);
}

TEST_CASE("request_book: a session that has expired is opened anew; what was repeated in it is unknown") {
  setting s;
  s.open();
  s.put("once");
  const auto once = s.take(true);
  s.put("twice");
  const auto first = s.take(false);
  s.book.leader_changed();
  const auto second = s.take(false);
  REQUIRE(second.size() == 1);
  s.commit(encode(map_command{.what = map_command::kind::open_session, .max_sessions = 1}));  // pushes it out
  s.commit(once[0]);
  s.commit(second[0]);
  s.tell();
  CHECK(s.told == words{"twice: UNKNOWN"});
  CHECK(s.book.session() == 0);
  const auto open = s.take(true);
  REQUIRE(open.size() == 1);
  s.commit(open[0]);
  const auto again = s.take(true);
  REQUIRE(again.size() == 1);
  CHECK(parse_map_command(again[0].command)->session == s.book.session());
  s.commit(again[0]);
  s.tell();
  CHECK(s.told.back() == "once: done " + std::to_string(s.map.index()));
}

TEST_CASE("request_book: opening a session is repeated as well") {
  setting s;
  s.put("a");
  auto out = s.take(false);
  s.now = s.now + 1s;
  s.book.on_time(s.now);
  auto again = s.take(false);
  REQUIRE(again.size() == 1);
  s.commit(out[0].command);  // one too many: nobody uses it
  s.book.refused(again[0].ticket, raft::refusal::not_leader, s.now);
  s.now = s.now + 100ms;
  s.book.on_time(s.now);
  again = s.take(false);
  REQUIRE(again.size() == 1);
  s.commit(again[0]);
  CHECK(s.book.session() == 2);
}

TEST_CASE("request_book: more commands under way than a session can have wait for their turn") {
  setting s;
  s.open();
  for (std::uint64_t i = 0; i < map_session_window + 10; ++i) s.put("k");
  const auto first = s.take(true);
  CHECK(first.size() == map_session_window);
  for (const request_to_send& r : first) CHECK(parse_map_command(r.command));
  s.commit(first[5]);
  CHECK(s.take(true).empty());  // the oldest one is still under way
  for (int i = 0; i < 3; ++i) s.commit(first[static_cast<std::size_t>(i)]);
  const auto more = s.take(true);
  CHECK(more.size() == 3);
  for (const request_to_send& r : more) CHECK(parse_map_command(r.command));
}

TEST_CASE("request_book: answers of the map as statuses") {
  setting s;
  s.open();
  s.put("conflict", duration::infinite(), map_condition::at(77));
  s.put("too large");
  s.put("full");
  auto out = s.take(true);
  s.commit(out[0]);
  s.book.refused(out[1].ticket, raft::refusal::too_large, s.now);
  s.book.granted(out[2].ticket, 9, map_answer{.how = map_outcome::no_room});
  s.tell();
  CHECK(s.told == words{"conflict: conflict 0", "too large: INVALID_ARGUMENT", "full: RESOURCE_EXHAUSTED"});
}

TEST_CASE("request_book: all fail for one reason, and nothing is left") {
  setting s;
  s.open();
  s.put("a");
  s.get("b");
  s.take(true);
  s.put("c");
  s.get("d");
  s.book.fail_all(absl::UnavailableError("over"));
  s.tell();
  CHECK(s.told.size() == 4);
  for (const std::string& t : s.told) CHECK(t.find(": UNAVAILABLE") != std::string::npos);
  CHECK(s.book.size() == 0);
  CHECK(s.take(true).empty());
  CHECK(s.book.wake_at() == instant::never());
}

TEST_CASE("request_book: what is sent again does not wait for those that wait for it") {
  setting s;
  s.open();
  for (std::uint64_t i = 0; i < map_session_window + 10; ++i) s.put("k");
  const auto first = s.take(false);
  CHECK(first.size() == map_session_window);
  s.book.leader_changed();
  const auto again = s.take(false);
  REQUIRE(again.size() == map_session_window);
  for (std::size_t i = 0; i < again.size(); ++i) CHECK(again[i].command == first[i].command);
  CHECK(s.book.repeats() == map_session_window);
}

TEST_CASE(
    "request_book: what may have been done in a session that has expired is not done again in the next one") {
  setting s;
  s.open();
  s.put("other");
  const auto other = s.take(false);
  s.put("done");
  const auto done = s.take(false);
  const auto late = s.map.apply(s.map.index() + 1, done[0].command);  // the book's map does not know yet
  REQUIRE(late.answer.how == map_outcome::done);
  s.commit(encode(map_command{.what = map_command::kind::open_session, .max_sessions = 1}));  // pushes it out
  s.book.leader_changed();
  s.commit(other[0].command);
  CHECK(s.book.session() == 0);
  const auto again = s.take(false);
  REQUIRE(again.size() == 2);
  CHECK(parse_map_command(again[0].command)->key == "done");
  CHECK(parse_map_command(again[0].command)->session == 1);
  CHECK(parse_map_command(again[1].command)->what == map_command::kind::open_session);
  s.commit(again[1]);
  CHECK(s.book.session() > 1);
  s.commit(again[0]);
  s.tell();
  CHECK(s.told == words{"done: UNKNOWN"});
  CHECK(s.map.get("done")->revision == late.answer.revision);
}

TEST_CASE("request_book: a write whose session has expired while it waits to be sent again is sent once") {
  setting s;
  s.open();
  s.put("a");
  const auto out = s.take(false);
  s.book.leader_changed();
  s.commit(encode(map_command{.what = map_command::kind::open_session, .max_sessions = 1}));
  s.commit(out[0].command);
  s.commit(s.take(true)[0]);
  const auto again = s.take(true);
  REQUIRE(again.size() == 1);
  s.commit(again[0]);
  CHECK(s.take(true).empty());
  s.tell();
  CHECK(s.told == words{"a: done " + std::to_string(s.map.index())});
}

TEST_CASE("request_book: an old session's command stays one that leaders take") {
  setting s;
  s.open();
  for (std::uint64_t i = 0; i < map_session_window - 1; ++i) s.put("k");
  for (const request_to_send& r : s.take(true)) s.commit(r);
  s.put("a");
  s.put("b");
  const auto out = s.take(false);
  s.book.leader_changed();
  s.commit(encode(map_command{.what = map_command::kind::open_session, .max_sessions = 1}));
  s.commit(out[0].command);
  const auto again = s.take(false);
  REQUIRE(again.size() == 2);
  s.commit(again[1]);
  s.book.leader_changed();
  for (const request_to_send& r : s.take(false)) CHECK(parse_map_command(r.command));
}
