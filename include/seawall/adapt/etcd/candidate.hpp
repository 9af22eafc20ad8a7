// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ADAPT_ETCD_CANDIDATE_HPP
#define SEAWALL_ADAPT_ETCD_CANDIDATE_HPP

// What a candidate does, in one thread: looks who leads, follows until nobody does, campaigns, leads, hands over. The thread itself
// and the user's side are in adapt/etcd.hpp.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "seawall/adapt/etcd/client.hpp"
#include "seawall/adapt/etcd/elector_options.hpp"
#include "seawall/adapt/etcd/messages.hpp"
#include "seawall/adapt/etcd/options.hpp"
#include "seawall/core/backoff.hpp"
#include "seawall/core/mutex.hpp"
#include "seawall/election/elector.hpp"
#include "seawall/election/tenure.hpp"
#include "seawall/random.hpp"
#include "seawall/time.hpp"

namespace seawall::detail {

/// How this defends against what engines are known for:
/// - A lease is kept track of from before it is asked for: the client chooses its id. None is asked for before the last one is
///   revoked, or known not to exist; what is in doubt may hold the lock, or come to hold it.
/// - Whether this node leads is read from the lease that is on the key, never from who answered what, nor from its name.
/// - All deadlines count from when a request was sent, with the TTL of its answer.
/// - The key is watched while leading, too: a lease that lives says nothing about a key that somebody has deleted.
///
/// Thread safety: one thread's, but for what says otherwise.
class etcd_candidate {
 public:
  etcd_candidate(const etcd_elector_options& o, tenure& t, std::function<void()> tell)
      : options_(o),
        keys_(o.prefix, o.election),
        requests_(keys_),
        answers_(keys_),
        tenure_(t),
        tell_(std::move(tell)),
        random_(entropy_seed()),
        client_(o.etcd, abort_) {}

