// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_RAFT_ELECTOR_OPTIONS_HPP
#define SEAWALL_ELECTION_RAFT_ELECTOR_OPTIONS_HPP

// What a replica of the embedded Raft is told once, and what it tells about itself.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "seawall/core/backoff.hpp"
#include "seawall/election/log_file.hpp"
#include "seawall/election/raft_core.hpp"
#include "seawall/election/raft_types.hpp"
#include "seawall/election/replicated_map.hpp"
#include "seawall/election/transport/options.hpp"
#include "seawall/event.hpp"
#include "seawall/options.hpp"
#include "seawall/time.hpp"

namespace seawall {

/// A replica that is a member, or may become one.
struct raft_node {
  raft::node_id id =
      raft::nobody;       ///< never given to another one, and never to the same one with an empty disk
  std::string name = {};  ///< as callbacks and `transfer_to` have it: 1 to 64 bytes, no other node's
  std::string host = {};  ///< where the others find it
  std::uint16_t port = 0;
  std::string identity = {};  ///< what its certificate must carry: see `raft::transport_peer`
};

struct raft_elector_options {
  std::string name = "election";  ///< of events and snapshots
  std::string cluster =
      {};  ///< the same for all replicas, and different for every other cluster: 1 to 64 bytes
  raft::node_id self = raft::nobody;  ///< one of `nodes`
  std::vector<raft_node> nodes = {};  ///< 1 to 64, this replica among them; the same for all replicas
  /// Who the members are before the log says anything else; the same for all replicas, for ever, also for
  /// those that came later. A log that was begun with others is refused. None: all of `nodes`.
  std::vector<raft::node_id> founders = {};
  std::string directory = {};    ///< of the log: this replica's alone; made if it is not there
  std::string listen_host = {};  ///< an address; none: this node's `host`

  // Parts. The fields that follow from the above are filled in: self, node, cluster, peers, listen_host and
  // _port, events.

  raft::core_options raft = {};
  raft::log_file_options log = {};
  raft::transport_options transport = {};

  map_limits map = {};
  map_history_limits history = {};
  /// A snapshot takes the place of the log when so many entries, or so many bytes, were applied: at least 1;
  /// the latter, a quarter of `raft.max_log_bytes` at most. Making one copies the map, on the thread that
  /// sends heartbeats.
  std::uint64_t snapshot_entries = 10'000;
  std::uint64_t snapshot_bytes = std::uint64_t{8} << 20U;

  std::uint32_t max_requests = 1024;   ///< of this replica's users, under way: [1, 100'000]
  std::uint32_t max_forwarded = 1024;  ///< of other replicas' users, under way here: [1, 100'000]
  std::uint32_t max_watches = 64;      ///< [1, 10'000]
  /// Between what a leader, or nobody who leads, has refused and the next time it is sent.
  backoff_options backoff = {.initial = std::chrono::milliseconds(5),
                             .max = std::chrono::milliseconds(200),
                             .jitter = jitter::equal};
  /// Told when this replica's part changes (`state_changed`: "follower", "leader"...; the key is the term)
  /// and when peers come and go, on the elector's own thread. Outlives the elector.
  listener* events = nullptr;
};

constexpr std::string_view to_string(raft::role r) noexcept {
  constexpr std::string_view names[] = {"follower", "pre_candidate", "candidate", "leader", "learner"};
  return names[static_cast<std::size_t>(r)];
}

struct raft_elector_snapshot {
  std::string name = {};
  raft::role part = raft::role::follower;
  raft::term_number term = 0;
  std::optional<std::string> leader = {};  ///< as far as is known
  raft::membership members = {};
  bool halted = false;  ///< the disk has failed; `halted_by` says how
  std::string halted_by = {};

  raft::log_index base = 0;  ///< of the snapshot
  raft::log_index last = 0;
  raft::log_index committed = 0;
  raft::log_index applied = 0;
  std::size_t log_bytes = 0;

  std::size_t entries = 0;  ///< of the map
  std::size_t bytes = 0;    ///< ... of their keys and values
  std::size_t sessions = 0;

