// SPDX-License-Identifier: Apache-2.0
// The parser of fault scripts, and the script that comes of it: no text crashes it or makes it hang.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "must.hpp"
#include "seawall/script.hpp"

using namespace seawall;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto parsed = seawall::script::parse({reinterpret_cast<const char*>(data), size});
  if (!parsed.ok()) {
    must(absl::IsInvalidArgument(parsed.status()), "a refusal is an invalid argument");
    must(!parsed.status().message().empty(), "and says something");
    return 0;
  }
  instant now;
  for (int call = 0; call < 100; ++call) {
    const script_step& s = parsed->next(now);
    must(s.times >= 1, "a step happens at least once");
    must(s.after >= duration::zero(), "an answer does not come before its question");
    must(!s.hangs || s.code != absl::StatusCode::kOk, "who hangs does not succeed");
    must(s.share > 0 && s.share <= 1, "a share is one");
    must(!s.retry_after || *s.retry_after >= duration::zero(), "nobody asks for a negative pause");
    now = now + s.after + duration::from_ns(1) * (std::int64_t{1} << (call % 60));
  }
  return 0;
}
