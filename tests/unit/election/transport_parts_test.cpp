// SPDX-License-Identifier: Apache-2.0
// The parts of the transport that know no network.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "seawall/election/transport/frame_reader.hpp"
#include "seawall/election/transport/gate.hpp"
#include "seawall/election/transport/greeting.hpp"
#include "seawall/election/transport/outbox.hpp"
#include "seawall/time.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using namespace seawall::raft;
using namespace seawall::raft::detail;
using seawall::instant;

const instant start = instant::from_ns(1'000'000'000);

std::string taken(outbox& o, instant now, std::size_t enough = 1000) {
  std::string batch;
  o.take(batch, enough, now - 1s);
  return batch;
}

TEST_CASE("outbox: frames leave in order, and no more at a time than asked for") {
  outbox o(10, 100);
  for (const char* const f : {"a", "b", "c", "d"}) o.push(f, false, start);
  CHECK(taken(o, start, 2) == "ab");
  CHECK(taken(o, start) == "cd");
  CHECK(o.now().sent_messages == 4);
  CHECK(o.now().sent_bytes == 4);
}

TEST_CASE("outbox: who found nothing is woken once") {
  outbox o(10, 100);
  CHECK_FALSE(o.push("a", false, start));
  CHECK(taken(o, start) == "a");
  CHECK_FALSE(o.push("b", false, start));
  CHECK(taken(o, start) == "b");
  CHECK(taken(o, start) == "");
  CHECK(o.push("c", false, start));
  CHECK_FALSE(o.push("d", false, start));
}

TEST_CASE("outbox: a full one drops the newest, in number and in size") {
  outbox by_number(2, 100);
  for (const char* const f : {"a", "b", "c"}) by_number.push(f, false, start);
  CHECK(by_number.now().dropped_newest == 1);
  CHECK(taken(by_number, start) == "ab");
  outbox by_size(10, 5);
  for (const char* const f : {"aaa", "bbb", "cc"}) by_size.push(f, false, start);
  CHECK(by_size.now().dropped_newest == 1);
  CHECK(by_size.now().queued_bytes == 5);
  CHECK(taken(by_size, start) == "aaacc");
  CHECK(by_size.now().queued_bytes == 0);
}

TEST_CASE("outbox: a full one drops the oldest heartbeats first, and only as many as need be") {
  outbox o(4, 100);
  o.push("h1", true, start);
  o.push("a", false, start);
  o.push("h2", true, start);
  o.push("h3", true, start);
  o.push("b", false, start);
  CHECK(o.now().dropped_heartbeats == 1);
  o.push("h4", true, start);
  CHECK(o.now().dropped_heartbeats == 2);
  CHECK(taken(o, start) == "ah3bh4");
  CHECK(o.now().dropped_newest == 0);
}

TEST_CASE("outbox: a frame that fits nowhere does not wake anybody, nor does it stay") {
  outbox o(4, 3);
  CHECK(taken(o, start) == "");
  CHECK_FALSE(o.push("too long", false, start));
  CHECK(o.now().queued_messages == 0);
  CHECK(o.push("a", false, start));
}

TEST_CASE("outbox: what has waited for too long is dropped, and a queue of nothing else is empty") {
  outbox o(10, 100);
  o.push("a", false, start);
  o.push("b", false, start + 500ms);
  CHECK(taken(o, start + 1s) == "ab");
  o.push("c", false, start);
  o.push("d", false, start + 500ms);
  CHECK(taken(o, start + 1001ms) == "d");
  o.push("e", false, start);
  CHECK(taken(o, start + 2s) == "");
  CHECK(o.now().dropped_stale == 2);
  CHECK(o.push("f", false, start + 2s));
}

/// Puts bytes in, in pieces; the bodies that come out, with a comma behind each.
std::string bodies(frame_reader& r, std::string_view bytes, std::size_t piece) {
  std::string out;
  while (!bytes.empty()) {
    const auto space = r.space();
    const std::size_t n = std::min({piece, bytes.size(), space.size()});
    std::memcpy(space.data(), bytes.data(), n);
    r.filled(n);
    bytes.remove_prefix(n);
    while (const auto body = r.next()) out.append(*body).append(",");
  }
  return out;
}
std::string framed(std::string_view body) {
  std::string out;
  for (std::size_t i = 0; i < 4; ++i) out.push_back(static_cast<char>(body.size() >> (8 * i)));
  return out.append(body);
}

TEST_CASE("frame reader: frames come out whole, however the bytes come in") {
  std::string stream, wanted;
  for (const std::size_t size : {1, 2, 3, 5000, 70'000, 1, 16'380, 16'384, 40'000, 7}) {
    const std::string body(size, static_cast<char>('a' + size % 26));
    stream += framed(body);
    wanted += body + ",";
  }
  for (const std::size_t piece : {1, 3, 4, 5, 1000, 16'384, 1'000'000}) {
    frame_reader r(70'000);
    CHECK(bodies(r, stream, piece) == wanted);
    CHECK_FALSE(r.error());
  }
}

TEST_CASE("frame reader: a length that is too long, or none, ends it at once") {
  frame_reader r(10);
  CHECK(bodies(r, framed("ok") + std::string{11, 0, 0, 0} + framed("no"), 100) == "ok,");
  REQUIRE(r.error());
  CHECK(r.error()->text("frame") == "frame: length is 11; must be at least 1 and at most 10");
  frame_reader zero(10);
  CHECK(bodies(zero, std::string(100, '\0'), 100) == "");
  CHECK(zero.error());
}

TEST_CASE("frame reader: a length that is promised is not allocated") {
  frame_reader r(1U << 26U);
  bodies(r, std::string{0, 0, 0, 4} + "abc", 100);
  CHECK(r.space().size() < 40'000);
}

TEST_CASE("greeting: comes back as it was, and nothing else is one") {
  for (const bool checksum : {false, true}) {
    const codec_options o{.checksum = checksum};
    for (const greeting& g : {greeting{control_kind::hello, 1, 2, std::string(64, 'c')},
                              greeting{control_kind::welcome, 2, 1, ""}, greeting{control_kind::alive}}) {
      const std::string body = encode(g, o).substr(length_bytes);
      CHECK(body.size() <= max_control_bytes);
      CHECK(is_control(body));
      greeting again;
      CHECK_FALSE(parse(body, o, again));
      CHECK(again == g);
      for (std::size_t n = 0; n < body.size(); ++n) CHECK(parse(body.substr(0, n), o, again));
      CHECK(parse(body + "x", o, again));
    }
  }
  greeting g;
  CHECK(parse("\x01\x83", {}, g)->text("frame") ==
        "frame: kind is 131; must be at least 128 and at most 130");
  CHECK_FALSE(is_control("\x01\x08"));
}

TEST_CASE("gate: closed from inside a call, the call ends and is the last") {
  gate g;
  int calls = 0;
  CHECK(g.call([&] {
    ++calls;
    g.close();
  }));
  CHECK_FALSE(g.call([&] { ++calls; }));
  g.close();
  CHECK(calls == 1);
}

}  // namespace
