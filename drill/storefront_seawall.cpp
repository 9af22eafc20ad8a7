// SPDX-License-Identifier: Apache-2.0
#include "storefront.hpp"

// The same storefront with a pipeline around each dependency and a limit in front of its render workers, as
// an application would write it.

#include <atomic>
#include <charconv>
#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "dependency_client.hpp"
#include "inner_chaos.hpp"
#include "payment_queue.hpp"
#include "rendering.hpp"
#include "seawall/bulkhead.hpp"
#include "seawall/chaos.hpp"
#include "seawall/seawall.hpp"

namespace drill {
namespace {

using namespace std::chrono_literals;

using page_part = absl::StatusOr<std::string>;

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

// A dead dependency is noticed after ten calls, and asked every half second whether it is back.
seawall::circuit_breaker_options breaker_for(std::string_view name) {
  return {.name = std::string(name),
          .over_time = {.failure_rate = 0.5, .length = 2s},
          .consecutive_failures = 10,
          .open_for = 500ms,
          .half_open = {.max_probes = 2, .successes = 3, .of = 3, .lease = 1s}};
}

// A customer waits, and there is a fallback: no longer pause than this, whoever asks for it.
seawall::retry_options retry_for(seawall::retry_budget& budget, std::uint32_t attempts) {
  return {.max_attempts = attempts,
          .backoff = {.initial = 10ms, .max = 50ms},
          .budget = &budget,
          .pushback_max = 20ms};
}

// Browsing has the priority of calls of which nobody has said anything.
constexpr int checkout_priority = 1;

// No more pages under way than there are workers, so that whose turn it is gets decided here, and not by the
// workers' own queue. Who comes to a full line takes the last place of somebody less important, or hears it at
// once. The line is so short that browsing leaves a quarter of the server's threads alone, and so long that
// checkouts which come all at once, after a stall of the machine, find places enough.
seawall::bulkhead_options limit_for_rendering() {
  return {.name = "rendering",
          .max_concurrent = render_workers,
          .max_waiting = 5 * render_workers,
          .max_wait = 800ms,
          .order = seawall::wait_order::by_priority,
          .displaces = true};
}

breaker_view view_of(const seawall::circuit_breaker& breaker) {
  switch (breaker.snapshot().state) {
    case seawall::breaker_state::open: return breaker_view::open;
    case seawall::breaker_state::half_open: return breaker_view::half_open;
    default: return breaker_view::closed;
  }
}

/// The last stock level that inventory told, less what has been sold on the strength of it.
class last_known_stock {
 public:
  /// From what inventory says: "stock 1234".
  void learn(std::string_view told) {
    constexpr std::string_view label = "stock ";
    std::int64_t level = 0;
    if (!told.starts_with(label)) return;
    told.remove_prefix(label.size());
    if (std::from_chars(told.data(), told.data() + told.size(), level).ec == std::errc{}) level_ = level;
  }
  page_part sell() {
    const std::int64_t left = --level_;
    if (left < 0) return absl::UnavailableError("the stock is not known");
    return fmt::format("stock {}, to be confirmed\n", left);
  }

 private:
  std::atomic<std::int64_t> level_{0};
};

/// What the pipelines share. Outlives them.
struct resources {
  resources(const storefront_ports& ports, std::uint64_t seed)
      : inventory(ports.of[dependency::inventory]),
        payment(ports.of[dependency::payment]),
        recommendations(ports.of[dependency::recommendations]),
        faults(inner_faults(seed)) {}

