// SPDX-License-Identifier: Apache-2.0
// The transcripts beside this folder: commands at the margin, what comes of them indented. They are compared to the letter;
// SEAWALL_WRITE_TRANSCRIPTS=1 writes them anew, to be read before they are committed.
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "cluster.hpp"
#include <doctest/doctest.h>

namespace {

using namespace seawall::raft;
using namespace seawall::raft::test;
namespace input = seawall::raft::input;

class player {
 public:
  std::string play(const std::string& script) {
    std::istringstream lines(script);
    std::string out;
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("  ")) continue;
      out += line + "\n";
      if (!line.empty() && line.front() != '#') out += run(line);
    }
    return out;
  }

 private:
  std::string run(const std::string& line) {
    std::istringstream in(line);
    std::string verb;
    in >> verb;
    const bool quiet = verb == "quietly";
    if (quiet) in >> verb;
    if (verb == "cluster") {
      core_options like = options_of(nobody);
      like.max_chunk_bytes = 8;
      c_.emplace(members_of(in), like);
    } else if (!act(verb, in)) {
      return "  ?\n";
    }
    std::string out;
    if (verb == "pass") c_->record().push_back("now " + milliseconds(c_->now()));
    if (quiet) c_->record().clear();
    for (const std::string& l : c_->record()) out += "  " + l + "\n";
    c_->record().clear();
    return out;
  }

  bool act(const std::string& verb, std::istringstream& in) {
    cluster& c = *c_;
    if (verb == "pass") return c.pass(ms(number_of(in))), true;
    if (verb == "deliver") return c.deliver(), true;
    if (verb == "live") return c.live(ms(number_of(in))), c.record().clear(), true;
    if (verb == "settle") return c.settle(), true;
    if (verb == "lose") return c.drop(), true;
    if (verb == "heal") return c.heal(), true;
    const node_id n = number_of(in);
    if (verb == "vote") {  // somebody campaigns in that term, and asks n; its own log is empty
      return c.receive({.kind = message_kind::vote, .from = 9, .to = n, .term = number_of(in)}), true;
    }
    if (verb == "elect") return c.elect(n), true;
    if (verb == "cut") return c.cut(n), true;
    if (verb == "crash") return c.crash(n), true;
    if (verb == "start") return c.start(n), true;
    if (verb == "join") return c.add(n), true;
    if (verb == "slow") return c[n].d.slow = true;
    if (verb == "durable") return c.durable(n), true;
    if (verb == "fail") return c.step(n, input::persist_failed{}), true;
    if (verb == "wake") return c.step(n, input::tick{}), true;
    if (verb == "resign") return c.step(n, input::resign{}), true;
    if (verb == "read") return c.step(n, input::read{++requests_}), true;
    if (verb == "transfer") return c.step(n, input::transfer{number_of(in)}), true;
    if (verb == "change") return c.step(n, input::change{++requests_, members_of(in)}), true;
    if (verb == "compact") return c.step(n, input::compacted{c[n]->applied_index(), c[n].state}), true;
    if (verb == "state") return c.record().push_back(test::number(n) + " " + text(*c[n].core)), true;
    if (verb == "propose") {
      std::string command;
      in >> command;
      return c.step(n, input::proposed{++requests_, command}), true;
    }
    return false;
  }

  static std::uint64_t number_of(std::istringstream& in) {
    std::uint64_t n = 0;
    in >> n;
    return n;
  }
  static membership members_of(std::istringstream& in) {
    membership m;
    std::vector<node_id>* to = &m.voters;
    for (std::string word; in >> word;) {
      if (word == "learning") {
        to = &m.learners;
      } else {
        to->push_back(std::stoull(word));
      }
    }
    return m;
  }

  std::optional<cluster> c_;
  std::uint64_t requests_ = 0;
};

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void check(const std::string& name) {
  const std::string path = std::string(SEAWALL_TESTS_DIR) + "/unit/election/transcripts/" + name + ".txt";
  const std::string expected = read(path);
  REQUIRE(!expected.empty());
  const std::string played = player().play(expected);
  if (std::getenv("SEAWALL_WRITE_TRANSCRIPTS") != nullptr) {
    std::ofstream(path, std::ios::binary) << played;
    return;
  }
  std::istringstream is(played), should(expected);
  std::string line, want;
  for (int n = 1; std::getline(should, want); ++n) {
    REQUIRE_MESSAGE(std::getline(is, line), name << ":" << n << " is missing: " << want);
    REQUIRE_MESSAGE(line == want, name << ":" << n << "\n is:        " << line << "\n should be: " << want);
  }
  CHECK(played == expected);
}

}  // namespace

TEST_CASE("transcript: a campaign") { check("campaign"); }
TEST_CASE("transcript: pre-votes") { check("pre_vote"); }
TEST_CASE("transcript: check-quorum") { check("check_quorum"); }
TEST_CASE("transcript: a transfer of leadership") { check("transfer"); }
TEST_CASE("transcript: a snapshot in parts") { check("snapshot"); }
TEST_CASE("transcript: changes of membership") { check("membership"); }
TEST_CASE("transcript: a slow disk, and one that fails") { check("disk"); }
TEST_CASE("transcript: reads") { check("reads"); }
