// SPDX-License-Identifier: Apache-2.0
#include "seawall/election/replicated_map.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

namespace {

using namespace seawall;

/// A map, and the log that it is told.
struct replica {
  replicated_map map;
  std::uint64_t index = 0;

  explicit replica(const map_history_limits& history = {}) : map(history) {}

  map_applied apply(const map_command& c) { return map.apply(++index, encode(c)); }
  map_answer answer(const map_command& c) { return apply(c).answer; }
  std::uint64_t open(std::uint32_t most = 100) {
    return answer({.what = map_command::kind::open_session, .max_sessions = most}).revision;
  }
};

map_command put(std::string key, std::string value, map_condition when = {}) {
  return {.what = map_command::kind::put,
          .when = std::move(when),
          .key = std::move(key),
          .value = std::move(value),
          .max_entries = 100,
          .max_bytes = 1000};
}
map_command erase(std::string key, map_condition when = {}) {
  return {.what = map_command::kind::erase, .when = std::move(when), .key = std::move(key)};
}
map_command of(map_command c, std::uint64_t session, std::uint64_t sequence, std::uint64_t awaited = 1) {
  c.session = session;
  c.sequence = sequence;
  c.awaited = awaited;
  return c;
}

map_answer done(std::uint64_t revision) { return {.how = map_outcome::done, .revision = revision}; }
map_answer conflict(std::uint64_t revision) { return {.how = map_outcome::conflict, .revision = revision}; }

std::vector<std::string> keys_of(const map_page& page) {
  std::vector<std::string> keys;
  for (const auto& [key, e] : page.entries) keys.push_back(key);
  return keys;
}
using keys = std::vector<std::string>;

}  // namespace

TEST_CASE("replicated_map: an entry has the revision that brought it and that of its latest change") {
  replica r;
  CHECK(r.answer(put("leader", "a")) == done(1));
  CHECK(r.answer(put("other", "x")) == done(2));
  CHECK(r.answer(put("leader", "b")) == done(3));
  CHECK(r.map.get("leader") == map_entry{.value = "b", .created = 1, .revision = 3});
  CHECK(r.map.get("lead") == std::nullopt);
  CHECK(r.map.size() == 2);
  CHECK(r.map.bytes() == 6 + 1 + 5 + 1);
}

TEST_CASE("replicated_map: a key that comes back is a new one") {
  replica r;
  r.answer(put("k", "a"));
  CHECK(r.answer(erase("k")) == done(2));
  CHECK(r.answer(erase("k")) == done(0));
  CHECK(r.map.get("k") == std::nullopt);
  CHECK(r.map.bytes() == 0);
  CHECK(r.answer(put("k", "a")) == done(4));
  CHECK(r.map.get("k")->created == 4);
}

TEST_CASE("replicated_map: conditions, on what is there and on what is not") {
  struct row {
    const char* about;
    map_condition when;
    bool absent, present;  // holds of no entry; of "v" at revision 1
  };
  const row rows[] = {
      {"none", {}, true, true},
      {"absent", map_condition::absent(), true, false},
      {"present", map_condition::present(), false, true},
      {"revision 0 is absence", map_condition::at(0), true, false},
      {"the revision", map_condition::at(1), false, true},
      {"an older revision", map_condition::at(7), false, false},
      {"the value", map_condition::equals("v"), false, true},
      {"another value", map_condition::equals("w"), false, false},
      {"an empty value is not absence", map_condition::equals(""), false, false},
  };
  for (const row& x : rows) {
    CAPTURE(x.about);
    for (const bool erases : {false, true}) {
      CAPTURE(erases);
      const map_command c = erases ? erase("k", x.when) : put("k", "new", x.when);
      replica without;
      CHECK(without.answer(c) == (x.absent ? done(erases ? 0 : 1) : conflict(0)));
      CHECK(without.map.get("k").has_value() == (x.absent && !erases));
      replica with;
      with.answer(put("k", "v"));
      CHECK(with.answer(c) == (x.present ? done(2) : conflict(1)));
      CHECK(with.map.get("k").has_value() == !(x.present && erases));
      if (!x.present) CHECK(with.map.get("k")->value == "v");
    }
  }
}

