// SPDX-License-Identifier: Apache-2.0
#ifndef CONSUMER_QUOTES_HPP
#define CONSUMER_QUOTES_HPP

#include "absl/status/statusor.h"

// In second.cpp: a second translation unit with all of seawall in it, so that what lacks an `inline` fails to link.
absl::StatusOr<int> from_the_second_unit();

#endif  // CONSUMER_QUOTES_HPP
