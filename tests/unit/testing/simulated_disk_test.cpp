// SPDX-License-Identifier: Apache-2.0
#include "seawall/testing/simulated_disk.hpp"

#include <chrono>
#include <cstdint>
#include <limits>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "seawall/testing/virtual_scheduler.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using seawall::duration;
using seawall::testing::disk_answer;
using seawall::testing::disk_options;
using seawall::testing::simulated_disk;
using seawall::testing::virtual_scheduler;

/// A write takes 1 ms, a sync 10; sectors of four bytes.
constexpr disk_options exact{.write_min = 1ms,
                             .write_max = 1ms,
                             .sync_min = 10ms,
                             .sync_max = 10ms,
                             .slow_max = 100ms,
                             .sector_bytes = 4,
                             .torn = 0};

struct machine {
  explicit machine(disk_options o = exact, std::uint64_t seed = 1) : disk(loop, seed, o) {}

  simulated_disk::completion noted(char name) {
    return [this, name](disk_answer a) {
      log += name;
      log += a == disk_answer::done ? '+' : a == disk_answer::full ? '!' : '-';
    };
  }
  void append(std::string bytes, char name = 'a') {
    REQUIRE(disk.append("f", std::move(bytes), noted(name)));
  }
  void sync(char name = 's') { REQUIRE(disk.sync("f", noted(name))); }
  std::string read() const { return std::string(disk.contents("f")); }

  virtual_scheduler loop;
  simulated_disk disk;
  std::string log;
};

TEST_CASE("simulated_disk: operations are carried out one after another, and answer when they are done") {
  machine m;
  m.append("abc");
  m.sync();
  m.append("de", 'b');
  CHECK(m.log.empty());
  CHECK(m.read().empty());
  m.loop.run_for(1ms);
  CHECK(m.log == "a+");
  CHECK(m.read() == "abc");
  m.loop.run();
  CHECK(m.log == "a+s+b+");
  CHECK(m.read() == "abcde");
  CHECK(m.loop.elapsed() == 12ms);
  CHECK(m.disk.syncs() == 1);
}

TEST_CASE("simulated_disk: writes go where they are told to; gaps are zeros; files can be cut") {
  machine m;
  REQUIRE(m.disk.write("f", 3, "xy", {}));
  m.loop.run();
  CHECK(m.read() == std::string("\0\0\0xy", 5));
  REQUIRE(m.disk.write("f", 0, "abcd", {}));
  REQUIRE(m.disk.truncate("f", 2, {}));
  m.loop.run();
  CHECK(m.read() == "ab");
  REQUIRE(m.disk.truncate("f", 4, {}));
  m.loop.run();
  CHECK(m.read() == std::string("ab\0\0", 4));
  CHECK(m.disk.contents("other").empty());
}

TEST_CASE(
    "simulated_disk: what was synced survives a loss of power, what was written the loss of a process") {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    machine m(exact, seed);
    m.append("synced ");
    m.sync();
    m.append("written ");
    m.loop.run();
    m.append("under way");
    m.disk.process_loss();
    m.loop.run();
    CHECK(m.read() == "synced written ");
    m.disk.power_loss();
    CHECK(m.read().substr(0, 7) == "synced ");
    CHECK(m.log == "a+s+a+");  // nobody is told of what a crash forgets
  }
}

TEST_CASE("simulated_disk: a loss of power takes unsynced sectors one by one, and the length by itself") {
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    machine m(exact, seed);
    m.append("0000");
    m.sync();
    m.append("11112222");
    m.loop.run();
    m.disk.power_loss();
    seen.insert(m.read());
  }
  CHECK(seen.count("0000") == 1);          // all lost
  CHECK(seen.count("000011112222") == 1);  // all there
  CHECK(seen.count("00001111") == 1);      // a prefix
  CHECK(seen.count(std::string("0000\0\0\0\0"
                               "2222",
                               12)) == 1);  // the later one alone
  CHECK(seen.count("0000111122") == 1);     // cut within a sector
}