  dependency_client inventory;
  dependency_client payment;
  dependency_client recommendations;
  seawall::circuit_breaker inventory_breaker{breaker_for("inventory")};
  seawall::circuit_breaker payment_breaker{breaker_for("payment")};
  seawall::circuit_breaker recommendations_breaker{breaker_for("recommendations")};
  seawall::retry_budget budget{{.name = "storefront", .ratio = 0.2}};
  last_known_stock stock;
  payment_queue pending{4096};
  seawall::bulkhead rendering{limit_for_rendering()};
  seawall::chaos faults;  // off
  renderer pages;
};

auto calling_inventory(resources& r, std::string order) {
  return [&r, call = calling(r.inventory, std::move(order))](const seawall::attempt& a) {
    page_part told = call(a);
    if (told.ok()) r.stock.learn(*told);
    return told;
  };
}

// Innermost: time-out, breaker and retry take it for the dependency.
auto made_up(resources& r, dependency d) { return seawall::inject(r.faults, page_part(wrong_answer_of(d))); }

// The three dependencies together leave something of the checkout's deadline.

auto reserving(resources& r) {
  return seawall::compose(                                 // outermost first
      seawall::fallback([&r] { return r.stock.sell(); }),  // to be confirmed later
      seawall::deadline({.after = 300ms}),                 // both attempts and the pause
      seawall::retry(retry_for(r.budget, 2)),              //
      seawall::breaker(r.inventory_breaker),               // sees every attempt
      seawall::attempt_timeout({.after = 120ms}),          //
      made_up(r, dependency::inventory));
}

auto paying(resources& r) {
  const auto pay_later = [&r](const absl::Status& why, const seawall::attempt& a) -> page_part {
    if (!r.pending.push(a.idempotency_key())) return why;
    return "to be paid later\n";
  };
  return seawall::compose(                     //
      seawall::fallback(pay_later),            // also if the charge was made and its answer lost
      seawall::deadline({.after = 450ms}),     //
      seawall::retry(retry_for(r.budget, 3)),  // always with the order's key
      seawall::breaker(r.payment_breaker),     //
      seawall::attempt_timeout({.after = 200ms}));
}

auto recommending(resources& r) {
  return seawall::compose(                                // not worth a second try
      seawall::fallback(page_part("our bestsellers\n")),  //
      seawall::breaker(r.recommendations_breaker),        //
      seawall::attempt_timeout({.after = 120ms}),         //
      made_up(r, dependency::recommendations));
}

auto rendering(resources& r) {
  return seawall::compose(seawall::limit_concurrency(r.rendering));  // checkout before browsing
}

auto capturing(resources& r) {
  return seawall::compose(                  // nobody waits: the queue is its retry
      seawall::breaker(r.payment_breaker),  // shared, so that it waits for payment to come back
      seawall::attempt_timeout({.after = 500ms}));
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

/// One part of a checkout, nested in the checkout's attempt `a`: it ends with the checkout's deadline at the latest.
template <class Pipeline, class Operation>
absl::Status add_part(checkout_answer& answer, const seawall::attempt& a, const std::string& order,
                      dependency d, const Pipeline& pipeline, Operation operation) {
  seawall::call_report report;
  const page_part part =
      pipeline.run(a, {.report = &report}, seawall::idempotent_by(order, std::move(operation)));
  answer.degraded[d] = report.degraded;
  if (part.ok()) answer.page += *part;
  return part.status();
}

std::function<checkout_answer(std::uint64_t)> checking_out(resources& r) {
  return [&r, reserve = reserving(r), pay = paying(r), recommend = recommending(r), render = rendering(r),
          whole = seawall::compose(seawall::deadline({.name = "checkout", .after = checkout_deadline}))](
             std::uint64_t number) {
    using enum dependency;
    const std::string order = std::to_string(number);
    checkout_answer answer;
    const absl::Status done = whole.run({.priority = checkout_priority}, [&](const seawall::attempt& a) {
      absl::Status s = add_part(answer, a, order, inventory, reserve, calling_inventory(r, order));
      if (s.ok()) s = add_part(answer, a, order, payment, pay, calling(r.payment, order));
      if (s.ok())
        s = add_part(answer, a, order, recommendations, recommend, calling(r.recommendations, order));
      if (s.ok()) s = render.run(a, rendering_page(r, checkout_page_takes));
      return s;
    });
    answer.accepted = done.ok();
    return answer;
  };
}

std::function<product_answer(std::uint64_t)> browsing(resources& r) {
  return [&r, render = rendering(r)](std::uint64_t article) -> product_answer {
    if (!render.run(rendering_page(r, product_page_takes)).ok()) return {.refused = true};
    return {.page = fmt::format("article {}\n", article)};
  };
}

shop_stats stats_of(const resources& r) {
  const payment_queue::counts c = r.pending.count();
  shop_stats s{.payments_queued = c.queued,
               .payments_captured = c.captured,
               .payments_refused = c.refused,
               .payments_in_queue = c.in_queue,
               .rendering = r.pages.spent(renderer::clock::now()),
               .chaos = chaos_stats_of(r.faults)};
  s.of[dependency::inventory] = {r.inventory.attempts(), view_of(r.inventory_breaker)};
  s.of[dependency::payment] = {r.payment.attempts(), view_of(r.payment_breaker)};
  s.of[dependency::recommendations] = {r.recommendations.attempts(), view_of(r.recommendations_breaker)};
  return s;
}

}  // namespace

void run_seawall_storefront(const storefront_ports& ports, std::uint64_t seed) {
  resources r(ports, seed);
  for (int i = 0; i < 2; ++i) std::thread([&r] { capture_pending(r); }).detach();
  run_storefront(ports.own, {.checkout = checking_out(r),
                             .browse = browsing(r),
                             .stats = [&r] { return stats_of(r); },
                             .switch_chaos = [&r](bool on) { on ? r.faults.enable() : r.faults.disable(); }});
}

}  // namespace drill
