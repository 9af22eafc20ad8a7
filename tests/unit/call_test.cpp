// SPDX-License-Identifier: Apache-2.0
#include "seawall/call.hpp"

#include <vector>

#include <doctest/doctest.h>

TEST_CASE("call: an attempt that is asked for and given up in one step is not started, and not counted") {
  const seawall::instant now;
  seawall::call::room room;
  seawall::call c(now, seawall::idempotency::idempotent, nullptr, nullptr);
  c.lend(room);
  const seawall::attempt_id running = c.start_attempt(now);
  c.take_launches([](const seawall::launch&) {});

  const seawall::attempt_id given_up = c.start_attempt(now);
  const seawall::attempt_id wanted =
      c.start_substitute(now, seawall::instant::never(), 1, seawall::resolution{});
  c.cancel_attempt(running);
  c.cancel_attempt(given_up);
  c.forget_cancelled_launches();

  std::vector<seawall::attempt_id> launched, cancelled;
  c.take_cancels([&](seawall::attempt_id id) { cancelled.push_back(id); });
  c.take_launches([&](const seawall::launch& l) { launched.push_back(l.id); });
  CHECK(launched == std::vector{wanted});
  CHECK(cancelled == std::vector{running, given_up});
  CHECK(c.attempts() == 1);
}
