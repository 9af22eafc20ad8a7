// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_EXEC_BOOST_ASIO_HPP
#define SEAWALL_EXEC_BOOST_ASIO_HPP

// seawall on Boost.Asio: what seawall/exec/asio.hpp is for Asio, with `boost_asio_scheduler` in place of
// `asio_scheduler`. CMake: component `boost_asio`, target `seawall::boost_asio`.

#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/recycling_allocator.hpp>
#include <boost/asio/system_executor.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/wait_traits.hpp>
#include <boost/system/system_error.hpp>

// The implementation is the same for both and is read twice, with these names.
#define SEAWALL_ASIO boost::asio
#define SEAWALL_ASIO_SYSTEM boost::system
#define SEAWALL_ASIO_DETAIL over_boost_asio
#define SEAWALL_ASIO_SCHEDULER boost_asio_scheduler
#if defined(BOOST_ASIO_HAS_CO_AWAIT)
#define SEAWALL_ASIO_HAS_CO_AWAIT
#endif

#include "seawall/exec/asio_driver/scheduler.hpp"
// After the scheduler.
#include "seawall/exec/asio_driver/operations.hpp"
// After the operations.
#include "seawall/exec/asio_driver/async_run.hpp"

#undef SEAWALL_ASIO
#undef SEAWALL_ASIO_SYSTEM
#undef SEAWALL_ASIO_DETAIL
#undef SEAWALL_ASIO_SCHEDULER
#undef SEAWALL_ASIO_HAS_CO_AWAIT

#endif  // SEAWALL_EXEC_BOOST_ASIO_HPP
