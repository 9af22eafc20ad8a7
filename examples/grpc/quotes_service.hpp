// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_EXAMPLES_GRPC_QUOTES_SERVICE_HPP
#define SEAWALL_EXAMPLES_GRPC_QUOTES_SERVICE_HPP

// The server's side: does what a request asks for, counts, and calls its own database through a pipeline that gets the
// deadline of its caller.

#include <chrono>
#include <map>
#include <mutex>
#include <string>

#include "quotes.grpc.pb.h"
#include "seawall/propagation.hpp"

namespace quotes {

/// gRPC's synchronous API: a thread for each request, which may block.
class service final : public Quotes::Service {
 public:
  grpc::Status Get(grpc::ServerContext* context, const QuoteRequest* request, Quote* reply) override;
  grpc::Status Count(grpc::ServerContext* context, const CountRequest* request, Counts* reply) override;

 private:
  int count_request(const std::string& scenario);
  void count_cancelled(const std::string& scenario);

  std::mutex mutex_;
  std::map<std::string, Counts> counts_;  // guarded by mutex_

  // 5 ms are kept back, to answer in.
  const seawall::propagator from_callers_{{.margin = std::chrono::milliseconds(5)}};
};

}  // namespace quotes

#endif  // SEAWALL_EXAMPLES_GRPC_QUOTES_SERVICE_HPP
