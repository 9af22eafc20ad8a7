// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_SCRIPT_HPP
#define SEAWALL_SCRIPT_HPP

// How a dependency behaves, as a line of text: for tests in virtual time (testing/script.hpp), for
// asynchronous ones (testing/async_script.hpp), and for faults made on purpose (chaos.hpp).
//
//     "fail x2, ok after 30ms"                        two failures, then answers after 30 ms, for ever
//     "until 1min: ok; until 1h: hang; ok after 5ms"  an outage of 59 minutes
//     "fail x3, ok x7 ..."                            30% errors: the list goes round
//     "unavailable at 5%"                             5% errors, by chance
//
// A script is a list of phases; `until T:` ends a phase when the clock has reached T. A phase is a list of
// steps: an outcome (`ok`, `fail` for `unavailable`, `hang` until the attempt's deadline, `wrong` for an
// answer that is none, or any status code in lower case), then in any order `xN`, `after D`, `retry-after D`,
// `at P%`. The last step goes on for ever unless `...` follows.

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "seawall/options.hpp"
#include "seawall/random.hpp"
#include "seawall/status.hpp"
#include "seawall/time.hpp"

namespace seawall {

/// One outcome, `times` times.
struct script_step {
  absl::StatusCode code = absl::StatusCode::kOk;
  bool hangs = false;
  std::uint32_t times = 1;
  duration after = {};
  std::optional<duration> retry_after = {};
  bool wrong = false;  ///< only where somebody knows a wrong answer: chaos.hpp
  double share = 1.0;  ///< by chance; the other calls are plain successes: (0, 1]
};

struct script_phase {
  instant until = instant::never();
  std::vector<script_step> steps = {};
  bool goes_round = false;
};

namespace detail::script_text {

inline std::string_view trimmed(std::string_view s) noexcept {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t' || s.front() == '\n')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t' || s.back() == '\n')) s.remove_suffix(1);
  return s;
}

/// Cuts off and returns what stands before `separator`, or everything.
inline std::string_view cut(std::string_view& rest, char separator) noexcept {
  const auto at = rest.find(separator);
  const std::string_view head = rest.substr(0, at);
  rest = at == std::string_view::npos ? std::string_view() : rest.substr(at + 1);
  return trimmed(head);
}

inline absl::Status bad(std::string_view what, std::string_view value, std::string_view range) {
  return absl::InvalidArgumentError(
      option_error{std::string(what), "'" + std::string(value) + "'", std::string(range)}.text("script"));
}

/// Digits with at most nine decimals, cut off `text`: what stands before the point, and behind it.
inline std::optional<std::pair<std::uint64_t, double>> parse_decimal(std::string_view& text) noexcept {
  std::uint64_t whole = 0;
  const char* const end = text.data() + text.size();
  auto [at, error] = std::from_chars(text.data(), end, whole);
  if (error != std::errc() || whole > std::uint64_t{1} << 40) return std::nullopt;
  double fraction = 0;
  if (at != end && *at == '.') {
    double scale = 0.1;
    const char* const first = ++at;
    for (; at != end && *at >= '0' && *at <= '9' && at - first < 9; ++at, scale /= 10)
      fraction += (*at - '0') * scale;
    if (at == first) return std::nullopt;
  }
  text = std::string_view(at, static_cast<std::size_t>(end - at));
  return std::pair(whole, fraction);
}

