// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CACHE_HPP
#define SEAWALL_CACHE_HPP

// Serves answers that were given before: fresh ones without asking the dependency, stale ones while one call
// asks it anew, or because it fails (RFC 5861). One call at a time fetches a key; others wait for it, or are
// served what there is. For calls that share an answer without keeping it, see coalesce.hpp.

#include <cstdint>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

#include "seawall/cache_store.hpp"
#include "seawall/fallback.hpp"
#include "seawall/frame.hpp"

namespace seawall {

/// The layer made by `cached`.
///
/// Cost of a hit: a mutex (one of `shards`), a look-up, a reference count and a copy of the answer; one clock
/// read, as for every call; no allocation but for what copying the answer takes.
/// Operations declared `non_idempotent` pass: they are neither answered from the cache nor kept.
/// Cancellation: a call that waits goes at once, and one that fetches hands on to the next.
template <class Stored, class KeyOf>
class cached_layer : public layer_base {
  using machine_type = core::cache_machine;
  using answer = machine_type::answer;
  using state_type = detail::cache_state<Stored>;
  using key_type = std::remove_cvref_t<std::invoke_result_t<const KeyOf&, const call&>>;
  static_assert(
      std::is_convertible_v<const key_type&, std::string_view>,
      "cached(store, key_of): key_of must take a const seawall::call& and return a std::string or a "
      "std::string_view of what outlives the call");

  // What the typed side needs to know of a fetch that has ended.
  struct ticket : observation {
    using observation::observation;
    core::hashed_key key;
    machine_type::fetch held;
    verdict v;
    instant at;
    double draw = 0;
    bool fetching = false;
  };

 public:
  static constexpr layer_kind kind = layer_kind::cache;
  static constexpr bool waits = true;
  static constexpr bool observes = true;

  cached_layer(cache<Stored>& store, KeyOf key_of) : state_(&store.state()), key_of_(std::move(key_of)) {}

  // The typed side.

  template <class R, class S>
  R substitute(const attempt&, const detail::failure_view<S>& failure) const {
    check_result<R>();
    return detail::stored_as<R>::release(S(*static_cast<const S*>(failure.held())));
  }
  template <class R, class S, class Start>
  void substitute_with(const attempt&, const detail::failure_view<S>& failure, Start&& start) const {
    check_result<R>();
    start.kept(S(*static_cast<const S*>(failure.held())));
  }
  template <class R, class S>
  void observe(observation& o, const S& kept) const {
    check_result<R>();
    auto& t = static_cast<ticket&>(o);
    t.fetching = false;
    state_->settle(t.key, t.held, kept, t.v, t.at, t.draw);
  }

  template <class Inner>
  class frame : public passthrough<cached_layer, Inner> {
    using base = passthrough<cached_layer, Inner>;

   public:
    template <class MakeInner>
    frame(const cached_layer& layer, std::uint8_t number, MakeInner&& make_inner)
        : base(layer, number, std::forward<MakeInner>(make_inner)), ticket_(number) {}
    frame(frame&&) = delete;
    ~frame() { let_go(); }

    resolution start(call& c, instant now) {
      asked_ = false;
      bound_ = c.attempt_deadline();
      spare_ = {};
      // Who says that an operation has effects wants them, and not an earlier call's answer.
      if (c.declared() == idempotency::non_idempotent) return settle(c, now, this->inner().start(c, now));
      text_ = this->layer().key_of_(c);
      ticket_.key = core::hashed_key(text_);
      answer a = machine().find(ticket_.key, now);
      if (a.how == answer::kind::none) {
        if (c.can_wait()) place_.waker = c.waker();
        a = machine().join(ticket_.key, now, c.can_wait() ? &place_ : nullptr);
      }
      return act(c, now, std::move(a));
    }
    resolution on_done(call& c, instant now, attempt_id id, const verdict& v) {
      if (place_.linked) return {};
      if (!asked_) return settle(c, now, this->inner().on_done(c, now, id, v));
      if (id != substitute_) return {};
      asked_ = false;
      held_ = nullptr;
      verdict out = v;
      out.degraded = degraded_;
      // What the cache knows says nothing about the dependency.
      if (v.success || v.health == health::unhealthy) out.health = health::silent;
      return resolution::result_of(id, out);
    }
    resolution on_time(call& c, instant now) {
      if (asked_) return {};
      if (place_.linked) return wait(c, now);
      return settle(c, now, this->inner().on_time(c, now));
    }
    void cancel(call& c) {
      c.forget(ticket_);
      const bool waiting = place_.linked;
      let_go();
      if (asked_) {
        c.cancel_attempt(substitute_);
      } else if (!waiting) {
        this->inner().cancel(c);
      }
      asked_ = false;
    }
    instant wake_at() const {
      if (asked_) return instant::never();
      return place_.linked ? look_again_ : this->inner().wake_at();
    }

   private:
    machine_type& machine() const noexcept { return this->layer().state_->machine; }

    resolution act(call& c, instant now, answer&& a) {
      switch (a.how) {
        case answer::kind::fresh:
        case answer::kind::negative: return serve(c, now, std::move(a.what), a.since);
        case answer::kind::stale: return serve_stale(c, now, std::move(a));
        case answer::kind::wait:
          look_again_ = this->earlier(a.look_again, c.deadline());
          if (a.what != nullptr) spare_ = std::move(a);
          return {};
        case answer::kind::answered:
          if (a.degraded) degrade(c);
          return serve(c, now, std::move(a.what), a.since, a.degraded);
        case answer::kind::failed: return serve_failure(c, now, std::move(a));
        case answer::kind::none:
        case answer::kind::fetch: break;
      }
      return fetch(c, now, std::move(a));
    }

