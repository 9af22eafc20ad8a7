// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "seawall/cache.hpp"
#include "seawall/fallback.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include "support/many_callers.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;
using namespace std::chrono_literals;

namespace {

using options = cache_options<result>;

struct kept {
  explicit kept(options o = usual()) : store(std::move(o)), calls(compose(cached(store))) {}
  static options usual() {
    return {.name = "quotes", .ttl = 10s, .stale_while_revalidate = 5s, .stale_if_error = 60s, .lease = 20s};
  }
  static options only_ttl() { return {.ttl = 10s}; }

  /// The answer to attempt 0 is 1.
  void fill() {
    calls.call();
    calls.end(0, 1);
  }
  cache_snapshot seen() const { return store.snapshot(); }

  cache<result> store;
  many_callers<pipeline<cached_layer<result, detail::key_of_call>>> calls;
};

}  // namespace

TEST_CASE("cache: a fresh answer is served without an attempt, and its age is told") {
  kept k;
  k.fill();
  k.calls.pass(9s);
  one_caller& hit = k.calls.call();
  CHECK(hit.got(1));
  CHECK(k.calls.started() == 1);
  CHECK(hit.report.attempts == 0);
  CHECK(hit.report.age == duration(9s));
  CHECK_FALSE(hit.report.degraded);
  CHECK(k.seen().hits == 1);
  CHECK(k.seen().misses == 1);
}

TEST_CASE("cache: an answer that was fetched has no age, and keys are kept apart") {
  kept k;
  one_caller &a = k.calls.call("a"), &b = k.calls.call("b");
  k.calls.end(0, 1);
  k.calls.end(1, 2);
  CHECK(a.got(1));
  CHECK(b.got(2));
  CHECK_FALSE(a.report.age);
  CHECK(k.calls.call("b").got(2));
}

TEST_CASE("cache: it is fresh while its age is less than the TTL") {
  kept k(kept::only_ttl());
  k.fill();
  k.calls.pass(10s - 1ns);
  CHECK(k.calls.call().got(1));
  k.calls.pass(1ns);
  k.calls.call();
  CHECK(k.calls.started() == 2);
}

TEST_CASE("cache: calls that miss together wait for the one that fetches") {
  kept k;
  one_caller &a = k.calls.call(), &b = k.calls.call();
  CHECK(k.calls.started() == 1);
  CHECK(k.seen().waiting == 1);
  k.calls.end(0, 1);
  CHECK(a.got(1));
  CHECK(b.got(1));
  CHECK_FALSE(b.report.degraded);
}

TEST_CASE(
    "cache never: two refreshes in flight: one call refreshes, the others get the stale answer at once") {
  kept k;
  k.fill();
  k.calls.pass(12s);
  one_caller &elected = k.calls.call(), &b = k.calls.call(), &c = k.calls.call();
  CHECK(k.calls.started() == 2);
  CHECK(b.got(1));
  CHECK(c.got(1));
  CHECK(b.report.degraded);
  CHECK(b.report.degraded_by == "quotes");
  CHECK(b.report.age == duration(12s));
  CHECK(k.seen().stale_while_revalidate == 2);
  CHECK(k.seen().refreshing == 1);
  k.calls.end(1, 2);
  CHECK(elected.got(2));
  CHECK_FALSE(elected.report.degraded);
  CHECK(k.calls.call().got(2));
}

TEST_CASE("cache: past stale-while-revalidate, those who are not elected wait") {
  kept k;
  k.fill();
  k.calls.pass(15s);
  k.calls.call();
  one_caller& b = k.calls.call();
  CHECK(k.calls.started() == 2);
  CHECK(b.waits());
  k.calls.end(1, 2);
  CHECK(b.got(2));
  CHECK_FALSE(b.report.degraded);
}

TEST_CASE("cache: a stale answer stands in for a failure, for those who fetch and those who wait") {
  kept k;
  k.fill();
  k.calls.pass(40s);
  one_caller &a = k.calls.call(), &b = k.calls.call();
  k.calls.fail(1);
  for (one_caller* c : {&a, &b}) {
    CHECK(c->got(1));
    CHECK(c->report.degraded);
    CHECK(c->report.age == duration(40s));
  }
  CHECK(k.seen().stale_if_error == 2);
}

