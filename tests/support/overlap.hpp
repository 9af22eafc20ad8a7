// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_SUPPORT_OVERLAP_HPP
#define SEAWALL_TESTS_SUPPORT_OVERLAP_HPP

// A driver for frames whose attempts overlap: one call, virtual time, events in the order of their times. Attempts
// end as a script says, by their number; those that it does not mention hang.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "seawall/call.hpp"
#include "seawall/frame.hpp"
#include "seawall/options.hpp"
#include "seawall/time.hpp"
#include "seawall/verdict.hpp"

namespace seawall_test {

/// How an attempt ends, after how long.
struct scripted_end {
  seawall::duration after;
  seawall::verdict v;
};

template <class Pipeline>
class overlapping_call {
 public:
  overlapping_call(const Pipeline& pipeline, std::vector<scripted_end> script,
                   const seawall::call_options* options = nullptr,
                   seawall::idempotency declared = seawall::idempotency::idempotent,
                   seawall::instant begin = seawall::instant())
      : script_(std::move(script)),
        begin_(begin),
        now_(begin),
        call_(begin, declared, options, nullptr),
        pipeline_(pipeline),
        frame_(pipeline_.make_frame()) {
    call_.lend(room_);
  }

  /// To the end, or until nothing more can happen.
  seawall::resolution run() { return run_until(seawall::instant::never()); }
  /// What is due before `end`; `end` itself comes next, unless the call has ended.
  seawall::resolution run_until(seawall::instant end) {
    if (!std::exchange(begun_, true)) told(frame_.start(call_, now_));
    while (!result_) {
      const auto next = std::min_element(pending_.begin(), pending_.end(), ends_first);
      const seawall::instant ends = next == pending_.end() ? seawall::instant::never() : next->at;
      const seawall::instant wakes = std::max(frame_.wake_at(), now_);
      if (std::min(ends, wakes) >= end) break;
      now_ = std::min(ends, wakes);
      if (ends <= wakes) {
        const pending ended = *next;
        pending_.erase(next);
        told(frame_.on_done(call_, now_, ended.id, ended.v));
      } else {
        told(frame_.on_time(call_, now_));
      }
    }
    if (!result_ && end != seawall::instant::never()) now_ = end;
    return result_;
  }
  /// `on_time` out of turn: late, early, or because the waker was poked.
  seawall::resolution poke() {
    told(frame_.on_time(call_, now_));
    return result_;
  }
  void cancel() {
    frame_.cancel(call_);
    carry_out();
  }

  /// Since the call began.
  seawall::duration elapsed() const { return now_ - begin_; }
  /// "start 1 at 0s, start 2 at 10ms, cancel 1 at 15ms".
  const std::string& story() const { return story_; }
  std::size_t under_way() const { return pending_.size(); }
  seawall::call& context() { return call_; }
  auto& frame() { return frame_; }
  std::uint32_t attempts() const { return call_.attempts(); }
  /// The number of the attempt whose result it is.
  std::uint32_t winner() const { return numbers_.at(result_.which); }

 private:
  struct pending {
    seawall::attempt_id id;
    seawall::instant at;
    seawall::verdict v;
  };
  static bool ends_first(const pending& a, const pending& b) {
    return a.at != b.at ? a.at < b.at : a.id < b.id;
  }

  void told(const seawall::resolution& r) {
    result_ = r;
    carry_out();
  }
  void carry_out() {
    call_.take_launches([this](const seawall::launch& l) {
      numbers_.push_back(l.number);
      tell("start", l.id);
      const bool known = l.number <= script_.size();
      pending_.push_back({.id = l.id,
                          .at = known ? now_ + script_[l.number - 1].after : seawall::instant::never(),
                          .v = known ? script_[l.number - 1].v : seawall::verdict()});
    });
    call_.take_cancels([this](seawall::attempt_id id) {
      tell("cancel", id);
      std::erase_if(pending_, [id](const pending& p) { return p.id == id; });
    });
  }
  void tell(const char* what, seawall::attempt_id id) {
    if (!story_.empty()) story_ += ", ";
    story_ += std::string(what) + " " + std::to_string(numbers_.at(id)) + " at " + to_text(elapsed());
  }

  const std::vector<scripted_end> script_;
  const seawall::instant begin_;
  seawall::instant now_;
  bool begun_ = false;
  seawall::resolution result_;
  seawall::call::room room_;
  seawall::call call_;
  std::vector<pending> pending_;
  std::vector<std::uint32_t> numbers_;  // by id
  std::string story_;
  const Pipeline pipeline_;  // a copy: frames refer to it
  decltype(std::declval<const Pipeline&>().make_frame()) frame_;
};

}  // namespace seawall_test

#endif  // SEAWALL_TESTS_SUPPORT_OVERLAP_HPP
