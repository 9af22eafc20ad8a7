// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_DEPENDENCY_SERVER_HPP
#define SEAWALL_DRILL_DEPENDENCY_SERVER_HPP

#include <span>
#include <string_view>

namespace drill {

/// The role `serve-dependency --name NAME --port PORT --seed SEED`: one of the three dependencies, until the
/// driver has gone. It answers over HTTP and takes orders from the driver: "fault <words>", "audit". Returns
/// the exit status.
int serve_dependency(std::span<const std::string_view> arguments);

}  // namespace drill

#endif  // SEAWALL_DRILL_DEPENDENCY_SERVER_HPP
