// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_EXAMPLES_SUPPORT_HTTP_SERVER_HPP
#define SEAWALL_EXAMPLES_SUPPORT_HTTP_SERVER_HPP

// An HTTP server on a free port of loopback that takes its time.

#include <httplib.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

class http_server {
 public:
  http_server(std::string says, std::chrono::milliseconds after) {
    server_.Get("/quote",
                [this, says = std::move(says), after](const httplib::Request&, httplib::Response& r) {
                  ++requests_;
                  const auto until = std::chrono::steady_clock::now() + after;
                  while (std::chrono::steady_clock::now() < until && !stopping_)
                    std::this_thread::sleep_for(std::chrono::milliseconds(1));
                  r.set_content(says, "text/plain");
                });
    port_ = server_.bind_to_any_port("127.0.0.1");
    if (port_ <= 0) throw std::runtime_error("no free port");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~http_server() {
    stopping_ = true;
    server_.stop();
    thread_.join();
  }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/quote"; }
  int requests() const { return requests_; }

 private:
  httplib::Server server_;
  std::atomic<int> requests_ = 0;
  std::atomic<bool> stopping_ = false;
  int port_ = 0;
  std::thread thread_;
};

#endif  // SEAWALL_EXAMPLES_SUPPORT_HTTP_SERVER_HPP
