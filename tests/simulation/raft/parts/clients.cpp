// SPDX-License-Identifier: Apache-2.0
#include "simulation/raft/parts/clients.hpp"

#include <chrono>

#include "simulation/raft/parts/observer.hpp"

namespace raftsim {

using namespace std::chrono_literals;

namespace {
constexpr std::uint64_t groups = 3;
constexpr duration patience = 400ms;
constexpr duration between_attempts = 15ms;
constexpr unsigned most_attempts = 40;
}  // namespace

clients::clients(const plan& how, agenda& later, std::deque<replica>& replicas)
    : how_(how), later_(later), replicas_(replicas), dice_(how.seed * 139 + 5) {
  for (unsigned i = 1; i <= how.clients; ++i) all_.push_back({.id = i});
}

void clients::begin() {
  for (client& c : all_) rest(c);
}

void clients::rest(client& c) {
  later_.after(dice_.between(duration::zero(), how_.between_operations * 2), [this, &c] { next(c); });
}

std::uint64_t clients::key_for(std::uint64_t group) {
  std::uint64_t& generation = generation_[group];
  if (begun_[generation * groups + group] >= longest_history) ++generation;
  const std::uint64_t key = generation * groups + group;
  ++begun_[key];
  return key;
}

void clients::next(client& c) {
  if (ended_) return;
  const std::uint64_t round = ++c.round;
  c.key = key_for(dice_.below(groups));
  const std::uint64_t roll = dice_.below(20);
  c.what = {.kind = roll < 6    ? operation_kind::put
                    : roll < 15 ? operation_kind::get
                                : operation_kind::cas,
            .begun = ++moments_,
            .client = c.id};
  c.by_lease = dice_.chance(0.5);
  c.doubtful = false;
  c.attempts = 0;
  if (c.what.kind != operation_kind::get) {
    ++c.sequence;
    c.what.value = ++values_;
  }
  if (c.what.kind == operation_kind::cas) {
    // What was there a moment ago, as somebody sees it: most swap then.
    const replica& r = dice_.pick_from(replicas_);
    c.what.expected = dice_.chance(0.9) ? r.map().get(c.key) : dice_.below(values_ + 1);
  }
  ask(c);
  later_.after(dice_.between(patience, patience * 3), [this, &c, round] {
    if (c.round == round) give_up(c);
  });
}

replica* clients::somebody(client& c) {
  replica* found = nullptr;
  if (c.leader != raft::nobody && c.leader <= replicas_.size()) found = &replicas_[c.leader - 1];
  c.leader = raft::nobody;
  if (found == nullptr || dice_.chance(0.05)) found = &dice_.pick_from(replicas_);
  return found->runs() ? found : nullptr;
}

void clients::ask(client& c) {
  replica* const r = somebody(c);
  if (r == nullptr) return ask_again(c, between_attempts);
  ++c.attempts;
  if (c.what.kind == operation_kind::get && c.by_lease) {
    if (!r->lease_valid()) {
      if (r->awake()) c.leader = r->core().leader();
      return ask_again(c, between_attempts);
    }
    c.what.value = r->map().get(c.key);
    c.leader = r->id();
    return finish(c);
  }
  c.request = ++requests_ * 16 + c.id;
  const std::uint64_t request = c.request;
  const std::uint64_t round = c.round;
  if (c.what.kind == operation_kind::get) {
    r->read(request, c.key);
  } else {
    c.doubtful = true;
    r->propose(request, {c.id, c.sequence, c.key, c.what.kind, c.what.value, c.what.expected});
  }
  // No word, perhaps because it has died: asked again. A map with sessions does not mind.
  if (!dice_.chance(0.5)) return;
  later_.after(dice_.between(duration(20ms), patience), [this, &c, request, round] {
    if (c.round == round && c.request == request) ask_again(c, duration::zero());
  });
}

void clients::ask_again(client& c, duration after) {
  c.request = 0;
  if (c.attempts >= most_attempts) return;  // waits until it gives up
  const std::uint64_t round = c.round;
  later_.after(after + dice_.between(duration::zero(), duration(5ms)), [this, &c, round] {
    if (c.round == round && c.request == 0 && !ended_) ask(c);
  });
}

void clients::answered(raft::node_id by, const reply& r) {
  client& c = all_[static_cast<std::size_t>(r.request % 16 - 1)];
  if (c.request != r.request) return;
  if (r.refused) {
    c.leader = replicas_[by - 1].runs() ? replicas_[by - 1].core().leader() : raft::nobody;
    return ask_again(c, between_attempts);
  }
  if (c.what.kind == operation_kind::get) {
    c.what.value = r.value;
  } else {
    c.what.swapped = r.swapped;
  }
  c.leader = by;
  finish(c);
}

void clients::finish(client& c) {
  c.what.ended = ++moments_;
  ++done_;
  record(c);
  rest(c);
}

void clients::give_up(client& c) {
  record(c);
  rest(c);
}

void clients::record(client& c) {
  ++c.round;
  c.request = 0;
  const bool open = c.what.ended == operation::open;
  if (open && (c.what.kind == operation_kind::get || !c.doubtful)) return;
  histories_[c.key].push_back(c.what);
}

void clients::check() const {
  for (const auto& [key, history] : histories_) {
    std::vector<operation> all = history;
    for (const client& c : all_) {
      const bool under_way =
          c.key == key && c.what.ended == operation::open && c.doubtful && c.round % 2 == 1;
      if (under_way) all.push_back(c.what);
    }
    if (!linearisable(all)) throw violation("linearisability: key " + std::to_string(key) + ":" + told(all));
  }
}

}  // namespace raftsim
