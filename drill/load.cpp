// SPDX-License-Identifier: Apache-2.0
#include "load.hpp"

#include <algorithm>

#include "checkout.hpp"
#include "http_call.hpp"
#include <fmt/format.h>

namespace drill {
namespace {

using clock = std::chrono::steady_clock;
using std::chrono::microseconds;

per_dependency<bool> degraded_in(std::string_view header) {
  per_dependency<bool> degraded;
  for (const dependency d : all_dependencies) degraded[d] = header.find(name_of(d)) != std::string_view::npos;
  return degraded;
}

}  // namespace

load_generator::load_generator(std::uint16_t port, int rate_per_s)
    : port_(port), rate_per_s_(rate_per_s), began_(clock::now() + std::chrono::milliseconds(50)) {
  // A connection and an answer may each take the patience; nearly all take less than three seconds together.
  const int threads = 3 * rate_per_s;
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { serve_customers(); });
}

std::vector<customer> load_generator::customers(std::size_t from) const {
  const std::lock_guard lock(mutex_);
  return {served_.begin() + static_cast<std::ptrdiff_t>(std::min(from, served_.size())), served_.end()};
}

void load_generator::stop() {
  {
    const std::lock_guard lock(mutex_);
    closed_at_ = std::min(closed_at_, since_began());
  }
  closing_.notify_all();
  for (std::thread& t : threads_) t.join();
  threads_.clear();
}

// Each thread takes the next customer and waits until that one comes. Threads that are held up by the shop
// leave the following customers to the others.
void load_generator::serve_customers() {
  for (;;) {
    const std::uint64_t number = next_.fetch_add(1);
    if (!wait_for(arrival_of(number))) return;
    const customer c = serve(number);
    const std::lock_guard lock(mutex_);
    served_.push_back(c);
  }
}

/// False if the shop closes before.
bool load_generator::wait_for(microseconds comes_at) {
  std::unique_lock lock(mutex_);
  return !closing_.wait_until(lock, began_ + comes_at, [&] { return closed_at_ <= comes_at; });
}

customer load_generator::serve(std::uint64_t number) const {
  customer c;
  c.order = number + 1;
  c.came_at = arrival_of(number);
  const microseconds late = since_began() - c.came_at;
  if (late >= customer_patience) {
    c.waited = customer_patience;
    return c;
  }
  const microseconds patience = customer_patience - late;
  const http_reply reply = post({.port = port_,
                                 .path = fmt::format("/checkout?order={}", c.order),
                                 .idempotency_key = {},
                                 .timeouts = {.connect = patience, .read = patience}});
  c.waited = std::min<microseconds>(since_began() - c.came_at, customer_patience);
  c.degraded = degraded_in(reply.degraded);
  if (c.waited >= customer_patience || reply.how == http_reply::ending::timed_out) {
    c.how = outcome::gave_up;
  } else if (!reply.ok()) {
    c.how = outcome::error;
  } else {
    c.how = reply.degraded.empty() ? outcome::full : outcome::degraded;
  }
  return c;
}

microseconds load_generator::arrival_of(std::uint64_t number) const {
  return microseconds(number * 1'000'000 / static_cast<std::uint64_t>(rate_per_s_));
}

microseconds load_generator::since_began() const {
  return std::chrono::duration_cast<microseconds>(clock::now() - began_);
}

}  // namespace drill
