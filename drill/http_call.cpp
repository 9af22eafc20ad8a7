// SPDX-License-Identifier: Apache-2.0
#include "http_call.hpp"

#include <httplib.h>

#include <charconv>
#include <concepts>

namespace drill {
namespace {

// cpp-httplib waits in whole milliseconds, rounded down.
constexpr std::chrono::milliseconds poll_granularity{1};

std::optional<std::chrono::seconds> seconds_of(const std::string& header) {
  int seconds = 0;
  const auto [end, error] = std::from_chars(header.data(), header.data() + header.size(), seconds);
  if (error != std::errc{} || end != header.data() + header.size() || seconds < 0) return std::nullopt;
  return std::chrono::seconds(seconds);
}

http_reply answered(const httplib::Response& response) {
  return {.how = http_reply::ending::answered,
          .status = response.status,
          .body = response.body,
          .degraded = response.get_header_value("Degraded"),
          .service_level = response.get_header_value("Service-Level"),
          .retry_after = seconds_of(response.get_header_value("Retry-After"))};
}

http_reply::ending ending_of(httplib::Error error, bool time_is_up) {
  switch (error) {
    case httplib::Error::Connection:
    case httplib::Error::ConnectionTimeout: return http_reply::ending::not_connected;
    default:
      // cpp-httplib reports a time-out while reading like any other failure to read.
      return time_is_up ? http_reply::ending::timed_out : http_reply::ending::broken_off;
  }
}

}  // namespace

http_timeouts within(std::chrono::nanoseconds budget) {
  return {.connect = budget / 4, .read = budget - budget / 4};
}

namespace {

template <std::invocable<httplib::Client&, const httplib::Headers&> Send>
http_reply exchange(const http_request& request, Send send) {
  httplib::Client client("127.0.0.1", request.port);
  client.set_connection_timeout(request.timeouts.connect);
  client.set_read_timeout(request.timeouts.read);
  client.set_write_timeout(request.timeouts.read);
  client.set_keep_alive(false);
  client.set_tcp_nodelay(true);

  httplib::Headers headers;
  if (!request.idempotency_key.empty()) headers.emplace("Idempotency-Key", request.idempotency_key);
  const auto started = std::chrono::steady_clock::now();
  const httplib::Result result = send(client, headers);
  if (result) return answered(*result);
  const auto took = std::chrono::steady_clock::now() - started;
  return {.how = ending_of(result.error(), took + poll_granularity >= request.timeouts.read)};
}

}  // namespace

http_reply get(const http_request& request) {
  return exchange(request, [&](httplib::Client& client, const httplib::Headers& headers) {
    return client.Get(request.path, headers);
  });
}

http_reply post(const http_request& request) {
  return exchange(request, [&](httplib::Client& client, const httplib::Headers& headers) {
    return client.Post(request.path, headers, std::string(), "text/plain");
  });
}

}  // namespace drill
