// SPDX-License-Identifier: Apache-2.0
// A connection's bytes as a hostile peer may send them: frames come out the same however the bytes are cut, no length makes
// the reader hold what has not come, and what is taken for a greeting is the one encoding of it.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "must.hpp"
#include "seawall/core/crc32c.hpp"
#include "seawall/election/raft_codec.hpp"
#include "seawall/election/transport/frame_reader.hpp"
#include "seawall/election/transport/greeting.hpp"

using namespace seawall::raft;
using namespace seawall::raft::detail;

namespace {

void try_greeting(std::string_view body, const codec_options& o) {
  greeting g;
  if (const auto error = parse(body, o, g)) {
    must(!error->field.empty() && !error->range.empty() && error->text("frame").size() < 200,
         "a refusal says why");
    return;
  }
  must(is_control(body), "only a control frame is one");
  must(std::string_view(encode(g, o)).substr(length_bytes) == body,
       "what is read would be written like that");
}

/// All bodies, each behind its length, and how it ended.
std::string bodies(std::string_view bytes, std::size_t piece, std::uint32_t limit) {
  frame_reader r(limit);
  std::string out;
  std::size_t come = 0;
  while (!bytes.empty() && !r.error()) {
    const auto space = r.space();
    must(!space.empty(), "there is room for a byte");
    must(space.size() <= 2 * come + (16U << 10U), "room grows with what has come");
    const std::size_t n = std::min({piece, bytes.size(), space.size()});
    std::memcpy(space.data(), bytes.data(), n);
    r.filled(n);
    come += n;
    bytes.remove_prefix(n);
    while (const auto body = r.next()) {
      must(!body->empty() && body->size() <= limit, "a body is within its bounds");
      out.append(std::to_string(body->size())).append(" ").append(*body);
    }
  }
  return r.error() ? out + r.error()->text("frame") : out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 2), size - 2);
  const std::uint32_t limit = data[1] % 2 == 0 ? max_control_bytes : 1U << 20U;
  must(bodies(bytes, data[0] % 16 + std::size_t{1}, limit) == bodies(bytes, bytes.size(), limit),
       "pieces do not matter");
  try_greeting(bytes, {});
  std::string summed(bytes);
  if (!summed.empty()) summed.front() = static_cast<char>(0x81);
  for (std::uint32_t sum = seawall::core::crc32c(summed), i = 0; i < 4; ++i)
    summed.push_back(static_cast<char>(sum >> (8 * i)));
  try_greeting(summed, {.checksum = true});
  return 0;
}
