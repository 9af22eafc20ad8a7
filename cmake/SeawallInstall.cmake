# SPDX-License-Identifier: Apache-2.0
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

if(CMAKE_VERSION VERSION_GREATER_EQUAL 3.23)
  install(
    TARGETS seawall
    EXPORT seawall_core
    FILE_SET HEADERS
    DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
    INCLUDES
    DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
else()
  install(
    TARGETS seawall
    EXPORT seawall_core
    INCLUDES
    DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
  install(
    DIRECTORY "${PROJECT_SOURCE_DIR}/include/"
    DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
    FILES_MATCHING
    PATTERN "*.hpp")
endif()

# share/, not lib/: headers are the same on every architecture.
set(seawall_cmake_dir "${CMAKE_INSTALL_DATAROOTDIR}/cmake/seawall")
install(
  EXPORT seawall_core
  NAMESPACE seawall::
  FILE seawallCoreTargets.cmake
  DESTINATION "${seawall_cmake_dir}")
# An export file each: the core never looks for what only a component needs.
foreach(component IN LISTS seawall_components)
  install(TARGETS seawall_${component} EXPORT seawall_${component})
  install(
    EXPORT seawall_${component}
    NAMESPACE seawall::
    FILE ${component}_targets.cmake
    DESTINATION "${seawall_cmake_dir}/components")
  install(FILES "${seawall_components_dir}/${component}.cmake" DESTINATION "${seawall_cmake_dir}/components")
endforeach()
configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/seawallConfig.cmake.in"
                              "${PROJECT_BINARY_DIR}/seawallConfig.cmake" INSTALL_DESTINATION "${seawall_cmake_dir}")
# Before 1.0 a new minor version may break callers.
write_basic_package_version_file(
  "${PROJECT_BINARY_DIR}/seawallConfigVersion.cmake" COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES "${PROJECT_BINARY_DIR}/seawallConfig.cmake" "${PROJECT_BINARY_DIR}/seawallConfigVersion.cmake"
        DESTINATION "${seawall_cmake_dir}")

# The prefix is found from where the .pc file lies, so that an installed tree can be moved.
set(seawall_pc_dir "${CMAKE_INSTALL_DATAROOTDIR}/pkgconfig")
file(RELATIVE_PATH seawall_pc_prefix "/prefix/${seawall_pc_dir}" "/prefix")
string(REGEX REPLACE "/$" "" seawall_pc_prefix "${seawall_pc_prefix}")
configure_file("${CMAKE_CURRENT_LIST_DIR}/seawall.pc.in" "${PROJECT_BINARY_DIR}/seawall.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/seawall.pc" DESTINATION "${seawall_pc_dir}")

install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DATAROOTDIR}/licenses/seawall")
