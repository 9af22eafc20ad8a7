// SPDX-License-Identifier: Apache-2.0
// The rest of the message is in quotes, which compilers print differently.
// expect: pipeline::run_on needs #include
#include "seawall/pipeline.hpp"
#include "seawall/status.hpp"
#ifdef SEAWALL_MISTAKE
#include "seawall/exec/async.hpp"
struct pool_scheduler {};
#else
#include "seawall/exec/pool.hpp"
using seawall::pool_scheduler;
#endif

int main() {
  pool_scheduler pool;
  return seawall::compose().run_on(pool, [] { return absl::OkStatus(); }).raw_code();
}
