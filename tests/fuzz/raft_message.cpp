// SPDX-License-Identifier: Apache-2.0
// Raft's messages as a hostile peer may send them: no bytes crash the parser or make it hold more than they pay for, what is
// accepted is the one encoding of its message, and a message is either refused or comes back as it was.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "must.hpp"
#include "seawall/core/crc32c.hpp"
#include "seawall/election/raft_codec.hpp"

using namespace seawall;
using namespace seawall::raft;

namespace {

const codec_options plain{.max_message_bytes = 1024, .max_entries = 20, .max_members = 5};
const codec_options with_checksum{
    .max_message_bytes = 1024, .max_entries = 20, .max_members = 5, .checksum = true};

void must_be_clear(const option_error& e) {
  must(!e.field.empty() && !e.value.empty() && !e.range.empty(), "a refusal names field, value and range");
  must(e.text("message").size() < 200, "in few words");
}

std::size_t held_by(const message& m) {
  std::size_t sum = m.bytes.size() + (m.members.voters.size() + m.members.learners.size()) * sizeof(node_id);
  for (const entry& e : m.entries)
    sum += sizeof(entry) + e.command.size() +
           (e.members.voters.size() + e.members.learners.size()) * sizeof(node_id);
  return sum;
}

void try_body(std::string_view body, const codec_options& o) {
  message m;
  if (const auto error = parse(body, o, m)) return must_be_clear(*error);
  must(held_by(m) <= body.size() * 20, "a message holds what its bytes have paid for");
  std::string again;
  must(!encode(m, o, again), "what can be read can be written");
  must(again.size() == body.size() + length_bytes && frame_length(again) == body.size() &&
           std::string_view(again).substr(length_bytes) == body,
       "in the same bytes");
}

/// Draws values from the input; zeros when it is used up.
class source {
 public:
  source(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  std::uint8_t byte() { return size_ == 0 ? 0 : (--size_, *data_++); }
  std::uint64_t number() {
    const std::uint8_t how = byte();
    if (how < 200) return how % 8;
    std::uint64_t n = 0;
    for (int i = 0; i < 8; ++i) n = n << 8U | byte();
    return n;
  }
  std::string text() { return std::string(byte() % 70, 'x'); }
  membership members() {
    membership m;
    for (int n = byte() % 8; n > 0; --n) (n % 2 != 0 ? m.voters : m.learners).push_back(number());
    return m;
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
};

/// Some that are right, most that are nearly so.
message any_message(source s) {
  message m;
  m.kind = static_cast<message_kind>(s.byte() % 12);
  m.from = s.number();
  m.to = s.number();
  m.term = s.number();
  const std::uint8_t which = s.byte();
  if ((which & 1U) != 0) m.index = s.number();
  if ((which & 2U) != 0) m.log_term = s.number();
  if ((which & 4U) != 0) m.commit = s.number();
  if ((which & 8U) != 0) m.round = s.number();
  if ((which & 16U) != 0) m.hint = s.number(), m.hint_term = s.number();
  if ((which & 32U) != 0) m.offset = s.number();
  const std::uint8_t bits = s.byte();
  m.granted = (bits & 1U) != 0;
  m.by_transfer = (bits & 2U) != 0;
  m.last = (bits & 4U) != 0;
  if ((which & 64U) != 0) m.bytes = s.text(), m.members = s.members();
  if ((which & 128U) == 0) return m;
  for (int n = s.byte() % 24; n > 0; --n) {
    entry& e = m.entries.emplace_back();
    const std::uint8_t how = s.byte();
    e.index = (how & 1U) != 0 ? s.number() : m.index + m.entries.size();
    e.term = (how & 2U) != 0 ? s.number() : m.term;
    e.kind = static_cast<entry_kind>(how >> 2U & 3U);
    if ((how & 16U) != 0) e.command = s.text();
    if ((how & 32U) != 0) e.members = s.members();
  }
  return m;
}

void try_message(const message& m, const codec_options& o) {
  std::string frame = "before";
  if (const auto error = encode(m, o, frame)) {
    must_be_clear(*error);
    must(frame == "before", "a refusal leaves nothing behind");
    return;
  }
  message again;
  must(!parse(std::string_view(frame).substr(6 + length_bytes), o, again), "what is written can be read");
  must(again == m, "and is the same");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  try_body(body, plain);
  try_body(body, with_checksum);
  // With a checksum that is right, or the fuzzer would never see what is behind it.
  std::string summed(body);
  if (!summed.empty()) summed.front() = static_cast<char>(0x81);
  for (std::uint32_t sum = core::crc32c(summed), i = 0; i < 4; ++i)
    summed.push_back(static_cast<char>(sum >> (8 * i)));
  try_body(summed, with_checksum);
  const message m = any_message(source(data, size));
  try_message(m, plain);
  try_message(m, with_checksum);
  return 0;
}
