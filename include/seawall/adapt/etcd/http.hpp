// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ADAPT_ETCD_HTTP_HPP
#define SEAWALL_ADAPT_ETCD_HTTP_HPP

// HTTP/1.1 over libcurl (7.68 or later), in one thread: requests one at a time, and a stream that comes in beside them. Everything has an end:
// time, and what the other side may send. Redirections, proxies of the environment and other protocols are not followed.

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "seawall/adapt/etcd/options.hpp"
#include "seawall/options.hpp"
#include "seawall/time.hpp"
#include <curl/curl.h>

namespace seawall::detail {

/// What came of a request; `error` is not empty if it was no complete answer. The request may have been carried out then.
struct http_answer {
  long status = 0;
  std::string body = {};
  std::string error = {};
};

/// One POST on its way.
class http_transfer {
 public:
  http_transfer(const std::string& url, const std::vector<std::string>& headers, std::string body,
                const etcd_connection_options& o, std::optional<duration> timeout)
      : body_(std::move(body)), most_(o.max_response_bytes), easy_(curl_easy_init()) {
    if (!easy_) refuse("etcd: libcurl has no memory");
    for (const std::string& h : headers) add_header(h);
    add_header("Content-Type: application/json");
    add_header("Expect:");
    set_request(url);
    set_limits(o, timeout);
    set_security(o);
  }
  http_transfer(const http_transfer&) = delete;
  http_transfer& operator=(const http_transfer&) = delete;

  CURL* handle() const noexcept { return easy_.get(); }
  bool done() const noexcept { return result_.has_value(); }
  void finish(CURLcode code) noexcept { result_ = code; }
  /// What has come; a reader of a stream takes from it.
  std::string& received() noexcept { return received_; }
  long status() const noexcept {
    long code = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &code);
    return code;
  }
  /// Of one that is done; empty if it went well.
  std::string error() const {
    if (too_much_) return "an answer of more than " + std::to_string(most_) + " bytes";
    if (result_ == CURLE_OK) return {};
    return error_[0] != '\0' ? error_.data() : curl_easy_strerror(result_.value_or(CURLE_OPERATION_TIMEDOUT));
  }

 private:
  struct closing {
    void operator()(CURL* c) const noexcept { curl_easy_cleanup(c); }
    void operator()(curl_slist* l) const noexcept { curl_slist_free_all(l); }
  };

  void add_header(const std::string& text) {
    if (curl_slist* grown = curl_slist_append(headers_.get(), text.c_str())) {
      static_cast<void>(headers_.release());
      headers_.reset(grown);
    }
  }
  static long ms(duration d) noexcept { return std::max(static_cast<long>(d.ns() / 1'000'000), 1L); }

  void set_request(const std::string& url) noexcept {
    CURL* const c = easy_.get();
    curl_easy_setopt(c, CURLOPT_PRIVATE, static_cast<void*>(this));
    curl_easy_setopt(c, CURLOPT_URL, url.c_str());
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers_.get());
    curl_easy_setopt(c, CURLOPT_POST, 1L);
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, body_.data());
    curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body_.size()));
    curl_easy_setopt(c, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(c, CURLOPT_WRITEDATA, static_cast<void*>(this));
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, &http_transfer::take);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, static_cast<void*>(this));
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, &http_transfer::take_header);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, error_.data());
  }
  void set_limits(const etcd_connection_options& o, std::optional<duration> timeout) noexcept {
    CURL* const c = easy_.get();
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(c, CURLOPT_TCP_KEEPIDLE, 5L);
    curl_easy_setopt(c, CURLOPT_TCP_KEEPINTVL, 2L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, ms(o.connect_timeout));
    if (timeout) curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, ms(*timeout));
#if LIBCURL_VERSION_NUM >= 0x075700
    // A name server that does not answer is left to a thread that ends by itself; else giving up would wait for it.
    curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L);
