// SPDX-License-Identifier: Apache-2.0
#include "storefront.hpp"

#include <cstdlib>
#include <string>
#include <thread>

#include "child_process.hpp"
#include "http_server.hpp"
#include "options.hpp"

namespace drill {
namespace {

std::uint64_t number_in(const httplib::Request& request, const char* name) {
  return std::strtoull(request.get_param_value(name).c_str(), nullptr, 10);
}

/// No failure: the shop knows what it does, and says so.
void turn_away(httplib::Response& response) {
  response.status = 503;
  response.set_header("Retry-After", "5");
  response.set_header("Service-Level", std::string(name_of(level_view::read_only)));
  response.set_content("no orders for the moment, but do look around\n", "text/plain");
}

void answer_customer(const shop& s, const httplib::Request& request, httplib::Response& response) {
  const checkout_answer a = s.checkout(number_in(request, "order"));
  if (a.read_only) return turn_away(response);
  response.status = a.accepted ? 200 : 502;
  std::string degraded;
  for (const dependency d : all_dependencies) {
    if (a.degraded[d]) degraded += degraded.empty() ? name_of(d) : "," + std::string(name_of(d));
  }
  if (!degraded.empty()) response.set_header("Degraded", degraded);
  response.set_content(a.accepted ? a.page : "sorry\n", "text/plain");
}

void answer_browser(const shop& s, const httplib::Request& request, httplib::Response& response) {
  const product_answer a = s.browse(number_in(request, "article"));
  response.status = a.refused ? 503 : 200;
  if (a.refused) response.set_header("Retry-After", "1");
  response.set_content(a.refused ? "come back later\n" : a.page, "text/plain");
}

}  // namespace

int serve_storefront(std::span<const std::string_view> arguments) {
  const auto number = [&](std::string_view flag) {
    return std::strtoull(std::string(flag_value(arguments, flag)).c_str(), nullptr, 10);
  };
  const auto port = [&](std::string_view flag) { return static_cast<std::uint16_t>(number(flag)); };
  storefront_ports ports;
  ports.own = port("--port");
  for (const dependency d : all_dependencies) ports.of[d] = port("--" + std::string(name_of(d)));
  const std::string_view kind = flag_value(arguments, "--kind");
  if (kind == name_of(shop_kind::bare)) run_bare_storefront(ports, number("--seed"));
  if (kind == name_of(shop_kind::seawall)) run_seawall_storefront(ports, number("--seed"));
  return 2;
}

std::string obey(const shop& s, std::string_view words) {
  if (words == "stats") return to_words(s.stats());
  const auto turn = [](const std::function<void(bool)>& mode, bool on) -> std::string {
    if (!mode) return std::string(no_such_mode);
    mode(on);
    return "done";
  };
  if (words == "chaos on" || words == "chaos off") return turn(s.switch_chaos, words == "chaos on");
  if (words == "read-only on" || words == "read-only off")
    return turn(s.switch_read_only, words == "read-only on");
  return "unknown";
}

void run_storefront(std::uint16_t port, const shop& s) {
  http_server server({.threads = 64, .waiting = 128, .backlog = 256});
  server.Post("/checkout", [&](const httplib::Request& request, httplib::Response& response) {
    answer_customer(s, request, response);
  });
  server.Get("/product", [&](const httplib::Request& request, httplib::Response& response) {
    answer_browser(s, request, response);
  });
  server.open(port);
  std::thread([&] { server.listen_after_bind(); }).detach();
  serve_driver([&](std::string_view words) { return obey(s, words); });
  // Threads may be stuck in calls.
  std::_Exit(0);
}

}  // namespace drill
