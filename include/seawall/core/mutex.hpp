// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_MUTEX_HPP
#define SEAWALL_CORE_MUTEX_HPP

// std::mutex with the annotations that clang's -Wthread-safety checks. Not absl::Mutex: Debian's build of it
// costs three times as much, misleads TSan, and has no spelling that is free of warnings in both its old and
// its new releases.

#include <mutex>

#include "absl/base/thread_annotations.h"

namespace seawall::core {

class ABSL_LOCKABLE mutex {
 public:
  void lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { m_.lock(); }
  void unlock() ABSL_UNLOCK_FUNCTION() { m_.unlock(); }
  bool try_lock() ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) { return m_.try_lock(); }

 private:
  std::mutex m_;
};

class ABSL_SCOPED_LOCKABLE mutex_lock {
 public:
  explicit mutex_lock(mutex& m) ABSL_EXCLUSIVE_LOCK_FUNCTION(m) : m_(m) { m_.lock(); }
  ~mutex_lock() ABSL_UNLOCK_FUNCTION() { m_.unlock(); }
  mutex_lock(const mutex_lock&) = delete;
  mutex_lock& operator=(const mutex_lock&) = delete;

 private:
  mutex& m_;
};

}  // namespace seawall::core

#endif  // SEAWALL_CORE_MUTEX_HPP
