# SPDX-License-Identifier: Apache-2.0
# seawall::redis, for adapt/redis.hpp. What is set here is described in SeawallComponents.cmake.

set(seawall_component_headers adapt/redis.hpp adapt/redis/connection.hpp)
set(seawall_component_libraries seawall::hiredis)
set(seawall_component_missing "")
# Debian's hiredis has a .pc file only, and it points into the folder: <hiredis/hiredis.h> is what every packaging has. A
# target of the parent's, or of a package manager's, is taken as it is.
if(NOT TARGET seawall::hiredis AND NOT TARGET hiredis::hiredis)
  find_package(hiredis CONFIG QUIET)
endif()
if(NOT TARGET seawall::hiredis AND TARGET hiredis::hiredis)
  add_library(seawall::hiredis INTERFACE IMPORTED GLOBAL)
  target_link_libraries(seawall::hiredis INTERFACE hiredis::hiredis)
elseif(NOT TARGET seawall::hiredis)
  find_path(SEAWALL_HIREDIS_INCLUDE_DIR hiredis/hiredis.h DOC "Where <hiredis/hiredis.h> is")
  find_library(SEAWALL_HIREDIS_LIBRARY hiredis DOC "The library of hiredis")
  mark_as_advanced(SEAWALL_HIREDIS_INCLUDE_DIR SEAWALL_HIREDIS_LIBRARY)
  if(SEAWALL_HIREDIS_INCLUDE_DIR AND SEAWALL_HIREDIS_LIBRARY)
    add_library(seawall::hiredis INTERFACE IMPORTED GLOBAL)
    target_include_directories(seawall::hiredis SYSTEM INTERFACE "${SEAWALL_HIREDIS_INCLUDE_DIR}")
    target_link_libraries(seawall::hiredis INTERFACE "${SEAWALL_HIREDIS_LIBRARY}")
  else()
    set(seawall_component_missing
        "hiredis 0.14 or later (Debian: libhiredis-dev; Homebrew: hiredis; or set SEAWALL_HIREDIS_INCLUDE_DIR and SEAWALL_HIREDIS_LIBRARY)")
  endif()
endif()
