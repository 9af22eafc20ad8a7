// SPDX-License-Identifier: Apache-2.0
#include "simulation/raft/parts/cluster.hpp"

#include <algorithm>
#include <chrono>

namespace raftsim {

using namespace std::chrono_literals;

cluster::cluster(const plan& how, bool trace)
    : how_(how),
      loop_(how.seed + 1),
      net_(loop_, how.seed * 149 + 3, how.good_weather),
      trace_(trace),
      dice_(how.seed * 151 + 7),
      around_{loop_, net_, watch_, trace_, how_, {}, {}, {}, 0, 0, {}},
      later_(loop_),
      clients_(how_, later_, replicas_) {
  raft::stored_state first;
  for (node n = 1; n <= how.voters; ++n) first.base.members.voters.push_back(n);
  for (node n = 1; n <= how.voters + how.spares; ++n)
    replicas_.emplace_back(around_, n, n <= how.voters ? first : raft::stored_state{});
  around_.answered = [this](node by, const reply& r) {
    if (r.request % 16 != 0) return clients_.answered(by, r);
    replies_[r.request] = r;
  };
  around_.halted = [this](node n) {
    later_.after(dice_.between(duration(1ms), duration(300ms)), [this, n] {
      if (!at(n).runs() || !at(n).core().halted()) return;
      at(n).stop(dice_.chance(0.5));
      at(n).start();
    });
  };
  around_.died = [this](node n) {
    trace_.line(loop_.now(), n, " dies at a crash point");
    revive(n, dice_.between(duration(1ms), duration(300ms)));
  };
}

void cluster::run() {
  for (node n = 1; n <= how_.voters; ++n) at(n).start();
  if (how_.directed != scenario::none) {
    play();
  } else {
    clients_.begin();
    faults_on_ = true;
    if (!how_.only) begin_faults();
    loop_.run_for(how_.chaos);
  }
  heal();
  single_faults();
  clients_.end();
  converges();
  clients_.check();
}

void cluster::tell(verdict& v) const {
  v.seed = how_.seed;
  v.steps = around_.steps;
  v.virtual_time = loop_.elapsed();
  v.operations = clients_.done();
  v.leaders = watch_.leaders();
  v.grants = watch_.grants();
  v.committed = watch_.committed();
  v.faults = faults_;
  v.crashes = around_.crashes;
  for (const replica& r : replicas_) {
    v.syncs += r.disk_syncs();
    v.persists = std::max(v.persists, r.persists());
  }
  v.to_elect = to_elect_;
}

verdict run(const plan& how, bool trace) {
  verdict v;
  cluster c(how, trace);
  try {
    c.run();
  } catch (const violation& broken) {
    v.broken = broken.what();
  } catch (const std::exception& broken) {
    v.broken = std::string("refused: ") + broken.what();
  }
  c.tell(v);
  return v;
}

}  // namespace raftsim
