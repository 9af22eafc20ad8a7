// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_DEPENDENCIES_HPP
#define SEAWALL_DRILL_DEPENDENCIES_HPP

// The three processes that a checkout calls, in the order in which it calls them.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace drill {

enum class dependency : std::uint8_t { inventory, payment, recommendations };

inline constexpr std::array all_dependencies{dependency::inventory, dependency::payment,
                                             dependency::recommendations};

/// One T for each dependency, indexed by its name.
template <class T>
class per_dependency {
 public:
  T& operator[](dependency d) { return values_[static_cast<std::size_t>(d)]; }
  const T& operator[](dependency d) const { return values_[static_cast<std::size_t>(d)]; }

  friend bool operator==(const per_dependency&, const per_dependency&) = default;

 private:
  std::array<T, all_dependencies.size()> values_{};
};

constexpr std::string_view name_of(dependency d) {
  constexpr std::array<std::string_view, all_dependencies.size()> names{"inventory", "payment",
                                                                        "recommendations"};
  return names[static_cast<std::size_t>(d)];
}

constexpr std::optional<dependency> dependency_named(std::string_view name) {
  for (const dependency d : all_dependencies) {
    if (name_of(d) == name) return d;
  }
  return std::nullopt;
}

}  // namespace drill

#endif  // SEAWALL_DRILL_DEPENDENCIES_HPP
