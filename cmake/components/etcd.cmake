# SPDX-License-Identifier: Apache-2.0
# seawall::etcd, for adapt/etcd.hpp. What is set here is described in SeawallComponents.cmake.

set(seawall_component_headers
    adapt/etcd.hpp
    adapt/etcd/candidate.hpp
    adapt/etcd/client.hpp
    adapt/etcd/fenced_writer.hpp
    adapt/etcd/http.hpp
    adapt/etcd/messages.hpp)
set(seawall_component_libraries CURL::libcurl nlohmann_json::nlohmann_json)
set(seawall_component_missing "")
# Whoever embeds seawall links what is found here, from another folder (CMake 3.24; before, it finds them itself).
set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL TRUE)
if(NOT TARGET CURL::libcurl)
  find_package(CURL 7.68 QUIET) # the first with curl_multi_poll and curl_multi_wakeup
endif()
if(NOT TARGET nlohmann_json::nlohmann_json)
  find_package(nlohmann_json CONFIG QUIET)
endif()
unset(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL)
if(NOT TARGET CURL::libcurl)
  set(seawall_component_missing "libcurl 7.68 or later (Debian: libcurl4-openssl-dev; Homebrew: curl)")
elseif(NOT TARGET nlohmann_json::nlohmann_json)
  set(seawall_component_missing "nlohmann-json with its CMake package (Debian: nlohmann-json3-dev; Homebrew: nlohmann-json)")
endif()