TEST_CASE("simulated_disk: an overwritten sector is old or new, and torn only where that is asked for") {
  for (const double torn : {0.0, 0.9}) {
    std::set<std::string> seen;
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
      disk_options o = exact;
      o.torn = torn;
      machine m(o, seed);
      m.append("aaaabbbb");
      m.sync();
      REQUIRE(m.disk.write("f", 0, "AAAA", {}));
      m.loop.run();
      m.disk.power_loss();
      seen.insert(m.read());
    }
    CHECK(seen.count("aaaabbbb") == 1);
    CHECK(seen.count("AAAAbbbb") == 1);
    CHECK(seen.count("AAaabbbb") == (torn > 0 ? 1 : 0));
    CHECK(seen.size() == (torn > 0 ? 5 : 2));
  }
}

TEST_CASE("simulated_disk: a cut that was not synced may come undone") {
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    machine m(exact, seed);
    m.append("aaaabbbb");
    m.sync();
    REQUIRE(m.disk.truncate("f", 2, {}));
    m.loop.run();
    m.disk.power_loss();
    seen.insert(m.read());
  }
  CHECK(seen.count("aa") == 1);
  CHECK(seen.count("aaaabbbb") == 1);
  for (const std::string& s : seen) CHECK(std::string("aaaabbbb").substr(0, s.size()) == s);
}

TEST_CASE("simulated_disk: what was under way when the power went may have been carried out") {
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    machine m(exact, seed);
    m.append("aaaa");
    m.disk.power_loss();
    seen.insert(m.read());
  }
  CHECK(seen.count("") == 1);
  CHECK(seen.count("aaaa") == 1);
}

TEST_CASE("simulated_disk: a stall holds back what is under way and what comes, and then all goes on") {
  machine m;
  m.append("a");
  m.disk.stall_for(100ms);
  m.disk.stall_for(20ms);  // does not shorten it
  m.append("b", 'b');
  m.loop.run_for(99ms);
  CHECK(m.log.empty());
  m.loop.run();
  CHECK(m.log == "a+b+");
  CHECK(m.loop.elapsed() == 101ms);
}

TEST_CASE("simulated_disk: go_on() ends a stall, and does nothing where there is none") {
  machine m;
  m.disk.go_on();
  m.append("a");
  m.disk.stall_for(100ms);
  m.append("b", 'b');
  m.loop.run_for(50ms);
  m.disk.go_on();
  m.loop.run();
  CHECK(m.log == "a+b+");
  CHECK(m.loop.elapsed() == 52ms);
}

TEST_CASE("simulated_disk: new options count for what is begun from then on") {
  machine m;
  disk_options o = exact;
  o.failed_syncs = 1;
  m.disk.set_options(o);
  m.sync();
  m.loop.run();
  m.disk.set_options(exact);
  m.sync();
  m.loop.run();
  CHECK(m.log == "s-s+");
}

TEST_CASE("simulated_disk: a failed sync keeps nothing for sure, and the next one does not mend it") {
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    machine m(exact, seed);
    m.disk.fail_syncs(1);
    m.append("aaaa");
    m.sync();
    m.sync('t');
    m.loop.run();
    CHECK(m.log == "a+s-t+");
    CHECK(m.read() == "aaaa");
    m.disk.power_loss();
    seen.insert(m.read());
  }
  CHECK(seen == std::set<std::string>{"aaaa", std::string(4, '\0')});
}

TEST_CASE("simulated_disk: syncs fail in their share") {
  disk_options o = exact;
  o.failed_syncs = 0.3;
  machine m(o);
  for (int i = 0; i < 1000; ++i) m.sync();
  m.loop.run();
  std::size_t failed = 0;
  for (const char c : m.log) failed += c == '-' ? 1U : 0U;
  CHECK(failed > 250);
  CHECK(failed < 350);
}

TEST_CASE("simulated_disk: a slow share takes longer") {
  disk_options o = exact;
  o.slow = 0.5;
  machine m(o);
  std::size_t slow = 0;
  for (int i = 0; i < 200; ++i) {
    const duration before = m.loop.elapsed();
    m.append("x");
    m.loop.run();
    const duration took = m.loop.elapsed() - before;
    CHECK(took <= 100ms);
    slow += took > 1ms ? 1U : 0U;
  }
  CHECK(slow > 75);
  CHECK(slow < 125);
}

