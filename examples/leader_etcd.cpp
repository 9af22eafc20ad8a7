// SPDX-License-Identifier: Apache-2.0

//   worker a --+
//   worker b --+-- etcd: one leads --> job, token 7 --> [ fence: newest token 7 ] --> file
//   worker c --+                       job, token 4 --> [ ... ] refused
//
// The worker and the script of leader_worker.cpp with another elector: etcd decides. The token is the revision at which the
// leader's key was created. Starts an etcd of its own, which must be installed; `leader_etcd <endpoint>...` takes one that runs.

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "seawall/adapt/etcd.hpp"
#include "support/leader_worker.hpp"
#include <fmt/format.h>

namespace {

int worker(const std::string& name, std::vector<std::string> endpoints) {
  auto elector = seawall::etcd_elector::create({.etcd = {.endpoints = std::move(endpoints),
                                                         .connect_timeout = std::chrono::milliseconds(300),
                                                         .request_timeout = std::chrono::milliseconds(600)},
                                                .election = "example",
                                                .node = name,
                                                .ttl = std::chrono::seconds(2)});
  if (elector.ok()) return work(*std::move(elector));
  fmt::print("{}: {}\n", name, elector.status().ToString());
  return 1;
}

bool is_installed(const std::string& program) {
  const char* const path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    std::error_code none;
    if (std::filesystem::exists(folder + "/" + program, none)) return true;
  }
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv, argv + argc);
  if (words.size() > 3 && words[1] == "worker") return worker(words[2], {words.begin() + 3, words.end()});

  const temporary_folder folder;
  const reserved_ports ports(2);
  std::vector<std::string> endpoints(words.begin() + 1, words.end());
  std::unique_ptr<process> etcd;
  if (endpoints.empty()) {
    if (!is_installed("etcd")) {
      fmt::print("SKIPPED: there is no etcd. Debian: apt install etcd-server; Homebrew: brew install etcd\n");
      return 0;
    }
    endpoints = {"http://127.0.0.1:" + ports[0]};
    const std::string peers = "http://127.0.0.1:" + ports[1];
    etcd = std::make_unique<process>(std::vector<std::string>{
        "etcd", "--data-dir=" + (folder / "etcd"), "--listen-client-urls=" + endpoints[0],
        "--advertise-client-urls=" + endpoints[0], "--listen-peer-urls=" + peers,
        "--initial-advertise-peer-urls=" + peers, "--initial-cluster=default=" + peers, "--logger=zap",
        "--log-level=panic"});
  }
  leader_drill drill(folder, true, [&](const std::string& name) {
    std::vector<std::string> command = {words[0], "worker", name};
    command.insert(command.end(), endpoints.begin(), endpoints.end());
    return command;
  });
  return drill.run();
}
