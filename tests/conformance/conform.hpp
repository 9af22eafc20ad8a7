// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_CONFORMANCE_CONFORM_HPP
#define SEAWALL_TESTS_CONFORMANCE_CONFORM_HPP

// Plays a row of the table in all drivers, and compares what is seen with what the row says.
//
// The static pipeline is played by the drivers in virtual time; built at run time (`any_pipeline`, the same frames behind
// virtual functions) by all of them, in one translation unit for all rows.

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conformance/drivers/asking.hpp"
#include "conformance/drivers/virtual_async.hpp"
#include "conformance/drivers/virtual_blocking.hpp"
#include "conformance/scenario.hpp"
#include "conformance/trace.hpp"
#include "seawall/any_pipeline.hpp"
#include <doctest/doctest.h>

namespace conformance {

namespace detail {

inline std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
    if (!line.empty()) lines.emplace_back(line);
  }
  return lines;
}

inline bool is_report(std::string_view line) { return line.find("report:") != std::string_view::npos; }
inline bool is_given_up(std::string_view line) { return line.find(" given up") != std::string_view::npos; }

/// "10ms retry in 50ms" is "T retry in T".
inline std::string without_times(std::string_view line) {
  std::string out;
  for (std::size_t i = 0; i < line.size();) {
    const auto digit = [&](std::size_t k) { return k < line.size() && std::isdigit(line[k]) != 0; };
    const bool begins = digit(i) && (i == 0 || line[i - 1] == ' ');
    std::size_t end = i;
    while (begins && (digit(end) || (end < line.size() && line[end] == '.'))) ++end;
    std::size_t unit = end;
    while (begins && unit < line.size() && std::isalpha(line[unit]) != 0) ++unit;
    if (begins && unit > end) {
      out += 'T';
      i = unit;
    } else {
      out += line[i++];
    }
  }
  return out;
}

/// On threads, an attempt learns that it was given up when it has a thread: which ones were is compared, but neither when
/// nor, of two that were given up at once, in which order.
inline std::vector<std::string> in_real_time(const std::vector<std::string>& lines) {
  std::vector<std::string> out, anywhere;
  for (const std::string& l : lines) (is_given_up(l) ? anywhere : out).push_back(without_times(l));
  std::ranges::sort(anywhere);
  out.insert(out.end(), anywhere.begin(), anywhere.end());
  return out;
}

inline std::vector<std::string> without_report(std::vector<std::string> lines) {
  std::erase_if(lines, [](const std::string& l) { return is_report(l); });
  return lines;
}

inline std::string joined(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& l : lines) out.append("\n      ").append(l);
  return out;
}

inline void compare(const scenario& sc, std::string_view driver, const std::vector<std::string>& seen,
                    const std::vector<std::string>& expected, const std::string& left_behind) {
  CHECK_MESSAGE(seen == expected, driver, ": ", sc.name, "\n    seen:", joined(seen),
                "\n    expected:", joined(expected));
  CHECK_MESSAGE(left_behind.empty(), driver, ": ", sc.name, ": left behind: ", left_behind);
}

inline bool can_be_played(const scenario& sc, bool preempts) { return preempts || sc.blocking != "-"; }

inline std::vector<std::string> expected_of(const scenario& sc, bool preempts) {
  return split(preempts || sc.blocking.empty() ? sc.trace : sc.blocking);
}

/// `play(bool asks)`: with options and a report, or without any.
template <class Driver, class Play>
void conform_exactly(const scenario& sc, std::string_view what, Play&& play) {
  if (!can_be_played(sc, Driver::preempts)) return;
  const std::string title = std::string(Driver::name) + what.data();
  const auto expected = expected_of(sc, Driver::preempts);
  const played asked = play(true);
  compare(sc, title, lines_of(asked.seen), expected, asked.left_behind);
  if (sc.callers.size() != 1 || sc.callers.front().says_something()) return;
  const played plain = play(false);
  compare(sc, title + ", without options", without_report(lines_of(plain.seen)), without_report(expected),
          plain.left_behind);
}

