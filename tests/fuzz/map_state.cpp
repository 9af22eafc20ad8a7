// SPDX-License-Identifier: Apache-2.0
// States of the replicated map as a hostile peer may send them: none crashes whoever reads it, one that is taken is written the same
// way again, and a map that has taken it works.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "must.hpp"
#include "seawall/election/replicated_map.hpp"

using namespace seawall;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view state(reinterpret_cast<const char*>(data) + 1, size - 1);
  const raft::log_index index = data[0];
  replicated_map m;
  if (!m.restore(index, state)) {
    must(m.index() == 0 && m.size() == 0 && m.sessions() == 0, "what is refused changes nothing");
    return 0;
  }
  must(m.state() == state, "there is one way to write a state");
  std::size_t bytes = 0, entries = 0;
  const map_page all = m.list("", "", size, size);
  for (const auto& [key, e] : all.entries) {
    must(e.created >= 1 && e.created <= e.revision && e.revision <= index, "nothing is of the future");
    must(m.get(key) == e, "what is listed is there");
    bytes += key.size() + e.value.size();
    ++entries;
  }
  must(!all.more && bytes == m.bytes() && entries == m.size(), "all is listed, and counted");
  const std::size_t before = m.sessions();
  m.apply(index + 1, encode({.what = map_command::kind::open_session, .max_sessions = 2}));
  must(m.sessions() <= 2 && m.sessions() >= (before == 0 ? 1U : 2U), "sessions make room");
  m.apply(index + 2, encode({.what = map_command::kind::put,
                             .session = index + 1,
                             .sequence = 1,
                             .awaited = 1,
                             .key = "k",
                             .value = "v",
                             .max_entries = 1'000'000,
                             .max_bytes = 1'000'000}));
  must(m.get("k")->revision == index + 2, "and it works");
  return 0;
}
