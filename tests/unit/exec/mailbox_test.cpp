// SPDX-License-Identifier: Apache-2.0
// Every interleaving of a mailbox's steps for a few senders. A step is one atomic operation, so this is all that can happen on
// one processor at a time; that the memory orders are strong enough is for TSan and the stress tests.
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <tuple>
#include <vector>

#include "seawall/exec/completion.hpp"
#include <doctest/doctest.h>

namespace {

using seawall::detail::mail;
using seawall::detail::mailbox;

TEST_CASE(
    "mailbox: of somebody who reads already; whoever sends to an idle one reads it; all come, in order") {
  mailbox box;
  mail a(mail::kind::ended), b(mail::kind::poked), c(mail::kind::left);
  CHECK(box.take() == nullptr);
  CHECK_FALSE(box.send(a));
  CHECK_FALSE(box.leave());  // there is mail
  CHECK_FALSE(box.send(b));
  mail* const first = box.take();
  REQUIRE(first == &a);
  REQUIRE(first->next == &b);
  CHECK(b.next == nullptr);
  CHECK(box.leave());
  CHECK(box.send(c));
  CHECK_FALSE(box.send(a));
  CHECK(box.take() == &c);
  CHECK(c.next == &a);
  CHECK(box.leave());
}

/// The mailbox again, as a machine whose steps can be put in any order. `box`: -1 idle, -2 somebody reads and nothing is new, else
/// the newest letter; each letter knows the one below it.
///
/// Sender: load; then compare and exchange until it is in; one that found it idle becomes the reader.
/// Reader: take all; handle them; leave if nothing has come, else again. When it has handled `last`, everything is freed.
struct model {
  static constexpr int idle = -1, reading = -2;
  static constexpr int senders = 3;
  enum class at : std::uint8_t { load, exchange, take, leave_check, leave, done };
  struct thread {
    at where = at::load;
    int seen = idle;
    auto operator<=>(const thread&) const = default;
  };

  int box = idle;
  std::array<int, senders> below{};
  std::array<bool, senders> handled{};
  std::array<thread, senders> threads{};
  bool freed = false;
  auto operator<=>(const model&) const = default;

  bool all_handled() const {
    for (const bool h : handled) {
      if (!h) return false;
    }
    return true;
  }

  /// False if the thread has nothing left to do. `wrong` says what went wrong.
  bool step(int t, const char*& wrong) {
    thread& me = threads[static_cast<std::size_t>(t)];
    if (me.where == at::done) return false;
    if (freed) wrong = "touched after it was freed";
    switch (me.where) {
      case at::load:
        me.seen = box;
        me.where = at::exchange;
        break;
      case at::exchange:
        below[static_cast<std::size_t>(t)] = me.seen;
        if (box != me.seen) {  // also what a failed exchange reads
          me.seen = box;
          break;
        }
        box = t;
        me.where = me.seen == idle ? at::take : at::done;
        break;
      case at::take: {
        for (const thread& other : threads) {
          if (&other != &me &&
              (other.where == at::take || other.where == at::leave || other.where == at::leave_check))
            wrong = "two read";
        }
        int m = box;
        box = reading;
        while (m >= 0) {
          auto& h = handled[static_cast<std::size_t>(m)];
          if (h) wrong = "read twice";
          h = true;
          m = below[static_cast<std::size_t>(m)];
        }
        if (all_handled()) {
          freed = true;
          me.where = at::done;
        } else {
          me.where = at::leave_check;
        }
        break;
      }
      case at::leave_check: me.where = box == reading ? at::leave : at::take; break;
      case at::leave:
        if (box == reading) {
          box = idle;
          me.where = at::done;
        } else {
          me.where = at::take;
        }
        break;
      case at::done: break;
    }
    return true;
  }
};

struct explorer {
  std::map<model, bool> seen;
  const char* wrong = nullptr;
  std::uint64_t ends = 0;

  void explore(const model& m) {
    if (wrong != nullptr || !seen.emplace(m, true).second) return;
    bool over = true;
    for (int t = 0; t < model::senders; ++t) {
      model next = m;
      if (!next.step(t, wrong)) continue;
      over = false;
      explore(next);
    }
    if (!over) return;
    ++ends;
    if (!m.all_handled()) wrong = "mail was left in the box, and nobody reads";
  }
};

TEST_CASE(
    "mailbox: in every interleaving of three senders, each letter is read once, by one reader at a time, and freed last") {
  explorer e;
  e.explore(model{});
  CHECK_MESSAGE(e.wrong == nullptr, e.wrong);
  CHECK(e.ends > 0);
  MESSAGE(e.seen.size(), " states, ", e.ends, " ends");
}

}  // namespace
