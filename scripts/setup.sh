# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by the other scripts: finds the root of the project and installs what a step needs and is not there.

seawall_root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
# shellcheck disable=SC2034 # for those who source this
readonly seawall_root

seawall_note() { printf '== %s\n' "$*" >&2; }

seawall_jobs() { nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 2; }

seawall_as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null 2>&1; then
    sudo "$@"
  else
    seawall_note "needs root, and there is no sudo: $*"
    return 1
  fi
}

seawall_apt_get() {
  seawall_as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 "$@" >&2
}

seawall_deb_installed() {
  # shellcheck disable=SC2016 # dpkg's own variable
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Packages whose only purpose is a program are not asked for when the program is there from elsewhere.
seawall_deb_wanted() {
  case "$1" in
    ninja-build) ! command -v ninja >/dev/null 2>&1 ;;
    pkg-config) ! command -v pkg-config >/dev/null 2>&1 ;;
    cmake | ccache | mold | python3 | g++-* | clang-* | llvm-*) ! command -v "$1" >/dev/null 2>&1 && ! seawall_deb_installed "$1" ;;
    *) ! seawall_deb_installed "$1" ;;
  esac
}

# Once per run, and only when something is to be installed. Half a success (a third-party source that does
# not answer) is enough: the installation says what is really missing.
seawall_apt_updated=
seawall_apt_update() {
  if [ -z "$seawall_apt_updated" ]; then
    seawall_apt_get update || seawall_note "apt-get update had errors; trying with what it got"
    seawall_apt_updated=1
  fi
}

# seawall_install_debs <package>...: all of them or failure.
seawall_install_debs() {
  local missing=() package
  for package in "$@"; do
    if seawall_deb_wanted "$package"; then missing+=("$package"); fi
  done
  if [ "${#missing[@]}" -eq 0 ]; then return 0; fi
  seawall_note "installing: ${missing[*]}"
  seawall_apt_update
  seawall_apt_get install -y --no-install-recommends "${missing[@]}"
}

# seawall_install_servers <package>=<service>...: for the tests, which start them themselves; the service stays off.
seawall_install_servers() {
  local pair package service
  for pair in "$@"; do
    package="${pair%%=*}" service="${pair#*=}"
    if ! seawall_deb_wanted "$package"; then continue; fi
    if [ ! -d /run/systemd/system ]; then
      seawall_install_debs "$package" || return 1
      continue
    fi
    seawall_as_root systemctl mask --runtime "$service" >&2
    seawall_install_debs "$package" || return 1
    seawall_as_root systemctl disable "$service" >&2
    seawall_as_root systemctl unmask --runtime "$service" >&2
  done
}

# seawall_try_debs <package>...: those that the distribution has; never a failure.
seawall_try_debs() {
  local package
  if ! command -v apt-get >/dev/null 2>&1; then return 0; fi
  for package in "$@"; do
    if ! seawall_deb_wanted "$package"; then continue; fi
    seawall_apt_update
    if apt-cache show "$package" >/dev/null 2>&1 && seawall_install_debs "$package"; then continue; fi
    seawall_note "going on without $package"
  done
}

# The package with a Boost.Asio that is new enough. Debian 12's own Boost is 1.74, with 1.81 beside it; Ubuntu 24.04's is 1.83.
seawall_boost_package() {
  apt-cache show libboost-dev >/dev/null 2>&1 || seawall_apt_update
  if apt-cache show libboost1.81-dev >/dev/null 2>&1; then
    echo libboost1.81-dev
  else
    echo libboost-dev
  fi
}

# seawall_setup build|test|drill|election-drill|bench
seawall_setup() {
  if command -v apt-get >/dev/null 2>&1 && command -v dpkg-query >/dev/null 2>&1; then
    local packages=(cmake ninja-build pkg-config libabsl-dev libfmt-dev libc6-dev)
    if [ -z "${CXX:-}" ]; then packages+=(g++); fi
    case "$1" in
      test)
        packages+=(python3 doctest-dev libcpp-httplib-dev libcurl4-openssl-dev libasio-dev "$(seawall_boost_package)"
          libgrpc++-dev protobuf-compiler protobuf-compiler-grpc libprotobuf-dev libhiredis-dev
          nlohmann-json3-dev openssl libssl-dev)
        seawall_install_servers redis-server=redis-server.service etcd-server=etcd.service
        ;;
      drill) packages+=(libcpp-httplib-dev) ;;
      election-drill)
        packages+=(libcpp-httplib-dev libasio-dev libssl-dev libgrpc++-dev protobuf-compiler protobuf-compiler-grpc
          libprotobuf-dev)
        seawall_install_servers etcd-server=etcd.service
        ;;
      bench) packages+=(python3 libbenchmark-dev) ;;
    esac
    seawall_install_debs "${packages[@]}"
    if [ "$1" = test ]; then seawall_try_debs ccache mold; fi
    # Ubuntu 22.04's g++ is 11; 12 is the oldest that seawall is tested with.
    if [ -z "${CXX:-}" ] && [ "$(g++ -dumpversion | cut -d. -f1)" -lt 12 ]; then
      seawall_install_debs g++-12
      export CXX=g++-12
    fi
  elif command -v brew >/dev/null 2>&1; then
    local formulae=(cmake ninja pkg-config abseil fmt) formula missing=()
    case "$1" in
      test) formulae+=(doctest cpp-httplib ccache curl grpc protobuf asio boost hiredis redis nlohmann-json etcd openssl@3) ;;
      drill) formulae+=(cpp-httplib) ;;
      election-drill) formulae+=(cpp-httplib asio openssl@3 grpc protobuf etcd) ;;
      bench) formulae+=(google-benchmark) ;;
    esac
    for formula in "${formulae[@]}"; do
      brew list --versions "$formula" >/dev/null 2>&1 || missing+=("$formula")
    done
    if [ "${#missing[@]}" -gt 0 ]; then
      seawall_note "installing: ${missing[*]}"
      brew install "${missing[@]}" >&2
    fi
  else
    seawall_note "neither apt-get nor brew: CMake, Ninja, Abseil, fmt, doctest and cpp-httplib must be there already"
  fi
}
