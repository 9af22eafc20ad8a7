// SPDX-License-Identifier: Apache-2.0
#include "seawall/election/raft_codec.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

namespace {

using namespace seawall::raft;
using seawall::option_error;

/// One of each kind, every field that it uses at something else than its default.
std::vector<message> one_of_each() {
  const membership members{.voters = {1, 2, 5}, .learners = {3}};
  const std::vector<entry> entries{{.index = 8, .term = 2, .kind = entry_kind::nothing},
                                   {.index = 9, .term = 3, .kind = entry_kind::command, .command = "set x"},
                                   {.index = 10, .term = 3, .kind = entry_kind::members, .members = members}};
  using k = message_kind;
  return {
      {.kind = k::pre_vote, .from = 1, .to = 2, .term = 4, .index = 7, .log_term = 2},
      {.kind = k::pre_vote_reply, .from = 1, .to = 2, .term = 4, .granted = true},
      {.kind = k::vote, .from = 1, .to = 2, .term = 4, .index = 7, .log_term = 2, .by_transfer = true},
      {.kind = k::vote_reply, .from = 1, .to = 2, .term = 4, .granted = true},
      {.kind = k::append,
       .from = 1,
       .to = 2,
       .term = 4,
       .index = 7,
       .log_term = 2,
       .commit = 6,
       .round = 11,
       .entries = entries},
      {.kind = k::append_reply,
       .from = 1,
       .to = 2,
       .term = 4,
       .index = 7,
       .granted = true,
       .round = 11,
       .hint = 5,
       .hint_term = 1},
      {.kind = k::install,
       .from = 1,
       .to = 2,
       .term = 4,
       .index = 7,
       .log_term = 2,
       .round = 11,
       .members = members,
       .offset = 9,
       .last = true,
       .bytes = "state"},
      {.kind = k::install_reply,
       .from = 1,
       .to = 2,
       .term = 4,
       .index = 7,
       .granted = true,
       .round = 11,
       .offset = 9},
      {.kind = k::time_out_now, .from = 1, .to = 2, .term = UINT64_MAX, .index = 7},
      {.kind = k::request, .from = 1, .to = 2, .term = 4, .round = 11, .bytes = "command"},
      {.kind = k::request_reply,
       .from = 1,
       .to = 2,
       .term = 4,
       .index = 7,
       .granted = true,
       .round = 11,
       .hint = 5,
       .hint_term = 1,
       .bytes = "answer"},
  };
}

std::string frame_of(const message& m, const codec_options& o = {}) {
  std::string frame;
  const auto error = encode(m, o, frame);
  CHECK_MESSAGE(!error, (error ? error->text("message") : ""));
  return frame;
}
std::string body_of(const message& m, const codec_options& o = {}) {
  return frame_of(m, o).substr(length_bytes);
}
std::string refusal_of(std::string_view body, const codec_options& o = {}) {
  message m;
  const auto error = parse(body, o, m);
  return error ? error->text("message") : "accepted";
}
std::string refusal_of(const message& m, const codec_options& o = {}) {
  std::string frame;
  const auto error = encode(m, o, frame);
  CHECK(frame.empty() == error.has_value());
  return error ? error->text("message") : "accepted";
}

TEST_CASE("raft codec: a message of each kind comes back as it was, with and without a checksum") {
  REQUIRE(one_of_each().size() == detail::kinds.size());
  for (const message& m : one_of_each()) {
    CAPTURE(static_cast<int>(m.kind));
    for (const bool checksum : {false, true}) {
      const codec_options o{.checksum = checksum};
      const std::string frame = frame_of(m, o);
      REQUIRE(frame_length(frame) == frame.size() - length_bytes);
      message again;
      const auto error = parse(std::string_view(frame).substr(length_bytes), o, again);
      CHECK_MESSAGE(!error, (error ? error->text("message") : ""));
      CHECK(again == m);
    }
  }
}

TEST_CASE("raft codec: room that is made for a frame is enough, and not much too large") {
  for (message m : one_of_each()) {
    CAPTURE(static_cast<int>(m.kind));
    for (const std::size_t size : {0, 1000}) {
      if (!m.bytes.empty()) m.bytes.resize(size);
      for (entry& e : m.entries) {
        if (e.kind == entry_kind::command) e.command.resize(size);
      }
      const std::size_t needed = frame_of(m, {.checksum = true}).size();
      CHECK(detail::most_frame_bytes(m) >= needed);
      CHECK(detail::most_frame_bytes(m) <= needed + 150);
    }
  }
}

TEST_CASE("raft codec: the bytes of a heartbeat are these, in all releases") {
  const message m{.kind = message_kind::append,
                  .from = 1,
                  .to = 0x0203,
                  .term = 4,
                  .index = 7,
                  .log_term = 2,
                  .commit = 6,
                  .round = 11};
  const auto u64 = [](char low, char high = 0) { return std::string{low, high, 0, 0, 0, 0, 0, 0}; };
  const std::string body = std::string{1, 4, 0} + u64(1) + u64(3, 2) + u64(4) + u64(7) + u64(2) + u64(6) +
                           u64(11) + std::string(4, '\0');
  CHECK(body_of(m) == body);
  CHECK(frame_of(m).substr(0, 4) == std::string{63, 0, 0, 0});
}

TEST_CASE("raft codec: a message that is cut off anywhere, or goes on, is refused") {
  for (const message& m : one_of_each()) {
    const std::string body = body_of(m);
    for (std::size_t n = 0; n < body.size(); ++n) CHECK(refusal_of(body.substr(0, n)) != "accepted");
    CHECK(refusal_of(body + '\0') == "message: length is 1; must not be more than the message needs");
  }
}

TEST_CASE("raft codec: any bit that flips is found where there is a checksum") {
  const codec_options o{.checksum = true};
  for (const message& m : one_of_each()) {
    std::string body = body_of(m, o);
    for (std::size_t bit = 0; bit < body.size() * 8; ++bit) {
      const auto flip = static_cast<char>(1U << (bit % 8));
      body[bit / 8] = static_cast<char>(body[bit / 8] ^ flip);
      CHECK(refusal_of(body, o) != "accepted");
      body[bit / 8] = static_cast<char>(body[bit / 8] ^ flip);
    }
    CHECK(refusal_of(body, o) == "accepted");
  }
}

TEST_CASE("raft codec: a byte that is changed is refused, or is another message") {
  for (const message& m : one_of_each()) {
    const std::string body = body_of(m);
    for (std::size_t i = 0; i < body.size(); ++i) {
      for (int add = 1; add < 256; ++add) {
        std::string other = body;
        other[i] = static_cast<char>(other[i] + add);
        message read;
        if (parse(other, {}, read)) continue;
        if (read == m) FAIL("two encodings of one message");
      }
    }
  }
}

TEST_CASE("raft codec: a field that its kind does not use is refused, by name") {
  struct row {
    const char* field;
    std::function<void(message&)> set;
  };
  const std::vector<row> fields{
      {"index", [](message& m) { m.index = 1; }},
      {"log_term", [](message& m) { m.log_term = 1; }},
      {"commit", [](message& m) { m.commit = 1; }},
      {"round", [](message& m) { m.round = 1; }},
      {"hint", [](message& m) { m.hint = 1; }},
      {"hint_term", [](message& m) { m.hint_term = 1; }},
      {"offset", [](message& m) { m.offset = 1; }},
      {"granted", [](message& m) { m.granted = true; }},
      {"by_transfer", [](message& m) { m.by_transfer = true; }},
      {"last", [](message& m) { m.last = true; }},
      {"entries", [](message& m) { m.entries.push_back({.index = m.index + 1, .term = 4}); }},
      {"members", [](message& m) { m.members.voters = {1}; }},
      {"bytes", [](message& m) { m.bytes = "x"; }},
  };
  const char* const used[] = {
      "index log_term ",
      "granted ",
      "index log_term by_transfer ",
      "granted ",
      "index log_term commit round entries ",
      "index round hint hint_term granted ",
      "index log_term round offset last members bytes ",
      "index round offset granted ",
      "index ",
      "round bytes ",
      "index round hint hint_term granted bytes ",
  };
  for (std::size_t kind = 0; kind < std::size(used); ++kind) {
    std::string accepted;
    for (const row& r : fields) {
      message m{.kind = static_cast<message_kind>(kind), .from = 1, .to = 2, .term = 4};
      r.set(m);
      const std::string refusal = refusal_of(m);
      if (refusal == "accepted")
        accepted += std::string(r.field) + " ";
      else
        CHECK(refusal.starts_with("message: " + std::string(r.field) +
                                  " is 1; must not be there in a message of kind "));
    }
    const auto sorted = [](const std::string& words) {
      std::string out;
      for (const char* const field :
           {"index ", "log_term ", "commit ", "round ", "hint ", "hint_term ", "offset ", "granted ",
            "by_transfer ", "last ", "entries ", "members ", "bytes "})
        if ((" " + words).find(" " + std::string(field)) != std::string::npos) out += field;
      return out;
    };
    CHECK(accepted == sorted(used[kind]));
  }
}

TEST_CASE("raft codec: what makes no sense is refused with field, value and range") {
  const auto append = [] {
    return message{.kind = message_kind::append,
                   .from = 1,
                   .to = 2,
                   .term = 4,
                   .index = 7,
                   .log_term = 2,
                   .entries = {{.index = 8, .term = 3, .kind = entry_kind::command, .command = "c"}}};
  };
  const auto with = [&](const std::function<void(message&)>& spoil) {
    message m = append();
    spoil(m);
    return refusal_of(m);
  };
  CHECK(with([](message& m) { m.kind = static_cast<message_kind>(11); }) ==
        "message: kind is 11; must be at most 10");
  CHECK(with([](message& m) { m.from = nobody; }) == "message: from is 0; must not be 0");
  CHECK(with([](message& m) { m.to = nobody; }) == "message: to is 0; must not be 0");
  CHECK(with([](message& m) { m.to = 1; }) == "message: to is 1; must not be the sender");
  CHECK(with([](message& m) { m.entries[0].index = 9; }) == "message: entries[0].index is 9; must be 8");
  CHECK(with([](message& m) { m.entries[0].term = 1; }) ==
        "message: entries[0].term is 1; must be at least 2 and at most the message's, 4");
  CHECK(with([](message& m) { m.entries[0].term = 5; }) ==
        "message: entries[0].term is 5; must be at least 2 and at most the message's, 4");
  CHECK(with([](message& m) { m.log_term = 0, m.entries[0].term = 0; }) ==
        "message: entries[0].term is 0; must be at least 1 and at most the message's, 4");
  CHECK(with([](message& m) { m.index = UINT64_MAX; }) ==
        "message: index is 18446744073709551615; must be at most 18446744073709551614");
  CHECK(with([](message& m) { m.entries[0].kind = static_cast<entry_kind>(3); }) ==
        "message: entries[0].kind is 3; must be at most 2");
  CHECK(with([](message& m) { m.entries[0].kind = entry_kind::nothing; }) ==
        "message: entries[0].command is 1; must be empty in an entry of another kind");
  CHECK(with([](message& m) { m.entries[0].members.voters = {1}; }) ==
        "message: entries[0].members is 1; must be empty in an entry of another kind");

  const auto with_members = [&](const membership& members) {
    return with([&](message& m) {
      m.entries[0] = {.index = 8, .term = 3, .kind = entry_kind::members, .members = members};
    });
  };
  CHECK(with_members({.voters = {1}}) == "accepted");
  CHECK(with_members({}) == "message: entries[0].voters is 0; must not be empty");
  CHECK(with_members({.voters = {0}}) ==
        "message: entries[0].voters is 0; must be more than the one before it, 0");
  CHECK(with_members({.voters = {2, 2}}) ==
        "message: entries[0].voters is 2; must be more than the one before it, 2");
  CHECK(with_members({.voters = {1, 3}, .learners = {2, 3}}) ==
        "message: entries[0].learners is 3; must not be a voter");

  message install{
      .kind = message_kind::install, .from = 1, .to = 2, .term = 4, .offset = UINT64_MAX, .bytes = "x"};
  CHECK(refusal_of(install) ==
        "message: offset is 18446744073709551615; must be at most 18446744073709551614");
}

TEST_CASE("raft codec: bounds hold for the sender and for the receiver") {
  message m{.kind = message_kind::append, .from = 1, .to = 2, .term = 4};
  for (log_index i = 1; i <= 3; ++i) m.entries.push_back({.index = i, .term = 1});
  const codec_options two{.max_entries = 2};
  CHECK(refusal_of(m, two) == "message: entries is 3; must be at most 2");
  CHECK(refusal_of(body_of(m), two) == "message: entries is 3; must be at most 2");

  m.entries = {{.index = 1, .term = 1, .kind = entry_kind::members, .members = {.voters = {1, 2, 3}}}};
  const codec_options few{.max_members = 2};
  CHECK(refusal_of(m, few) == "message: entries[0].voters is 3; must be at most 2");
  CHECK(refusal_of(body_of(m), few) == "message: entries[0].voters is 3; must be at most 2");

  m = {.kind = message_kind::install, .from = 1, .to = 2, .term = 4, .bytes = std::string(1024, 'x')};
  const codec_options small{.max_message_bytes = 1024};
  CHECK(refusal_of(m, small) == "message: length is 1095; must be at most 1024");
  CHECK(refusal_of(body_of(m), small) == "message: length is 1095; must be at most 1024");
  m.bytes.resize(1024 - 71);
  CHECK(refusal_of(m, small) == "accepted");
  CHECK(refusal_of(body_of(m), small) == "accepted");
}

TEST_CASE("raft codec: a count that the bytes do not pay for is refused before anything is allocated") {
  std::string body = body_of({.kind = message_kind::append, .from = 1, .to = 2, .term = 4});
  body.replace(body.size() - 4, 4, std::string{0, 4, 0, 0});
  CHECK(refusal_of(body) == "message: entries is 9216; must be at most as many bytes as are left, 0");
  body.replace(body.size() - 4, 4, "\xff\xff\xff\xff");
  CHECK(refusal_of(body) == "message: entries is 4294967295; must be at most 1024");
}

TEST_CASE(
    "raft codec: another version, an unknown kind, an unknown flag, a checksum that is or is not expected") {
  const message m = one_of_each().front();
  const auto with = [&](std::size_t at, char value) {
    std::string body = body_of(m);
    body[at] = value;
    return refusal_of(body);
  };
  CHECK(with(0, 2) == "message: version is 2; must be 1");
  CHECK(with(1, 11) == "message: kind is 11; must be at most 10");
  CHECK(with(2, 8) == "message: flags is 8; must be at most 7");
  CHECK(with(2, 1) == "message: granted is 1; must not be there in a message of kind pre_vote");
  CHECK(refusal_of(body_of(m), {.checksum = true}) == "message: version is 1; must be 129");
  CHECK(refusal_of(body_of(m, {.checksum = true})) == "message: version is 129; must be 1");
  CHECK(refusal_of("") == "message: length is 0; must be at least 1");
}

TEST_CASE("raft codec: a frame is appended to what is there, and a refusal leaves that alone") {
  std::string out = "before";
  CHECK_FALSE(encode(one_of_each().front(), {}, out));
  CHECK(out.starts_with("before"));
  const std::string kept = out;
  CHECK(encode(message{}, {}, out));
  CHECK(encode({.kind = message_kind::install, .from = 1, .to = 2, .bytes = std::string(1024, 'x')},
               {.max_message_bytes = 1024}, out));
  CHECK(out == kept);
}

TEST_CASE("raft codec: bad options are refused with field, value and range") {
  const auto refusal = [](codec_options o) {
    const auto error = validate(o);
    return error ? error->text("codec") : "accepted";
  };
  CHECK(refusal({}) == "accepted");
  CHECK(refusal({.max_message_bytes = 1023}) ==
        "codec: max_message_bytes is 1023; must be at least 1024 and at most 67108864");
  CHECK(refusal({.max_message_bytes = 67'108'865}) ==
        "codec: max_message_bytes is 67108865; must be at least 1024 and at most 67108864");
  CHECK(refusal({.max_entries = 0}) == "codec: max_entries is 0; must be at least 1 and at most 1000000");
  CHECK(refusal({.max_members = 1001}) == "codec: max_members is 1001; must be at least 1 and at most 1000");
}

}  // namespace
