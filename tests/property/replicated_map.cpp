// SPDX-License-Identifier: Apache-2.0
// The replicated map against a `std::map` and a list of everything that was ever done; and replicas that take different ways through
// one log (all of it, a snapshot and the rest, other bounds of their own) against each other, byte for byte.

#include "seawall/election/replicated_map.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "property/support.hpp"
#include <doctest/doctest.h>

namespace {

using namespace property;
using namespace seawall;

/// Remembers everything, and walks over all of it.
class map_model {
 public:
  map_answer apply(std::uint64_t index, const map_command& c) {
    index_ = index;
    switch (c.what) {
      case map_command::kind::open_session: return open(c.max_sessions);
      case map_command::kind::close_session:
        return {std::erase_if(sessions_, [&](const session& s) { return s.number == c.session; }) != 0
                    ? map_outcome::done
                    : map_outcome::session_expired,
                0};
      default: break;
    }
    if (c.session == 0) return write(c);
    const auto s = std::find_if(sessions_.begin(), sessions_.end(),
                                [&](const session& x) { return x.number == c.session; });
    if (s == sessions_.end()) return {map_outcome::session_expired, 0};
    s->used = index;
    s->awaited = std::max(s->awaited, c.awaited);
    if (c.sequence < s->awaited) return {map_outcome::forgotten, 0};
    for (const auto& [sequence, answer] : s->done) {
      if (sequence == c.sequence) return answer;
    }
    s->done.emplace_back(c.sequence, write(c));
    return s->done.back().second;
  }

  std::map<std::string, map_entry> entries;
  std::vector<map_change> changes;  // all there ever were
  std::size_t sessions() const { return sessions_.size(); }

 private:
  struct session {
    std::uint64_t number, used, awaited = 1;
    std::vector<std::pair<std::uint64_t, map_answer>> done = {};
  };

  map_answer open(std::uint32_t most) {
    while (sessions_.size() >= most) {
      std::sort(sessions_.begin(), sessions_.end(),
                [](const session& a, const session& b) { return a.used < b.used; });
      sessions_.erase(sessions_.begin());
    }
    sessions_.push_back({.number = index_, .used = index_});
    return {map_outcome::done, index_};
  }

  std::size_t bytes() const {
    std::size_t sum = 0;
    for (const auto& [key, e] : entries) sum += key.size() + e.value.size();
    return sum;
  }
  bool holds(const map_condition& when, const std::string& key) const {
    const auto e = entries.find(key);
    const std::uint64_t revision = e == entries.end() ? 0 : e->second.revision;
    switch (when.what) {
      case map_condition::kind::none: return true;
      case map_condition::kind::absent: return revision == 0;
      case map_condition::kind::present: return revision != 0;
      case map_condition::kind::revision: return revision == when.revision;
      case map_condition::kind::value: return revision != 0 && e->second.value == when.value;
    }
    return false;
  }
  map_answer write(const map_command& c) {
    const bool there = entries.count(c.key) != 0;
    if (!holds(c.when, c.key)) return {map_outcome::conflict, there ? entries[c.key].revision : 0};
    if (c.what == map_command::kind::erase) {
      if (!there) return {map_outcome::done, 0};
      entries.erase(c.key);
      changes.push_back({index_, c.key, std::nullopt});
      return {map_outcome::done, index_};
    }
    auto after = entries;
    std::swap(after, entries);
    const std::size_t before = bytes_of(after);
    entries[c.key].value = c.value;
    const bool more = entries.size() > after.size();
    if ((more && entries.size() > c.max_entries) || ((more || bytes() > before) && bytes() > c.max_bytes)) {
      entries = after;
      return {map_outcome::no_room, 0};
    }
    map_entry& e = entries[c.key];
    e.revision = index_;
    if (!there) e.created = index_;
    changes.push_back({index_, c.key, c.value});
    return {map_outcome::done, index_};
  }
  static std::size_t bytes_of(const std::map<std::string, map_entry>& m) {
    std::size_t sum = 0;
    for (const auto& [key, e] : m) sum += key.size() + e.value.size();
    return sum;
  }

  std::uint64_t index_ = 0;
  std::vector<session> sessions_;
};

class map_duel {
 public:
  using mismatch = std::optional<std::string>;

  explicit map_duel(dice& d) : d_(d) {}

  mismatch step() {
    index_ += d_.chance(90) ? 1 : d_.between<std::uint64_t>(2, 5);
    map_command c = d_.chance(30) && !sent_.empty() ? d_.pick_from(sent_) : fresh();
    sent_.push_back(c);
    const std::string bytes = encode(c);
    if (parse_map_command(bytes) != c) return "not what was written";
    const map_answer wanted = model_.apply(index_, c);
    for (replicated_map* m : {&whole_, &part_, &small_}) {
      const map_applied seen = m->apply(index_, bytes);
      if (seen.answer != wanted)
        return text("answer ", to_string(seen.answer.how), " ", seen.answer.revision, ", should be ",
                    to_string(wanted.how), " ", wanted.revision);
    }
    if (wanted.how == map_outcome::done && c.what == map_command::kind::open_session)
      sessions_.push_back(wanted.revision);
    if (d_.chance(5)) {
      // A replica that has missed all until now.
      part_ = replicated_map();
      if (!part_.restore(index_, whole_.state())) return "its own state is refused";
    }
    return compare();
  }

