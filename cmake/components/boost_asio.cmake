# SPDX-License-Identifier: Apache-2.0
# seawall::boost_asio, for exec/boost_asio.hpp. What is set here is described in SeawallComponents.cmake.

set(seawall_component_headers exec/boost_asio.hpp)
set(seawall_component_libraries seawall::boost_asio_headers)
set(seawall_component_needs_exceptions TRUE) # as the coroutines of Asio do
set(seawall_component_missing "")
# Headers are enough. A target of the parent's, or of a package manager's, is taken as it is.
if(NOT TARGET seawall::boost_asio_headers AND TARGET Boost::headers)
  add_library(seawall::boost_asio_headers INTERFACE IMPORTED GLOBAL)
  target_link_libraries(seawall::boost_asio_headers INTERFACE Boost::headers)
elseif(NOT TARGET seawall::boost_asio_headers)
  find_path(SEAWALL_BOOST_INCLUDE_DIR boost/version.hpp DOC "Where <boost/asio.hpp> is")
  mark_as_advanced(SEAWALL_BOOST_INCLUDE_DIR)
  set(seawall_boost_version 0)
  if(SEAWALL_BOOST_INCLUDE_DIR)
    file(STRINGS "${SEAWALL_BOOST_INCLUDE_DIR}/boost/version.hpp" seawall_boost_version REGEX "define BOOST_VERSION [0-9]+")
    string(REGEX REPLACE ".*BOOST_VERSION ([0-9]+).*" "\\1" seawall_boost_version "${seawall_boost_version}")
  endif()
  if(seawall_boost_version LESS 107900)
    set(seawall_component_missing
        "Boost 1.79 or later with Boost.Asio (Debian 12: libboost1.81-dev; Ubuntu: libboost-dev; Homebrew: boost; or set SEAWALL_BOOST_INCLUDE_DIR)")
  else()
    add_library(seawall::boost_asio_headers INTERFACE IMPORTED GLOBAL)
    target_include_directories(seawall::boost_asio_headers SYSTEM INTERFACE "${SEAWALL_BOOST_INCLUDE_DIR}")
  endif()
endif()
if(TARGET seawall::boost_asio_headers)
  # Before 1.81 Boost.Asio did not know that clang has coroutines; later versions define the same.
  set_target_properties(
    seawall::boost_asio_headers
    PROPERTIES INTERFACE_COMPILE_DEFINITIONS
               "$<$<CXX_COMPILER_ID:Clang,AppleClang>:BOOST_ASIO_HAS_CO_AWAIT=1;BOOST_ASIO_HAS_STD_COROUTINE=1>")
endif()
