// SPDX-License-Identifier: Apache-2.0
#ifndef CONSUMER_NET_HPP
#define CONSUMER_NET_HPP

#if defined(CONSUMER_USES_boost_asio)
#include "seawall/exec/boost_asio.hpp"
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
namespace net = boost::asio;
#else
#include "seawall/exec/asio.hpp"
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/use_awaitable.hpp>
namespace net = asio;
#endif

// In second.cpp: a second translation unit with all of it, so that what lacks an `inline` fails to link.
net::io_context& context_of_the_second_unit();

#endif  // CONSUMER_NET_HPP
