// SPDX-License-Identifier: Apache-2.0
#include "dependency_server.hpp"

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <random>
#include <string>
#include <thread>

#include "audit.hpp"
#include "checkout.hpp"
#include "child_process.hpp"
#include "dependencies.hpp"
#include "fault.hpp"
#include "http_server.hpp"
#include "ledger.hpp"
#include "options.hpp"
#include <fmt/format.h>

namespace drill {
namespace {

using std::chrono::microseconds;

/// What a request does to itself and to the ledger, decided before it is served.
struct fate {
  microseconds takes{0};
  bool executes = true;
  bool resets = false;
  int status = 200;
  bool asks_for_a_pause = false;  ///< Retry-After: 1
};

/// Thread safety: any thread.
class dependency_service {
 public:
  dependency_service(dependency which, std::uint64_t seed)
      : which_(which), usually_(usual_latency(which)), random_(seed) {}

  fate draw() {
    const std::lock_guard lock(mutex_);
    fate f{.takes = usually_ + microseconds(static_cast<std::int64_t>(uniform() * usually_.count()))};
    switch (fault_.what) {
      case fault::kind::none: break;
      case fault::kind::slow: f.takes += fault_.delay; break;
      case fault::kind::errors:
        if (uniform() < fault_.share) draw_error(f);
        break;
      case fault::kind::resets:
        f.resets = uniform() < fault_.share;
        f.executes = !f.resets || uniform() < 0.5;
        break;
    }
    return f;
  }

  /// Does what the dependency is there for, and says what came of it.
  std::string execute(std::uint64_t order, const std::string& key) {
    const std::lock_guard lock(mutex_);
    switch (which_) {
      case dependency::inventory: return fmt::format("stock {}\n", --stock_);
      case dependency::payment: ledger_.charge(order, key); return "paid\n";
      case dependency::recommendations: return fmt::format("goes well with article {}\n", article_of(order));
    }
    return {};
  }

  std::string obey(std::string_view words) {
    constexpr std::string_view fault_command = "fault ";
    const std::lock_guard lock(mutex_);
    if (words == "audit") return to_words(payment_audit_of(ledger_));
    if (!words.starts_with(fault_command)) return "unknown";
    const auto f = fault_from_words(words.substr(fault_command.size()));
    if (!f) return "malformed";
    fault_ = *f;
    return "done";
  }

 private:
  static microseconds usual_latency(dependency which) {
    switch (which) {
      case dependency::inventory: return microseconds(4000);
      case dependency::payment: return microseconds(10000);
      case dependency::recommendations: return microseconds(5000);
    }
    return microseconds(0);
  }

  // The worst kind is the charge that was made and then lost its answer: only an idempotency key makes it
  // repeatable.
  void draw_error(fate& f) {
    const double u = uniform();
    f.executes = u < 0.4;
    f.status = f.executes ? 500 : 503;
    f.asks_for_a_pause = u >= 0.9;
  }

  double uniform() { return std::uniform_real_distribution<double>()(random_); }

  const dependency which_;
  const microseconds usually_;
  std::mutex mutex_;
  fault fault_;
  ledger ledger_;
  std::int64_t stock_ = 100'000;
  std::mt19937_64 random_;
};

void serve(dependency_service& service, const http_server& server, const httplib::Request& request,
           httplib::Response& response) {
  const fate f = service.draw();
  std::this_thread::sleep_for(f.takes);
  std::string result;
  if (f.executes) {
    result = service.execute(std::strtoull(request.get_param_value("order").c_str(), nullptr, 10),
                             request.get_header_value("Idempotency-Key"));
  }
  if (f.resets) return server.reset_connection(request);
  response.status = f.status;
  if (f.asks_for_a_pause) response.set_header("Retry-After", "1");
  response.set_content(f.status == 200 ? result : "out of order\n", "text/plain");
}

}  // namespace

int serve_dependency(std::span<const std::string_view> arguments) {
  const auto which = dependency_named(flag_value(arguments, "--name"));
  if (!which) return 2;
  const auto number = [&](std::string_view flag) {
    return std::strtoull(std::string(flag_value(arguments, flag)).c_str(), nullptr, 10);
  };

  dependency_service service(*which, number("--seed"));
  // More threads than any storefront has: the bottleneck under test is the storefront's.
  http_server server({.threads = 96, .waiting = 128, .backlog = 256});
  server.Post("/call", [&](const httplib::Request& request, httplib::Response& response) {
    serve(service, server, request, response);
  });
  server.open(static_cast<std::uint16_t>(number("--port")));
  std::thread([&] { server.listen_after_bind(); }).detach();
  serve_driver([&](std::string_view words) { return service.obey(words); });
  // Threads may be in the middle of a slow answer that nobody waits for any more.
  std::_Exit(0);
}

}  // namespace drill
