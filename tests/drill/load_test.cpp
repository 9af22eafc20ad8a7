// SPDX-License-Identifier: Apache-2.0
#include "drill/load.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <thread>
#include <vector>

#include "drill/http_server.hpp"
#include "drill/port.hpp"
#include <doctest/doctest.h>

namespace drill {
namespace {

using namespace std::chrono_literals;

/// Refuses the first visitor, has no page for the second, turns the third away on purpose, and answers
/// everybody else.
class choosy_server {
 public:
  explicit choosy_server(const reserved_port& port) : server_({.threads = 8, .waiting = 8, .backlog = 8}) {
    server_.Get("/product", [](const httplib::Request& request, httplib::Response& response) {
      const std::string article = request.get_param_value("article");
      response.status = article == "1" || article == "2" || article == "3" ? 503 : 200;
      if (article == "1" || article == "3") response.set_header("Retry-After", "1");
      if (article == "2" || article == "3") response.set_header("Service-Level", "read-only");
    });
    server_.open(port.number());
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~choosy_server() {
    server_.stop();
    thread_.join();
  }

 private:
  http_server server_;
  std::thread thread_;
};

/// Five visitors: a tenth of a second at fifty a second.
load a_few(const reserved_port& port) {
  return {.what = visit::browsing,
          .port = port.number(),
          .per_s = 50,
          .begins = std::chrono::steady_clock::now(),
          .lasts = 100ms};
}

std::ptrdiff_t ended(const std::vector<customer>& visitors, outcome how) {
  return std::count_if(visitors.begin(), visitors.end(), [&](const customer& c) { return c.how == how; });
}

}  // namespace

TEST_CASE("load: comes for as long as planned; refused and turned away on purpose are told from an error") {
  const reserved_port port;
  const choosy_server server(port);
  load_generator visitors(a_few(port));
  std::vector<customer> seen;
  while (seen.size() < 5) {
    std::this_thread::sleep_for(5ms);
    seen = visitors.customers();
  }
  visitors.stop();
  seen = visitors.customers();
  CHECK(seen.size() == 5);
  CHECK(ended(seen, outcome::refused) == 1);
  CHECK(ended(seen, outcome::error) == 1);
  CHECK(ended(seen, outcome::turned_away) == 1);
  CHECK(ended(seen, outcome::full) == 2);
}

TEST_CASE("load: one that is not to begin yet, or is to last no time, sends nobody") {
  const reserved_port port;
  load later = a_few(port);
  later.begins += 1h;
  load_generator early(later);
  early.stop();
  CHECK(early.customers().empty());

  load never = a_few(port);
  never.lasts = 0ms;
  load_generator nobody(never);
  nobody.stop();
  CHECK(nobody.customers().empty());
}

}  // namespace drill
