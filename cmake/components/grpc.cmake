# SPDX-License-Identifier: Apache-2.0
# seawall::grpc, for adapt/grpc.hpp. What is set here is described in SeawallComponents.cmake.

set(seawall_component_headers adapt/grpc.hpp)
set(seawall_component_libraries gRPC::grpc++)
set(seawall_component_missing "")
if(NOT TARGET gRPC::grpc++)
  find_package(gRPC CONFIG QUIET)
endif()
if(NOT TARGET gRPC::grpc++)
  set(seawall_component_missing "gRPC for C++ with its CMake package (Debian: libgrpc++-dev; Homebrew: grpc)")
endif()
