# SPDX-License-Identifier: Apache-2.0

# A component is an opt-in adapter to one third party, with a target of its own: seawall::<name>. All there is to say about
# it stands in components/<name>.cmake, which is included by seawall's own build and, installed beside seawallConfig.cmake,
# by find_package(seawall COMPONENTS <name>). It looks for what the component needs, quietly, and sets
#
#   seawall_component_headers    headers below include/seawall that compile only with it
#   seawall_component_libraries  targets that it links; the file may define imported ones itself
#   seawall_component_missing    what is not there, for people; empty if all is
#   seawall_component_needs_exceptions  TRUE if its headers do not compile without them; may be left out
#
# Here, seawall::<name> exists where nothing is missing. Installed, every component can be asked for: what is missing where
# seawall is packaged may be there where it is used.

set(seawall_components_dir "${CMAKE_CURRENT_LIST_DIR}/components")
file(GLOB seawall_component_files CONFIGURE_DEPENDS RELATIVE "${seawall_components_dir}"
     "${seawall_components_dir}/*.cmake")
string(REGEX REPLACE "\\.cmake" "" seawall_components "${seawall_component_files}")

# A macro: what find_package() sets must be seen by those who use the component.
macro(seawall_add_component name)
  set(seawall_component_needs_exceptions FALSE)
  include("${seawall_components_dir}/${name}.cmake")
  add_library(seawall_${name} INTERFACE)
  set_target_properties(seawall_${name} PROPERTIES EXPORT_NAME ${name})
  target_link_libraries(seawall_${name} INTERFACE seawall ${seawall_component_libraries})
  set(seawall_${name}_headers ${seawall_component_headers})
  set(seawall_${name}_libraries ${seawall_component_libraries})
  set(seawall_${name}_missing "${seawall_component_missing}")
  set(seawall_${name}_needs_exceptions ${seawall_component_needs_exceptions})
  if(NOT seawall_${name}_missing)
    add_library(seawall::${name} ALIAS seawall_${name})
  endif()
endmacro()

if(CMAKE_SOURCE_DIR STREQUAL CMAKE_CURRENT_SOURCE_DIR)
  foreach(seawall_component IN LISTS seawall_components)
    seawall_add_component(${seawall_component})
    if(seawall_${seawall_component}_missing)
      message(STATUS "seawall::${seawall_component}, its tests and its examples are left out: there is no "
                     "${seawall_${seawall_component}_missing}")
    endif()
  endforeach()
else()
  # Whoever embeds seawall says which: set(SEAWALL_COMPONENTS grpc).
  foreach(seawall_component IN LISTS SEAWALL_COMPONENTS)
    if(NOT seawall_component IN_LIST seawall_components)
      list(JOIN seawall_components ", " seawall_known)
      message(FATAL_ERROR "seawall has no component '${seawall_component}'; it has: ${seawall_known}")
    endif()
    seawall_add_component(${seawall_component})
    if(seawall_${seawall_component}_missing)
      message(FATAL_ERROR "seawall::${seawall_component}: there is no ${seawall_${seawall_component}_missing}")
    endif()
  endforeach()
endif()
