// SPDX-License-Identifier: Apache-2.0
// Every role x every event: where it leads, and whether the term moves. The replica is 1 of three, in term 3.
#include <string>

#include "driven.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall::raft;
using namespace seawall::raft::test;
using k = message_kind;

namespace {

driven in_role(role r) {
  stored_state s{{r == role::candidate || r == role::leader ? term_number{2} : term_number{3}, 0},
                 {.members = r == role::learner ? membership{{2, 3}, {1}} : membership{{1, 2, 3}, {}}},
                 {command(1, 1)}};
  driven d(s);
  d.now = at_ms(1000);
  d.step(input::tick{});
  if (r == role::leader) d.lead();
  if (r == role::candidate || r == role::pre_candidate) {
    d.now = d.wake_at;
    d.tick();
  }
  if (r == role::candidate) d.receive(2, 3, {.kind = k::pre_vote_reply, .granted = true});
  REQUIRE(d.core->current_role() == r);
  REQUIRE(d.core->term() == 3);
  return d;
}

struct stimulus {
  const char* name;
  void (*happens)(driven&);
};
const stimulus events[] = {
    {"tick too early", [](driven& d) { d.tick(ms(1)); }},
    {"time-out", [](driven& d) { d.now = d.now + ms(1500), d.tick(); }},
    {"append, earlier term", [](driven& d) { d.receive(2, 2, append(0, 0)); }},
    {"append, same term", [](driven& d) { d.receive(2, 3, append(1, 1)); }},
    {"append, later term", [](driven& d) { d.receive(2, 4, append(1, 1)); }},
    {"vote, same term", [](driven& d) { d.receive(2, 3, vote(1, 1)); }},
    {"vote, later term", [](driven& d) { d.receive(2, 4, vote(1, 1)); }},
    {"vote, later term, shorter log", [](driven& d) { d.receive(2, 4, vote()); }},
    {"pre-vote, later term", [](driven& d) { d.receive(2, 4, pre_vote(1, 1)); }},
    {"vote granted, same term", [](driven& d) { d.receive(2, 3, {.kind = k::vote_reply, .granted = true}); }},
    {"vote refused, later term", [](driven& d) { d.receive(2, 4, {.kind = k::vote_reply}); }},
    {"pre-vote granted", [](driven& d) { d.receive(2, 4, {.kind = k::pre_vote_reply, .granted = true}); }},
    {"pre-vote refused, later term", [](driven& d) { d.receive(2, 4, {.kind = k::pre_vote_reply}); }},
    {"append refused, later term", [](driven& d) { d.receive(2, 4, {.kind = k::append_reply}); }},
    {"time-out now, unknown leader", [](driven& d) { d.receive(2, 3, {.kind = k::time_out_now}); }},
    {"resign", [](driven& d) { d.step(input::resign{}); }},
    {"disk fails", [](driven& d) { d.step(input::persist_failed{}); }},
};

/// The first four letters of the role, the term, and + where a vote or pre-vote was granted.
std::string after(driven& d) {
  std::string out = std::string(name_of(d.core->current_role())).substr(0, 4) + number(d.core->term());
  for (const message& m : d.sent) {
    if ((m.kind == k::vote_reply || m.kind == k::pre_vote_reply) && m.granted) return out + "+";
  }
  return out;
}

}  // namespace

TEST_CASE("every role x every event") {
  const role roles[] = {role::follower, role::pre_candidate, role::candidate, role::leader, role::learner};
  std::string table;
  for (const stimulus& e : events) {
    std::string row = e.name;
    row.resize(32, ' ');
    for (const role r : roles) {
      driven d = in_role(r);
      d.sent.clear();
      e.happens(d);
      std::string cell = after(d);
      cell.resize(7, ' ');
      row += cell;
    }
    while (row.back() == ' ') row.pop_back();
    table += "\n" + row;
  }
  // From a                       follower, pre-candidate, candidate, leader, learner.
  const std::string expected = R"(
tick too early                  foll3  pre-3  cand3  lead3  lear3
time-out                        pre-3  pre-3  pre-3  foll3  lear3
append, earlier term            foll3  pre-3  cand3  lead3  lear3
append, same term               foll3  foll3  foll3  lead3  lear3
append, later term              foll4  foll4  foll4  foll4  lear4
vote, same term                 foll3+ foll3+ cand3  lead3  lear3+
vote, later term                foll4+ foll4+ foll4+ lead3  lear4+
vote, later term, shorter log   foll4  foll4  foll4  lead3  lear4
pre-vote, later term            foll3+ pre-3+ cand3+ lead3  lear3+
vote granted, same term         foll3  pre-3  lead3  lead3  lear3
vote refused, later term        foll4  foll4  foll4  foll4  lear4
pre-vote granted                foll3  cand4  cand3  lead3  lear3
pre-vote refused, later term    foll3  foll4  cand3  lead3  lear3
append refused, later term      foll4  foll4  foll4  foll4  lear4
time-out now, unknown leader    foll3  pre-3  cand3  lead3  lear3
resign                          foll3  foll3  foll3  lead3  lear3
disk fails                      foll3  foll3  foll3  foll3  lear3)";
  CHECK(table == expected);
}