  std::uint64_t grants = 0;  ///< times that this replica was given leadership
  std::size_t requests = 0;  ///< under way
  std::uint64_t writes = 0;  ///< of this replica's users
  std::uint64_t reads = 0;
  std::uint64_t lease_reads = 0;  ///< ... that were served without asking the others
  std::uint64_t repeats = 0;      ///< writes that were sent again
  std::uint64_t forwarded = 0;    ///< of other replicas' users
  std::uint64_t snapshots = 0;    ///< made here
  std::uint64_t restores = 0;     ///< taken from a leader
  std::uint64_t syncs = 0;        ///< of the disk
  std::uint64_t persists = 0;     ///< made durable by them
  duration slowest_sync = {};
};

namespace detail {

inline constexpr std::string_view raft_elector_name = "raft_elector";

/// No state of a map within `l` is longer, as long as all replicas have those limits.
constexpr std::uint64_t max_state_bytes(const map_limits& l) noexcept {
  constexpr std::uint64_t entry = 24, session = 28, kept = 17, rest = 16;
  return rest + l.max_bytes + entry * l.max_entries + l.max_sessions * (session + kept * map_session_window);
}

inline const raft_node* find_node(const raft_elector_options& o, raft::node_id id) noexcept {
  const auto found =
      std::find_if(o.nodes.begin(), o.nodes.end(), [id](const raft_node& n) { return n.id == id; });
  return found == o.nodes.end() ? nullptr : &*found;
}

/// With the fields that follow from others; of options that have nodes.
inline raft_elector_options completed(raft_elector_options o) {
  o.raft.self = o.self;
  o.log.node = o.self;
  o.log.cluster = o.cluster;
  o.transport.name = o.name;
  o.transport.self = o.self;
  o.transport.cluster = o.cluster;
  o.transport.events = o.events;
  o.transport.peers.clear();
  for (const raft_node& n : o.nodes) {
    if (n.id == o.self) {
      o.transport.listen_host = o.listen_host.empty() ? n.host : o.listen_host;
      o.transport.listen_port = n.port;
    } else {
      o.transport.peers.push_back({.id = n.id, .host = n.host, .port = n.port, .identity = n.identity});
    }
  }
  if (o.founders.empty()) {
    for (const raft_node& n : o.nodes) o.founders.push_back(n.id);
  }
  std::sort(o.founders.begin(), o.founders.end());
  return o;
}

inline std::string listed(const std::vector<raft::node_id>& ids) {
  std::string text;
  for (const raft::node_id id : ids) text += (text.empty() ? "" : ", ") + std::to_string(id);
  return text;
}

inline std::optional<option_error> check_nodes(const raft_elector_options& o) {
  const auto repeated = [&](const auto& same) {
    for (auto n = o.nodes.begin(); n != o.nodes.end(); ++n) {
      if (std::any_of(o.nodes.begin(), n, [&](const raft_node& m) { return same(m, *n); })) return true;
    }
    return false;
  };
  option_checks checks;
  checks
      .require(o.nodes.size() >= 1 && o.nodes.size() <= 64, "nodes.size", std::uint64_t{o.nodes.size()},
               "must be at least 1 and at most 64")
      .require(find_node(o, o.self) != nullptr, "self", o.self, "must be one of nodes")
      .require(find_node(o, raft::nobody) == nullptr, "nodes.id", raft::nobody, "must not be 0")
      .require(!repeated([](const auto& a, const auto& b) { return a.id == b.id; }), "nodes.id",
               std::uint64_t{o.nodes.size()}, "must not be there twice")
      .require(!repeated([](const auto& a, const auto& b) { return a.name == b.name; }), "nodes.name",
               std::uint64_t{o.nodes.size()}, "must not be there twice");
  for (const raft_node& n : o.nodes) {
    checks.require(!n.name.empty() && n.name.size() <= 64, "nodes.name", std::uint64_t{n.name.size()},
                   "must have at least 1 byte and at most 64");
  }
  for (const raft::node_id id : o.founders)
    checks.require(find_node(o, id) != nullptr, "founders", id, "must be one of nodes");
  const bool once = [&] {
    std::vector<raft::node_id> sorted = o.founders;
    std::sort(sorted.begin(), sorted.end());
    return std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end();
  }();
  checks.require(once, "founders", std::uint64_t{o.founders.size()}, "must not hold anyone twice");
  return checks.result();
}

inline void check_fit(option_checks& checks, const raft_elector_options& o) {
  const std::uint64_t command = max_command_bytes(o.map), state = max_state_bytes(o.map);
  const auto at_least = [](std::uint64_t n) {
    return "must be at least " + to_text(n) + ", by the limits of the map";
  };
  checks
      .require(o.raft.max_entry_bytes >= command, "raft.max_entry_bytes",
               std::uint64_t{o.raft.max_entry_bytes}, at_least(command))
      .require(o.raft.max_snapshot_bytes >= state, "raft.max_snapshot_bytes",
               std::uint64_t{o.raft.max_snapshot_bytes}, at_least(state))
      .require(o.log.max_snapshot_bytes >= state + 4096, "log.max_snapshot_bytes", o.log.max_snapshot_bytes,
               at_least(state + 4096));
  // The largest that a core sends, with what is around each entry.
  const std::uint64_t batch = o.raft.max_batch_bytes + o.raft.max_entry_bytes + 64 * o.raft.max_batch_entries;
  const std::uint64_t message = std::max<std::uint64_t>(batch, o.raft.max_chunk_bytes) + 4096;
  const std::uint64_t entries = o.raft.max_batch_entries;
  checks
      .require(o.transport.codec.max_message_bytes >= message, "transport.codec.max_message_bytes",
               std::uint64_t{o.transport.codec.max_message_bytes},
               "must be at least " + to_text(message) + ", by the batches and chunks of raft")
      .require(o.transport.codec.max_entries >= entries, "transport.codec.max_entries",
               std::uint64_t{o.transport.codec.max_entries},
               "must be at least raft.max_batch_entries, " + to_text(entries));
}

}  // namespace detail

inline std::optional<option_error> validate(const raft_elector_options& given) {
  if (auto error = detail::check_nodes(given)) return error;
  const raft_elector_options o = detail::completed(given);
  detail::option_checks checks;
  const auto between = [&](std::uint64_t value, std::uint64_t most, std::string_view field) {
    checks.require(value >= 1 && value <= most, field, value,
                   "must be at least 1 and at most " + to_text(most));
  };
  checks.require(!o.directory.empty(), "directory", std::uint64_t{0}, "must not be empty");
  checks.require(raft::validate(o.raft), "raft")
      .require(raft::validate(o.log), "log")
      .require(raft::validate(o.transport), "transport")
      .require(validate(o.map), "map")
      .require(validate(o.history), "history")
      .require(validate(o.backoff), "backoff");
  detail::check_fit(checks, o);
  between(o.snapshot_entries, UINT64_MAX, "snapshot_entries");
  between(o.snapshot_bytes, o.raft.max_log_bytes / 4, "snapshot_bytes");
  between(o.max_requests, 100'000, "max_requests");
  between(o.max_forwarded, 100'000, "max_forwarded");
  between(o.max_watches, 10'000, "max_watches");
  return checks.result();
}

}  // namespace seawall

#endif  // SEAWALL_ELECTION_RAFT_ELECTOR_OPTIONS_HPP
