# SPDX-License-Identifier: Apache-2.0
# seawall::election, for election/raft_elector.hpp and election/transport.hpp. What is set here is described in SeawallComponents.cmake.

# Asio is found as for seawall::asio; what that file sets besides is set anew.
include("${CMAKE_CURRENT_LIST_DIR}/asio.cmake")
set(seawall_component_headers
    election/raft_elector.hpp
    election/raft_elector/options.hpp
    election/raft_elector/replica.hpp
    election/transport.hpp
    election/transport/hub.hpp
    election/transport/identity.hpp
    election/transport/incoming.hpp
    election/transport/options.hpp
    election/transport/outgoing.hpp
    election/transport/pacer.hpp
    election/transport/tls.hpp
    election/transport/wire.hpp)
set(seawall_component_libraries seawall::asio_headers OpenSSL::SSL OpenSSL::Crypto)
if(NOT TARGET OpenSSL::SSL OR NOT TARGET OpenSSL::Crypto)
  find_package(OpenSSL 3.0 QUIET)
endif()
if(NOT seawall_component_missing AND (NOT TARGET OpenSSL::SSL OR NOT TARGET OpenSSL::Crypto))
  set(seawall_component_missing "OpenSSL 3.0 or later (Debian: libssl-dev; Homebrew: openssl@3; or set OPENSSL_ROOT_DIR)")
endif()