/// `30ms`, `1.5s`: digits with at most nine decimals, and a unit.
inline absl::StatusOr<duration> parse_duration(std::string_view text) {
  struct unit {
    std::string_view name;
    std::int64_t ns;
  };
  static constexpr unit units[] = {{"ns", 1},
                                   {"us", 1'000},
                                   {"ms", 1'000'000},
                                   {"s", 1'000'000'000},
                                   {"min", 60'000'000'000},
                                   {"h", 3'600'000'000'000}};
  constexpr auto range = "must be a number and one of ns, us, ms, s, min, h, such as 1.5s";
  std::string_view rest = text;
  const auto value = parse_decimal(rest);
  if (!value) return bad("duration", text, range);
  const auto [whole, fraction] = *value;
  for (const unit& u : units) {
    if (u.name != rest) continue;
    const auto ns = static_cast<double>(u.ns);
    return duration::from_ns(u.ns) * static_cast<std::int64_t>(whole) +
           duration::from_ns(static_cast<std::int64_t>(fraction * ns + 0.5));
  }
  return bad("duration", text, range);
}

/// `5%`, `0.1%`.
inline absl::StatusOr<double> parse_percent(std::string_view text) {
  std::string_view rest = text;
  const auto value = parse_decimal(rest);
  const double percent = value ? static_cast<double>(value->first) + value->second : 0.0;
  if (rest != "%" || percent <= 0 || percent > 100)
    return bad("share", text, "must be more than 0% and at most 100%");
  return percent / 100;
}

inline std::optional<absl::StatusCode> code_named(std::string_view name) noexcept {
  if (name == "ok" || name == "wrong") return absl::StatusCode::kOk;
  if (name == "fail" || name == "hang") return absl::StatusCode::kUnavailable;
  for (int i = 1; i <= 16; ++i) {
    const auto code = static_cast<absl::StatusCode>(i);
    const std::string spelled = absl::StatusCodeToString(code);
    bool same = spelled.size() == name.size();
    for (std::size_t k = 0; same && k < name.size(); ++k) {
      same = (spelled[k] == '_' ? '_' : static_cast<char>(spelled[k] - 'A' + 'a')) == name[k];
    }
    if (same) return code;
  }
  return std::nullopt;
}

inline absl::Status parse_modifier(std::string_view word, std::string_view& rest, script_step& s) {
  if (word == "after" || word == "retry-after") {
    const auto d = parse_duration(cut(rest, ' '));
    if (!d.ok()) return d.status();
    if (word == "after") {
      s.after = *d;
    } else {
      s.retry_after = *d;
    }
    return absl::OkStatus();
  }
  if (word == "at") {
    const auto share = parse_percent(cut(rest, ' '));
    if (!share.ok()) return share.status();
    s.share = *share;
    return absl::OkStatus();
  }
  const char* const end = word.data() + word.size();
  if (word.size() < 2 || word[0] != 'x') return bad("modifier", word, "must be xN, after, retry-after or at");
  const auto [at, error] = std::from_chars(word.data() + 1, end, s.times);
  if (error != std::errc() || at != end || s.times == 0)
    return bad("times", word, "must be x1 to x4294967295");
  return absl::OkStatus();
}

inline absl::StatusOr<script_step> parse_step(std::string_view text) {
  std::string_view rest = text;
  const std::string_view outcome = cut(rest, ' ');
  const auto code = code_named(outcome);
  if (!code) return bad("outcome", outcome, "must be ok, fail, hang, wrong or a status code in lower case");
  script_step s{.code = *code, .hangs = outcome == "hang", .wrong = outcome == "wrong"};
  while (!(rest = trimmed(rest)).empty()) {
    const std::string_view word = cut(rest, ' ');
    rest = trimmed(rest);
    if (auto status = parse_modifier(word, rest, s); !status.ok()) return status;
  }
  return s;
}

inline absl::StatusOr<script_phase> parse_phase(std::string_view text) {
  script_phase p;
  if (text.starts_with("until ")) {
    if (text.find(':') == std::string_view::npos)
      return bad("phase", text, "must have a ':' behind its 'until'");
    text.remove_prefix(6);
    const auto end = parse_duration(cut(text, ':'));
    if (!end.ok()) return end.status();
    p.until = instant() + *end;
    text = trimmed(text);
  }
  if (text.ends_with("...")) {
    p.goes_round = true;
    text.remove_suffix(3);
    text = trimmed(text);
  }
  do {
    auto s = parse_step(cut(text, ','));
    if (!s.ok()) return s.status();
    p.steps.push_back(*std::move(s));
  } while (!text.empty());
  return p;
}

}  // namespace detail::script_text

/// Phases and steps, and where in them we are.
///
/// Thread safety: none. Cost: no allocation after parsing.
class script {
 public:
  /// At least one, each with at least one step. What happens by chance (`at`) is drawn from `seed`.
  explicit script(std::vector<script_phase> phases, std::uint64_t seed = 1)
      : phases_(std::move(phases)), random_(seed) {}

  /// Errors: `absl::StatusCode::kInvalidArgument` names what is wrong. At most 1 MiB of text.
  static absl::StatusOr<script> parse(std::string_view text, std::uint64_t seed = 1) {
    if (text.size() > std::size_t{1} << 20) return absl::InvalidArgumentError("script: longer than 1 MiB");
    std::vector<script_phase> phases;
    do {
      auto p = detail::script_text::parse_phase(detail::script_text::cut(text, ';'));
      if (!p.ok()) return p.status();
      if (!phases.empty() && phases.back().until == instant::never()) {
        return absl::InvalidArgumentError("script: only the last phase may go without 'until'");
      }
      if (!phases.empty() && p->until <= phases.back().until) {
        return absl::InvalidArgumentError("script: each 'until' must be later than the one before");
      }
      phases.push_back(*std::move(p));
    } while (!text.empty());
    return script(std::move(phases), seed);
  }

  /// The outcome of a call that begins at `now`: a plain success where chance spares it. After the last
  /// phase, its last step goes on.
  const script_step& next(instant now) noexcept {
    while (phase_ + 1 < phases_.size() && now >= phases_[phase_].until) {
      ++phase_;
      step_ = done_ = 0;
    }
    const script_phase& p = phases_[phase_];
    if (done_ == p.steps[step_].times) {
      if (step_ + 1 < p.steps.size()) {
        ++step_;
        done_ = 0;
      } else if (p.goes_round) {
        step_ = done_ = 0;
      } else {
        --done_;
      }
    }
    ++done_;
    const script_step& s = p.steps[step_];
    return s.share < 1 && random_.unit() >= s.share ? spared_ : s;
  }

  const std::vector<script_phase>& phases() const noexcept { return phases_; }

 private:
  static inline const script_step spared_{};

  std::vector<script_phase> phases_;
  random_source random_;
  std::size_t phase_ = 0;
  std::size_t step_ = 0;
  std::uint32_t done_ = 0;
};

}  // namespace seawall

#endif  // SEAWALL_SCRIPT_HPP
