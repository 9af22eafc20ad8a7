// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_REPLICATED_MAP_HPP
#define SEAWALL_ELECTION_REPLICATED_MAP_HPP

// A small map of keys to values as a state machine: told the entries of a log, it does the same on every
// replica, byte for byte. No network, no clock, no threads; raft_elector.hpp feeds it. For a few KiB of who
// leads, epochs and switches, not for data.

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "seawall/election/raft_types.hpp"
#include "seawall/election/replicated_map/bytes.hpp"
#include "seawall/election/replicated_map/command.hpp"
#include "seawall/election/replicated_map/history.hpp"
#include "seawall/election/replicated_map/sessions.hpp"

namespace seawall {

struct map_entry {
  std::string value = {};
  std::uint64_t created = 0;   ///< the revision that has brought the key
  std::uint64_t revision = 0;  ///< of the latest change

  friend bool operator==(const map_entry&, const map_entry&) = default;
};

/// Some entries, ascending by key.
struct map_page {
  std::vector<std::pair<std::string, map_entry>> entries = {};
  bool more = false;           ///< there are others behind: ask again, `after` the last key
  std::uint64_t revision = 0;  ///< of the map: a watch from the next one on misses nothing
};

/// What came of an entry of the log.
struct map_applied {
  std::uint64_t session = 0;  ///< whose command it was, and which
  std::uint64_t sequence = 0;
  bool repeated = false;  ///< it was done before
  map_answer answer = {};
};

/// Guarantees:
/// 1. The same commands at the same indices give the same answers, and the same `state()`, byte for byte,
///    whatever the options of the replica; also where some of them were taken from a `state()` of another
///    one.
/// 2. A command of a session is done at most once, however often it is in the log; its answer is the same
///    each time.
/// 3. A revision is the index of the entry that has made a change: it ascends, over all keys, and for all
///    time.
/// 4. Bytes that are no command change nothing.
///
/// Thread safety: none of its own. Cost: a look-up in a tree, and an entry of the history, for each change.
class replicated_map {
 public:
  explicit replicated_map(const map_history_limits& history = {}) noexcept : history_(history) {}

  /// `index` is greater than all before.
  map_applied apply(raft::log_index index, std::string_view command) {
    assert(index > index_);
    index_ = index;
    const std::optional<map_command> c = parse_map_command(command);
    if (!c) return {};
    map_applied done{.session = c->session, .sequence = c->sequence};
    switch (c->what) {
      case map_command::kind::open_session:
        sessions_.open(index, c->max_sessions);
        done.answer = {.how = map_outcome::done, .revision = index};
        break;
      case map_command::kind::close_session:
        done.answer.how = sessions_.close(c->session) ? map_outcome::done : map_outcome::session_expired;
        break;
      default: write(*c, done);
    }
    return done;
  }
  /// The entry at `index` was for somebody else.
  void pass(raft::log_index index) noexcept {
    assert(index > index_);
    index_ = index;
  }

  std::optional<map_entry> get(std::string_view key) const {
    const auto found = entries_.find(key);
    return found == entries_.end() ? std::nullopt : std::optional(found->second);
  }
  /// The entries whose keys begin with `prefix` and are greater than `after`: `most` of them at most, and no
  /// more once their keys and values take `most_bytes`.
  map_page list(std::string_view prefix, std::string_view after, std::size_t most,
                std::size_t most_bytes) const {
    map_page page{.revision = index_};
    std::size_t bytes = 0;
    auto e = after < prefix ? entries_.lower_bound(prefix) : entries_.upper_bound(after);
    for (; e != entries_.end() && e->first.starts_with(prefix); ++e) {
      if (page.entries.size() == most || bytes >= most_bytes) {
        page.more = true;
        break;
      }
      bytes += size_of(*e);
      page.entries.push_back(*e);
    }
    return page;
  }
  /// What has changed from the revision `from` on, in keys that begin with `prefix`. Looks at `most` changes
  /// at most.
  map_changes changes(std::uint64_t from, std::string_view prefix, std::size_t most) const {
    return history_.since(from, prefix, most, index_ + 1);
  }

  /// The index of the latest entry.
  raft::log_index index() const noexcept { return index_; }
  std::size_t size() const noexcept { return entries_.size(); }
  std::size_t bytes() const noexcept { return bytes_; }
  std::size_t sessions() const noexcept { return sessions_.size(); }

