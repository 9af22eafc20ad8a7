// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_TRANSPORT_GREETING_HPP
#define SEAWALL_ELECTION_TRANSPORT_GREETING_HPP

// What connections say besides messages: who calls whom, yes, and that one is still there. In frames like those of messages;
// their kinds are beyond those of messages. Pure.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "seawall/election/raft_codec.hpp"
#include "seawall/election/raft_types.hpp"
#include "seawall/options.hpp"

namespace seawall::raft::detail {

enum class control_kind : std::uint8_t {
  hello = 0x80,    ///< of who has connected: from, to, cluster
  welcome = 0x81,  ///< the answer, with the same words: it is known who both are
  alive = 0x82,    ///< nothing, from time to time
};

struct greeting {
  control_kind kind = control_kind::hello;
  node_id from = nobody;
  node_id to = nobody;
  std::string cluster = {};

  friend bool operator==(const greeting&, const greeting&) = default;
};

/// No control frame's body is longer.
inline constexpr std::uint32_t max_control_bytes = 128;

inline std::string encode(const greeting& g, const codec_options& o) {
  std::string frame;
  wrap(frame, o, [&g](frame_writer& w) {
    w.number(static_cast<std::uint8_t>(g.kind));
    if (g.kind == control_kind::alive) return;
    w.number(g.from);
    w.number(g.to);
    w.bytes(g.cluster);
  });
  return frame;
}

/// Is this body, of which nothing else is known, one of these?
inline bool is_control(std::string_view body) noexcept {
  return body.size() >= 2 &&
         static_cast<unsigned char>(body[1]) >= static_cast<unsigned char>(control_kind::hello);
}

/// Errors: `g` is not to be used.
inline std::optional<option_error> parse(std::string_view body, const codec_options& o, greeting& g) {
  if (auto error = unwrap(body, o)) return error;
  body_reader r(body, o);
  const auto kind = r.number<std::uint8_t>("kind");
  if (!r.error && (kind < static_cast<std::uint8_t>(control_kind::hello) ||
                   kind > static_cast<std::uint8_t>(control_kind::alive)))
    return bad("kind", kind, "must be at least 128 and at most 130");
  g = {.kind = static_cast<control_kind>(kind)};
  if (g.kind != control_kind::alive) {
    g.from = r.number<node_id>("from");
    g.to = r.number<node_id>("to");
    g.cluster = r.bytes("cluster");
  }
  if (!r.error && r.left() != 0) return bad("length", r.left(), "must not be more than the frame needs");
  return r.error;
}

}  // namespace seawall::raft::detail

#endif  // SEAWALL_ELECTION_TRANSPORT_GREETING_HPP
