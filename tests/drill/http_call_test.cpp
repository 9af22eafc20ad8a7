// SPDX-License-Identifier: Apache-2.0
#include "drill/http_call.hpp"

#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "drill/http_server.hpp"
#include "drill/port.hpp"
#include <doctest/doctest.h>

namespace drill {
namespace {

using namespace std::chrono_literals;

/// Answers, or does what its paths are called.
class server_on {
 public:
  explicit server_on(const reserved_port& port) : server_({.threads = 2, .waiting = 2, .backlog = 8}) {
    server_.Post("/answer", [](const httplib::Request& request, httplib::Response& response) {
      response.set_header("Degraded", "payment");
      response.set_content(request.get_header_value("Idempotency-Key"), "text/plain");
    });
    server_.Post("/pause", [](const httplib::Request&, httplib::Response& response) {
      response.status = 503;
      response.set_header("Retry-After", "7");
    });
    server_.Post("/reset", [this](const httplib::Request& request, httplib::Response&) {
      server_.reset_connection(request);
    });
    server_.Get("/product", [](const httplib::Request& request, httplib::Response& response) {
      response.set_content(request.get_param_value("article"), "text/plain");
    });
    server_.Post("/sleep",
                 [](const httplib::Request&, httplib::Response&) { std::this_thread::sleep_for(100ms); });
    server_.open(port.number());
    thread_ = std::thread([this] { server_.listen_after_bind(); });
  }
  ~server_on() {
    while (!server_.is_running()) std::this_thread::yield();
    server_.stop();
    thread_.join();
  }

 private:
  http_server server_;
  std::thread thread_;
};

http_reply ask(const reserved_port& port, std::string path, std::chrono::milliseconds budget) {
  return post(
      {.port = port.number(), .path = std::move(path), .idempotency_key = "k", .timeouts = within(budget)});
}

}  // namespace

TEST_CASE("HTTP: the time-outs add up to the budget") {
  const http_timeouts t = within(199ms);
  CHECK(t.connect + t.read == 199ms);
  CHECK(t.connect < t.read);
}

TEST_CASE("HTTP: every ending is told from the others") {
  using ending = http_reply::ending;
  const reserved_port port;
  CHECK(ask(port, "/answer", 5s).how == ending::not_connected);  // reserved, but nobody listens
  {
    const server_on server(port);
    const http_reply answer = ask(port, "/answer", 5s);
    CHECK(answer.ok());
    CHECK(answer.body == "k");
    CHECK(answer.degraded == "payment");
    const http_reply pause = ask(port, "/pause", 5s);
    CHECK(pause.how == ending::answered);
    CHECK_FALSE(pause.ok());
    CHECK(pause.retry_after == 7s);
    CHECK(ask(port, "/product", 5s).status == 404);  // a GET it is that asks for one
    CHECK(get({.port = port.number(), .path = "/product?article=17", .timeouts = within(5s)}).body == "17");
    CHECK(ask(port, "/reset", 5s).how == ending::broken_off);
    CHECK(ask(port, "/sleep", 20ms).how == ending::timed_out);
  }
  CHECK(ask(port, "/answer", 5s).how == ending::not_connected);
  const server_on again(port);  // the port is still ours
  CHECK(ask(port, "/answer", 5s).ok());
}

}  // namespace drill
