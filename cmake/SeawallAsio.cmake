# SPDX-License-Identifier: Apache-2.0
# Read by seawall's own build and by its installed package.
#
# seawall_find_asio(asio|boost_asio): gives the imported target seawall::<component>_headers, or says in
# seawall_<component>_missing why not. Debian's Asio has no CMake file, and Boost's may be of another version than the
# headers that are found first: hence the headers are looked for. A target that a parent or a package manager has made
# (asio::asio, Boost::headers) is taken as it is.
function(seawall_find_asio component)
  set(seawall_${component}_missing "" PARENT_SCOPE)
  if(TARGET seawall::${component}_headers)
    return()
  endif()

  if(component STREQUAL "asio")
    set(name "Asio 1.22")
    set(targets asio::asio)
    set(prefix ASIO)
    set(header asio/version.hpp)
    set(version_regex "define ASIO_VERSION +([0-9]+)")
    set(oldest 102200)
  else()
    set(name "Boost 1.79")
    set(targets Boost::headers Boost::boost)
    set(prefix BOOST_ASIO)
    set(header boost/version.hpp)
    set(version_regex "define BOOST_VERSION +([0-9]+)")
    set(oldest 107900)
  endif()

  set(found)
  foreach(target IN LISTS targets)
    if(TARGET ${target})
      set(found ${target})
      break()
    endif()
  endforeach()
  if(NOT found)
    find_path(SEAWALL_${prefix}_INCLUDE_DIR "${header}" DOC "Where <${header}> is, for seawall::${component}")
    mark_as_advanced(SEAWALL_${prefix}_INCLUDE_DIR)
    set(dir "${SEAWALL_${prefix}_INCLUDE_DIR}")
    if(NOT dir)
      set(seawall_${component}_missing
          "seawall::${component} needs ${name} or later, and there is no <${header}>; install it, or set SEAWALL_${prefix}_INCLUDE_DIR"
          PARENT_SCOPE)
      return()
    endif()
    file(STRINGS "${dir}/${header}" line REGEX "${version_regex}" LIMIT_COUNT 1)
    if(NOT line MATCHES "${version_regex}" OR CMAKE_MATCH_1 LESS oldest)
      set(seawall_${component}_missing
          "seawall::${component} needs ${name} or later, and ${dir}/${header} is older; set SEAWALL_${prefix}_INCLUDE_DIR to a newer one"
          PARENT_SCOPE)
      return()
    endif()
  endif()

  add_library(seawall::${component}_headers INTERFACE IMPORTED GLOBAL)
  if(found)
    target_link_libraries(seawall::${component}_headers INTERFACE ${found})
  else()
    target_include_directories(seawall::${component}_headers SYSTEM INTERFACE "${dir}")
  endif()
  # Asio learnt only in 1.26 (Boost 1.81) that clang has coroutines; later versions define the same.
  set(is_clang "$<COMPILE_LANG_AND_ID:CXX,Clang,AppleClang>")
  target_compile_definitions(seawall::${component}_headers INTERFACE "$<${is_clang}:${prefix}_HAS_CO_AWAIT=1>"
                                                                     "$<${is_clang}:${prefix}_HAS_STD_COROUTINE=1>")
endfunction()
