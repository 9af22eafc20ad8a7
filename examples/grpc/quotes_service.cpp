// SPDX-License-Identifier: Apache-2.0
#include "quotes_service.hpp"

#include <chrono>
#include <string_view>
#include <thread>

#include "seawall/adapt/grpc.hpp"
#include "seawall/deadline.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"

using namespace std::chrono_literals;

namespace quotes {
namespace {

/// False if nobody waits any more.
bool work_for(const grpc::ServerContext& context, std::chrono::milliseconds time) {
  const auto until = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < until && !context.IsCancelled()) std::this_thread::sleep_for(1ms);
  return !context.IsCancelled();
}

std::int64_t microseconds(seawall::duration d) {
  return d == seawall::duration::infinite() ? -1 : d.ns() / 1000;
}

std::string header(const grpc::ServerContext& context, const char* name) {
  const auto found = context.client_metadata().find(name);
  if (found == context.client_metadata().end()) return {};
  return std::string(found->second.data(), found->second.size());
}

}  // namespace

grpc::Status service::Get(grpc::ServerContext* context, const QuoteRequest* request, Quote* reply) {
  const seawall::instant arrived = seawall::steady_clock::now();
  const seawall::instant deadline = seawall::deadline_of(*context);
  const Behaviour& todo = request->behaviour();
  const int number = count_request(request->scenario());

  if (number <= todo.hang_times()) {
    work_for(*context, 30s);
    count_cancelled(request->scenario());
    return grpc::Status(grpc::StatusCode::CANCELLED, "nobody waits any more");
  }
  if (number <= todo.fail_times()) {
    if (!todo.pushback_ms().empty()) {
      context->AddTrailingMetadata("grpc-retry-pushback-ms", todo.pushback_ms());
    }
    return grpc::Status(static_cast<grpc::StatusCode>(todo.code()), todo.message(),
                        "details of " + todo.message());
  }

  // The database gets what is left, less what it takes to answer.
  const auto database = seawall::compose(seawall::deadline({.after = 10s}));
  const seawall::duration left = deadline - arrived;
  const absl::StatusOr<double> price =
      database.run({.deadline = from_callers_.deadline_in(left, arrived)},
                   [&](const seawall::attempt& a) -> absl::StatusOr<double> {
                     reply->set_database_left_us(microseconds(a.time_left()));
                     if (number <= todo.busy_times()) {
                       return seawall::with_retry_after(absl::ResourceExhaustedError("too many queries"),
                                                        std::chrono::milliseconds(todo.busy_ms()));
                     }
                     if (!work_for(*context, std::chrono::milliseconds(todo.work_ms()))) {
                       count_cancelled(request->scenario());
                       return absl::CancelledError("nobody waits any more");
                     }
                     return 1.0842;
                   });
  if (!price.ok()) return seawall::to_grpc(price.status(), *context);

  reply->set_pair(request->pair());
  reply->set_price(*price);
  reply->set_request(number);
  reply->set_time_left_us(microseconds(left));
  reply->set_idempotency_key(header(*context, "idempotency-key"));
  return grpc::Status();
}

grpc::Status service::Count(grpc::ServerContext*, const CountRequest* request, Counts* reply) {
  const std::lock_guard lock(mutex_);
  *reply = counts_[request->scenario()];
  return grpc::Status();
}

int service::count_request(const std::string& scenario) {
  const std::lock_guard lock(mutex_);
  Counts& c = counts_[scenario];
  c.set_requests(c.requests() + 1);
  return c.requests();
}

void service::count_cancelled(const std::string& scenario) {
  const std::lock_guard lock(mutex_);
  Counts& c = counts_[scenario];
  c.set_cancelled(c.cancelled() + 1);
}

}  // namespace quotes
