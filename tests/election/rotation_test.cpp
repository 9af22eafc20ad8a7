// SPDX-License-Identifier: Apache-2.0
// Replicas whose certificates are replaced while they run.
#include <cstdint>
#include <fstream>
#include <string>

#include "election/certificates.hpp"
#include "election/raft_cluster.hpp"
#include "seawall/election/raft_elector.hpp"
#include <doctest/doctest.h>

namespace {

using namespace raft_test;

TEST_CASE("raft_elector: certificates are replaced while a cluster works, and what is none changes nothing") {
  const election_test::authority ca;
  const temporary_folder folder;
  const auto write = [&](const std::string& name, const std::string& pem) {
    std::ofstream(folder.path(name)) << pem;
  };
  const auto issue = [&](std::uint64_t n) {
    const auto i = ca.issue({.names = "DNS:" + raft_cluster::name(n)});
    write(raft_cluster::name(n) + ".pem", i.certificate);
    write(raft_cluster::name(n) + ".key", i.key);
  };
  write("ca.pem", ca.pem());
  for (const std::uint64_t n : {1, 2, 3}) issue(n);

  raft_cluster c(3, [&](seawall::raft_elector_options& o) {
    for (seawall::raft_node& n : o.nodes) n.identity = "DNS:" + n.name;
    const std::string me = folder.path(raft_cluster::name(o.self));
    o.transport.security = seawall::raft::transport_security::mutual_tls;
    o.transport.tls = {
        .ca_file = folder.path("ca.pem"), .certificate_file = me + ".pem", .private_key_file = me + ".key"};
  });
  c.start_all();
  REQUIRE(c[1].put("k", "1", in_time()).ok());

  write("a.pem", "none");
  const auto error = c[1].reload_certificates();
  REQUIRE(error);
  CHECK(error->field == "tls.certificate");
  CHECK(c[1].put("k", "2", in_time()).ok());

  const auto made = [&](std::uint64_t n) {
    std::uint64_t sum = 0;
    for (const auto& p : c[n].network().peers) sum += p.connections;
    return sum;
  };
  for (const std::uint64_t n : {1, 2, 3}) {
    issue(n);
    const std::uint64_t before = made(n);
    CHECK(!c[n].reload_certificates());
    CHECK(eventually([&] { return made(n) >= before + 2; }));
  }
  for (const std::uint64_t n : {1, 2, 3}) CHECK(c[n].put("k", std::to_string(n), in_time()).ok());
}

}  // namespace