#endif
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(c, CURLOPT_PROTOCOLS, static_cast<long>(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
  }
  void set_security(const etcd_connection_options& o) noexcept {
    CURL* const c = easy_.get();
    curl_easy_setopt(c, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    if (!o.ca_file.empty()) {
      curl_easy_setopt(c, CURLOPT_CAINFO, o.ca_file.c_str());
      // The system's own authorities are not meant then.
      curl_easy_setopt(c, CURLOPT_CAPATH, nullptr);
    }
    if (o.cert_file.empty()) return;
    curl_easy_setopt(c, CURLOPT_SSLCERT, o.cert_file.c_str());
    curl_easy_setopt(c, CURLOPT_SSLKEY, o.key_file.c_str());
    curl_easy_setopt(c, CURLOPT_KEYPASSWD, "");  // without one, OpenSSL asks at the terminal, and waits
  }

  static std::size_t take(char* bytes, std::size_t size, std::size_t count, void* self) {
    auto& t = *static_cast<http_transfer*>(self);
    if (!t.has_room(size * count, t.received_.size())) return 0;
    t.received_.append(bytes, size * count);
    return size * count;
  }
  static std::size_t take_header(char*, std::size_t size, std::size_t count, void* self) {
    auto& t = *static_cast<http_transfer*>(self);
    if (!t.has_room(size * count, t.header_bytes_)) return 0;
    t.header_bytes_ += size * count;
    return size * count;
  }
  bool has_room(std::size_t more, std::size_t so_far) noexcept {
    too_much_ = too_much_ || more > most_ - std::min(most_, so_far);
    return !too_much_;
  }

  const std::string body_;
  const std::size_t most_;
  std::unique_ptr<curl_slist, closing> headers_;
  std::array<char, CURL_ERROR_SIZE> error_{};
  std::string received_;
  std::size_t header_bytes_ = 0;
  bool too_much_ = false;
  std::optional<CURLcode> result_;
  std::unique_ptr<CURL, closing> easy_;  // last: it points to everything above
};

/// Thread safety: one thread's, but for `wake`. Cancellation: once `abort` is set and `wake` called, `post` comes back with an
/// error.
class http_client {
 public:
  http_client(const etcd_connection_options& o, const std::atomic<bool>& abort)
      : options_(o), abort_(abort), multi_((global_init(), curl_multi_init())) {
    if (!multi_) refuse("etcd: libcurl has no memory");
  }
  ~http_client() { close_stream(); }
  http_client(const http_client&) = delete;
  http_client& operator=(const http_client&) = delete;

  http_answer post(const std::string& url, const std::vector<std::string>& headers, std::string body,
                   duration timeout) {
    http_transfer t(url, headers, std::move(body), options_, timeout);
    const instant deadline = steady_clock::now() + timeout;
    curl_multi_add_handle(multi_.get(), t.handle());
    pump();
    while (!t.done() && !abort_.load(std::memory_order_acquire) && steady_clock::now() < deadline) {
      poll(deadline - steady_clock::now());
      pump();
    }
    http_answer a{.status = t.status(), .body = std::move(t.received()), .error = t.error()};
    if (!t.done()) a.error = abort_.load(std::memory_order_acquire) ? "broken off" : "no answer in time";
    curl_multi_remove_handle(multi_.get(), t.handle());
    return a;
  }

  void open_stream(const std::string& url, const std::vector<std::string>& headers, std::string body) {
    close_stream();
    stream_ = std::make_unique<http_transfer>(url, headers, std::move(body), options_, std::nullopt);
    curl_multi_add_handle(multi_.get(), stream_->handle());
    pump();
  }
  void close_stream() noexcept {
    if (stream_) curl_multi_remove_handle(multi_.get(), stream_->handle());
    stream_.reset();
  }
  /// Null: there is none. One that is done has broken, or was ended by the other side.
  http_transfer* stream() const noexcept { return stream_.get(); }

  /// Until something has come of the stream, `wake`, or so long.
  void wait(duration at_most) noexcept {
    poll(at_most);
    pump();
  }
  /// From any thread.
  void wake() noexcept { curl_multi_wakeup(multi_.get()); }

 private:
  struct closing {
    void operator()(CURLM* m) const noexcept { curl_multi_cleanup(m); }
  };

  static void global_init() {
    static const CURLcode once = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (once != CURLE_OK) refuse(std::string("etcd: ") + curl_easy_strerror(once));
  }

  void poll(duration at_most) noexcept {
    const std::int64_t ms =
        at_most <= duration::zero() ? 0 : std::min<std::int64_t>(at_most.ns() / 1'000'000 + 1, 60'000);
    curl_multi_poll(multi_.get(), nullptr, 0, static_cast<int>(ms), nullptr);
  }
  void pump() noexcept {
    int running = 0;
    curl_multi_perform(multi_.get(), &running);
    int left = 0;
    while (const CURLMsg* m = curl_multi_info_read(multi_.get(), &left)) {
      void* transfer = nullptr;
      if (m->msg != CURLMSG_DONE ||
          curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &transfer) != CURLE_OK)
        continue;
      static_cast<http_transfer*>(transfer)->finish(m->data.result);
    }
  }

  const etcd_connection_options& options_;
  const std::atomic<bool>& abort_;
  std::unique_ptr<CURLM, closing> multi_;
  std::unique_ptr<http_transfer> stream_;
};

}  // namespace seawall::detail

#endif  // SEAWALL_ADAPT_ETCD_HTTP_HPP
