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

elseif(CASE MATCHES "^component_of_(.+)$")
  set(component "${CMAKE_MATCH_1}")
  install_seawall()
  configure_consumer(component -D "SEAWALL_COMPONENT=${component}" -D "SEAWALL_COMPONENT_LIBRARIES=${LIBRARIES}")
  run("build" "${CMAKE_COMMAND}" --build "${WORK}/build")
  run("the consumer" "${WORK}/build/app")

elseif(CASE STREQUAL "component_missing")
  install_seawall()
  set(without_grpc -D CMAKE_DISABLE_FIND_PACKAGE_gRPC=ON)
  set(may_fail TRUE)
  configure_consumer(find_package -D SEAWALL_COMPONENTS=grpc ${without_grpc})
  string(REGEX REPLACE "[ \n]+" " " output "${output}")
  if(result EQUAL 0 OR NOT output MATCHES "seawall's component 'grpc': there is no gRPC for C\\+\\+")
    message(FATAL_ERROR "the refusal does not say what is missing: ${output}")
  endif()
  # The core does not care, nor do those who can do without.
  set(may_fail FALSE)
  configure_consumer(find_package -D SEAWALL_COMPONENTS= ${without_grpc})
  configure_consumer(find_package -D SEAWALL_COMPONENTS=core -D SEAWALL_OPTIONAL_COMPONENTS=grpc ${without_grpc})

elseif(CASE STREQUAL "component_too_old")
  install_seawall()
  file(WRITE "${WORK}/old/asio/version.hpp" "#define ASIO_VERSION 101800 // 1.18.0\n")
  set(may_fail TRUE)
  configure_consumer(find_package -D SEAWALL_COMPONENTS=asio -D "SEAWALL_ASIO_INCLUDE_DIR=${WORK}/old")
  string(REGEX REPLACE "[ \n]+" " " output "${output}")
  if(result EQUAL 0 OR NOT output MATCHES "seawall's component 'asio': there is no Asio 1.22 or later")
    message(FATAL_ERROR "an Asio that is too old is not refused: ${output}")
  endif()

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
