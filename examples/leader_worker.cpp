// SPDX-License-Identifier: Apache-2.0

//   worker a --+
//   worker b --+-- Raft among themselves: one leads --> job, token 7 --> [ fence: newest token 7 ] --> file
//   worker c --+                                         job, token 4 --> [ ... ] refused
//
// Three processes, of which one works: each job must be written once. The script (the same program) sends the leader a signal at
// the worst moment, when it has looked at its lease and not yet written: kill -9; SIGSTOP, until somebody else leads, then SIGCONT;
// SIGTERM, upon which it hands over. The second one still wants to write what another has written by then. No clock and no
// lease can keep it from that; the token does. `leader_worker --no-fence` shows what happens without, and fails.
//
// The worker and the script are in support/leader_worker.hpp; leader_etcd.cpp has the same ones with another elector.

#include "support/leader_worker.hpp"

#include <string>
#include <utility>
#include <vector>

#include "seawall/election/raft_elector.hpp"
#include "support/certificates.hpp"
#include "support/replicas.hpp"
#include <fmt/format.h>

namespace {

int worker(const std::string& name, const std::string& folder, const std::vector<std::string>& ports) {
  seawall::raft_elector_options o = replica(name, folder, ports);
  o.transport.tls = {.ca_file = folder + "/ca.pem",
                     .certificate_file = folder + "/" + name + ".pem",
                     .private_key_file = folder + "/" + name + ".key"};
  auto elector = seawall::raft_elector::open(o);
  if (elector.ok()) return work(*std::move(elector));
  fmt::print("{}: {}\n", name, elector.status().ToString());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv, argv + argc);
  if (words.size() == 7 && words[1] == "worker")
    return worker(words[2], words[3], {words.begin() + 4, words.end()});

  const bool fenced = words.size() < 2 || words[1] != "--no-fence";
  const temporary_folder folder;
  const reserved_ports ports(3);
  make_certificates(folder.path(), {"a", "b", "c"});
  leader_drill drill(folder, fenced, [&](const std::string& name) {
    return std::vector{words[0], std::string("worker"), name, folder.path(), ports[0], ports[1], ports[2]};
  });
  return drill.run();
}
