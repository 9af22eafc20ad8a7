// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_EXEC_ASIO_HPP
#define SEAWALL_EXEC_ASIO_HPP

// seawall on Asio: `seawall::async_run` with any completion token, `asio::awaitable` as operation, and
// `asio_scheduler` for `pipeline.start` and `pipeline.async`. For Boost.Asio include
// seawall/exec/boost_asio.hpp; a program may include both. With exceptions only: Asio's coroutines need them.
// CMake: component `asio`, target `seawall::asio`.

#include <asio/associated_allocator.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/awaitable.hpp>
#include <asio/basic_waitable_timer.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/dispatch.hpp>
#include <asio/error.hpp>
#include <asio/execution.hpp>
#include <asio/execution_context.hpp>
#include <asio/post.hpp>
#include <asio/prefer.hpp>
#include <asio/query.hpp>
#include <asio/recycling_allocator.hpp>
#include <asio/system_error.hpp>
#include <asio/system_executor.hpp>
#include <asio/thread_pool.hpp>
#include <asio/wait_traits.hpp>

// The implementation is the same for both and is read twice, with these names.
#define SEAWALL_ASIO asio
#define SEAWALL_ASIO_SYSTEM asio
#define SEAWALL_ASIO_DETAIL over_asio
#define SEAWALL_ASIO_SCHEDULER asio_scheduler
#if defined(ASIO_HAS_CO_AWAIT)
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

#endif  // SEAWALL_EXEC_ASIO_HPP
