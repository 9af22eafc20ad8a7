# SPDX-License-Identifier: Apache-2.0
# One consumer, from an empty folder to its output; see CMakeLists.txt here.
cmake_minimum_required(VERSION 3.22)

file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")
unset(ENV{DESTDIR})
set(may_fail FALSE)

# run(<what> <command>...): the command's output in `output`; stops at a failure unless `may_fail`.
function(run what)
  execute_process(
    COMMAND ${ARGN}
    OUTPUT_VARIABLE output
    ERROR_VARIABLE output
    RESULT_VARIABLE result)
  if(NOT result EQUAL 0 AND NOT may_fail)
    message(NOTICE "${output}")
    message(FATAL_ERROR "${what}: ${result}")
  endif()
  set(output "${output}" PARENT_SCOPE)
  set(result "${result}" PARENT_SCOPE)
endfunction()

macro(install_seawall)
  # Installed in one place and moved to another: nothing in it may know where it was.
  run("install" "${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${WORK}/first")
  file(RENAME "${WORK}/first" "${WORK}/prefix")
endmacro()

# As environment, where a list survives.
set(ENV{CMAKE_CXX_COMPILER_LAUNCHER} "${LAUNCHER}")
string(REPLACE ";" ":" prefix_path "${WORK}/prefix;${PREFIX_PATH}")
set(ENV{CMAKE_PREFIX_PATH} "${prefix_path}:$ENV{CMAKE_PREFIX_PATH}")

function(configure_consumer source)
  run("configure" "${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/${source}" -B "${WORK}/build" -G
      "${GENERATOR}" -D "CMAKE_CXX_COMPILER=${COMPILER}" -D CMAKE_BUILD_TYPE=Debug -D "SEAWALL_SOURCE=${SOURCE}" -D
      "SEAWALL_VERSION_WANTED=${VERSION}" --no-warn-unused-cli ${ARGN})
  set(output "${output}" PARENT_SCOPE)
  set(result "${result}" PARENT_SCOPE)
endfunction()

macro(check_output)
  if(NOT output MATCHES "quote 42 after 3 attempts, degraded: no")
    message(FATAL_ERROR "the consumer printed: ${output}")
  endif()
endmacro()

if(CASE STREQUAL "find_package")
  install_seawall()
  configure_consumer(find_package)
  run("build" "${CMAKE_COMMAND}" --build "${WORK}/build")
  run("the consumer" "${WORK}/build/app")
  check_output()

elseif(CASE STREQUAL "unknown_component")
  install_seawall()
  set(may_fail TRUE)
  configure_consumer(find_package -D SEAWALL_COMPONENTS=no_such_component)
  string(REGEX REPLACE "[ \n]+" " " output "${output}")
  if(result EQUAL 0)
    message(FATAL_ERROR "an unknown component was accepted: ${output}")
  endif()
  if(NOT output MATCHES "seawall ${VERSION} has no component 'no_such_component'; it has: core")
    message(FATAL_ERROR "the refusal does not name the component: ${output}")
  endif()
  # Asked for as an optional component it is no error, only absent.
  set(may_fail FALSE)
  configure_consumer(find_package -D SEAWALL_COMPONENTS=core -D SEAWALL_OPTIONAL_COMPONENTS=no_such_component)

elseif(CASE MATCHES "^(.*asio)_component$")
  install_seawall()
  configure_consumer(component -D "SEAWALL_COMPONENT=${CMAKE_MATCH_1}")
  run("build" "${CMAKE_COMMAND}" --build "${WORK}/build")
  run("the consumer" "${WORK}/build/app")
  check_output()

elseif(CASE STREQUAL "asio_missing")
  install_seawall()
  set(may_fail TRUE)
  foreach(why IN ITEMS "there is no <asio/version.hpp>" "older")
    file(REMOVE_RECURSE "${WORK}/build")
    if(why STREQUAL "older")
      file(WRITE "${WORK}/old/asio/version.hpp" "#define ASIO_VERSION 101800\n")
      configure_consumer(component -D SEAWALL_COMPONENT=asio -D "SEAWALL_ASIO_INCLUDE_DIR=${WORK}/old")
    else()
      configure_consumer(component -D SEAWALL_COMPONENT=asio -D CMAKE_FIND_ROOT_PATH=/nowhere -D
                         CMAKE_FIND_ROOT_PATH_MODE_INCLUDE=ONLY)
    endif()
    string(REGEX REPLACE "[ \n]+" " " output "${output}")
    if(result EQUAL 0 OR NOT output MATCHES "seawall::asio needs Asio 1.22 or later, and .*${why}")
      message(FATAL_ERROR "a missing Asio is not told: ${output}")
    endif()
  endforeach()
  # The core does not care.
  set(may_fail FALSE)
  file(REMOVE_RECURSE "${WORK}/build")
  configure_consumer(find_package -D CMAKE_FIND_ROOT_PATH=/nowhere -D CMAKE_FIND_ROOT_PATH_MODE_INCLUDE=ONLY)

elseif(CASE STREQUAL "pkg_config")
  install_seawall()
  find_program(pkg_config NAMES pkg-config pkgconf REQUIRED)
  set(ENV{PKG_CONFIG_PATH} "${WORK}/prefix/share/pkgconfig:$ENV{PKG_CONFIG_PATH}")
  run("pkg-config" "${pkg_config}" --modversion seawall)
  string(STRIP "${output}" output)
  if(NOT output STREQUAL VERSION)
    message(FATAL_ERROR "pkg-config says version ${output}, not ${VERSION}")
  endif()
  run("pkg-config" "${pkg_config}" --cflags --libs seawall)
  separate_arguments(flags UNIX_COMMAND "${output}")
  run("compile" ${LAUNCHER} "${COMPILER}" -std=c++20 -c "${CMAKE_CURRENT_LIST_DIR}/app/main.cpp" -o "${WORK}/main.o"
      ${flags})
  run("compile" ${LAUNCHER} "${COMPILER}" -std=c++20 -c "${CMAKE_CURRENT_LIST_DIR}/app/second.cpp" -o
      "${WORK}/second.o" ${flags})
  run("link" "${COMPILER}" "${WORK}/main.o" "${WORK}/second.o" -o "${WORK}/app" ${flags} -pthread)
  run("the consumer" "${WORK}/app")
  check_output()

else()
  configure_consumer(${CASE})
  if(EXISTS "${WORK}/build/seawall/CTestTestfile.cmake" OR EXISTS "${WORK}/build/_deps/seawall-build/CTestTestfile.cmake")
    message(FATAL_ERROR "seawall's tests leaked into the consumer's")
  endif()
  run("build" "${CMAKE_COMMAND}" --build "${WORK}/build")
  run("the consumer" "${WORK}/build/app")
  check_output()
  # The consumer installs itself; nothing of seawall may come along.
  run("install" "${CMAKE_COMMAND}" --install "${WORK}/build" --prefix "${WORK}/installed")
  file(GLOB_RECURSE installed RELATIVE "${WORK}/installed" "${WORK}/installed/*")
  if(NOT installed STREQUAL "bin/app")
    message(FATAL_ERROR "install rules leaked: ${installed}")
  endif()
endif()