TEST_CASE("replicated_map: a bound is met by equality, and what makes it smaller is always taken") {
  replica r;
  auto bounded = [](map_command c, std::uint32_t entries, std::uint32_t bytes) {
    c.max_entries = entries;
    c.max_bytes = bytes;
    return c;
  };
  const map_answer full{.how = map_outcome::no_room};
  CHECK(r.answer(bounded(put("a", "123"), 2, 8)) == done(1));
  CHECK(r.answer(bounded(put("b", "1234"), 2, 8)) == full);
  CHECK(r.answer(bounded(put("b", "123"), 2, 8)) == done(3));
  CHECK(r.answer(bounded(put("c", ""), 2, 100)) == full);
  CHECK(r.answer(bounded(put("a", "1234"), 2, 8)) == full);
  CHECK(r.answer(bounded(put("a", "12"), 1, 1)) == done(6));  // bounds that were wider once
  CHECK(r.answer(bounded(put("a", "34"), 1, 1)) == done(7));
  CHECK(r.answer(bounded(put("a", "345"), 1, 1)) == full);
  CHECK(r.map.bytes() == 3 + 4);
}

TEST_CASE("replicated_map: a list is ascending, of one prefix, and goes on where it was cut") {
  replica r;
  for (const char* key : {"b/2", "b", "b/1", "a", "b/", "c", "b0"}) r.answer(put(key, "12345678"));
  CHECK(keys_of(r.map.list("b/", "", 10, 1000)) == keys{"b/", "b/1", "b/2"});
  CHECK(keys_of(r.map.list("", "", 10, 1000)) == keys{"a", "b", "b/", "b/1", "b/2", "b0", "c"});
  CHECK(keys_of(r.map.list("x", "", 10, 1000)).empty());

  const map_page first = r.map.list("b/", "", 2, 1000);
  CHECK(keys_of(first) == keys{"b/", "b/1"});
  CHECK(first.more);
  CHECK(first.revision == 7);
  const map_page second = r.map.list("b/", "b/1", 2, 1000);
  CHECK(keys_of(second) == keys{"b/2"});
  CHECK_FALSE(second.more);
  CHECK(keys_of(r.map.list("b/", "b", 10, 1000)) == keys{"b/", "b/1", "b/2"});  // as far as it goes

  CHECK(keys_of(r.map.list("b/", "", 10, 1)) == keys{"b/"});  // at least one, or it would never end
  CHECK(r.map.list("b/", "", 10, 1).more);
}

TEST_CASE("replicated_map: a command that comes twice is done once, and has one answer") {
  replica r;
  const std::uint64_t s = r.open();
  const map_command c = of(put("epoch", "1", map_condition::absent()), s, 1);
  CHECK(r.answer(c) == done(2));
  const map_applied again = r.apply(c);
  CHECK(again.answer == done(2));
  CHECK(again.repeated);
  CHECK(again.session == s);
  CHECK(again.sequence == 1);
  CHECK(r.map.get("epoch")->revision == 2);
  // Also where it was refused, though it would be done now.
  const map_command refused = of(put("epoch", "2", map_condition::at(9)), s, 2);
  CHECK(r.answer(refused) == conflict(2));
  r.index = 8;
  CHECK(r.answer(put("epoch", "x")) == done(9));
  CHECK(r.answer(refused) == conflict(2));
}

TEST_CASE("replicated_map: commands of a session in any order, each once") {
  replica r;
  const std::uint64_t s = r.open();
  CHECK(r.answer(of(put("k", "3"), s, 3)) == done(2));
  CHECK(r.answer(of(put("k", "1"), s, 1)) == done(3));
  CHECK(r.answer(of(put("k", "2"), s, 2)) == done(4));
  for (const std::uint64_t n : {1, 2, 3}) CHECK(r.apply(of(put("k", "x"), s, n)).repeated);
  CHECK(r.map.get("k")->value == "2");
}

