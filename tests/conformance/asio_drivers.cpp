// SPDX-License-Identifier: Apache-2.0

// Asio's drivers, if it is there, for pipelines built at run time.

#include "conformance/conform.hpp"

#if defined(SEAWALL_TEST_ASIO)

#include "absl/status/statusor.h"
#include "conformance/drivers/asio.hpp"
#include "seawall/any_pipeline.hpp"

namespace conformance {

void conform_on_asio(const scenario& sc, const maker<seawall::any_pipeline<absl::StatusOr<int>>>& make) {
  using R = absl::StatusOr<int>;
  using pipeline = seawall::any_pipeline<R>;
  detail::conform_in_real_time<asio_callbacks>(
      sc, [&](recorder::fraction scale) { return asio_callbacks::play<R, true, pipeline>(sc, make, scale); });
  detail::conform_in_real_time<asio_coroutines>(sc, [&](recorder::fraction scale) {
    return asio_coroutines::play<R, true, pipeline>(sc, make, scale);
  });
}

}  // namespace conformance

#else

namespace conformance {

void conform_on_asio(const scenario&, const maker<seawall::any_pipeline<absl::StatusOr<int>>>&) {}

}  // namespace conformance

#endif
