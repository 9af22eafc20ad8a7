// SPDX-License-Identifier: Apache-2.0

// All drivers, for pipelines built at run time: the one place in which each driver is compiled for each of the table's rows.

#include "absl/status/statusor.h"
#include "conformance/conform.hpp"
#include "conformance/drivers/pool.hpp"
#include "conformance/drivers/virtual_async.hpp"
#include "conformance/drivers/virtual_blocking.hpp"
#include "seawall/any_pipeline.hpp"

namespace conformance {

namespace {

using R = absl::StatusOr<int>;
using pipeline = seawall::any_pipeline<R>;

template <class Driver>
void play_exactly(const scenario& sc, const maker<pipeline>& make) {
  detail::conform_exactly<Driver>(sc, ", any_pipeline", [&](bool asks) {
    return Driver::template play<R, true, pipeline>(sc, make, asks);
  });
}

template <class Driver>
void play_in_real_time(const scenario& sc, const maker<pipeline>& make) {
  detail::conform_in_real_time<Driver>(sc, [&](recorder::fraction scale) {
    return Driver::template play<R, true, pipeline>(sc, make, scale);
  });
}

}  // namespace

void conform_at_run_time(const scenario& sc, const maker<pipeline>& make) {
  play_exactly<virtual_blocking>(sc, make);
  play_exactly<virtual_async>(sc, make);
  play_exactly<virtual_coroutine>(sc, make);
  play_in_real_time<pool_blocking>(sc, make);
  play_in_real_time<pool_async>(sc, make);
  conform_on_asio(sc, make);
}

}  // namespace conformance
