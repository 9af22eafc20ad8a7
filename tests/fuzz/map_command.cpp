// SPDX-License-Identifier: Apache-2.0
// Commands of the replicated map as a hostile peer may send them: no bytes crash the parser, what is read is written the same way
// again, and whatever a log holds, two replicas do the same, and one can go on from the other's state.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "must.hpp"
#include "seawall/election/replicated_map.hpp"

using namespace seawall;

namespace {

void check(std::string_view bytes) {
  const std::optional<map_command> c = parse_map_command(bytes);
  if (!c) return;
  must(encode(*c) == bytes, "there is one way to write a command");
  must(c->sequence - c->awaited < map_session_window, "few commands of a session are under way");
  must(bytes.size() <= max_command_bytes(detail::map_most), "no command is longer than the longest");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  check(rest);
  // Each byte before a command is its length.
  replicated_map one, two;
  raft::log_index index = 0;
  const map_command open{.what = map_command::kind::open_session, .max_sessions = 3};
  for (replicated_map* m : {&one, &two}) m->apply(1, encode(open));
  for (index = 2; !rest.empty(); ++index) {
    const std::string_view bytes = rest.substr(1, static_cast<unsigned char>(rest.front()));
    rest.remove_prefix(1 + bytes.size());
    check(bytes);
    const map_applied a = one.apply(index, bytes), b = two.apply(index, bytes);
    must(a.answer == b.answer, "replicas answer alike");
    must(parse_map_answer(encode(a.answer)) == a.answer, "an answer can be read");
  }
  replicated_map three;
  must(three.restore(index, one.state()), "a state can be read");
  must(three.state() == two.state(), "and is the same");
  return 0;
}
