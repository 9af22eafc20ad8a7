# SPDX-License-Identifier: Apache-2.0
# Everything that only those who work on seawall itself see.

option(SEAWALL_BUILD_TESTS "Build the tests" ON)
option(SEAWALL_BUILD_EXAMPLES "Build the examples" ON)
option(SEAWALL_BUILD_BENCH "Build the benchmarks (needs Google Benchmark)" OFF)
option(SEAWALL_BUILD_DRILL "Build the drill (needs cpp-httplib)" OFF)
option(SEAWALL_BUILD_RAFT_SIM "Build the simulation of Raft also without the tests" OFF)
option(SEAWALL_INSTALL "Make install rules" ON)
option(SEAWALL_WERROR "Treat warnings as errors" OFF)
set(SEAWALL_SANITIZE "" CACHE STRING "Sanitizers for tests and examples: 'address,undefined' or 'thread'")
option(SEAWALL_TEST_RUNTIME_ONLY "Leave out the tests that do not run the library (headers, compile errors, consumers)" OFF)
set(SEAWALL_TEST_FOLDERS "" CACHE STRING "Folders of tests/ whose programs are built; empty: all of them")
option(SEAWALL_TEST_ONE_WILL_DO "Test what need not be tested with every compiler (floors, snippets, consumers)" ON)
option(SEAWALL_TEST_PCH_ALL "Precompile all of seawall for the tests: faster, but hides an include that is forgotten" OFF)
option(SEAWALL_TEST_BUILD "Add a test that builds everything, so that a broken build shows in CTest's summary" OFF)
set(SEAWALL_TEST_PREFIX "" CACHE STRING "Put before the name of every test, to tell configurations apart in one CTest run")

set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)

get_property(seawall_multi_config GLOBAL PROPERTY GENERATOR_IS_MULTI_CONFIG)
if(NOT CMAKE_BUILD_TYPE AND NOT seawall_multi_config)
  # Assertions on, light optimisation: the property tests count in millions.
  set(CMAKE_BUILD_TYPE Debug CACHE STRING "Debug, Release, RelWithDebInfo or MinSizeRel" FORCE)
endif()

find_program(SEAWALL_CCACHE ccache)
if(SEAWALL_CCACHE AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  # Without the sloppiness ccache refuses everything that uses a precompiled header; with the other two, one checkout finds
  # what another one has compiled.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      "${CMAKE_COMMAND}" -E env "CCACHE_SLOPPINESS=pch_defines,time_macros" "CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}"
      "CCACHE_NOHASHDIR=true" "${SEAWALL_CCACHE}")
endif()

# What every program of this project is built with; never exported. With a sanitizer, optimising doubles the time it takes to
# compile; it pays only for programs that run for long.
define_property(TARGET PROPERTY SEAWALL_RUNS_LONG BRIEF_DOCS "Runs for long"
                FULL_DOCS "Optimised also where a sanitizer is")
set(debug_level -O1)
if(SEAWALL_SANITIZE)
  set(debug_level "$<IF:$<BOOL:$<TARGET_PROPERTY:SEAWALL_RUNS_LONG>>,-O1,-O0>")
endif()
add_library(seawall_dev INTERFACE)
target_compile_options(
  seawall_dev
  INTERFACE -Wall
            -Wextra
            -Wpedantic
            -Wshadow
            $<$<CXX_COMPILER_ID:Clang,AppleClang>:-Wthread-safety>
            $<$<BOOL:${SEAWALL_WERROR}>:-Werror>
            $<$<CONFIG:Debug>:${debug_level}>)
# GCC 12 invents these in code of the standard library and Abseil as soon as it optimises.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 14)
  target_compile_options(seawall_dev INTERFACE -Wno-maybe-uninitialized -Wno-restrict)
endif()
if(SEAWALL_SANITIZE)
  target_compile_options(seawall_dev INTERFACE -fsanitize=${SEAWALL_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
  target_link_options(seawall_dev INTERFACE -fsanitize=${SEAWALL_SANITIZE})
endif()

# libc++ keeps <stop_token> back until version 20 (Xcode's, for one) unless it is asked for.
include(CheckCXXSourceCompiles)
set(stop_token_source "#include <stop_token>\nint main() { return std::stop_source().stop_requested(); }")
check_cxx_source_compiles("${stop_token_source}" SEAWALL_HAS_STOP_TOKEN)
if(NOT SEAWALL_HAS_STOP_TOKEN)
  set(CMAKE_REQUIRED_DEFINITIONS -D_LIBCPP_ENABLE_EXPERIMENTAL)
  check_cxx_source_compiles("${stop_token_source}" SEAWALL_HAS_EXPERIMENTAL_STOP_TOKEN)
  if(SEAWALL_HAS_EXPERIMENTAL_STOP_TOKEN)
    target_compile_definitions(seawall_dev INTERFACE _LIBCPP_ENABLE_EXPERIMENTAL)
  endif()
  unset(CMAKE_REQUIRED_DEFINITIONS)
endif()

find_program(SEAWALL_MOLD mold)
if(SEAWALL_MOLD)
  include(CheckLinkerFlag)
  check_linker_flag(CXX -fuse-ld=mold SEAWALL_LINKS_WITH_MOLD)
  if(SEAWALL_LINKS_WITH_MOLD)
    target_link_options(seawall_dev INTERFACE -fuse-ld=mold)
  endif()
endif()

if(SEAWALL_BUILD_TESTS)
  enable_testing()
endif()
