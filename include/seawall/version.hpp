// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_VERSION_HPP
#define SEAWALL_VERSION_HPP

// The one source of the version: CMake and the package descriptions read it from here.

#define SEAWALL_VERSION_MAJOR 0
#define SEAWALL_VERSION_MINOR 1
#define SEAWALL_VERSION_PATCH 0

#endif  // SEAWALL_VERSION_HPP
