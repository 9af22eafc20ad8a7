// SPDX-License-Identifier: Apache-2.0
// Clusters that ask who one is.
#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "etcd/support.hpp"
#include "seawall/adapt/etcd.hpp"
#include <doctest/doctest.h>

namespace {

using namespace etcd_test;
using seawall::etcd_elector_state;

void give_password(const etcd_cluster& cluster) {
  cluster.ask("/v3/auth/user/add", R"({"name":"root","password":"secret"})");
  cluster.ask("/v3/auth/user/grant", R"({"user":"root","role":"root"})");
  cluster.ask("/v3/auth/enable", "{}");
}

etcd_elector_options with_password(const etcd_cluster& cluster, const std::string& password) {
  auto o = options_for("a", {cluster.endpoint()});
  o.etcd.username = "root";
  o.etcd.password = password;
  return o;
}

TEST_CASE("etcd security: with the password it leads, also after the server has forgotten the login") {
  etcd_cluster cluster;
  give_password(cluster);
  election_log log;
  etcd_elector a(with_password(cluster, "secret"));
  a.start(logged(log, "a"));
  const auto l = grant_of(a);
  REQUIRE(l);
  seawall::etcd_fenced_writer writer({.etcd = with_password(cluster, "secret").etcd, .election = "orders"});
  CHECK(writer.put("k", "v", l->token()).ok());
  cluster.restart();
  const auto renewals = a.snapshot().renewals;
  REQUIRE(eventually([&] { return a.snapshot().renewals > renewals; }));
  CHECK(l->valid());
  CHECK(log.entries().size() == 1);
  CHECK(writer.put("k", "w", l->token()).ok());
}

TEST_CASE("etcd security: a login that has expired is renewed, and costs neither a leadership nor a write") {
  etcd_cluster cluster({.further = {"--auth-token-ttl=1"}});
  give_password(cluster);
  election_log log;
  auto o = with_password(cluster, "secret");
  o.look_every = 1h;
  etcd_elector a(o);
  a.start(logged(log, "a"));
  const auto l = grant_of(a);
  REQUIRE(l);
  seawall::etcd_fenced_writer writer({.etcd = o.etcd, .election = "orders"});
  CHECK(writer.put("k", "v", l->token()).ok());
  const auto renewals = a.snapshot().renewals;
  REQUIRE(eventually([&] { return a.snapshot().renewals > renewals; }));  // three seconds later
  CHECK(writer.put("k", "w", l->token()).ok());
  CHECK(l->valid());
  a.resign();
  REQUIRE(log.wait(what::elected, 2));
}

TEST_CASE("etcd security: without the right password it says so, and goes on trying") {
  etcd_cluster cluster;
  give_password(cluster);
  election_log log;
  etcd_elector a(with_password(cluster, "guess"));
  a.start(logged(log, "a"));
  REQUIRE(eventually([&] { return a.snapshot().failures >= 2; }));
  CHECK(a.snapshot().state == etcd_elector_state::unreachable);
  CHECK(a.snapshot().last_error.find("authentication failed") != std::string::npos);
  CHECK(a.snapshot().last_error.find("guess") == std::string::npos);
  CHECK(log.entries().empty());
}

/// An authority, and two certificates of it: of the server on 127.0.0.1, and of a client.
class certificates {
 public:
  certificates() {
    const std::string in = "cd '" + folder_.path() + "' && ";
    const std::string key = "openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes ";
    run(in + key + "-x509 -days 2 -subj /CN=authority -keyout ca.key -out ca.pem");
    for (const std::string who : {"server", "client"}) {
      run(in + key + "-subj /CN=" + who + " -keyout " + who + ".key -out " + who + ".csr");
      run(in + "printf 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n' > ext && " +
          "openssl x509 -req -days 2 -in " + who +
          ".csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile ext -out " + who + ".pem");
    }
    run(in + "openssl ec -in client.key -aes128 -passout pass:secret -out locked.key");
  }
  std::string file(const std::string& name) const { return folder_.path() + "/" + name; }

 private:
  static void run(const std::string& command) {
    if (std::system((command + " 2>/dev/null >/dev/null").c_str()) != 0)
      throw std::runtime_error("openssl: " + command);
  }
  temporary_folder folder_;
};

TEST_CASE(
    "etcd security: mutual TLS; nobody without the authority, or without a certificate of its own, gets through") {
  const certificates files;
  const etcd_cluster cluster(
      {.scheme = "https",
       .further = {"--cert-file=" + files.file("server.pem"), "--key-file=" + files.file("server.key"),
                   "--client-cert-auth", "--trusted-ca-file=" + files.file("ca.pem")}});
  election_log log;
  auto o = options_for("a", {cluster.endpoint()});
  const auto fails = [&] {
    etcd_elector a(o);
    a.start(logged(log, "a"));
    CHECK(eventually([&] { return a.snapshot().failures >= 2; }));
    CHECK(a.snapshot().campaigns == 0);
    MESSAGE(a.snapshot().last_error);
  };
  o.etcd.cert_file = files.file("client.pem");
  o.etcd.key_file = files.file("client.key");
  fails();  // the authority is none of the system's
  o.etcd.ca_file = files.file("ca.pem");
  o.etcd.cert_file = o.etcd.key_file = "";
  fails();
  o.etcd.cert_file = files.file("client.pem");
  o.etcd.key_file = files.file("locked.key");
  fails();  // and asks nobody for the password
  o.etcd.key_file = files.file("client.key");
  etcd_elector a(o);
  a.start(logged(log, "a"));
  REQUIRE(log.wait(what::elected, 1));
  const std::string by_name = "https://localhost:" + std::to_string(cluster.port());
  o.etcd.endpoints = {by_name};  // not in the certificate
  fails();
  CHECK(a.current());
}

}  // namespace
