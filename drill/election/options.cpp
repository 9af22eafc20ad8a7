// SPDX-License-Identifier: Apache-2.0
#include "options.hpp"

#include <charconv>
#include <concepts>
#include <limits>

#include <fmt/format.h>

namespace drill::election {
namespace {

template <std::integral T>
std::string set_integer(std::string_view flag, std::string_view text, T least, T most, T& target) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < least || value > most)
    return fmt::format("{}: '{}' is not an integer from {} to {}", flag, text, least, most);
  target = value;
  return {};
}

/// Empty if all went well, else what is wrong.
std::string set_value(options& o, std::string_view flag, std::string_view text) {
  if (flag == "--faults") return set_integer(flag, text, 2U, 100'000U, o.faults);
  if (flag == "--load-seconds") return set_integer(flag, text, 0U, 600U, o.load_seconds);
  if (flag == "--jitter") return set_integer(flag, text, 20U, 10'000U, o.jitter_ms);
  if (flag == "--seed")
    return set_integer(flag, text, std::uint64_t{0}, std::numeric_limits<std::uint64_t>::max(), o.seed);
  if (text.empty()) return fmt::format("{}: '' is not the name of a file", flag);
  (flag == "--json" ? o.json_file : o.log_file) = text;
  return {};
}

bool takes_value(std::string_view flag) {
  return flag == "--faults" || flag == "--load-seconds" || flag == "--jitter" || flag == "--seed" ||
         flag == "--json" || flag == "--log";
}

bool set_switch(options& o, std::string_view flag) {
  if (flag == "--quick") {
    o.quick = true;
    o.faults = 10;
    o.load_seconds = 1;
  } else if (flag == "--no-etcd") {
    o.with_etcd = false;
  } else {
    return false;
  }
  return true;
}

}  // namespace

std::variant<options, help_wanted, usage_error> parse_options(std::span<const std::string_view> arguments) {
  return command_line<options>{"seawall_election_drill", set_switch, takes_value, set_value}.parse(arguments);
}

std::string_view usage() {
  return R"(usage: seawall_election_drill [flags]

Three processes that share seawall's embedded Raft, and beside them a local cluster of three etcd servers, at
the same heartbeat (20 ms) and election time-out (200 ms), on the same disk. Their leaders are killed and
paused in turn; an observer outside judges by its log whether two ever held a valid lease at once. Then writes
are measured. Takes about ten minutes. Exit status: 0 if every criterion is met, 1 if one is not, 2 for a
wrong command line.

  --faults N        of each cluster's leader, every other one a pause (default 200)
  --load-seconds N  of each measurement of throughput, 0 for none (default 5)
  --jitter MS       of seawall's election time-outs (default 100; etcd's is 200)
  --seed N          of when faults come and how long pauses last (default 1)
  --quick           10 faults, one measurement of a second; times are not judged
  --no-etcd         seawall alone; nothing to compare times with
  --json FILE       the figures
  --log FILE        the observer's log, in JSON lines
  --help            this text

Data lies below $TMPDIR, or /tmp: it should be on a real disk.
)";
}

}  // namespace drill::election
