// SPDX-License-Identifier: Apache-2.0

// The quotes service on a free port of loopback: says which on standard output, and serves until standard input ends, which
// is when whoever started it has gone.

#include <iostream>
#include <string>

#include "quotes_service.hpp"
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

int main() {
  quotes::service service;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) return 1;
  std::cout << port << std::endl;

  std::string line;
  while (std::getline(std::cin, line)) {
  }
  server->Shutdown(std::chrono::system_clock::now());
  return 0;
}
