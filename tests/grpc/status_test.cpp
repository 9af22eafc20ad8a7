// SPDX-License-Identifier: Apache-2.0
// What gRPC says, and what seawall reads in it; without a connection.
#include "absl/status/status.h"

#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "seawall/adapt/grpc.hpp"
#include <doctest/doctest.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>
#include <grpcpp/test/server_context_test_spouse.h>

namespace {

using namespace std::chrono_literals;
using seawall::duration;

std::string pushback_of(const absl::Status& s) {
  grpc::ServerContext context;
  const grpc::Status sent = seawall::to_grpc(s, context);
  CHECK(sent.error_code() == static_cast<int>(s.code()));
  std::string said;
  for (const auto& [name, value] : grpc::testing::ServerContextTestSpouse(&context).GetTrailingMetadata()) {
    CHECK(name == "grpc-retry-pushback-ms");
    said += value + ";";
  }
  return said;
}

absl::Status pushed_back(const std::vector<std::string>& values) {
  seawall::grpc_metadata trailing;
  trailing.emplace("other", "1");
  for (const std::string& v : values) trailing.emplace("grpc-retry-pushback-ms", v);
  return seawall::with_grpc_pushback(absl::UnavailableError("restarting"), trailing);
}

TEST_CASE("every gRPC code is the absl code of the same name, and back") {
  const std::map<grpc::StatusCode, std::string> codes = {
      {grpc::OK, "OK"},
      {grpc::CANCELLED, "CANCELLED"},
      {grpc::UNKNOWN, "UNKNOWN"},
      {grpc::INVALID_ARGUMENT, "INVALID_ARGUMENT"},
      {grpc::DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"},
      {grpc::NOT_FOUND, "NOT_FOUND"},
      {grpc::ALREADY_EXISTS, "ALREADY_EXISTS"},
      {grpc::PERMISSION_DENIED, "PERMISSION_DENIED"},
      {grpc::UNAUTHENTICATED, "UNAUTHENTICATED"},
      {grpc::RESOURCE_EXHAUSTED, "RESOURCE_EXHAUSTED"},
      {grpc::FAILED_PRECONDITION, "FAILED_PRECONDITION"},
      {grpc::ABORTED, "ABORTED"},
      {grpc::OUT_OF_RANGE, "OUT_OF_RANGE"},
      {grpc::UNIMPLEMENTED, "UNIMPLEMENTED"},
      {grpc::INTERNAL, "INTERNAL"},
      {grpc::UNAVAILABLE, "UNAVAILABLE"},
      {grpc::DATA_LOSS, "DATA_LOSS"},
  };
  CHECK(codes.size() == 17);
  for (const auto& [code, name] : codes) {
    CAPTURE(name);
    const absl::Status read = seawall::from_grpc(grpc::Status(code, code == grpc::OK ? "" : "text"));
    CHECK(absl::StatusCodeToString(read.code()) == name);
    CHECK(read.ok() == (code == grpc::OK));
    CHECK(seawall::classify(read) == seawall::classify(read.code()));
    CHECK(seawall::to_grpc(read).error_code() == code);
    CHECK(seawall::to_grpc(read).error_message() == read.message());
  }
}

TEST_CASE("a code that gRPC does not define yet is read as unknown, not as success") {
  const absl::Status read = seawall::from_grpc(grpc::Status(static_cast<grpc::StatusCode>(17), "new"));
  CHECK(read.code() == absl::StatusCode::kUnknown);
  CHECK(seawall::classify(read) == seawall::verdict::transient());
  CHECK(seawall::from_grpc(grpc::Status(grpc::DO_NOT_USE, "")).code() == absl::StatusCode::kUnknown);
}

TEST_CASE("error details survive the way in and out again, whatever bytes they are") {
  const std::string details("\0\xff details", 10);
  const grpc::Status came(grpc::ABORTED, "conflict", details);
  const absl::Status read = seawall::from_grpc(came);
  CHECK(seawall::to_grpc(read).error_details() == details);
  CHECK(seawall::to_grpc(absl::AbortedError("conflict")).error_details().empty());
}

TEST_CASE("pushback: milliseconds to wait") {
  CHECK(seawall::retry_after_of(pushed_back({"0"})) == duration::zero());
  CHECK(seawall::retry_after_of(pushed_back({"250"})) == duration(250ms));
  CHECK(seawall::retry_after_of(pushed_back({"2147483647"})) == duration(2147483647ms));
  // Larger than it may be, and no reason to wrap.
  CHECK(seawall::retry_after_of(pushed_back({"9223372036854775807"})) == duration::infinite());
  CHECK(seawall::classify(pushed_back({"250"})).again == seawall::again::if_idempotent);
  CHECK(seawall::classify(pushed_back({"250"})).health == seawall::health::unhealthy);
}

TEST_CASE("pushback: negative, malformed or said twice is a wish not to be asked again, never a pause") {
  const std::vector<std::vector<std::string>> forms = {{"-1"},
                                                       {"-9223372036854775808"},
                                                       {""},
                                                       {" 5"},
                                                       {"5 "},
                                                       {"+5"},
                                                       {"5ms"},
                                                       {"0x10"},
                                                       {"1e3"},
                                                       {"2.5"},
                                                       {"soon"},
                                                       {"-"},
                                                       {"10", "10"},
                                                       {"10", "-1"},
                                                       {"9223372036854775808"}};
  for (const auto& form : forms) {
    CAPTURE(form.front());
    const absl::Status s = pushed_back(form);
    CHECK(seawall::classify(s).again == seawall::again::never);
    CHECK(seawall::classify(s).health == seawall::health::unhealthy);
    CHECK(!seawall::retry_after_of(s));
  }
}

TEST_CASE("pushback: none said, none read; and nothing is added to a success") {
  CHECK(pushed_back({}) == absl::UnavailableError("restarting"));
  seawall::grpc_metadata trailing;
  trailing.emplace("grpc-retry-pushback-ms", "-1");
  CHECK(seawall::with_grpc_pushback(absl::OkStatus(), trailing).ok());
}

TEST_CASE("a server says when to come back, rounded up, in no more than 32 bits") {
  const absl::Status busy = absl::ResourceExhaustedError("busy");
  CHECK(pushback_of(busy) == "");
  CHECK(pushback_of(absl::OkStatus()) == "");
  CHECK(pushback_of(seawall::with_retry_after(busy, 0ms)) == "0;");
  CHECK(pushback_of(seawall::with_retry_after(busy, 250ms)) == "250;");
  CHECK(pushback_of(seawall::with_retry_after(busy, 250ms + 1ns)) == "251;");
  CHECK(pushback_of(seawall::with_retry_after(busy, duration::infinite())) == "2147483647;");
  CHECK(pushback_of(seawall::do_not_retry(busy)) == "-1;");
  CHECK(pushback_of(seawall::do_not_retry(seawall::with_retry_after(busy, 5s))) == "-1;");
}

TEST_CASE("a rejection by a server's own breaker goes out as its code, its time left as pushback") {
  const absl::Status rejected = seawall::outcome_traits<absl::Status>::reject(
      {.policy = "circuit_breaker", .name = "database", .why = seawall::reason::open, .retry_after = 1500ms},
      nullptr);
  CHECK(pushback_of(rejected) == "1500;");
  const grpc::Status sent = seawall::to_grpc(rejected);
  CHECK(sent.error_code() == grpc::UNAVAILABLE);
  CHECK(sent.error_details().empty());
  // The client must not take it for proof that nothing was executed.
  CHECK(seawall::classify(seawall::from_grpc(sent)).again == seawall::again::if_idempotent);
}

}  // namespace
