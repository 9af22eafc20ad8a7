// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_EXAMPLES_SUPPORT_HTTP_GET_HPP
#define SEAWALL_EXAMPLES_SUPPORT_HTTP_GET_HPP

// A GET with libcurl that keeps to what an attempt says: its deadline, and whether it is still wanted.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "seawall/call.hpp"
#include "seawall/status.hpp"
#include <curl/curl.h>

namespace http_get_detail {

inline std::size_t append(char* data, std::size_t, std::size_t size, void* body) {
  static_cast<std::string*>(body)->append(data, size);
  return size;
}

// Called when data come, and about once a second when none do: so long may it take until a given-up transfer ends.
inline int progress(void* attempt, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const seawall::attempt*>(attempt)->stop_requested() ? 1 : 0;
}

inline absl::Status status_of(CURLcode code, long http) {
  switch (code) {
    case CURLE_OK: break;
    case CURLE_ABORTED_BY_CALLBACK: return absl::CancelledError("given up");
    case CURLE_OPERATION_TIMEDOUT: return absl::DeadlineExceededError(curl_easy_strerror(code));
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
      return seawall::not_executed(absl::UnavailableError(curl_easy_strerror(code)));
    default: return absl::UnavailableError(curl_easy_strerror(code));
  }
  if (http >= 500) return absl::UnavailableError("HTTP " + std::to_string(http));
  return http < 400 ? absl::OkStatus() : absl::FailedPreconditionError("HTTP " + std::to_string(http));
}

}  // namespace http_get_detail

/// Blocks. Call `curl_global_init` first.
inline absl::StatusOr<std::string> http_get(const std::string& url, const seawall::attempt& a) {
  // Now, not `a.time_left()`: it may have waited for a thread.
  const seawall::duration left = a.deadline() - seawall::steady_clock::now();
  if (left <= seawall::duration::zero()) return absl::DeadlineExceededError("no time left");
  // For libcurl, 0 is for ever.
  const long ms = left == seawall::duration::infinite()
                      ? 0
                      : static_cast<long>(std::clamp<std::int64_t>(left.ns() / 1'000'000, 1, 1'000'000'000));

  const std::unique_ptr<CURL, void (*)(CURL*)> curl(curl_easy_init(), curl_easy_cleanup);
  if (curl == nullptr) return absl::ResourceExhaustedError("curl_easy_init");
  std::string body;
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);  // there are threads
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT_MS, ms);
  curl_easy_setopt(curl.get(), CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl.get(), CURLOPT_XFERINFOFUNCTION, &http_get_detail::progress);
  curl_easy_setopt(curl.get(), CURLOPT_XFERINFODATA, &a);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, &http_get_detail::append);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &body);
  const CURLcode code = curl_easy_perform(curl.get());
  long http = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &http);
  if (absl::Status s = http_get_detail::status_of(code, http); !s.ok()) return s;
  return body;
}

#endif  // SEAWALL_EXAMPLES_SUPPORT_HTTP_GET_HPP
