// SPDX-License-Identifier: Apache-2.0
#include "simulation/raft/parts/replica.hpp"

#include <algorithm>
#include <cstring>
#include <utility>
#include <variant>

namespace raftsim {

using seawall::testing::disk_answer;

namespace {

constexpr const char* journal = "journal";
constexpr std::size_t inbox_bound = 512;
constexpr std::size_t results_kept = 256;

// What a persist looks like on the disk: as long as the real one, more or less, and every byte tells whose it is.
std::string bytes_of(const raft::persist& p) {
  std::size_t length = 24 + 24 * p.append.size();
  for (const raft::entry& e : p.append) length += e.command.size();
  if (p.base) length += p.base->state.size();
  std::string out(length, static_cast<char>(1 + p.number % 251));
  std::memcpy(out.data(), &p.number, sizeof p.number);
  return out;
}

}  // namespace

replica::alarm::alarm(replica& r)
    : task([](task& t, outcome how) {
        if (how == outcome::run) static_cast<alarm&>(t).of.alarmed();
      }),
      of(r) {}

replica::replica(surroundings& around, raft::node_id id, raft::stored_state first)
    : around_(around),
      id_(id),
      dice_(around.how.seed * 131 + id),
      disk_(around.loop, around.how.seed * 137 + id, around.how.disk),
      stored_(std::move(first)),
      alarm_(*this) {
  const auto most = static_cast<std::int64_t>(around.how.core.max_clock_drift * 1e6);
  clock_.set(around.loop.now(), instant::from_ns(dice_.between(0, 1'000'000'000'000)));
  clock_.drift(around.loop.now(), dice_.pick({-most, most, dice_.between(-most, most)}));
}

void replica::start() {
  const instant now = around_.loop.now();
  raft::core_options o = around_.how.core;
  o.self = id_;
  ++life_;
  told_ = 0;
  core_.emplace(o, stored_, clock_.own(now), dice_.next());
  map_ = small_map::of(stored_.base.state);
  applied_ = stored_.base.index;
  around_.watch.started(id_, stored_, *core_, clock_);
  around_.net.attach(id_,
                     [this](raft::node_id, raft::message m) { tell(raft::input::received{std::move(m)}); });
  around_.trace.line(now, id_, " starts: t", stored_.hard.term, " vote ", stored_.hard.vote, " base ",
                     stored_.base.index, " entries ", stored_.entries.size());
  step(raft::input::tick{});
}

void replica::stop(bool power_too) {
  if (!runs()) return;
  ++around_.crashes;
  around_.trace.line(around_.loop.now(), id_, power_too ? " loses its power" : " is killed");
  core_.reset();
  paused_ = false;
  inbox_.clear();
  pending_.clear();
  results_.clear();
  armed_ = crash_point::none;
  around_.net.detach(id_);
  around_.watch.stopped(id_);
  around_.loop.cancel(timer_);
  if (power_too) {
    disk_.power_loss();
  } else {
    disk_.process_loss();
  }
  recover();
  if (power_too && dice_.chance(0.5))
    clock_.set(around_.loop.now(), instant::from_ns(dice_.between(0, 1'000'000'000'000)));
}

// As long as the records are whole they count, whatever lies behind the first that is not.
void replica::recover() {
  const std::string_view found = disk_.contents(journal);
  for (const record& r : unsynced_) {
    const std::string whole = bytes_of(r.what);
    if (r.offset > found.size() || found.substr(r.offset, r.length) != whole) break;
    raftsim::carry_out(stored_, r.what);
  }
  unsynced_.clear();
  syncing_ = sync_failed_ = false;
  // What was recovered is written and synced before the process does anything else.
  disk_.replace(journal, {});
  journal_end_ = 0;
}

void replica::pause() {
  if (!awake()) return;
  paused_ = true;
  around_.trace.line(around_.loop.now(), id_, " is paused");
}

void replica::resume() {
  if (!runs() || !paused_) return;
  paused_ = false;
  around_.trace.line(around_.loop.now(), id_, " goes on");
  const std::uint64_t life = life_;
  std::deque<raft::any_input> inbox = std::exchange(inbox_, {});
  // Its timer may be the first thing it sees, or the last.
  const bool timer_first = dice_.chance(0.5);
  if (timer_first) step(raft::input::tick{});
  for (raft::any_input& in : inbox) {
    if (life == life_ && runs()) step(std::move(in));
  }
  if (!timer_first && life == life_ && runs()) step(raft::input::tick{});
}

void replica::propose(std::uint64_t request, const map_command& c) {
  if (!runs()) return;
  pending_[request] = {.key = c.key};
  tell(raft::input::proposed{request, c.bytes()});
}
void replica::read(std::uint64_t request, std::uint64_t key) {
  if (!runs()) return;
  pending_[request] = {.key = key, .reads = true};
  tell(raft::input::read{request});
}
void replica::change(std::uint64_t request, raft::membership to) {
  if (!runs()) return;
  pending_[request] = {};
  tell(raft::input::change{request, std::move(to)});
}

void replica::tell(raft::any_input in) {
  if (!runs()) return;
  if (!paused_) return step(std::move(in));
  // What the disk says cannot be lost; a socket's buffer is bounded.
  const bool bounded = std::holds_alternative<raft::input::received>(in);
  if (!bounded || inbox_.size() < inbox_bound) inbox_.push_back(std::move(in));
}

void replica::step(raft::any_input in) {
  const instant now = around_.loop.now();
  ++around_.steps;
  const auto* const persisted = std::get_if<raft::input::persisted>(&in);
  if (persisted != nullptr) around_.watch.told(id_, persisted->number);
  const bool was_persisted = persisted != nullptr;
  std::string what;
  if (around_.trace.listens()) what = words(in);
  raft::effects e = core_->step(clock_.own(now), std::move(in));
  if (around_.trace.listens() && (what != "tick" || words(e) != "")) {
    around_.trace.line(now, id_, " ", words(core_->current_role()), " t", core_->term(), " c",
                       core_->commit_index(), " l", core_->last_index(), lease_valid() ? " lease" : "",
                       " <- ", what, words(e));
  }
  around_.watch.stepped(id_, now, *core_, e);
  if (was_persisted && dies_at(crash_point::before_effects)) return;
  carry_out(std::move(e));
}

bool replica::dies_at(crash_point where) {
  if (armed_ != where) return false;
  stop(dice_.chance(0.7));
  around_.died(id_);
  return true;
}

// In the order of the fields; whoever dies on the way has done some of it.
void replica::carry_out(raft::effects e) {
  const bool stores = e.store.has_value();
  if (stores) {
    ++persists_;
    const auto& only = around_.how.only;
    if (only && !spared_ && only->replica == id_ && only->persist == persists_) armed_ = only->where;
    if (dies_at(crash_point::before_write)) return;
    write(std::move(*e.store));
  }
  const bool dies_here = armed_ == crash_point::between_effects && (stores || !e.apply.empty());
  const std::size_t last_words = dies_here ? dice_.below(e.send.size() + 1) : e.send.size() + 1;
  for (std::size_t i = 0; i < e.send.size(); ++i) {
    if (i == last_words) break;
    around_.net.send(id_, e.send[i].to, around_.codec.carried(e.send[i]));
  }
  if (dies_here && dies_at(crash_point::between_effects)) return;
  if (e.restore) {
    map_ = small_map::of(e.restore->state);
    applied_ = e.restore->index;
    around_.watch.restored(id_, *e.restore, map_.digest());
  }
  for (const raft::entry& one : e.apply) apply(one);
  for (const raft::answer& a : e.answers) answer(a);
  wake_at(e.wake_at);
  if (!e.apply.empty()) maybe_compact();
}

void replica::write(raft::persist p) {
  std::string bytes = bytes_of(p);
  unsynced_.push_back({p.number, journal_end_, bytes.size(), std::move(p)});
  journal_end_ += bytes.size();
  const std::uint64_t life = life_;
  const bool taken = disk_.append(journal, std::move(bytes), [this, life](disk_answer a) {
    if (life != life_ || !runs() || a != disk_answer::done) return;
    if (dies_at(crash_point::before_sync)) return;
    ask_for_sync();
  });
  if (!taken) throw violation("persist: more are under way than the disk takes");
}

// One sync for all that was written meanwhile.
void replica::ask_for_sync() {
  if (syncing_ || unsynced_.empty() || unsynced_.back().number == told_) return;
  syncing_ = true;
  const std::uint64_t life = life_, up_to = told_ = unsynced_.back().number;
  const bool taken = disk_.sync(journal, [this, life, up_to](disk_answer a) { synced(life, up_to, a); });
  if (!taken) throw violation("persist: more are under way than the disk takes");
}

void replica::synced(std::uint64_t life, std::uint64_t up_to, disk_answer a) {
  if (life != life_ || !runs()) return;
  syncing_ = false;
  if (a != disk_answer::done) {
    sync_failed_ = true;
    tell(raft::input::persist_failed{});
    return around_.halted(id_);
  }
  // After a failed one, a sync that succeeds says nothing about what came before.
  while (!sync_failed_ && !unsynced_.empty() && unsynced_.front().number <= up_to) {
    raftsim::carry_out(stored_, unsynced_.front().what);
    around_.watch.durable(id_, unsynced_.front().what);
    unsynced_.pop_front();
  }
  if (unsynced_.empty() && journal_end_ > 16'384) {
    disk_.replace(journal, {});
    journal_end_ = 0;
  }
  if (dies_at(crash_point::before_told)) return;
  tell(raft::input::persisted{up_to});
  if (life == life_ && runs()) ask_for_sync();
}

void replica::apply(const raft::entry& e) {
  bool result = false;
  if (e.kind == raft::entry_kind::command) result = map_.apply(map_command::of(e.command));
  applied_ = e.index;
  results_[e.index] = result;
  if (results_.size() > results_kept) results_.erase(results_.begin());
  around_.watch.applied(id_, e, map_.digest());
  for (auto i = pending_.begin(); i != pending_.end();) {
    const auto [request, p] = *i;
    if (p.waits_for != 0 && p.waits_for <= applied_) {
      i = pending_.erase(i);
      settle(request, p, p.waits_for);
    } else {
      ++i;
    }
  }
}

void replica::answer(const raft::answer& a) {
  const auto found = pending_.find(a.request);
  if (found == pending_.end() || found->second.waits_for != 0)
    throw violation("answers: replica " + std::to_string(id_) + " answers twice, or what nobody asked");
  const pending p = found->second;
  if (!a.refused && a.index > applied_) {
    found->second.waits_for = a.index;
    return;
  }
  pending_.erase(found);
  if (a.refused) return around_.answered(id_, {.request = a.request, .refused = a.refused});
  settle(a.request, p, a.index);
}

void replica::settle(std::uint64_t request, const pending& p, raft::log_index index) {
  reply r{.request = request};
  if (p.reads) {
    r.value = map_.get(p.key);
  } else {
    const auto result = results_.find(index);
    r.swapped = result != results_.end() && result->second;
  }
  around_.answered(id_, r);
}

void replica::maybe_compact() {
  if (applied_ >= core_->base_index() + around_.how.compact_behind)
    step(raft::input::compacted{applied_, map_.bytes()});
}

void replica::wake_at(instant own) {
  wake_ = own;
  around_.loop.cancel(timer_);
  if (!runs() || own == instant::never()) return;
  around_.loop.schedule_at(clock_.real(own), timer_, alarm_);
}

void replica::alarmed() {
  if (!awake()) return;  // a resumed process looks at its clock anyway
  const instant now = around_.loop.now();
  alarms_at_once_ = now == last_alarm_ ? alarms_at_once_ + 1 : 0;
  last_alarm_ = now;
  if (alarms_at_once_ > 1000) throw violation("timers: replica " + std::to_string(id_) + " wakes for ever");
  step(raft::input::tick{});
}

}  // namespace raftsim