  /// All that another replica needs to go on from here.
  /// Cost: a copy of everything.
  std::string state() const {
    detail::byte_writer out;
    out.u8(detail::map_format);
    out.u32(static_cast<std::uint32_t>(entries_.size()));
    for (const auto& [key, e] : entries_) {
      out.text(key);
      out.text(e.value);
      out.u64(e.created);
      out.u64(e.revision);
    }
    sessions_.write(out);
    return out.take();
  }
  /// Goes on from another one's `state()` after the entry at `index`. False, and nothing has changed, if
  /// `state` is not the state of any map at that index. Whoever watches, and has not seen all up to `index`,
  /// is too far behind.
  [[nodiscard]] bool restore(raft::log_index index, std::string_view state) {
    detail::byte_reader in(state);
    if (in.u8() != detail::map_format) return false;
    table entries;
    std::size_t bytes = 0;
    read_entries(in, index, entries, bytes);
    detail::map_sessions sessions;
    sessions.read(in, index);
    if (!in.ended()) return false;
    entries_ = std::move(entries);
    bytes_ = bytes;
    sessions_ = std::move(sessions);
    history_.begin_at(index + 1);
    index_ = index;
    return true;
  }

 private:
  using table = std::map<std::string, map_entry, std::less<>>;

  static std::size_t size_of(const table::value_type& e) noexcept {
    return e.first.size() + e.second.value.size();
  }

  void write(const map_command& c, map_applied& done) {
    if (const auto before = sessions_.answered(index_, c)) {
      done.answer = *before;
      done.repeated = true;
      return;
    }
    done.answer = changed(c);
    sessions_.keep(c, done.answer);
  }

  map_answer changed(const map_command& c) {
    const auto found = entries_.find(c.key);
    if (!holds(c.when, found)) {
      return {.how = map_outcome::conflict, .revision = found == entries_.end() ? 0 : found->second.revision};
    }
    return c.what == map_command::kind::put ? put(c, found) : erased(found);
  }

  bool holds(const map_condition& when, table::const_iterator e) const {
    const bool there = e != entries_.end();
    switch (when.what) {
      case map_condition::kind::none: return true;
      case map_condition::kind::absent: return !there;
      case map_condition::kind::present: return there;
      case map_condition::kind::revision: return there && e->second.revision == when.revision;
      case map_condition::kind::value: return there && e->second.value == when.value;
    }
    return false;
  }

  map_answer put(const map_command& c, table::iterator e) {
    const bool is_new = e == entries_.end();
    const std::size_t freed = is_new ? 0 : size_of(*e);
    const std::size_t bytes = bytes_ - freed + c.key.size() + c.value.size();
    // What gets smaller is taken, also where a command's bounds are tighter than those before.
    const bool grows = is_new || bytes > bytes_;
    if ((is_new && entries_.size() >= c.max_entries) || (grows && bytes > c.max_bytes))
      return {.how = map_outcome::no_room};
    if (is_new) e = entries_.emplace(c.key, map_entry{.created = index_}).first;
    e->second.value = c.value;
    e->second.revision = index_;
    bytes_ = bytes;
    history_.add({.revision = index_, .key = c.key, .value = c.value});
    return {.how = map_outcome::done, .revision = index_};
  }

  map_answer erased(table::iterator e) {
    if (e == entries_.end()) return {.how = map_outcome::done};
    bytes_ -= size_of(*e);
    history_.add({.revision = index_, .key = e->first});
    entries_.erase(e);
    return {.how = map_outcome::done, .revision = index_};
  }

  static void read_entries(detail::byte_reader& in, raft::log_index index, table& entries,
                           std::size_t& bytes) {
    const std::uint32_t count = in.u32();
    if (count > detail::map_most.max_entries) in.fail();
    for (std::uint32_t i = 0; i < count && !in.failed(); ++i) {
      const std::string_view key = in.text(detail::map_most.max_key_bytes);
      const std::string_view value = in.text(detail::map_most.max_value_bytes);
      const map_entry e{.value = std::string(value), .created = in.u64(), .revision = in.u64()};
      const bool ascends = entries.empty() ? !key.empty() : entries.rbegin()->first < key;
      if (!ascends || e.created < 1 || e.created > e.revision || e.revision > index) in.fail();
      bytes += key.size() + value.size();
      if (bytes > detail::map_most.max_bytes) in.fail();
      entries.emplace_hint(entries.end(), key, e);
    }
  }

  raft::log_index index_ = 0;
  table entries_;
  std::size_t bytes_ = 0;  // of keys and values
  detail::map_sessions sessions_;
  detail::map_history history_;
};

}  // namespace seawall

#endif  // SEAWALL_ELECTION_REPLICATED_MAP_HPP