    resolution fetch(call& c, instant now, answer&& a) {
      ticket_.held = a.fetching;
      ticket_.fetching = true;
      const auto& refresh = this->layer().state_->options.refresh;
      if (a.revalidates && refresh) {
        cache_refresh<Stored> handed_on(*this->layer().state_, text_, a.fetching);
        ticket_.fetching = false;
        refresh(std::move(handed_on));
        return serve_stale(c, now, std::move(a));
      }
      if (a.what != nullptr) spare_ = std::move(a);
      // An answer is as old as the moment at which it came.
      c.ask_end_time();
      return settle(c, now, this->inner().start(c, now));
    }

    resolution wait(call& c, instant now) {
      // The caller's own deadline, which no layer need watch over.
      if (now >= c.deadline()) {
        let_go();
        if (spare(now)) return serve_spare(c, now, {.v = verdict::cancelled()});
        return c.reject(now, {.policy = "deadline", .why = reason::deadline_exceeded}, verdict::cancelled());
      }
      return act(c, now, machine().look(ticket_.key, place_, now));
    }

    resolution settle(call& c, instant now, const resolution& r) {
      if (!r) return r;
      if (std::exchange(ticket_.fetching, false)) report(c, now, r);
      if (r.v.success || is_answer(r.v) || c.stop_requested() || !spare(now)) return r;
      return serve_spare(c, now, r);
    }

    // "Not found" is an answer; a substitute further in that found nothing is none.
    static bool is_answer(const verdict& v) noexcept { return v.health == health::healthy && !v.degraded; }

    // How the fetch has ended.
    void report(call& c, instant now, const resolution& r) {
      const bool failed = !r.v.success && !is_answer(r.v);
      const bool own_fault = failed && c.failed_for_its_caller(now);
      if (own_fault || (failed && !machine().awaited(ticket_.key, ticket_.held)))
        return machine().abandon(ticket_.key, ticket_.held);
      ticket_.v = r.v;
      ticket_.at = now;
      ticket_.draw = machine().jitters() ? c.random().unit() : 0.0;
      ticket_.fetching = true;  // until the typed side has seen it
      c.observe(ticket_, r);
    }

    bool spare(instant now) const noexcept { return spare_.what != nullptr && now < spare_.usable_until; }

    resolution serve_failure(call& c, instant now, answer&& a) {
      const resolution failed{.v = verdict::transient()};
      if (spare(now) && !c.stop_requested()) return serve_spare(c, now, failed);
      return serve(c, now, std::move(a.what), a.since);
    }
    resolution serve_spare(call& c, instant now, const resolution& failed) {
      machine().count_stale_if_error();
      degrade(c);
      c.emit(event::stale_served{machine().name(), text_, now - spare_.since, true, failed.v, now});
      return serve(c, now, std::move(spare_.what), spare_.since, true, failed);
    }
    resolution serve_stale(call& c, instant now, answer&& a) {
      degrade(c);
      c.emit(event::stale_served{machine().name(), text_, now - a.since, false, {}, now});
      return serve(c, now, std::move(a.what), a.since, true);
    }
    void degrade(call& c) const noexcept { c.set_degraded_by(machine().name()); }

    resolution serve(call& c, instant now, machine_type::answer_ptr what, instant since,
                     bool degraded = false, const resolution& failed = {}) {
      held_ = std::move(what);
      degraded_ = degraded;
      substitute_ = c.start_substitute(now, bound_, ticket_.source(), failed, held_.get());
      c.set_age(substitute_, now - since);
      asked_ = true;
      return {};
    }

    void let_go() noexcept {
      if (place_.linked) machine().leave(ticket_.key, place_);
      if (std::exchange(ticket_.fetching, false)) machine().abandon(ticket_.key, ticket_.held);
    }

    ticket ticket_;
    key_type text_{};
    machine_type::place place_;
    answer spare_;                   // what may stand in for a failure
    machine_type::answer_ptr held_;  // what is being served
    attempt_id substitute_ = 0;
    instant bound_;  // the deadlines outside
    instant look_again_;
    bool asked_ = false;
    bool degraded_ = false;
  };

 private:
  template <class R>
  static constexpr void check_result() {
    static_assert(std::is_same_v<R, Stored>,
                  "cached(store): store must be a seawall::cache<R> of the operation's result R");
  }

  state_type* state_;
  [[no_unique_address]] KeyOf key_of_;
};

/// The layer. The cache is shared state and must outlive the pipeline; hence an lvalue only. Its key is
/// `call_options::key`, or what `key_of(const seawall::call&)` says.
template <class R>
cached_layer<R, detail::key_of_call> cached(cache<R>& store) {
  return {store, {}};
}
template <class R, class KeyOf>
cached_layer<R, std::decay_t<KeyOf>> cached(cache<R>& store, KeyOf&& key_of) {
  return {store, std::forward<KeyOf>(key_of)};
}
template <class R, class... KeyOf>
void cached(cache<R>&& store, KeyOf&&...) = delete;

}  // namespace seawall

#endif  // SEAWALL_CACHE_HPP
