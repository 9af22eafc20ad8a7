// SPDX-License-Identifier: Apache-2.0
// Messages that no correct replica sends: any fields, in any order. Nothing that a core asserts may depend on them.
#include <string>

#include "driven.hpp"
#include "seawall/random.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall::raft;
using namespace seawall::raft::test;

namespace {

message any_message(random_source& r) {
  message m{.kind = static_cast<message_kind>(r.up_to(8)), .from = r.up_to(4), .to = 1, .term = r.up_to(5)};
  m.index = r.up_to(6);
  m.log_term = m.index == 0 ? 0 : r.up_to(4);
  m.commit = r.up_to(8);
  m.granted = r.up_to(1) == 0;
  m.by_transfer = r.up_to(3) == 0;
  m.round = r.up_to(20);
  m.hint = r.up_to(6);
  m.hint_term = m.hint == 0 ? 0 : 1 + r.up_to(4);
  term_number term = m.log_term;
  for (std::uint64_t n = m.kind == message_kind::append ? r.up_to(3) : 0; n > 0; --n) {
    term = std::max<term_number>(1, term + r.up_to(1));
    m.entries.push_back(command(m.index + m.entries.size() + 1, term));
    if (r.up_to(9) == 0) {
      m.entries.back() = {.index = m.entries.back().index,
                          .term = term,
                          .kind = entry_kind::members,
                          .members = {{1, 2 + r.up_to(1)}, {}}};
    }
  }
  if (m.kind == message_kind::install) m.members = {{1, 2, 3}, {}};
  m.offset = r.up_to(3);
  m.last = r.up_to(2) == 0;
  m.bytes = std::string(r.up_to(3), 'x');
  return m;
}

}  // namespace

TEST_CASE("messages that no correct replica sends trip nothing up") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    random_source r(seed);
    driven d;
    d.holds.slow = seed % 2 == 0;
    std::uint64_t requests = 0;
    term_number term = 0;
    log_index committed = 0;
    for (int i = 0; i < 500; ++i) {
      switch (r.up_to(11)) {
        case 0: d.tick(ms(static_cast<std::int64_t>(r.up_to(1500)))); break;
        case 1: d.step(input::proposed{++requests, "p"}); break;
        case 2: d.step(input::read{++requests}); break;
        case 3: d.step(input::change{++requests, {{1, 2, 3 + r.up_to(1)}, {}}}); break;
        case 4: d.step(input::compacted{r.up_to(8), "s"}); break;
        case 5:
          d.step(input::persisted{r.up_to(30)});
          d.holds.writes.clear();
          break;
        case 6: r.up_to(1) == 0 ? d.step(input::transfer{r.up_to(3)}) : d.step(input::resign{}); break;
        default: d.step(input::received{any_message(r)}); break;
      }
      REQUIRE(d.core->term() >= term);
      REQUIRE(d.core->commit_index() >= committed);
      REQUIRE(d.core->commit_index() <= d.core->last_index());
      term = d.core->term();
      committed = d.core->commit_index();
    }
  }
}

TEST_CASE("each request is answered once, whatever happens") {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    random_source r(seed + 1000);
    driven d;
    std::uint64_t requests = 0;
    for (int i = 0; i < 300; ++i) {
      switch (r.up_to(7)) {
        case 0: d.tick(ms(static_cast<std::int64_t>(r.up_to(400)))); break;
        case 1: d.lead(); break;
        case 2: d.step(input::proposed{++requests, "p"}); break;
        case 3: d.step(input::read{++requests}); break;
        case 4: d.step(input::change{++requests, {{1, 2, 3}, {4 + r.up_to(3)}}}); break;
        default:
          if (d.core->current_role() == role::leader)
            d.acknowledge(2 + r.up_to(1), r.up_to(d.core->last_index()));
          break;
      }
    }
    d.step(input::persist_failed{});
    CHECK(d.answers.size() == requests);
  }
}