TEST_CASE("replicated_map: an answer that was received is forgotten, and its command is not done again") {
  replica r;
  const std::uint64_t s = r.open();
  r.answer(of(put("k", "1"), s, 1));
  CHECK(r.answer(of(put("k", "3"), s, 3, 3)) == done(3));
  CHECK(r.answer(of(put("k", "1"), s, 1)).how == map_outcome::forgotten);
  // One that was never seen, and that nobody waits for any more.
  CHECK(r.answer(of(put("k", "2"), s, 2)).how == map_outcome::forgotten);
  CHECK(r.answer(of(put("k", "3"), s, 3, 2)) == done(3));  // an older word does not undo a newer one
  CHECK(r.answer(of(put("k", "2"), s, 2)).how == map_outcome::forgotten);
  CHECK(r.map.get("k")->value == "3");
}

TEST_CASE("replicated_map: a session ends by being closed, and does nothing after") {
  replica r;
  const std::uint64_t s = r.open();
  const map_command close{.what = map_command::kind::close_session, .session = s};
  CHECK(r.answer(close).how == map_outcome::done);
  CHECK(r.answer(close).how == map_outcome::session_expired);
  CHECK(r.answer(of(put("k", "1"), s, 1)).how == map_outcome::session_expired);
  CHECK(r.map.size() == 0);
}

TEST_CASE("replicated_map: the session that was used least recently makes room, not the oldest one") {
  replica r;
  const std::uint64_t first = r.open(2), second = r.open(2);
  r.answer(of(put("k", "1"), first, 1));
  r.open(2);
  CHECK(r.map.sessions() == 2);
  CHECK(r.answer(of(put("k", "2"), second, 1)).how == map_outcome::session_expired);
  CHECK(r.answer(of(put("k", "2"), first, 2)).how == map_outcome::done);
  r.open(1);
  CHECK(r.map.sessions() == 1);
}

TEST_CASE("replicated_map: a repeat counts as use") {
  replica r;
  const std::uint64_t first = r.open(2);
  r.answer(of(put("k", "1"), first, 1));
  const std::uint64_t second = r.open(2);
  r.answer(of(put("k", "1"), first, 1));
  r.open(2);
  CHECK(r.answer(of(put("k", "2"), second, 1)).how == map_outcome::session_expired);
}

TEST_CASE("replicated_map: without a session a command is done as often as it is there") {
  replica r;
  CHECK(r.answer(put("k", "1")) == done(1));
  CHECK(r.answer(put("k", "1")) == done(2));
}

TEST_CASE("replicated_map: whoever watches sees each change of his keys once, and goes on where he was") {
  replica r;
  r.answer(put("a/1", "x"));
  r.answer(put("b/1", "y"));
  r.answer(put("a/1", "x", map_condition::absent()));  // changes nothing
  r.answer(erase("a/1"));
  r.answer(erase("a/1"));
  const map_changes all = r.map.changes(1, "a/", 100);
  CHECK(all.changes == std::vector<map_change>{{1, "a/1", "x"}, {4, "a/1", std::nullopt}});
  CHECK(all.next == 6);
  CHECK_FALSE(all.too_far_behind);
  CHECK(r.map.changes(all.next, "a/", 100).changes.empty());
  CHECK(r.map.changes(2, "a/", 100).changes.size() == 1);

  const map_changes part = r.map.changes(1, "a/", 2);
  CHECK(part.changes.size() == 1);
  CHECK(part.next == 4);
  CHECK(r.map.changes(part.next, "a/", 2).changes.size() == 1);
  // From a revision that is still to come.
  CHECK(r.map.changes(50, "", 2).next == 50);
}

