// SPDX-License-Identifier: Apache-2.0

// A translation unit of its own, so that no call of it is optimised away or into its caller.

#include <stdexcept>

#include "subject.hpp"

namespace bench {

template <class R>
R answer(std::int64_t time_left_ns) {
  if constexpr (std::is_same_v<R, absl::Status>) {
    return time_left_ns == 0 ? refuse<R>(time_left_ns) : absl::OkStatus();
  } else {
    return static_cast<int>(time_left_ns);
  }
}

template <class R>
R refuse(std::int64_t) {
  if constexpr (std::is_same_v<R, int>) {
    throw std::runtime_error("connection refused");
  } else {
    return absl::UnavailableError("connection refused");
  }
}

template int answer<int>(std::int64_t);
template absl::Status answer<absl::Status>(std::int64_t);
template absl::StatusOr<int> answer<absl::StatusOr<int>>(std::int64_t);
template int refuse<int>(std::int64_t);
template absl::Status refuse<absl::Status>(std::int64_t);
template absl::StatusOr<int> refuse<absl::StatusOr<int>>(std::int64_t);

}  // namespace bench