/// `play(fraction)`. Time on a busy machine only ever comes late: what is not as expected is played again, more slowly.
template <class Driver, class Play>
void conform_in_real_time(const scenario& sc, Play&& play) {
  if (sc.only_virtual || !can_be_played(sc, Driver::preempts)) return;
  const auto expected = in_real_time(expected_of(sc, Driver::preempts));
  for (const recorder::fraction scale : {recorder::fraction{1, 5}, {1, 1}, {5, 1}}) {
    const played p = play(scale);
    const auto seen = in_real_time(lines_of(p.seen));
    if (scale.over < 5 && seen != expected) continue;
    return compare(sc, Driver::name, seen, expected, p.left_behind);
  }
}

}  // namespace detail

/// All drivers, through `any_pipeline`.
void conform_at_run_time(const scenario& sc, const maker<seawall::any_pipeline<absl::StatusOr<int>>>& make);

/// Asio's, where it is found.
void conform_on_asio(const scenario& sc, const maker<seawall::any_pipeline<absl::StatusOr<int>>>& make);

/// The static pipeline in virtual time.
template <class R, bool Idempotent, class Pipeline>
void conform_in_virtual_time(const scenario& sc, const maker<Pipeline>& make) {
  const auto in = [&]<class Driver>(Driver) {
    detail::conform_exactly<Driver>(
        sc, "", [&](bool asks) { return Driver::template play<R, Idempotent, Pipeline>(sc, make, asks); });
  };
  // Where attempts overlap, that does not compile.
  if constexpr (!requires { requires Pipeline::overlaps; }) in(virtual_blocking());
  in(virtual_async());
  in(virtual_coroutine());
}

/// A row that all drivers can play.
template <class R = absl::StatusOr<int>, bool Idempotent = true, class Make>
void conform(const scenario& sc, Make make) {
  using pipeline = decltype(make(std::declval<stage&>()));
  const maker<pipeline> m = make;
  conform_in_virtual_time<R, Idempotent>(sc, m);
  if constexpr (std::is_same_v<R, absl::StatusOr<int>> && Idempotent) {
    if constexpr (requires { typename pipeline::result_type; }) {
      conform_at_run_time(sc, m);
    } else {
      conform_at_run_time(sc, [m](stage& s) { return seawall::any_pipeline<R>(m(s)); });
    }
  }
}

/// A row whose pipeline cannot be built at run time: needs drivers/pool.hpp.
template <class Blocking = struct pool_blocking, class Async = struct pool_async, class Make>
void conform_static(const scenario& sc, Make make) {
  using R = absl::StatusOr<int>;
  using pipeline = decltype(make(std::declval<stage&>()));
  const maker<pipeline> m = make;
  conform_in_virtual_time<R, true>(sc, m);
  const auto in = [&]<class Driver>(Driver) {
    detail::conform_in_real_time<Driver>(
        sc, [&](recorder::fraction scale) { return Driver::template play<R, true, pipeline>(sc, m, scale); });
  };
  in(Blocking());
  in(Async());
}

/// The operation makes a call with a pipeline of its own, inside its attempt.
template <class Make, class MakeNested>
void conform_nested(const scenario& sc, Make make, MakeNested make_nested) {
  using R = absl::StatusOr<int>;
  using pipeline = decltype(make(std::declval<stage&>()));
  using nested = decltype(make_nested(std::declval<stage&>()));
  const maker<pipeline> m = make;
  const maker<nested> n = make_nested;
  const auto in = [&]<class Driver>(Driver) {
    detail::conform_exactly<Driver>(sc, ", nested", [&](bool asks) {
      return Driver::template play<R, true, pipeline, nested>(sc, m, asks, n);
    });
  };
  in(virtual_blocking());
  in(virtual_async());
  in(virtual_coroutine());
}

}  // namespace conformance

#endif  // SEAWALL_TESTS_CONFORMANCE_CONFORM_HPP
