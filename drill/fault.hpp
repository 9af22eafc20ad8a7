// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_FAULT_HPP
#define SEAWALL_DRILL_FAULT_HPP

// What a dependency can be told to do wrong while it runs. Hangs and crashes are not here: those are done to
// the process from outside, with signals.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace drill {

struct fault {
  enum class kind : std::uint8_t {
    none,
    slow,    ///< every answer takes `delay` longer
    errors,  ///< `share` of the requests end with an HTTP 500 or 503, some of them after the work was done
    resets,  ///< `share` of the connections are reset, half of them after the work was done
  };

  kind what = kind::none;
  double share = 0;                    ///< 0 to 1
  std::chrono::milliseconds delay{0};  ///< not negative

  friend bool operator==(const fault&, const fault&) = default;
};

/// The words in which the driver says it to a dependency: "slow 0 1200", "errors 0.3 0".
std::string to_words(const fault& f);
std::optional<fault> fault_from_words(std::string_view words);

}  // namespace drill

#endif  // SEAWALL_DRILL_FAULT_HPP
