# SPDX-License-Identifier: Apache-2.0
# Run after a test program is linked: writes CTEST_FILE with one CTest test per doctest test case.
#   cmake -D PROGRAM=... -D PREFIX=... -D LABEL=... -D TIMEOUT=... -D CTEST_FILE=... -P discover.cmake
#
# doctest's own script makes CTest fail as a whole when a name contains a lone bracket, takes two test cases of
# one name for one, and a test that no longer exists for one that passed.
cmake_minimum_required(VERSION 3.22)

execute_process(
  COMMAND "${PROGRAM}" --list-test-cases --no-colors
  OUTPUT_VARIABLE output
  RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${PROGRAM} --list-test-cases: ${result}\n${output}")
endif()

# Line by line and never as a list: names may contain semicolons and brackets.
set(script "")
while(output MATCHES "^([^\n]*)\n(.*)$")
  set(name "${CMAKE_MATCH_1}")
  set(output "${CMAKE_MATCH_2}")
  if(name MATCHES "^(\\[doctest\\].*|=*)$")
    continue()
  endif()
  string(MD5 hash "${name}")
  if(DEFINED "seen_${hash}")
    message(FATAL_ERROR "two test cases have the name: ${name}")
  endif()
  set("seen_${hash}" TRUE)
  string(REPLACE "," "\\," filter "${name}")
  string(APPEND script "add_test([==[${PREFIX}${name}]==] [==[${PROGRAM}]==] [==[--test-case=${filter}]==])\n")
  # A filter that matches nothing is a success for doctest; here it is a test that did not run.
  string(APPEND script "set_tests_properties([==[${PREFIX}${name}]==] PROPERTIES LABELS ${LABEL} TIMEOUT ${TIMEOUT}"
                       " FAIL_REGULAR_EXPRESSION [==[test cases: +0 [|]]==])\n")
endwhile()
if(script STREQUAL "")
  message(FATAL_ERROR "${PROGRAM} has no test cases")
endif()
file(WRITE "${CTEST_FILE}" "${script}")
