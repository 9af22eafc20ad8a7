// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_STOREFRONT_PIPELINES_HPP
#define SEAWALL_DRILL_STOREFRONT_PIPELINES_HPP

// A pipeline around each dependency, and a limit in front of the render workers.

#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "dependency_client.hpp"
#include "inner_chaos.hpp"
#include "payment_queue.hpp"
#include "rendering.hpp"
#include "seawall/seawall.hpp"
#include "shop_stats.hpp"
#include "storefront.hpp"
#include <fmt/format.h>

namespace drill {

using namespace std::chrono_literals;

using page_part = absl::StatusOr<std::string>;

// A dead dependency is noticed after ten calls, and asked every half second whether it is back.
inline seawall::circuit_breaker_options breaker_for(std::string_view name) {
  return {.name = std::string(name),
          .over_time = {.failure_rate = 0.5, .length = 2s},
          .consecutive_failures = 10,
          .open_for = 500ms,
          .half_open = {.max_probes = 2, .successes = 3, .of = 3, .lease = 1s}};
}

// A customer waits, and there is a fallback: no longer pause than this, whoever asks for it.
inline seawall::retry_options retry_for(seawall::retry_budget& budget, std::uint32_t attempts) {
  return {.max_attempts = attempts,
          .backoff = {.initial = 10ms, .max = 50ms},
          .budget = &budget,
          .pushback_max = 20ms};
}

// Browsing has the priority of calls of which nobody has said anything.
inline constexpr int checkout_priority = 1;

// Hardly more pages under way than there are workers, so that whose turn it is gets decided here, and not by
// the workers' own queue. A quarter more, so that no worker is idle while the thread that may go next has not
// woken up yet. Who comes to a full line takes the last place of somebody less important, or hears it at once.
// The line is so short that browsing leaves a quarter of the server's threads alone, and so long that checkouts
// which come all at once, after a stall of the machine, find places enough.
inline seawall::bulkhead_options limit_for_rendering() {
  return {.name = "rendering",
          .max_concurrent = render_workers + render_workers / 4,
          .max_waiting = 5 * render_workers,
          .max_wait = 800ms,
          .order = seawall::wait_order::by_priority,
          .displaces = true};
}

// Old recommendations are as good as new ones for a customer who would get none. Payment has no cache: what was
// paid for one order says nothing about the next.
inline seawall::cache_options<page_part> keeping_recommendations() {
  return {.name = "recommendations",
          .ttl = 500ms,
          .stale_if_error = 10min,
          .max_entries = 1000,
          .size = [](const page_part& p) { return sizeof(page_part) + p->size(); }};
}

// By the names under which statistics show them. Nothing but a hand moves them: no signal is connected.
inline seawall::degradation_options levels_of_service() {
  const auto name = [](level_view l) { return std::string(name_of(l)); };
  return {.name = "storefront",
          .levels = {{.name = name(level_view::full)},
                     {.name = name(level_view::no_recommendations)},
                     {.name = name(level_view::read_only), .read_only = true}}};
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
  seawall::cache<page_part> kept_recommendations{keeping_recommendations()};
  std::atomic<std::uint64_t> bestsellers{0};  // shown for want of recommendations, also of old ones
  payment_queue pending{4096};
  seawall::bulkhead rendering{limit_for_rendering()};
  seawall::degradation service{levels_of_service()};
  seawall::feature_gate recommends{service, {.name = "recommendations", .up_to_level = 0}};
  seawall::chaos faults;  // off
  renderer pages;
};

// Innermost: time-out, breaker and retry take it for the dependency.
inline auto made_up(resources& r, dependency d) {
  return seawall::inject(r.faults, page_part(wrong_answer_of(d)));
}

/// A whole checkout. Browsing writes nothing, and has no such layer.
inline auto ordering(resources& r) {
  return seawall::compose(                   //
      seawall::require_writable(r.service),  // outermost: who is turned away has cost nobody anything
      seawall::deadline({.name = "checkout", .after = checkout_deadline}));
}

// The three dependencies together leave something of the checkout's deadline.

inline auto reserving(resources& r) {
  return seawall::compose(                                 // outermost first
      seawall::fallback([&r] { return r.stock.sell(); }),  // to be confirmed later
      seawall::deadline({.after = 300ms}),                 // both attempts and the pause
      seawall::retry(retry_for(r.budget, 2)),              //
      seawall::breaker(r.inventory_breaker),               // sees every attempt
      seawall::attempt_timeout({.after = 120ms}),          //
      made_up(r, dependency::inventory));
}

inline auto paying(resources& r) {
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

inline auto recommending(resources& r) {
  const auto bestsellers = [&r] {
    ++r.bestsellers;
    return page_part("our bestsellers\n");
  };
  return seawall::compose(                          // not worth a second try
      seawall::fallback(bestsellers),               // for an article that nobody has asked for before
      seawall::degrade(r.recommends),               // the first thing to be left out
      seawall::cached(r.kept_recommendations),      // an old answer rather than none; outside the breaker
      seawall::breaker(r.recommendations_breaker),  //
      seawall::attempt_timeout({.after = 120ms}),   //
      made_up(r, dependency::recommendations));
}

inline auto rendering(resources& r) {
  return seawall::compose(seawall::limit_concurrency(r.rendering));  // checkout before browsing
}

inline auto capturing(resources& r) {
  return seawall::compose(                  // nobody waits: the queue is its retry
      seawall::breaker(r.payment_breaker),  // shared, so that it waits for payment to come back
      seawall::attempt_timeout({.after = 500ms}));
}

}  // namespace drill

#endif  // SEAWALL_DRILL_STOREFRONT_PIPELINES_HPP
