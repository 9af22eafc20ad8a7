// SPDX-License-Identifier: Apache-2.0

// The drill: real processes on loopback, real faults, bare calls and seawall side by side. This program is
// the driver and, in processes that the driver starts, each of the others.

#include <cstdio>
#include <exception>
#include <string_view>
#include <vector>

#include "child_process.hpp"
#include "dependency_server.hpp"
#include "driver.hpp"
#include "storefront.hpp"
#include <fmt/format.h>

int main(int argc, char** argv) {
  std::vector<std::string_view> arguments(argv + 1, argv + argc);
  const std::string_view role = arguments.empty() ? "" : arguments.front();
  try {
    if (role == "serve-dependency" || role == "serve-storefront") {
      drill::become_child();
      return role == "serve-dependency" ? drill::serve_dependency(arguments)
                                        : drill::serve_storefront(arguments);
    }
    return drill::drive(arguments);
  } catch (const std::exception& e) {
    fmt::print(stderr, "seawall_drill: {}\n", e.what());
    return 1;
  }
}
