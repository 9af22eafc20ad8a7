# SPDX-License-Identifier: Apache-2.0

# Targets that a parent project already has are taken as they are. No version is asked for: Abseil's
# own version file accepts only exact matches.
if(NOT TARGET absl::statusor OR NOT TARGET absl::status OR NOT TARGET absl::strings)
  find_package(absl CONFIG REQUIRED)
endif()

find_package(Threads REQUIRED)

if(NOT TARGET fmt::fmt AND NOT TARGET fmt::fmt-header-only)
  find_package(fmt CONFIG REQUIRED)
endif()
if(TARGET fmt::fmt)
  set(seawall_fmt_target fmt::fmt)
else()
  set(seawall_fmt_target fmt::fmt-header-only)
endif()