TEST_CASE("cache: for no longer than stale_if_error after the TTL, seen from when the failure comes") {
  kept k;
  k.fill();
  k.calls.pass(69s);
  one_caller& a = k.calls.call();
  k.calls.pass(1s);
  k.calls.fail(1);
  CHECK(a.code() == absl::StatusCode::kUnavailable);
}

TEST_CASE("cache never: a failed refresh discards the good answer") {
  kept k;
  k.fill();
  for (std::size_t round = 1; round <= 3; ++round) {
    k.calls.pass(12s);
    one_caller& c = k.calls.call();
    k.calls.fail(round);
    CHECK(c.got(1));
  }
}

TEST_CASE("cache: an answer that says no is no failure, and nothing stale stands in for it") {
  kept k;
  k.fill();
  k.calls.pass(20s);
  one_caller& c = k.calls.call();
  k.calls.end(1, absl::NotFoundError("sold"));
  CHECK(c.code() == absl::StatusCode::kNotFound);
}

TEST_CASE("cache never: those who wait get something stale in place of an answer that says no") {
  for (const bool keeps : {false, true}) {
    options o = kept::usual();
    if (keeps) o.negative_ttl = 2s;
    kept k(o);
    k.fill();
    k.calls.pass(20s);
    k.calls.call();
    one_caller& b = k.calls.call();
    k.calls.end(1, absl::NotFoundError("sold"));
    CHECK(b.code() == absl::StatusCode::kNotFound);
    CHECK_FALSE(b.report.degraded);
    CHECK(k.calls.started() == 2);
  }
}

TEST_CASE("cache: failures are not kept, nor is what does not exist unless asked for") {
  kept k(kept::only_ttl());
  k.calls.call();
  k.calls.fail(0);
  k.calls.call();
  CHECK(k.calls.started() == 2);
  k.calls.end(1, absl::NotFoundError(""));
  k.calls.call();
  CHECK(k.calls.started() == 3);
  CHECK(k.seen().entries == 0);
}

TEST_CASE("cache: what does not exist is kept for the negative TTL, other refusals are not") {
  kept k({.ttl = 10s, .negative_ttl = 2s});
  k.calls.call();
  k.calls.end(0, absl::NotFoundError(""));
  one_caller& hit = k.calls.call();
  CHECK(hit.code() == absl::StatusCode::kNotFound);
  CHECK(k.calls.started() == 1);
  CHECK(k.seen().negative_hits == 1);
  k.calls.pass(2s);
  k.calls.call();
  k.calls.end(1, absl::PermissionDeniedError(""));
  k.calls.call();
  CHECK(k.calls.started() == 3);
}

