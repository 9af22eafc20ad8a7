# SPDX-License-Identifier: Apache-2.0
# Compiles SOURCE with or without its mistake and compares what the compiler says with the file's own lines
# "// expect:". See CMakeLists.txt here.
cmake_minimum_required(VERSION 3.22)

# FATAL_ERROR alone would wrap the text, the compiler's included.
macro(fail text)
  message(NOTICE "${text}")
  message(FATAL_ERROR "see above")
endmacro()

set(expected)
set(flags)
# Not file(STRINGS) into a list: code is full of brackets and semicolons.
file(READ "${SOURCE}" rest)
while(rest MATCHES "// (expect|flags): ([^\n]*)\n(.*)$")
  set(rest "${CMAKE_MATCH_3}")
  if(CMAKE_MATCH_1 STREQUAL "flags")
    separate_arguments(more UNIX_COMMAND "${CMAKE_MATCH_2}")
    list(APPEND flags ${more})
  else()
    string(REPLACE ";" "\\;" text "${CMAKE_MATCH_2}")
    list(APPEND expected "${text}")
  endif()
endwhile()
if(NOT expected)
  fail("${SOURCE} has no line '// expect:'")
endif()

set(arguments -std=c++20 -fsyntax-only -fdiagnostics-color=never)
foreach(definition IN LISTS DEFINITIONS)
  list(APPEND arguments "-D${definition}")
endforeach()
foreach(directory IN LISTS INCLUDES)
  # Naming a system directory would change the order in which the compiler looks through them.
  if(NOT directory IN_LIST IMPLICIT_INCLUDES)
    list(APPEND arguments "-I${directory}")
  endif()
endforeach()
if(MISTAKE)
  list(APPEND arguments -DSEAWALL_MISTAKE)
else()
  # Not with the mistake: there it is the rule that must stop the compiler, not some warning.
  list(APPEND arguments -Wall -Wextra -Werror)
endif()

execute_process(
  COMMAND "${COMPILER}" ${arguments} ${flags} "${SOURCE}"
  OUTPUT_VARIABLE output
  ERROR_VARIABLE output
  RESULT_VARIABLE result)

if(NOT MISTAKE)
  if(NOT result EQUAL 0)
    fail("${SOURCE} must compile without the mistake:\n${output}")
  endif()
  return()
endif()

if(result EQUAL 0)
  fail("${SOURCE} with -DSEAWALL_MISTAKE compiled, and must not have")
endif()
foreach(text IN LISTS expected)
  string(FIND "${output}" "${text}" found)
  if(found EQUAL -1)
    fail("the compiler does not say: ${text}\nIt says:\n${output}")
  endif()
endforeach()