 private:
  std::string key() { return d_.pick<std::string>({"", "x", "y/"}) + std::to_string(d_.below(4)); }
  std::string value() { return std::string(d_.below(6), static_cast<char>('a' + d_.below(3))); }

  map_condition condition() {
    switch (d_.below(8)) {
      case 0: return map_condition::absent();
      case 1: return map_condition::present();
      case 2: return map_condition::equals(value());
      case 3: {
        const auto e = model_.entries.find(key());
        return map_condition::at(e != model_.entries.end() ? e->second.revision : d_.below(index_));
      }
      default: return {};
    }
  }

  map_command fresh() {
    const auto roll = d_.below(100);
    if (roll < 5 || sessions_.empty())
      return {.what = map_command::kind::open_session, .max_sessions = d_.between<std::uint32_t>(2, 5)};
    if (roll < 7) return {.what = map_command::kind::close_session, .session = d_.pick_from(sessions_)};
    map_command c{.what = roll < 25 ? map_command::kind::erase : map_command::kind::put,
                  .when = condition(),
                  .key = key()};
    if (c.what == map_command::kind::put) {
      c.value = value();
      c.max_entries = d_.between<std::uint32_t>(4, 12);
      c.max_bytes = d_.between<std::uint32_t>(20, 80);
    }
    if (d_.chance(10)) return c;
    c.session = sessions_[sessions_.size() - 1 - d_.below(std::min<std::size_t>(sessions_.size(), 6))];
    std::uint64_t& last = last_[c.session];
    c.sequence = d_.chance(80) ? ++last : d_.between<std::uint64_t>(1, last + 3);
    c.awaited = d_.between<std::uint64_t>(c.sequence < 6 ? 1 : c.sequence - 5, c.sequence);
    return c;
  }

  mismatch compare() {
    if (whole_.state() != part_.state()) return "who began with a snapshot differs";
    if (whole_.state() != small_.state()) return "who remembers less differs";
    if (whole_.size() != model_.entries.size()) return text("entries ", whole_.size());
    if (whole_.sessions() != model_.sessions()) return text("sessions ", whole_.sessions());
    std::string after;
    auto expected = model_.entries.begin();
    for (;;) {  // page by page
      const map_page page =
          whole_.list("", after, d_.between<std::size_t>(1, 3), d_.between<std::size_t>(1, 20));
      for (const auto& [k, e] : page.entries) {
        if (expected == model_.entries.end() || *expected != std::pair<const std::string, map_entry>(k, e))
          return text("listed ", k);
        if (whole_.get(k) != e) return text("there, and not there: ", k);
        ++expected;
        after = k;
      }
      if (!page.more) break;
      if (page.entries.empty()) return "a page without entries, and more behind it";
    }
    if (expected != model_.entries.end()) return text("not listed: ", expected->first);
    return compare_changes();
  }

  mismatch compare_changes() {
    const std::string prefix = d_.pick<std::string>({"", "x", "y/"});
    const std::uint64_t from = d_.between<std::uint64_t>(index_ < 30 ? 1 : index_ - 30, index_ + 2);
    std::vector<map_change> wanted;
    for (const map_change& c : model_.changes) {
      if (c.revision >= from && c.key.starts_with(prefix)) wanted.push_back(c);
    }
    for (const replicated_map* m : {&whole_, &small_}) {
      std::vector<map_change> seen;
      std::uint64_t at = from;
      bool lost = false;
      while (!lost && at <= index_) {
        const map_changes some = m->changes(at, prefix, d_.between<std::size_t>(1, 4));
        seen.insert(seen.end(), some.changes.begin(), some.changes.end());
        if (!some.too_far_behind && some.next <= at) return text("stands still at ", at);
        lost = some.too_far_behind;
        at = some.next;
      }
      if (!lost && seen != wanted)
        return text("changes from ", from, ": ", seen.size(), " of ", wanted.size());
      if (lost && m == &whole_) return "too far behind, though nothing was forgotten";
      const auto since = std::count_if(model_.changes.begin(), model_.changes.end(),
                                       [&](const map_change& c) { return c.revision >= from; });
      if (lost && since <= 3) return text("too far behind after ", since, " changes");
    }
    return std::nullopt;
  }

  dice& d_;
  std::uint64_t index_ = 0;
  std::vector<map_command> sent_;
  std::vector<std::uint64_t> sessions_;
  std::map<std::uint64_t, std::uint64_t> last_;
  map_model model_;
  replicated_map whole_;
  replicated_map part_;
  replicated_map small_{{.max_changes = 3}};
};

}  // namespace

TEST_CASE("replicated_map: as a std::map with a list of all that was done; all replicas alike") {
  run_sequences(600, [](dice& d, std::uint64_t& operations) -> std::optional<std::string> {
    map_duel duel(d);
    for (int i = 0; i < 250; ++i, ++operations) {
      if (auto m = duel.step()) return text("after ", i + 1, " steps: ", *m);
    }
    return std::nullopt;
  });
}
