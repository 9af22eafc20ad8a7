// SPDX-License-Identifier: Apache-2.0
// A name server that does not answer. The system's resolver cannot be broken off; the one here is the test's.
#include <curl/curl.h>

// Where a program's own function is the one that libcurl calls, and libcurl can leave it to itself.
#if defined(__linux__) && LIBCURL_VERSION_NUM >= 0x075700

#include <dlfcn.h>
#include <netdb.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stop_token>
#include <string_view>
#include <thread>

#include "etcd/support.hpp"
#include "seawall/adapt/etcd.hpp"
#include <doctest/doctest.h>

namespace {

using namespace etcd_test;

std::atomic<bool> answers{false};
std::atomic<int> asking{0};

int real_getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** result) {
  using function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
  static const auto real = reinterpret_cast<function>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  return real(node, service, hints, result);
}

}  // namespace

extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** result) {
  if (node == nullptr || node != std::string_view("hangs.invalid"))
    return real_getaddrinfo(node, service, hints, result);
  ++asking;
  for (int i = 0; i < 60'000 && !answers; ++i) std::this_thread::sleep_for(1ms);
  --asking;
  return EAI_FAIL;
}

namespace {

TEST_CASE("etcd resolver: a name server that hangs delays neither the end of a lease nor a destructor") {
  const auto* const libcurl = curl_version_info(CURLVERSION_NOW);
  // c-ares has no threads, and a libcurl without either waits for the system's resolver.
  if (libcurl->ares != nullptr || (libcurl->features & CURL_VERSION_ASYNCHDNS) == 0) return;
  etcd_cluster cluster;
  tcp_proxy way(cluster.port());
  election_log log;
  auto a =
      std::make_unique<etcd_elector>(short_options_for("a", {way.endpoint(), "http://hangs.invalid:2379"}));
  a->start(logged(log, "a"));
  const auto l = grant_of(*a);
  REQUIRE(l);
  way.cut();
  CHECK(eventually([] { return asking > 0; }));
  CHECK(eventually([&] { return l->stop().stop_requested(); }));
  a.reset();
  CHECK(asking > 0);
  answers = true;
  CHECK(eventually([] { return asking == 0; }));
}

}  // namespace

#endif
