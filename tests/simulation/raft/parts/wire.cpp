// SPDX-License-Identifier: Apache-2.0
#include "simulation/raft/parts/wire.hpp"

#include <string_view>

#include "seawall/election/raft_core.hpp"
#include "simulation/raft/parts/observer.hpp"
#include "simulation/raft/parts/trace.hpp"

namespace raftsim {

raft::message wire::carried(const raft::message& m) {
  const auto refused = [&m](const char* what, const std::string& why) {
    throw violation(std::string("codec: ") + what + ' ' + words(m) + why);
  };
  frame_.clear();
  if (const auto error = raft::encode(m, options_, frame_)) refused("cannot send", error->text(""));
  raft::message arrived;
  const std::string_view frame = frame_;
  if (const auto error = raft::parse(frame.substr(raft::length_bytes), options_, arrived))
    refused("cannot read", error->text(""));
  if (raft::frame_length(frame) + raft::length_bytes != frame.size()) refused("gives a wrong length for", "");
  if (arrived != m) refused("changes", " into " + words(arrived));
  if (!raft::well_formed(arrived)) refused("a core would not take", "");
  return arrived;
}

}  // namespace raftsim