TEST_CASE("cache: which failures are kept can be said") {
  kept k({.negative_ttl = 2s, .keeps = [](const absl::Status& s) { return s.message() == "gone"; }});
  k.calls.call();
  k.calls.end(0, absl::NotFoundError("not yet"));
  k.calls.call();
  k.calls.end(1, absl::FailedPreconditionError("gone"));
  CHECK(k.calls.call().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(k.calls.started() == 2);
}

TEST_CASE("cache: an outer fallback takes a kept refusal for the answer that it is") {
  cache<result> store({.negative_ttl = 2s});
  many_callers calls(compose(fallback(result(5)), cached(store)));
  calls.call();
  calls.end(0, absl::NotFoundError(""));
  CHECK(calls.call().code() == absl::StatusCode::kNotFound);
}

TEST_CASE("cache never: a negative answer hides the good one for longer than its TTL") {
  kept k({.ttl = 10s, .stale_if_error = 60s, .negative_ttl = 2s});
  k.fill();
  k.calls.pass(10s);
  k.calls.call();
  k.calls.end(1, absl::NotFoundError("a replica that is behind"));
  k.calls.pass(1s);
  CHECK(k.calls.call().code() == absl::StatusCode::kNotFound);
  k.calls.pass(1s);
  one_caller& c = k.calls.call();
  CHECK(k.calls.started() == 3);
  k.calls.fail(2);
  CHECK(c.got(1));
}

TEST_CASE("cache: a good answer ends what a negative one hides") {
  kept k({.ttl = 10s, .negative_ttl = 5s});
  k.calls.call();
  k.calls.end(0, absl::NotFoundError(""));
  k.store.put("k", 2, k.calls.now());
  CHECK(k.calls.call().got(2));
}

TEST_CASE(
    "cache never: a waiter that is cancelled cancels the others; one whose time is over takes the stale answer") {
  kept k;
  k.fill();
  k.calls.pass(30s);
  one_caller &a = k.calls.call(), &b = k.calls.call(), &c = k.calls.call("k", k.calls.now() + 5s);
  k.calls.leave(b);
  CHECK(b.code() == absl::StatusCode::kCancelled);
  k.calls.pass(5s);
  CHECK(c.got(1));
  CHECK(c.report.degraded);
  CHECK(a.waits());
  k.calls.end(1, 2);
  CHECK(a.got(2));
}

TEST_CASE("cache never: the deadline of the one who fetches fails those who have more time") {
  kept k;
  k.calls.call("k", k.calls.now() + 1s);
  one_caller& b = k.calls.call();
  k.calls.pass(1s);
  k.calls.end(0, absl::DeadlineExceededError("my caller's time is over"));
  CHECK(k.calls.started() == 2);
  k.calls.end(1, 2);
  CHECK(b.got(2));
}

TEST_CASE("cache never: one who fetches without time for another attempt fails those who have it") {
  cache<result> store;
  many_callers calls(compose(cached(store), retry({.backoff = {.initial = 1s, .jitter = jitter::none}})));
  one_caller &a = calls.call("k", calls.now() + 1s), &b = calls.call();
  calls.fail(0);
  CHECK(a.code() == absl::StatusCode::kUnavailable);
  REQUIRE(calls.started() == 2);
  calls.end(1, 2);
  CHECK(b.got(2));
}

TEST_CASE("cache never: a refresher that is cancelled wedges its key") {
  kept k;
  k.fill();
  k.calls.pass(12s);
  one_caller& a = k.calls.call();
  k.calls.leave(a);
  CHECK(k.seen().refreshing == 0);
  one_caller& b = k.calls.call();
  CHECK(k.calls.started() == 3);
  k.calls.end(2, 3);
  CHECK(b.got(3));
}

TEST_CASE("cache never: a refresher that hangs wedges its key: after its lease, one other refreshes") {
  options o = kept::usual();
  o.stale_while_revalidate = 1h;
  kept k(o);
  k.fill();
  k.calls.pass(12s);
  k.calls.call();
  k.calls.pass(19s);
  CHECK(k.calls.call().got(1));
  CHECK(k.calls.started() == 2);
  k.calls.pass(1s);
  k.calls.call();
  CHECK(k.calls.call().got(1));
  CHECK(k.calls.started() == 3);
}

TEST_CASE("cache never: an answer that comes late takes the place of a newer one") {
  options o = kept::usual();
  o.lease = 1s;
  kept k(o);
  k.calls.call();
  k.calls.pass(1s);
  one_caller& second = k.calls.call();
  k.calls.end(1, 2);
  CHECK(second.got(2));
  k.calls.end(0, 1);
  CHECK(k.calls.call().got(2));
}

TEST_CASE("cache: an answer whose lease was over is kept all the same if there is nothing newer") {
  options o = kept::usual();
  o.lease = 1s;
  kept k(o);
  k.calls.call();
  k.calls.pass(5s);
  k.calls.call();
  k.calls.end(0, 1);
  CHECK(k.calls.call().got(1));
}

TEST_CASE("cache: what was asked for before an invalidation is not kept, and a new call asks again") {
  kept k;
  one_caller &a = k.calls.call(), &b = k.calls.call();
  k.store.invalidate("k");
  k.calls.pass(0s);
  CHECK(k.calls.started() == 2);  // by b, who waited
  k.calls.end(0, 1);
  CHECK(a.got(1));
  CHECK(k.seen().entries == 0);
  k.calls.end(1, 2);
  CHECK(b.got(2));
  CHECK(k.calls.call().got(2));
}

TEST_CASE("cache: what is put while a call fetches ends the wait of the others, and stays") {
  kept k;
  k.calls.call();
  one_caller& b = k.calls.call();
  k.store.put("k", 5, k.calls.now());
  k.calls.pass(0s);
  CHECK(b.got(5));
  k.calls.end(0, 1);
  CHECK(k.calls.call().got(5));
}

TEST_CASE("cache: with a refresh function, it is told once, and nobody waits") {
  std::vector<cache_refresh<result>> asked;
  options o = kept::usual();
  o.refresh = [&](cache_refresh<result> r) { asked.push_back(std::move(r)); };
  kept k(o);
  k.fill();
  k.calls.pass(12s);
  CHECK(k.calls.call().got(1));
  CHECK(k.calls.call().got(1));
  REQUIRE(asked.size() == 1);
  CHECK(asked[0].key() == "k");
  asked[0].put(2, k.calls.now());
  CHECK(k.calls.call().got(2));
  CHECK(k.calls.started() == 1);
}

TEST_CASE(
    "cache: a refresh function that drops what it was told lets the next call ask; one that fails keeps the answer") {
  int told = 0;
  options o = kept::usual();
  o.refresh = [&](cache_refresh<result> r) {
    if (++told == 2) r.put(absl::UnavailableError(""), instant());
  };
  kept k(o);
  k.fill();
  k.calls.pass(12s);
  for (int i = 0; i < 3; ++i) CHECK(k.calls.call().got(1));
  CHECK(told == 3);
}

TEST_CASE("cache: a substitute of a fallback further in is served to all who wait, marked, and not kept") {
  cache<result> store({.name = "quotes"});
  many_callers calls(compose(cached(store), fallback(result(5))));
  one_caller &a = calls.call(), &b = calls.call();
  calls.fail(0);
  CHECK(a.got(5));
  CHECK(b.got(5));
  CHECK(b.report.degraded);
  CHECK(store.snapshot().entries == 0);
}

TEST_CASE("cache: who may not wait, or finds no room, fetches for itself, and the answer is kept") {
  options o = kept::only_ttl();
  o.max_waiting = 0;
  kept k(o);
  k.calls.call();
  one_caller& b = k.calls.call();
  CHECK(k.calls.started() == 2);
  k.calls.end(1, 2);
  CHECK(b.got(2));
  CHECK(k.calls.call().got(2));
}

TEST_CASE("cache: an answer may say how long it is good, or that it is not to be kept") {
  options o = kept::only_ttl();
  o.ttl_of = [](const result& r) -> std::optional<duration> {
    if (*r == 1) return 1s;
    if (*r == 2) return 0s;
    return std::nullopt;
  };
  kept k(o);
  k.fill();
  k.calls.pass(1s);
  k.calls.call();
  k.calls.end(1, 2);
  k.calls.call();
  k.calls.end(2, 3);
  k.calls.pass(9s);
  CHECK(k.calls.call().got(3));
}

TEST_CASE("cache: events tell of stale answers, with age and reason") {
  struct ears final : listener {
    void on(const event::stale_served& e) noexcept override {
      heard += std::string(e.name) + " " + std::string(e.key) + " " + to_text(e.age) +
               (e.on_error ? " error; " : " revalidating; ");
    }
    std::string heard;
  } ears;
  cache<result> store(kept::usual());
  many_callers calls(compose(cached(store)).listen(ears));
  calls.call();
  calls.end(0, 1);
  calls.pass(12s);
  calls.call();
  calls.call();
  calls.fail(1);
  CHECK(ears.heard == "quotes k 12s revalidating; quotes k 12s error; ");
}