TEST_CASE("replicated_map: whoever is too far behind is told so, and not shown a part") {
  struct row {
    const char* about;
    map_history_limits limits;
    std::uint64_t known_from;
  };
  for (const row& x : {row{"changes", {.max_changes = 2}, 3}, row{"bytes", {.max_bytes = 4}, 3},
                       row{"one that is too large", {.max_bytes = 1}, 5}}) {
    CAPTURE(x.about);
    replica r(x.limits);
    for (const char* key : {"a", "b", "c", "d"}) r.answer(put(key, "1"));
    for (std::uint64_t from = 1; from <= 6; ++from) {
      CAPTURE(from);
      const map_changes seen = r.map.changes(from, "", 100);
      CHECK(seen.too_far_behind == (from < x.known_from));
      if (seen.too_far_behind) CHECK(seen.changes.empty());
      if (!seen.too_far_behind) CHECK(seen.changes.size() == (from <= 4 ? 5 - from : 0));
    }
  }
}

TEST_CASE("replicated_map: one who was restored goes on as the other, sessions and all") {
  replica one;
  const std::uint64_t s = one.open(), t = one.open();
  one.answer(of(put("k", "1"), s, 1));
  one.answer(of(put("k", "x", map_condition::absent()), s, 2));
  one.answer(of(put("l", "2"), t, 5, 4));
  replica two;
  two.answer(put("gone", "x"));
  REQUIRE(two.map.restore(one.index, one.map.state()));
  two.index = one.index;
  CHECK(two.map.state() == one.map.state());
  CHECK(two.map.bytes() == one.map.bytes());
  CHECK(two.map.index() == one.index);
  const map_command commands[] = {
      of(put("k", "9"), s, 1),  of(put("k", "9"), s, 2),
      of(put("k", "9"), t, 3),  of(put("k", "9"), t, 5),
      of(put("m", "3"), s, 3),  put("n", "", map_condition::at(3)),
      of(put("k", "9"), 99, 1), {.what = map_command::kind::open_session, .max_sessions = 2},
      of(put("k", "9"), s, 4),  of(put("k", "9"), t, 6)};
  for (const map_command& c : commands) {
    const map_answer a = one.answer(c);
    CHECK(two.answer(c) == a);
    CHECK(two.map.state() == one.map.state());
  }
}

TEST_CASE("replicated_map: who watched across a restore is too far behind, unless he had seen all of it") {
  replica one, two;
  for (const char* key : {"a", "b"}) {
    one.answer(put(key, "1"));
    two.answer(put(key, "1"));
  }
  one.answer(put("c", "1"));
  REQUIRE(two.map.restore(3, one.map.state()));
  CHECK(two.map.changes(3, "", 10).too_far_behind);
  CHECK_FALSE(two.map.changes(4, "", 10).too_far_behind);
}

TEST_CASE("replicated_map: bytes that are no command change nothing but the index") {
  replica r;
  const std::string good = encode(of(put("k", "v", map_condition::equals("w")), 7, 3, 2));
  REQUIRE(parse_map_command(good));
  for (std::size_t n = 0; n < good.size(); ++n) CHECK_FALSE(parse_map_command(good.substr(0, n)));
  CHECK_FALSE(parse_map_command(good + '\0'));
  CHECK(r.map.apply(1, good.substr(1)).answer.how == map_outcome::malformed);
  CHECK(r.map.index() == 1);
  CHECK(r.map.size() == 0);
}

