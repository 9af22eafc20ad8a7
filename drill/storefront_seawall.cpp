// SPDX-License-Identifier: Apache-2.0
#include "storefront.hpp"

// The same storefront through the pipelines of storefront_pipelines.hpp, as an application would write it.

#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "dependency_client.hpp"
#include "inner_chaos.hpp"
#include "payment_queue.hpp"
#include "rendering.hpp"
#include "seawall/seawall.hpp"
#include "storefront_pipelines.hpp"

namespace drill {
namespace {

using namespace std::chrono_literals;

absl::Status refused_with(const http_reply& reply) {
  const std::string text = fmt::format("HTTP {}", reply.status);
  absl::Status s = reply.status == 503 ? absl::UnavailableError(text) : absl::InternalError(text);
  return reply.retry_after ? seawall::with_retry_after(s, *reply.retry_after) : s;
}

page_part page_part_of(const http_reply& reply) {
  switch (reply.how) {
    case http_reply::ending::not_connected:
      return seawall::not_executed(absl::UnavailableError("no connection"));
    case http_reply::ending::broken_off: return absl::UnavailableError("connection broken off");
    case http_reply::ending::timed_out: return absl::DeadlineExceededError("no answer in time");
    case http_reply::ending::answered: break;
  }
  if (reply.status != 200) return refused_with(reply);
  return reply.body;
}

/// One attempt, in seawall's terms: no longer than it may take, with the key that makes it safe to repeat.
auto calling(dependency_client& client, std::string order) {
  return [&client, order = std::move(order)](const seawall::attempt& a) -> page_part {
    return page_part_of(client.call(order, a.idempotency_key(), within(a.time_left().to_chrono())));
  };
}

breaker_view view_of(const seawall::circuit_breaker& breaker) {
  switch (breaker.snapshot().state) {
    case seawall::breaker_state::open: return breaker_view::open;
    case seawall::breaker_state::half_open: return breaker_view::half_open;
    default: return breaker_view::closed;
  }
}

auto calling_inventory(resources& r, std::string order) {
  return [&r, call = calling(r.inventory, std::move(order))](const seawall::attempt& a) {
    page_part told = call(a);
    if (told.ok()) r.stock.learn(*told);
    return told;
  };
}

[[noreturn]] void capture_pending(resources& r) {
  const auto capture = capturing(r);
  for (;;) {
    std::string key = r.pending.take();
    if (capture.run(seawall::idempotent_by(key, calling(r.payment, key))).ok()) {
      r.pending.captured();
    } else {
      r.pending.put_back(std::move(key));
      std::this_thread::sleep_for(50ms);
    }
  }
}

auto rendering_page(resources& r, std::chrono::microseconds takes) {
  return [&r, takes] {
    r.pages.render(takes);
    return absl::OkStatus();
  };
}

/// What is bought: the order's number, and the article, by which answers are kept where they are.
struct purchase {
  explicit purchase(std::uint64_t number)
      : order(std::to_string(number)), article(std::to_string(article_of(number))) {}

  std::string order;
  std::string article;
};

/// One part of a checkout, nested in the checkout's attempt `a`: it ends with the checkout's deadline at the latest.
template <class Pipeline, class Operation>
absl::Status add_part(checkout_answer& answer, const seawall::attempt& a, const purchase& p, dependency d,
                      const Pipeline& pipeline, Operation operation) {
  seawall::call_report report;
  const page_part part = pipeline.run(a, {.key = p.article, .report = &report},
                                      seawall::idempotent_by(p.order, std::move(operation)));
  answer.degraded[d] = report.degraded;
  if (part.ok()) answer.page += *part;
  return part.status();
}

/// For the level of service. A part that is left out for it has a stand-in, and does not fail.
bool turned_away(const absl::Status& s) {
  const auto rejection = seawall::rejection_of(s);
  return rejection && rejection->why == seawall::reason::degraded;
}

std::function<checkout_answer(std::uint64_t)> checking_out(resources& r) {
  return [&r, reserve = reserving(r), pay = paying(r), recommend = recommending(r), render = rendering(r),
          whole = ordering(r)](std::uint64_t number) {
    using enum dependency;
    const purchase p(number);
    checkout_answer answer;
    const absl::Status done = whole.run({.priority = checkout_priority}, [&](const seawall::attempt& a) {
      absl::Status s = add_part(answer, a, p, inventory, reserve, calling_inventory(r, p.order));
      if (s.ok()) s = add_part(answer, a, p, payment, pay, calling(r.payment, p.order));
      if (s.ok()) s = add_part(answer, a, p, recommendations, recommend, calling(r.recommendations, p.order));
      if (s.ok()) s = render.run(a, rendering_page(r, checkout_page_takes));
      return s;
    });
    answer.accepted = done.ok();
    answer.read_only = turned_away(done);
    return answer;
  };
}

std::function<product_answer(std::uint64_t)> browsing(resources& r) {
  return [&r, render = rendering(r)](std::uint64_t article) -> product_answer {
    if (!render.run(rendering_page(r, product_page_takes)).ok()) return {.refused = true};
    return {.page = fmt::format("article {}\n", article)};
  };
}

level_stats level_of(const seawall::degradation& service) {
  const seawall::degradation_snapshot now = service.snapshot();
  return {.level = static_cast<level_view>(now.level + 1),  // full is level 0
          .by_hand = now.by_hand,
          .changes = now.transitions};
}

shop_stats stats_of(const resources& r) {
  const payment_queue::counts c = r.pending.count();
  shop_stats s{.payments_queued = c.queued,
               .payments_captured = c.captured,
               .payments_refused = c.refused,
               .payments_in_queue = c.in_queue,
               .rendering = r.pages.spent(renderer::clock::now()),
               .chaos = chaos_stats_of(r.faults),
               .service = level_of(r.service)};
  const seawall::cache_snapshot kept = r.kept_recommendations.snapshot();
  s.recommendations = {.fresh = kept.hits, .stale = kept.stale_if_error, .none = r.bestsellers};
  s.of[dependency::inventory] = {r.inventory.attempts(), view_of(r.inventory_breaker)};
  s.of[dependency::payment] = {r.payment.attempts(), view_of(r.payment_breaker)};
  s.of[dependency::recommendations] = {r.recommendations.attempts(), view_of(r.recommendations_breaker)};
  return s;
}

}  // namespace

void run_seawall_storefront(const storefront_ports& ports, std::uint64_t seed) {
  resources r(ports, seed);
  for (int i = 0; i < 2; ++i) std::thread([&r] { capture_pending(r); }).detach();
  const auto switch_read_only = [&r](bool on) {
    on ? void(r.service.set_read_only("by hand")) : r.service.release();
  };
  run_storefront(ports.own, {.checkout = checking_out(r),
                             .browse = browsing(r),
                             .stats = [&r] { return stats_of(r); },
                             .switch_chaos = [&r](bool on) { on ? r.faults.enable() : r.faults.disable(); },
                             .switch_read_only = switch_read_only});
}

}  // namespace drill
