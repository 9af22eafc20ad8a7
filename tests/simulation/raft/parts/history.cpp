// SPDX-License-Identifier: Apache-2.0
#include "simulation/raft/parts/history.hpp"

#include <algorithm>
#include <set>
#include <sstream>
#include <utility>

namespace raftsim {

namespace {

class checker {
 public:
  explicit checker(const std::vector<operation>& all) {
    for (const operation& o : all) {
      if (o.kind == operation_kind::get && o.ended == operation::open) continue;  // says nothing
      if (o.ended != operation::open) must_ |= bit(history_.size());
      history_.push_back(o);
    }
  }

  bool search(std::uint64_t done, std::uint64_t value) {
    done |= readers(done, value);
    if ((done & must_) == must_) return true;
    if (!tried_.insert({done, value}).second) return false;
    const std::uint64_t next = may_be_next(done);
    for (std::size_t i = 0; i < history_.size(); ++i) {
      if ((next & bit(i)) == 0 || !writes(history_[i], value) || idle(done, i)) continue;
      if (search(done | bit(i), history_[i].value)) return true;
    }
    return false;
  }

 private:
  static std::uint64_t bit(std::size_t i) { return std::uint64_t{1} << i; }

  // Nothing that is not done has ended before it began.
  std::uint64_t may_be_next(std::uint64_t done) const {
    std::uint64_t first_end = operation::open;
    for (std::size_t i = 0; i < history_.size(); ++i) {
      if ((done & bit(i)) == 0) first_end = std::min(first_end, history_[i].ended);
    }
    std::uint64_t next = 0;
    for (std::size_t i = 0; i < history_.size(); ++i) {
      if ((done & bit(i)) == 0 && history_[i].begun < first_end) next |= bit(i);
    }
    return next;
  }

  // What changes nothing and fits now is done now: nothing is lost by it.
  std::uint64_t readers(std::uint64_t done, std::uint64_t value) const {
    std::uint64_t found = 0;
    for (;;) {
      std::uint64_t more = 0;
      const std::uint64_t next = may_be_next(done | found);
      for (std::size_t i = 0; i < history_.size(); ++i) {
        if ((next & bit(i)) != 0 && reads(history_[i], value)) more |= bit(i);
      }
      if (more == 0) return found;
      found |= more;
    }
  }

  // An open one whose value the very next one does not see may as well be done later, or never: without this, each of them
  // doubles the work.
  bool idle(std::uint64_t done, std::size_t which) const {
    if ((must_ & bit(which)) != 0) return false;
    const std::uint64_t written = history_[which].value;
    const std::uint64_t next = may_be_next(done | bit(which));
    for (std::size_t i = 0; i < history_.size(); ++i) {
      if ((next & bit(i)) == 0) continue;
      const operation& o = history_[i];
      if (reads(o, written) || (o.kind == operation_kind::cas && writes(o, written))) return false;
    }
    return true;
  }

  static bool reads(const operation& o, std::uint64_t value) {
    if (o.kind == operation_kind::get) return o.value == value;
    return o.kind == operation_kind::cas && o.ended != operation::open && !o.swapped && o.expected != value;
  }
  static bool writes(const operation& o, std::uint64_t value) {
    if (o.kind == operation_kind::put) return true;
    if (o.kind != operation_kind::cas || o.expected != value) return false;
    return o.swapped || o.ended == operation::open;
  }

  std::vector<operation> history_;
  std::uint64_t must_ = 0;
  std::set<std::pair<std::uint64_t, std::uint64_t>> tried_;
};

}  // namespace

bool linearisable(const std::vector<operation>& history) { return checker(history).search(0, 0); }

std::string told(const std::vector<operation>& history) {
  std::vector<operation> sorted = history;
  std::sort(sorted.begin(), sorted.end(),
            [](const operation& a, const operation& b) { return a.begun < b.begun; });
  std::ostringstream out;
  for (const operation& o : sorted) {
    out << "\n  [" << o.begun << ", ";
    if (o.ended == operation::open) {
      out << "?";
    } else {
      out << o.ended;
    }
    out << "] client " << o.client << ' ';
    switch (o.kind) {
      case operation_kind::put: out << "put " << o.value; break;
      case operation_kind::get: out << "get -> " << o.value; break;
      case operation_kind::cas:
        out << "cas " << o.expected << " -> " << o.value
            << (o.ended == operation::open ? ""
                : o.swapped                ? ": yes"
                                           : ": no");
        break;
    }
  }
  return out.str();
}

}  // namespace raftsim
