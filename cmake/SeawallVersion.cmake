# SPDX-License-Identifier: Apache-2.0

# The version lives in version.hpp and nowhere else; packages and pkg-config get it from here.
function(seawall_read_version header out)
  file(STRINGS "${header}" lines REGEX "^#define SEAWALL_VERSION_(MAJOR|MINOR|PATCH) +[0-9]+")
  set(version)
  foreach(part IN ITEMS MAJOR MINOR PATCH)
    if(NOT "${lines}" MATCHES "SEAWALL_VERSION_${part} +([0-9]+)")
      message(FATAL_ERROR "${header} does not define SEAWALL_VERSION_${part}")
    endif()
    list(APPEND version "${CMAKE_MATCH_1}")
  endforeach()
  list(JOIN version "." version)
  set(${out} "${version}" PARENT_SCOPE)
  # A new version number must reach the package files without anyone thinking of it.
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${header}")
endfunction()
