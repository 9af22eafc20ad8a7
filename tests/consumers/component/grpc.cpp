// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include <seawall/adapt/grpc.hpp>

int main() {
  const grpc::Status sent = seawall::to_grpc(absl::UnavailableError("restarting"));
  const absl::Status read = seawall::from_grpc(sent);
  std::printf("%s\n", read.ToString().c_str());
  return read == absl::UnavailableError("restarting") ? 0 : 1;
}