TEST_CASE("replicated_map: what is written is read back the same, and only what is in bounds") {
  map_command longest = put(std::string(4096, 'k'), std::string(1U << 20U, 'v'),
                            map_condition::equals(std::string(1U << 20U, 'w')));
  const map_command good[] = {
      put("k", ""),
      longest,
      erase("k"),
      erase("k", map_condition::at(5)),
      of(put("k", "v", map_condition::present()), 1, map_session_window, 1),
      {.what = map_command::kind::open_session, .max_sessions = 10'000},
      {.what = map_command::kind::close_session, .session = 1},
  };
  for (const map_command& c : good) CHECK(parse_map_command(encode(c)) == c);
  CHECK(encode(longest).size() <= max_command_bytes(detail::map_most));

  std::vector<map_command> bad = {
      put("", "v"),
      put(std::string(4097, 'k'), ""),
      put("k", std::string((1U << 20U) + 1, 'v')),
      of(put("k", "v"), 0, 1),                       // a number of no session
      of(put("k", "v"), 1, 0),                       // a session without one
      of(put("k", "v"), 1, 5, 6),                    // waits for nothing that was sent
      of(put("k", "v"), 1, map_session_window + 1),  // too many under way
      erase("k", {.what = map_condition::kind::revision, .revision = 0}),
      erase("k", {.what = static_cast<map_condition::kind>(5)}),
      {.what = map_command::kind::open_session},
      {.what = map_command::kind::open_session, .max_sessions = 10'001},
      {.what = map_command::kind::close_session},
      {.what = static_cast<map_command::kind>(0)},
      {.what = static_cast<map_command::kind>(5)},
  };
  for (const auto field : {&map_command::max_entries, &map_command::max_bytes}) {
    bad.push_back(put("k", "v"));
    bad.back().*field = 0;
    bad.push_back(put("k", "v"));
    bad.back().*field = UINT32_MAX;
  }
  for (std::size_t i = 0; i < bad.size(); ++i) {
    CAPTURE(i);
    CHECK_FALSE(parse_map_command(encode(bad[i])));
  }
}

TEST_CASE("replicated_map: a length that lies allocates nothing and is refused") {
  std::string bytes = encode(put("key", "value"));
  const auto at = bytes.find("key");
  for (const char lie : {'\xff', '\x7f'}) {
    std::string lying = bytes;
    lying[at - 1] = lie;
    CHECK_FALSE(parse_map_command(lying));
  }
}

TEST_CASE("replicated_map: a state that is none is refused, and nothing has changed") {
  replica one;
  const std::uint64_t s = one.open();
  one.answer(of(put("a", "1"), s, 1));
  one.answer(of(put("b", "2"), s, 2, 2));
  const std::string good = one.map.state();
  replica two;
  two.answer(put("kept", "x"));
  const std::string before = two.map.state();
  for (std::size_t n = 0; n < good.size(); ++n) CHECK_FALSE(two.map.restore(one.index, good.substr(0, n)));
  CHECK_FALSE(two.map.restore(one.index, good + '\0'));
  CHECK_FALSE(two.map.restore(one.index - 1, good));  // knows what was not yet
  std::string swapped = good;
  std::swap(swapped[good.find('a')], swapped[good.find('b')]);
  CHECK_FALSE(two.map.restore(one.index, swapped));
  CHECK(two.map.state() == before);
  CHECK(two.map.index() == 1);
  CHECK(two.map.changes(1, "", 10).changes.size() == 1);
  CHECK(two.map.restore(one.index, good));
}

TEST_CASE("replicated_map: an answer as bytes") {
  for (std::size_t how = 0; how < map_outcome_count; ++how) {
    const map_answer a{.how = static_cast<map_outcome>(how), .revision = 77 + how};
    CHECK(parse_map_answer(encode(a)) == a);
  }
  CHECK_FALSE(parse_map_answer(encode(map_answer{.how = static_cast<map_outcome>(map_outcome_count)})));
  CHECK_FALSE(parse_map_answer(encode(map_answer{}) + "x"));
  CHECK_FALSE(parse_map_answer(""));
  CHECK(to_string(map_outcome::malformed) == "malformed");
}

TEST_CASE("replicated_map: limits out of range are refused by name") {
  CHECK_FALSE(validate(map_limits{}));
  CHECK_FALSE(validate(detail::map_most));
  CHECK(validate(map_limits{.max_key_bytes = 0})->field == "max_key_bytes");
  CHECK(validate(map_limits{.max_value_bytes = (1U << 20U) + 1})->field == "max_value_bytes");
  CHECK(validate(map_limits{.max_entries = 0})->field == "max_entries");
  CHECK(validate(map_limits{.max_bytes = 0})->field == "max_bytes");
  CHECK(validate(map_limits{.max_sessions = 10'001})->range == "must be at least 1 and at most 10000");
  CHECK_FALSE(validate(map_history_limits{}));
  CHECK(validate(map_history_limits{.max_changes = 0})->field == "max_changes");
  CHECK(validate(map_history_limits{.max_bytes = 0})->field == "max_bytes");
}
