// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_SUPPORT_MEMORY_HPP
#define SEAWALL_TESTS_SUPPORT_MEMORY_HPP

#include <cstddef>
#include <new>

namespace seawall_test {

struct memory_in_use {
  long blocks = 0;
  long made = 0;
  std::size_t bytes = 0;
};

/// Counts what comes from it.
template <class T>
struct counting_allocator {
  using value_type = T;
  memory_in_use* memory;

  explicit counting_allocator(memory_in_use& m) : memory(&m) {}
  template <class U>
  counting_allocator(const counting_allocator<U>& other) : memory(other.memory) {}
  T* allocate(std::size_t n) {
    ++memory->blocks;
    ++memory->made;
    memory->bytes += n * sizeof(T);
    return static_cast<T*>(::operator new(n * sizeof(T)));
  }
  void deallocate(T* p, std::size_t n) {
    --memory->blocks;
    memory->bytes -= n * sizeof(T);
    ::operator delete(p);
  }
  template <class U>
  friend bool operator==(const counting_allocator& a, const counting_allocator<U>& b) {
    return a.memory == b.memory;
  }
};

}  // namespace seawall_test

#endif  // SEAWALL_TESTS_SUPPORT_MEMORY_HPP