TEST_CASE("simulated_disk: beyond its bounds it refuses, and has room again later") {
  disk_options o = exact;
  o.max_under_way = 2;
  o.max_bytes = 8;
  machine m(o);
  CHECK(m.disk.append("f", "aaaa", m.noted('a')));
  CHECK(m.disk.append("g", "bbbbb", m.noted('b')));
  CHECK_FALSE(m.disk.append("f", "c", m.noted('c')));
  CHECK(m.disk.under_way() == 2);
  m.loop.run();
  CHECK(m.log == "a+b!");
  CHECK(m.disk.contents("g").empty());
  m.append("dddd", 'd');
  REQUIRE(m.disk.write("f", UINT64_MAX, "e", m.noted('e')));
  m.loop.run();
  CHECK(m.log == "a+b!d+e!");
  REQUIRE(m.disk.truncate("f", 0, {}));
  m.append("fff", 'f');
  m.loop.run();
  CHECK(m.log == "a+b!d+e!f+");
  m.disk.replace("f", "");
  m.append("hhhhhhhh", 'h');
  m.loop.run();
  CHECK(m.log == "a+b!d+e!f+h+");
}

TEST_CASE("simulated_disk: a completion may ask for more, and pull the plug") {
  machine m;
  REQUIRE(m.disk.append("f", "a", [&](disk_answer) {
    m.append("b", 'b');
    m.append("c", 'c');
  }));
  m.loop.run();
  CHECK(m.read() == "abc");
  m.append("d");
  REQUIRE(m.disk.sync("f", [&](disk_answer) { m.disk.power_loss(); }));
  m.append("e");
  m.loop.run();
  CHECK(m.disk.under_way() == 0);
  CHECK(m.read().substr(0, 4) == "abcd");
}

TEST_CASE("simulated_disk: replace() is on the medium at once") {
  machine m;
  m.append("old");
  m.loop.run();
  m.disk.replace("f", "new");
  m.disk.power_loss();
  CHECK(m.read() == "new");
}

TEST_CASE("simulated_disk: the same seed gives the same run") {
  const auto run = [](std::uint64_t seed) {
    disk_options o;
    o.slow = 0.2;
    o.failed_syncs = 0.2;
    machine m(o, seed);
    for (int i = 0; i < 50; ++i) {
      m.append(std::string(100, static_cast<char>('a' + i % 26)));
      if (i % 3 == 0) m.sync();
    }
    m.loop.run_for(10ms);
    m.disk.power_loss();
    return m.log + std::to_string(m.loop.elapsed().ns()) + m.read();
  };
  CHECK(run(5) == run(5));
  CHECK(run(5) != run(6));
}

TEST_CASE("simulated_disk: bad options are refused, with their name") {
  struct row {
    disk_options o;
    std::string field;
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const row& r : std::vector<row>{{{.write_min = -1ms}, "write_min"},
                                       {{.write_max = 1us}, "write_max"},
                                       {{.sync_min = -1ms}, "sync_min"},
                                       {{.sync_max = 1us}, "sync_max"},
                                       {{.slow = nan}, "slow"},
                                       {{.slow_max = 1ms}, "slow_max"},
                                       {{.failed_syncs = 2}, "failed_syncs"},
                                       {{.sector_bytes = 0}, "sector_bytes"},
                                       {{.torn = -1}, "torn"},
                                       {{.max_under_way = 0}, "max_under_way"},
                                       {{.max_bytes = 0}, "max_bytes"}}) {
    CAPTURE(r.field);
    const auto error = validate(r.o);
    REQUIRE(error);
    CHECK(error->field == r.field);
    virtual_scheduler loop;
    CHECK_THROWS_AS(simulated_disk(loop, 1, r.o), std::invalid_argument);
    CHECK_THROWS_AS(simulated_disk(loop, 1).set_options(r.o), std::invalid_argument);
  }
  CHECK_FALSE(validate(disk_options{}));
}

}  // namespace
