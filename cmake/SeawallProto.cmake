# SPDX-License-Identifier: Apache-2.0
# What protoc makes of a service's .proto, for examples and drills; users of seawall bring their own.

find_package(Protobuf QUIET)
# The compiler's plug-in is a program of the machine that builds.
if(TARGET gRPC::grpc_cpp_plugin)
  set(seawall_grpc_plugin $<TARGET_FILE:gRPC::grpc_cpp_plugin>)
else()
  find_program(SEAWALL_GRPC_CPP_PLUGIN grpc_cpp_plugin)
  set(seawall_grpc_plugin "${SEAWALL_GRPC_CPP_PLUGIN}")
endif()
set(SEAWALL_HAS_PROTOC OFF)
if(TARGET protobuf::protoc AND TARGET protobuf::libprotobuf AND seawall_grpc_plugin)
  set(SEAWALL_HAS_PROTOC ON)
endif()

# seawall_add_proto(<target> <name>): a library of <name>.proto in this folder, where SEAWALL_HAS_PROTOC.
function(seawall_add_proto target name)
  set(generated "${CMAKE_CURRENT_BINARY_DIR}/generated")
  file(MAKE_DIRECTORY "${generated}")
  set(outputs ${name}.pb.h ${name}.pb.cc ${name}.grpc.pb.h ${name}.grpc.pb.cc)
  list(TRANSFORM outputs PREPEND "${generated}/")
  add_custom_command(
    OUTPUT ${outputs}
    COMMAND protobuf::protoc --cpp_out "${generated}" --grpc_out "${generated}" --plugin
            "protoc-gen-grpc=${seawall_grpc_plugin}" -I "${CMAKE_CURRENT_SOURCE_DIR}" ${name}.proto
    DEPENDS ${name}.proto
    VERBATIM)
  # Built without our warnings, and included as a system's: it is not our code.
  add_library(${target} STATIC ${outputs})
  target_include_directories(${target} SYSTEM PUBLIC "${generated}")
  target_link_libraries(${target} PUBLIC gRPC::grpc++ protobuf::libprotobuf)
  if(SEAWALL_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${SEAWALL_SANITIZE})
  endif()
endfunction()
