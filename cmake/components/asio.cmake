# SPDX-License-Identifier: Apache-2.0
# seawall::asio, for exec/asio.hpp. What is set here is described in SeawallComponents.cmake.

set(seawall_component_headers exec/asio.hpp)
set(seawall_component_libraries seawall::asio_headers)
set(seawall_component_needs_exceptions TRUE) # as the coroutines of Asio do
set(seawall_component_missing "")
# Debian's Asio has no CMake file. A target of the parent's, or of a package manager's, is taken as it is.
if(NOT TARGET seawall::asio_headers AND TARGET asio::asio)
  add_library(seawall::asio_headers INTERFACE IMPORTED GLOBAL)
  target_link_libraries(seawall::asio_headers INTERFACE asio::asio)
elseif(NOT TARGET seawall::asio_headers)
  find_path(SEAWALL_ASIO_INCLUDE_DIR asio/version.hpp DOC "Where <asio.hpp> is")
  mark_as_advanced(SEAWALL_ASIO_INCLUDE_DIR)
  set(seawall_asio_version 0)
  if(SEAWALL_ASIO_INCLUDE_DIR)
    file(STRINGS "${SEAWALL_ASIO_INCLUDE_DIR}/asio/version.hpp" seawall_asio_version REGEX "define ASIO_VERSION [0-9]+")
    string(REGEX REPLACE ".*ASIO_VERSION ([0-9]+).*" "\\1" seawall_asio_version "${seawall_asio_version}")
  endif()
  if(seawall_asio_version LESS 102200)
    set(seawall_component_missing
        "Asio 1.22 or later (Debian: libasio-dev; Homebrew: asio; or set SEAWALL_ASIO_INCLUDE_DIR)")
  else()
    add_library(seawall::asio_headers INTERFACE IMPORTED GLOBAL)
    target_include_directories(seawall::asio_headers SYSTEM INTERFACE "${SEAWALL_ASIO_INCLUDE_DIR}")
  endif()
endif()
if(TARGET seawall::asio_headers)
  # Before 1.26 Asio did not know that clang has coroutines; later versions define the same.
  set_target_properties(
    seawall::asio_headers
    PROPERTIES INTERFACE_COMPILE_DEFINITIONS
               "$<$<CXX_COMPILER_ID:Clang,AppleClang>:ASIO_HAS_CO_AWAIT=1;ASIO_HAS_STD_COROUTINE=1>")
endif()
