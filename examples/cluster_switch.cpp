// SPDX-License-Identifier: Apache-2.0

//   somebody --> put "level" = "2" --> a --+
//                                      b --+-- replicated map --> watch --> [ degradation ladder ] of each process
//                                      c --+
//
// One switch for the whole cluster: what is put in any process is the level of all, also of those that were away when it was put.
// Nobody needs to know who leads. Three processes; the script (the same program) tells them what to put, and kills one.

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "seawall/degradation.hpp"
#include "seawall/election/raft_elector.hpp"
#include "support/process.hpp"
#include "support/replicas.hpp"
#include <fmt/format.h>

using namespace std::chrono_literals;

namespace {

// The ladder is where the map has it, as far as this replica has seen.
void follow(seawall::raft_elector& cluster, seawall::degradation& shop) {
  const auto level = cluster.get("level", seawall::instant::never(), seawall::map_consistency::local);
  if (!level.ok() || !level->has_value()) return shop.release();
  if (const auto error = shop.set(static_cast<std::uint32_t>(std::atoi((*level)->value.c_str())), "cluster"))
    fmt::print("{}\n", error->text("level"));
}

int run_shop(const std::string& name, const std::string& folder, const std::vector<std::string>& ports) {
  line_socket script(process::line_of_child);
  seawall::listening tell([&](const seawall::event::state_changed& e) { script.write(std::string(e.to)); });
  seawall::degradation shop({.name = "shop", .events = &tell});

  seawall::raft_elector_options o = replica(name, folder, ports);
  o.transport.security = seawall::raft::transport_security::plain_text_on_loopback;
  auto cluster = seawall::raft_elector::open(o);
  if (!cluster.ok()) return fmt::print("{}\n", cluster.status().ToString()), 1;
  const auto watch =
      (*cluster)->watch("level", 1, [&](const seawall::map_changes&) { follow(**cluster, shop); });
  (*cluster)->start();
  while (const auto level = script.read()) {
    const auto done = (*cluster)->put("level", *level, seawall::steady_clock::now() + 30s);
    if (!done.ok()) fmt::print("{}\n", done.status().ToString());
  }
  return 0;
}

// All of them say that they are at this level now.
bool all_at(const std::string& level, std::vector<std::unique_ptr<process>>& shops) {
  for (const auto& shop : shops) {
    for (std::string at; at != level;) {
      const auto said = shop->line().read();
      if (!said) return false;
      at = *said;
    }
  }
  fmt::print("all are at \"{}\"\n", level);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv, argv + argc);
  if (words.size() == 7 && words[1] == "shop")
    return run_shop(words[2], words[3], {words.begin() + 4, words.end()});

  const temporary_folder folder;
  const reserved_ports ports(3);
  const auto start = [&](const std::string& name) {
    return std::make_unique<process>(
        std::vector{words[0], std::string("shop"), name, folder.path(), ports[0], ports[1], ports[2]});
  };
  std::vector<std::unique_ptr<process>> shops;
  for (const char* name : {"a", "b", "c"}) shops.push_back(start(name));

  shops[0]->line().write("1");
  bool good = all_at("no recommendations", shops);

  shops[1]->kill();
  shops[2]->line().write("2");
  shops[1] = start("b");
  good = good && all_at("read-only", shops);

  shops[1]->line().write("0");
  good = good && all_at("full", shops);
  return good ? 0 : 1;
}
