// SPDX-License-Identifier: Apache-2.0

//   caller --> [ deadline ] --> [ retry 3 ] --> checkout --> [ retry 3 ] --> inventory, down
//                                                  run(attempt, op)
//
// Nested retries multiply: 3 x 3 attempts. A nested pipeline that is given the attempt it runs in leaves the retrying to
// the outer one, and inherits its deadline, stop token, priority and attributes.

#include <chrono>
#include <string>

#include "seawall/format.hpp"
#include "seawall/seawall.hpp"

using namespace std::chrono_literals;

int main() {
  const seawall::backoff_options backoff = {.initial = 1ms, .max = 1ms};
  const auto outer = seawall::compose(seawall::deadline({.after = 2s}),
                                      seawall::retry({.name = "checkout", .backoff = backoff}));
  const auto inner = seawall::compose(seawall::deadline({.after = 1h}),
                                      seawall::retry({.name = "inventory", .backoff = backoff}));

  int asked = 0;
  std::string tenant;
  seawall::duration time_left;
  const auto reserve = seawall::idempotent([&](const seawall::attempt& a) {
    ++asked;
    tenant = a.attribute("tenant").value_or("");
    time_left = a.time_left();
    return absl::UnavailableError("inventory is down");
  });

  // A call of its own, as if nobody were outside.
  const absl::Status alone =
      outer.run(seawall::idempotent([&](const seawall::attempt&) { return inner.run(reserve); }));
  fmt::print("inner.run(op):          {} attempts\n  {}\n", asked, alone.ToString());
  const bool multiplied = asked == 9;

  asked = 0;
  const seawall::attribute attributes[] = {{.name = "tenant", .value = "acme"}};
  const absl::Status nested = outer.run(
      {.attributes = attributes},
      seawall::idempotent([&](const seawall::attempt& attempt) { return inner.run(attempt, reserve); }));
  fmt::print("inner.run(attempt, op): {} attempts for tenant {}, the last one had {}\n  {}\n", asked, tenant,
             time_left, nested.ToString());

  const bool inherited = tenant == "acme" && time_left <= 2s;
  return multiplied && asked == 3 && inherited ? 0 : 1;
}
