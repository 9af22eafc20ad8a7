// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_RAFT_ELECTOR_NODE_HPP
#define SEAWALL_ELECTION_RAFT_ELECTOR_NODE_HPP

// One replica at work: carries out what the core says, on one thread, and tells it what has happened. What it knows of the user are
// his grants and his requests; the public face is raft_elector.hpp.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "seawall/core/mutex.hpp"
#include "seawall/election/elector.hpp"
#include "seawall/election/log_file.hpp"
#include "seawall/election/raft_core.hpp"
#include "seawall/election/raft_elector/answer_thread.hpp"
#include "seawall/election/raft_elector/disk_thread.hpp"
#include "seawall/election/raft_elector/forwarded.hpp"
#include "seawall/election/raft_elector/map_request.hpp"
#include "seawall/election/raft_elector/options.hpp"
#include "seawall/election/raft_elector/request_book.hpp"
#include "seawall/election/raft_types.hpp"
#include "seawall/election/replicated_map.hpp"
#include "seawall/election/tenure.hpp"
#include "seawall/election/transport.hpp"
#include "seawall/event.hpp"
#include "seawall/random.hpp"
#include "seawall/status.hpp"
#include "seawall/time.hpp"
#include <asio/error_code.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

namespace seawall::detail {

/// A user's wish to lead no longer.
struct surrender {
  bool transfer = false;          ///< to `to`; else to whoever is nearest
  raft::node_id to = raft::nobody;
};

/// A change of the membership, and who waits for it.
struct change_request {
  raft::membership to = {};
  instant deadline = instant::never();  ///< by `steady_clock`
  awaited_result<raft::log_index>* whom = nullptr;
};

/// Thread safety: functions marked "any thread"; all others on the thread that runs `io`.
class raft_replica {
 public:
  raft_replica(raft_elector_options options, raft::opened_log log, asio::io_context& io, raft::transport& network,
               shared_map& map, tenure& grants, answer_thread& answers, std::function<void()> poke_teller)
      : options_(std::move(options)),
        io_(io),
        network_(network),
        map_(map),
        grants_(grants),
        answers_(answers),
        poke_teller_(std::move(poke_teller)),
        timer_(io),
        core_(options_.raft, std::move(log.state), boot_clock::now(), entropy_seed()),
        book_({.limits = options_.map,
               .repeat_after = options_.raft.election_timeout,
               .backoff = options_.backoff},
              entropy_seed()),
        forwarded_(options_.max_forwarded),
        disk_(std::move(log.log), [this](disk_report r) {
          asio::post(io_, [this, r = std::move(r)] { on_disk(r); });
        }) {}

  /// Any thread. Refused: it may not come in.
  void submit(std::unique_ptr<map_write> w) ABSL_LOCKS_EXCLUDED(mutex_) {
    if (auto refused = let_in([&]() ABSL_NO_THREAD_SAFETY_ANALYSIS { new_writes_.push_back(std::move(w)); });
        !refused.ok())
      refuse(*w, std::move(refused));
  }
  void submit(std::unique_ptr<map_read> r, bool by_lease) ABSL_LOCKS_EXCLUDED(mutex_) {
    if (auto refused = let_in([&]() ABSL_NO_THREAD_SAFETY_ANALYSIS { new_reads_.push_back({std::move(r), by_lease}); });
        !refused.ok())
      refuse(*r, std::move(refused));
  }