  /// From any thread. Whatever is under way is broken off, but what releases the lease.
  void stop() noexcept {
    abort_.store(true, std::memory_order_release);
    stop_.store(true, std::memory_order_release);
    client_.wake();
  }
  void wake() noexcept { client_.wake(); }  ///< from any thread
  /// From any thread, before the grant is ended. Empty: nobody in particular.
  void set_heir(std::string node) ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    heir_ = std::move(node);
  }
  /// From any thread.
  etcd_elector_snapshot snapshot() const ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    return seen_;
  }

  /// Until `stop`; on return the lease is released, or left to run out.
  void run() {
    while (!stopping()) {
      if (!tenure_.settled())
        client_.wait(std::chrono::seconds(1));
      else if (!release() || !look(all_endpoints()))
        pause(state::unreachable, delay(failures_));
      else if (follow())
        campaign();
    }
    abort_.store(false, std::memory_order_release);
    if (tenure_.settled()) release();
  }

 private:
  using kind = etcd_answer::kind;
  using state = etcd_elector_state;

  bool stopping() const noexcept { return stop_.load(std::memory_order_acquire); }
  static instant now() noexcept { return boot_clock::now(); }
  duration all_endpoints() const noexcept {
    return options_.etcd.request_timeout * static_cast<std::int64_t>(options_.etcd.endpoints.size());
  }

  // What is known.

  /// A linearisable read.
  bool look(duration at_most) {
    const etcd_answer a = client_.ask_each("/v3/kv/txn", requests_.look(), at_most);
    auto view = a.what == kind::given ? answers_.view(a.body) : std::nullopt;
    if (!view) return failed(a, "not an answer to a read");
    take(std::move(*view));
    return true;
  }
  void take(etcd_view view) {
    view_ = std::move(view);
    looked_at_ = now();
    failures_ = 0;
    note_leader();
  }
  /// Looks again, in case that the watch tells nothing because nothing comes through.
  bool compare(duration at_most) {
    const auto revision_of = [](const std::optional<etcd_entry>& e) { return e ? e->mod_revision : 0; };
    const auto leader = revision_of(view_.leader);
    const auto heir = revision_of(view_.heir);
    if (!look(at_most)) return false;
    if (leader != revision_of(view_.leader) || heir != revision_of(view_.heir)) client_.close_stream();
    return true;
  }

  /// Only when `view_` comes from a look: what has changed since is told then, and what was compacted does not matter.
  void watch() {
    client_.open_stream("/v3/watch", requests_.watch(keys_, view_.revision + 1));
    watched_at_ = now();
  }
  bool watching() { return client_.stream() != nullptr; }
  /// Takes in what the watch has told. False: there is none any more.
  bool advance() {
    std::string* const bytes = client_.stream();
    if (bytes != nullptr && !take_lines(*bytes)) client_.close_stream();
    if (watching()) return true;
    if (std::string why = client_.take_stream_error(); !why.empty()) note_error(std::move(why));
    return false;
  }
  bool take_lines(std::string& bytes) {
    bool changed = false;
    std::size_t begun = 0;
    for (std::size_t end = 0; (end = bytes.find('\n', begun)) != std::string::npos; begun = end + 1) {
      const auto news = answers_.news(std::string_view(bytes).substr(begun, end - begun));
      if (!news || news->cancelled) {
        note_error("etcd: watch: " + (news ? news->why : "not a message of one"));
        return false;
      }
      changed = apply(*news) || changed;
    }
    bytes.erase(0, begun);
    if (changed) note_leader();
    return true;
  }
  /// What is old is passed over: etcd has been known to tell it again. All changes of a revision are in one message.
  bool apply(const etcd_news& news) {
    const std::int64_t known = view_.revision;
    for (const etcd_news::change& c : news.changes) {
      if (c.entry.mod_revision <= known) continue;
      (c.of_leader ? view_.leader : view_.heir) = c.deleted ? std::nullopt : std::optional(c.entry);
      view_.revision = std::max(view_.revision, c.entry.mod_revision);
    }
    return view_.revision > known;
  }

  // Following.

  bool is_heir() const { return view_.heir && view_.heir->value == options_.node; }
  bool may_campaign() const {
    if (view_.leader || (view_.heir && !is_heir())) return false;
    return is_heir() || now() >= stand_back_until_;
  }

  /// Until this node may campaign: true. False: what is known cannot be relied on any more, or it is the end.
  bool follow() {
    note_state(state::following);
    while (!stopping()) {
      if (view_.leader) barren_ = 0;
      if (may_campaign()) return true;
      if (!watching()) watch();
      client_.wait(until_next());
      if (!advance()) {
        // It may be broken again and again, as soon as it is open.
        if (const duration age = now() - watched_at_; age < shortest_watch)
          pause(state::following, shortest_watch - age);
        return false;
      }
      if (now() - looked_at_ >= options_.look_every && !compare(all_endpoints())) return false;
    }
    return false;
  }
  duration until_next() const {
    const instant t = now();
    const duration d = looked_at_ + options_.look_every - t;
    return !view_.leader && t < stand_back_until_ ? std::min(d, stand_back_until_ - t) : d;
  }

  // Campaigning.

  bool is_mine() const { return view_.leader && view_.leader->lease == lease_; }

  void campaign() {
    note_state(state::campaigning);
    count(&etcd_elector_snapshot::campaigns);
    lease_ = static_cast<std::int64_t>(random_.next() >> 1U | 1U);
    const etcd_answer a =
        client_.ask("/v3/lease/grant", requests_.grant(lease_, options_.ttl.ns() / 1'000'000'000),
                    options_.etcd.request_timeout);
    const auto ttl = a.what == kind::given ? etcd_answers::granted_ttl(a.body, lease_) : std::nullopt;
    if (!ttl) {
      failed(a, "not an answer to a grant");
    } else if (stand()) {
      if (begin(lease_end(a.sent_at, *ttl, options_.max_clock_drift))) return lead(a.sent_at, *ttl);
    } else if (view_.leader) {
      return;  // somebody was quicker
    }
    pause(state::campaigning, delay(++barren_));
  }
  /// What is known afterwards counts, whatever was answered: an answer may be lost, or be one to a repetition.
  bool stand() {
    const etcd_answer a = client_.ask("/v3/kv/txn", requests_.campaign(options_.node, lease_, is_heir()),
                                      options_.etcd.request_timeout);
    auto view = a.what == kind::given ? answers_.view(a.body) : std::nullopt;
    if (!view) {
      failed(a, "not an answer to a transaction");
      count(&etcd_elector_snapshot::unknown_outcomes);
      return look(all_endpoints()) && is_mine();
    }
    if (view->succeeded) {
      view->leader = etcd_entry{options_.node, view->revision, view->revision, lease_};
      view->heir.reset();
    }
    take(std::move(*view));
    return is_mine();
  }
  bool begin(instant until) {
    take_heir();  // of a grant that ended before it was handed over
    if (!tenure_.begin(static_cast<std::uint64_t>(view_.leader->create_revision), until)) {
      note_error("etcd: elected too late, or with a token that is not newer than the last one");
      return false;
    }
    barren_ = 0;
    count(&etcd_elector_snapshot::grants);
    tell_();
    return true;
  }
  /// The lease is gone afterwards, and with it what may still be under way for it.
  bool release() {
    if (lease_ == 0) return true;
    const etcd_answer a = client_.ask_each("/v3/lease/revoke", requests_.lease(lease_), all_endpoints());
    if (a.what != kind::given && a.code != etcd_answer::not_found) return failed(a, "");
    lease_ = 0;
    return true;
  }

  // Leading.

  enum class renewal : std::uint8_t { done, gone, failed };
  struct renewed {
    renewal what = renewal::failed;
    instant sent_at = {};
    duration ttl = {};
  };

  /// A lease, for as long as it is renewed.
  struct upkeep {
    instant renew_at = {};
    unsigned failures = 0;
  };

  renewed renew(duration at_most) {
    const etcd_answer a = client_.ask_each("/v3/lease/keepalive", requests_.lease(lease_), at_most);
    if (a.what == kind::refused && a.code == etcd_answer::not_found) return {renewal::gone};
    const auto ttl = a.what == kind::given ? etcd_answers::renewed_ttl(a.body, lease_) : std::nullopt;
    if (!ttl) return failed(a, "not an answer to a renewal"), renewed{};
    if (*ttl == duration::zero()) return {renewal::gone};
    count(&etcd_elector_snapshot::renewals);
    return {renewal::done, a.sent_at, *ttl};
  }
  void plan(upkeep& u, const renewed& r, duration left) {
    if (r.what == renewal::done) {
      u = {.renew_at = r.sent_at + r.ttl / 3};
    } else {
      u.renew_at = now() + std::min(delay(++u.failures), left / 4);
    }
  }

  void lead(instant sent_at, duration ttl) {
    note_state(state::leading);
    const std::int64_t token = view_.leader->create_revision;
    upkeep lease{.renew_at = sent_at + ttl / 3};
    if (!watching()) watch();
    for (auto until = tenure_.until(); until; until = tenure_.until()) {
      if (stopping()) break;
      const bool told = advance();
      if (!is_mine() || view_.leader->create_revision != token)
        return lose("etcd: the leader's key was deleted, or taken over");
      if (now() >= *until) return lose("the lease has expired: " + last_error());
      if (now() >= lease.renew_at) {
        const renewed r = renew(*until - now());
        if (r.what == renewal::gone) return lose("etcd: the lease is gone");
        if (r.what == renewal::done && !tenure_.renew(r.sent_at, r.ttl, options_.max_clock_drift))
          continue;  // it has expired meanwhile, or this node has resigned
        plan(lease, r, *until - now());
      } else if (must_look(told)) {
        if (compare(std::min(options_.etcd.request_timeout, *until - now())) && !watching()) watch();
        looked_at_ = now();
      } else {
        const instant next =
            std::min({*until, lease.renew_at, looked_at_ + (told ? options_.look_every : shortest_watch)});
        client_.wait(std::min(next - now(), longest_wait));
      }
    }
    hand_over(token, lease);
  }
  bool must_look(bool told) const {
    return now() - looked_at_ >= (told ? options_.look_every : shortest_watch);
  }
  void lose(std::string why) {
    note_state(state::leaving);
    tenure_.end(std::move(why));
    forget_leader();
  }
  /// Until it is seen who does.
  void forget_leader() {
    tenure_.note_leader(std::nullopt);
    tell_();
  }

  /// Nobody else leads before `on_lost` has returned.
  void hand_over(std::int64_t token, upkeep lease) {
    tenure_.end("the elector was destroyed");  // if it has not resigned
    forget_leader();
    note_state(state::leaving);
    const instant release_by = now() + options_.release_within;
    while (!tenure_.settled() && now() < release_by) {
      if (stopping()) abort_.store(false, std::memory_order_release);
      if (now() >= lease.renew_at)
        plan(lease, renew(options_.etcd.request_timeout), options_.ttl);
      else
        client_.wait(std::min(lease.renew_at, release_by) - now());
    }
    if (stopping()) abort_.store(false, std::memory_order_release);
    stand_back_until_ = now() + options_.stand_back;
    const std::string heir = take_heir();
    if (!tenure_.settled() || heir.empty() || heir == options_.node) return;
    const etcd_answer a =
        client_.ask("/v3/kv/txn", requests_.hand_over(token, heir, lease_), options_.etcd.request_timeout);
    // The lease bears the reservation now, and bounds it. In doubt it is revoked, and the reservation with it.
    if (a.what == kind::given && etcd_answers::succeeded(a.body) == true)
      lease_ = 0;
    else
      failed(a, "not the leader's key");
  }
  std::string take_heir() ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    return std::exchange(heir_, {});
  }

  // What others see, and waiting.

  bool failed(const etcd_answer& a, std::string_view otherwise) {
    if (stopping()) return false;
    ++failures_;
    count(&etcd_elector_snapshot::failures);
    note_error(a.error.empty() ? "etcd: " + std::string(otherwise) : a.error);
    return false;
  }
  void note_error(std::string text) ABSL_LOCKS_EXCLUDED(mutex_) {
    text.resize(std::min<std::size_t>(text.size(), 512));
    const core::mutex_lock lock(mutex_);
    seen_.last_error = std::move(text);
  }
  std::string last_error() const ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    return seen_.last_error;
  }
  void note_state(state s) ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    seen_.state = s;
    seen_.endpoint = client_.endpoint();
  }
  void count(std::uint64_t etcd_elector_snapshot::*counter) ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    ++(seen_.*counter);
  }
  void note_leader() ABSL_LOCKS_EXCLUDED(mutex_) {
    const auto leader = view_.leader ? std::optional(view_.leader->value) : std::nullopt;
    {
      const core::mutex_lock lock(mutex_);
      seen_.leader = leader.value_or("");
      seen_.endpoint = client_.endpoint();
    }
    tenure_.note_leader(leader);
    tell_();
  }

  duration delay(unsigned failures) {
    const backoff_options o{
        .initial = options_.etcd.backoff_initial, .max = options_.etcd.backoff_max, .jitter = jitter::equal};
    return backoff_.next(o, std::max(failures, 1U), [this]() -> random_source& { return random_; });
  }
  void pause(state s, duration d) {
    note_state(s);
    const instant until = now() + d;
    while (!stopping() && now() < until) client_.wait(until - now());
  }

  static constexpr duration shortest_watch = std::chrono::milliseconds(200);
  // Of a leader. Waiting does not count what the machine sleeps, but the lease does.
  static constexpr duration longest_wait = std::chrono::seconds(1);

  const etcd_elector_options& options_;
  const etcd_election_keys keys_;
  const etcd_requests requests_;
  const etcd_answers answers_;
  tenure& tenure_;
  const std::function<void()> tell_;
  random_source random_;
  core::backoff_schedule backoff_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> abort_{false};
  etcd_client client_;

  etcd_view view_;
  std::int64_t lease_ = 0;  // asked for, and not known to be gone; zero: none
  instant looked_at_ = {};
  instant watched_at_ = {};
  instant stand_back_until_ = {};
  unsigned failures_ = 0;  // requests, one after another
  unsigned barren_ = 0;    // campaigns, one after another, of which nobody came out as leader

  mutable core::mutex mutex_;
  std::string heir_ ABSL_GUARDED_BY(mutex_);
  etcd_elector_snapshot seen_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace seawall::detail

#endif  // SEAWALL_ADAPT_ETCD_CANDIDATE_HPP
