// SPDX-License-Identifier: Apache-2.0
#include "load.hpp"

#include <algorithm>

#include "shop_stats.hpp"
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

outcome outcome_of(const http_reply& reply) {
  if (reply.ok()) return reply.degraded.empty() ? outcome::full : outcome::degraded;
  if (reply.status != 503 || !reply.retry_after) return outcome::error;
  return reply.service_level == name_of(level_view::read_only) ? outcome::turned_away : outcome::refused;
}

}  // namespace

load_generator::load_generator(const load& what) : load_(what), closed_at_(what.lasts) {
  // A connection and an answer may each take the patience; nearly all take less than half as long again
  // together.
  const auto threads = load_.per_s * patience_of(load_.what) * 3 / 2 / std::chrono::seconds(1);
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
  return !closing_.wait_until(lock, load_.begins + comes_at, [&] { return closed_at_ <= comes_at; });
}

customer load_generator::serve(std::uint64_t number) const {
  customer c;
  c.order = number + 1;
  c.came_at = arrival_of(number);
  const microseconds patience = patience_of(load_.what);
  const microseconds late = since_began() - c.came_at;
  if (late >= patience) {
    c.waited = patience;
    return c;
  }
  const http_reply reply = send(c.order, patience - late);
  c.waited = std::min(since_began() - c.came_at, patience);
  c.degraded = degraded_in(reply.degraded);
  const bool waited_in_vain = c.waited >= patience || reply.how == http_reply::ending::timed_out;
  c.how = waited_in_vain ? outcome::gave_up : outcome_of(reply);
  return c;
}

http_reply load_generator::send(std::uint64_t order, microseconds patience) const {
  const http_timeouts timeouts{.connect = patience, .read = patience};
  if (load_.what == visit::browsing) {
    return get({.port = load_.port, .path = fmt::format("/product?article={}", order), .timeouts = timeouts});
  }
  return post({.port = load_.port, .path = fmt::format("/checkout?order={}", order), .timeouts = timeouts});
}

microseconds load_generator::arrival_of(std::uint64_t number) const {
  return microseconds(number * 1'000'000 / static_cast<std::uint64_t>(load_.per_s));
}

microseconds load_generator::since_began() const {
  return std::chrono::duration_cast<microseconds>(clock::now() - load_.begins);
}

}  // namespace drill
