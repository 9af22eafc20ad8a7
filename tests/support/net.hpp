// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_SUPPORT_NET_HPP
#define SEAWALL_TESTS_SUPPORT_NET_HPP

// The tests in tests/asio are compiled twice; here is the only difference: `net` is Asio, or Boost.Asio.

#if defined(SEAWALL_TEST_BOOST_ASIO)

#include "seawall/exec/boost_asio.hpp"
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

namespace net = boost::asio;
namespace net_system = boost::system;
template <class Executor>
using net_scheduler = seawall::boost_asio_scheduler<Executor>;

#else

#include "seawall/exec/asio.hpp"
#include <asio/any_io_executor.hpp>
#include <asio/bind_allocator.hpp>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/bind_executor.hpp>
#include <asio/detached.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <asio/strand.hpp>
#include <asio/this_coro.hpp>
#include <asio/thread_pool.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/use_future.hpp>

namespace net = asio;
namespace net_system = asio;
template <class Executor>
using net_scheduler = seawall::asio_scheduler<Executor>;

#endif

#include <concepts>
#include <cstddef>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "seawall/exec/completion.hpp"
#include "seawall/status.hpp"

namespace seawall_test {

using answer = absl::StatusOr<int>;
using io_scheduler = net_scheduler<net::io_context::executor_type>;

// clang 14 deduces nothing through an alias.
inline io_scheduler scheduler_on(net::io_context& io) { return io_scheduler(io); }
template <class Executor>
  requires(!std::derived_from<Executor, net::execution_context>)
net_scheduler<Executor> scheduler_on(const Executor& executor) { return net_scheduler<Executor>(executor); }

/// Attempts that end when the test says so.
class held_attempts {
 public:
  auto operation() {
    return [this](seawall::completion<answer> done) { held_.push_back(std::move(done)); };
  }
  std::size_t size() const { return held_.size(); }
  void end(std::size_t i, answer result) { held_[i](std::move(result)); }
  void let_go() { held_.clear(); }

 private:
  std::vector<seawall::completion<answer>> held_;
};

}  // namespace seawall_test

#endif  // SEAWALL_TESTS_SUPPORT_NET_HPP
