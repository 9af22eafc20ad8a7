// SPDX-License-Identifier: Apache-2.0
#include "drill/ledger.hpp"

#include "drill/payment_queue.hpp"
#include <doctest/doctest.h>

namespace drill {

TEST_CASE("ledger: a repeat with the same key is recognised and not charged") {
  ledger l;
  l.charge(1, "1");
  l.charge(1, "1");
  l.charge(2, "2");
  CHECK(l.charges() == 2);
  CHECK(l.repeats_recognised() == 1);
  CHECK(l.double_charges() == 0);
}

TEST_CASE("ledger: a repeat without a key, or with another one, is a double charge") {
  ledger l;
  l.charge(1, "");
  l.charge(1, "");
  l.charge(2, "a");
  l.charge(2, "b");
  CHECK(l.charges() == 4);
  CHECK(l.double_charges() == 2);
  CHECK(l.charged_orders().size() == 2);
}

TEST_CASE("payment queue: what is taken counts until it is captured, and may come back") {
  payment_queue q(2);
  CHECK(q.push("a"));
  CHECK(q.push("b"));
  CHECK(q.take() == "a");
  CHECK_FALSE(q.push("c"));  // "a" still has its place
  q.put_back("a");
  CHECK(q.take() == "a");
  q.captured();
  CHECK(q.push("c"));
  const auto c = q.count();
  CHECK(c.queued == 3);
  CHECK(c.captured == 1);
  CHECK(c.refused == 1);
  CHECK(c.in_queue == 2);
}

}  // namespace drill
