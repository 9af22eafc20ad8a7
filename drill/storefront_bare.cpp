// SPDX-License-Identifier: Apache-2.0
#include "storefront.hpp"

// The storefront that most services start as: call, check the status, hand on the error. Its time-out is the
// one that its HTTP library reads with by default, and its thread pool that of the other storefront. Whoever
// comes waits for a page, in the order of coming.

#include <chrono>
#include <string>

#include "dependency_client.hpp"
#include "inner_chaos.hpp"
#include "rendering.hpp"
#include <fmt/format.h>

namespace drill {

void run_bare_storefront(const storefront_ports& ports, std::uint64_t seed) {
  constexpr http_timeouts ordinary{.connect = std::chrono::seconds(5), .read = std::chrono::seconds(5)};
  dependency_client inventory(ports.of[dependency::inventory]);
  dependency_client payment(ports.of[dependency::payment]);
  dependency_client recommendations(ports.of[dependency::recommendations]);
  seawall::chaos faults(inner_faults(seed));
  renderer pages;

  shop bare;
  bare.checkout = [&](std::uint64_t order) -> checkout_answer {
    checkout_answer answer;
    const std::string number = std::to_string(order);
    const auto add = [&answer](const http_reply& reply) {
      if (reply.ok()) answer.page += reply.body;
      return reply.ok();
    };
    if (!add(call_with(faults, dependency::inventory, inventory, number, ordinary))) return {};
    if (!add(payment.call(number, {}, ordinary))) return {};
    if (!add(call_with(faults, dependency::recommendations, recommendations, number, ordinary))) return {};
    pages.render(checkout_page_takes);
    answer.accepted = true;
    return answer;
  };
  bare.browse = [&](std::uint64_t article) -> product_answer {
    pages.render(product_page_takes);
    return {.page = fmt::format("article {}\n", article)};
  };
  bare.stats = [&] {
    shop_stats s;
    s.of[dependency::inventory].attempts = inventory.attempts();
    s.of[dependency::payment].attempts = payment.attempts();
    s.of[dependency::recommendations].attempts = recommendations.attempts();
    s.rendering = pages.spent(renderer::clock::now());
    s.chaos = chaos_stats_of(faults);
    return s;
  };
  bare.switch_chaos = [&](bool on) { on ? faults.enable() : faults.disable(); };
  run_storefront(ports.own, bare);
}

}  // namespace drill
