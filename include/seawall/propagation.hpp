// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_PROPAGATION_HPP
#define SEAWALL_PROPAGATION_HPP

// Takes the deadline of a call across a process boundary: the caller writes the time left into a header of
// its request, the callee reads it back into a deadline on its own clock. Knows the headers of gRPC, Envoy,
// Connect and plain HTTP, and any map of headers through two callables. What travels is a length of time,
// never a point in it: clocks differ. The priority of the call and the caller's level of service travel
// along.

#include <algorithm>
#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "seawall/call.hpp"
#include "seawall/options.hpp"
#include "seawall/rejection.hpp"
#include "seawall/time.hpp"

namespace seawall {

/// How a header spells the time left. All are unsigned whole numbers; none has room for a sign, a blank or a
/// fraction.
enum class timeout_form : std::uint8_t {
  grpc,          ///< up to 8 digits and a unit, H M S m u n ("250m"): gRPC over HTTP2, Timeout
  milliseconds,  ///< up to 10 digits: the Connect protocol, Timeout-Milliseconds
  seconds,       ///< up to 10 digits: draft-thomson-hybi-http-timeout-00
};

/// A header that carries the time left. The name is not copied: a literal, or text that outlives the
/// propagator.
struct timeout_header {
  std::string_view
      name;  ///< a token of RFC 9110; in lower case, which HTTP/2 and gRPC demand and HTTP/1 ignores
  timeout_form form = timeout_form::milliseconds;

  friend constexpr bool operator==(const timeout_header&, const timeout_header&) = default;
};

/// Headers in use. One of your own is `timeout_header{"x-acme-timeout-ms", timeout_form::milliseconds}`.
namespace timeout_headers {

inline constexpr timeout_header grpc{"grpc-timeout", timeout_form::grpc};
/// Set by Envoy's router for the upstream, and read by it where `respect_expected_rq_timeout` says so.
inline constexpr timeout_header envoy{"x-envoy-expected-rq-timeout-ms", timeout_form::milliseconds};
inline constexpr timeout_header connect{"connect-timeout-ms", timeout_form::milliseconds};
/// Whole seconds: only for calls that take many of them, as what is less than one cannot be said.
inline constexpr timeout_header request{"request-timeout", timeout_form::seconds};

}  // namespace timeout_headers

/// The value of a timeout header: text of its own, without allocation.
class timeout_text {
 public:
  static constexpr std::size_t capacity = 10;

  constexpr std::string_view view() const noexcept { return {text_.data(), size_}; }

 private:
  friend constexpr std::optional<timeout_text> encode_timeout(timeout_form, duration) noexcept;

  constexpr timeout_text(std::int64_t value, char unit) noexcept {
    for (std::int64_t rest = value; rest != 0; rest /= 10)
      text_[size_++] = static_cast<char>('0' + rest % 10);
    std::reverse(text_.begin(), text_.begin() + size_);
    if (unit != '\0') text_[size_++] = unit;
  }

  std::array<char, capacity> text_ = {};
  std::uint8_t size_ = 0;
};

namespace detail {

struct timeout_unit {
  std::int64_t ns;
  char letter;  // none: '\0'
};

// Finest first. Letters in either case differ: M are minutes, m milliseconds.
inline constexpr std::array<timeout_unit, 6> grpc_units = {{{1, 'n'},
                                                            {1'000, 'u'},
                                                            {1'000'000, 'm'},
                                                            {1'000'000'000, 'S'},
                                                            {60'000'000'000, 'M'},
                                                            {3'600'000'000'000, 'H'}}};

constexpr std::size_t digits_max(timeout_form f) noexcept { return f == timeout_form::grpc ? 8 : 10; }
constexpr std::int64_t value_max(timeout_form f) noexcept {
  return f == timeout_form::grpc ? 99'999'999 : 9'999'999'999;
}

constexpr timeout_unit unit_for(timeout_form f, std::int64_t ns) noexcept {
  if (f == timeout_form::milliseconds) return {1'000'000, '\0'};
  if (f == timeout_form::seconds) return {1'000'000'000, '\0'};
  for (const timeout_unit& u : grpc_units) {
    if (ns / u.ns <= value_max(f)) return u;
  }
  return grpc_units.back();
}

/// Takes the unit off the end of `text`; 0 if there is none.
constexpr std::int64_t take_unit(timeout_form f, std::string_view& text) noexcept {
  if (f != timeout_form::grpc) return unit_for(f, 0).ns;
  for (const timeout_unit& u : grpc_units) {
    if (text.empty() || text.back() != u.letter) continue;
    text.remove_suffix(1);
    return u.ns;
  }
  return 0;
}

constexpr std::string_view range_of(timeout_form f) noexcept {
  return f == timeout_form::grpc ? "must be 1 to 8 digits and one of H, M, S, m, u, n"
                                 : "must be 1 to 10 digits";
}

/// Text from a stranger, for messages: in quotes, cut off, and without what could forge a line of a log.
inline std::string quoted(std::string_view text) {
  constexpr std::size_t shown = 32;
  std::string out = "'";
  for (const char c : text.substr(0, shown)) out.push_back(c >= ' ' && c <= '~' && c != '\'' ? c : '?');
  return out.append(text.size() > shown ? "...'" : "'");
}

constexpr bool is_token(std::string_view name) noexcept {
  constexpr std::string_view others = "!#$%&'*+-.^_`|~";
  return !name.empty() && std::all_of(name.begin(), name.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           others.find(c) != std::string_view::npos;
  });
}

}  // namespace detail

/// The time left as a header says it: in the finest unit that has room for it, rounded down, so that the
/// callee never has longer than its caller. Nothing where less than one unit is left: the call has expired.
/// What is longer than the form can say becomes the longest time that it can.
/// Cost: no allocation.
constexpr std::optional<timeout_text> encode_timeout(timeout_form form, duration left) noexcept {
  const detail::timeout_unit unit = detail::unit_for(form, left.ns());
  if (left.ns() < unit.ns) return std::nullopt;
  return timeout_text(std::min(left.ns() / unit.ns, detail::value_max(form)), unit.letter);
}

/// The time left that a peer wrote; nothing if `text` is not of that form. Zero, which no one should write,
/// is no time.
/// Cost: no allocation; looks at ten characters at most, whatever the length of the text.
constexpr std::optional<duration> parse_timeout(timeout_form form, std::string_view text) noexcept {
  const std::int64_t unit = detail::take_unit(form, text);
  if (unit == 0 || text.empty() || text.size() > detail::digits_max(form)) return std::nullopt;
  std::int64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return duration::from_ns(unit) * value;
}

/// What travels besides the time left. An empty name is neither written nor looked for. Names are not copied.
struct context_headers {
  std::string_view priority = "x-seawall-priority";        ///< a whole number
  std::string_view degradation = "x-seawall-degradation";  ///< level of service: 0, the best, to 15
  /// What a caller may claim: more counts as this. For those who serve strangers.
  int priority_max = std::numeric_limits<int>::max();

  friend constexpr bool operator==(const context_headers&, const context_headers&) = default;
};

/// A priority as a header says it: text of its own, without allocation.
class priority_text {
 public:
  static constexpr std::size_t capacity = 11;

  explicit constexpr priority_text(int priority) noexcept {
    std::int64_t rest = priority < 0 ? -std::int64_t{priority} : priority;
    do text_[size_++] = static_cast<char>('0' + rest % 10);
    while ((rest /= 10) != 0);
    if (priority < 0) text_[size_++] = '-';
    std::reverse(text_.begin(), text_.begin() + size_);
  }
  constexpr std::string_view view() const noexcept { return {text_.data(), size_}; }

 private:
  std::array<char, capacity> text_ = {};
  std::uint8_t size_ = 0;
};

/// The worst level of service that can travel: ladders have at most 16.
inline constexpr std::uint32_t worst_level = 15;

/// What a peer wrote; nothing if it is not as `priority_text` would write it: no plus, no blank, no zeros in
/// front.
/// Cost: no allocation; looks at eleven characters at most, whatever the length of the text.
constexpr std::optional<int> parse_priority(std::string_view text) noexcept {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  if (text.empty() || text.size() > 10 || (text.front() == '0' && (negative || text.size() > 1)))
    return std::nullopt;
  std::int64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  if (negative) value = -value;
  const auto cut = static_cast<int>(value);
  return cut == value ? std::optional<int>(cut) : std::nullopt;
}

/// The same for a level of service: 0 to `worst_level`.
constexpr std::optional<std::uint32_t> parse_level(std::string_view text) noexcept {
  const std::optional<int> value = parse_priority(text);
  if (!value || *value < 0 || *value > static_cast<int>(worst_level)) return std::nullopt;
  return static_cast<std::uint32_t>(*value);
}

struct propagation_options {
  /// All are written; of those that are there, the shortest time counts. 1 to 8, of different names.
  std::vector<timeout_header> headers = {timeout_headers::grpc};
  /// Kept back from the time left, for the network and for what there is to do with the answer. Not negative,
  /// finite.
  duration margin = duration::zero();
  /// Kept back besides, as a share of the time left: [0, 1).
  double share = 0.0;
  context_headers context = {};
};

inline std::optional<option_error> validate(const timeout_header& h) {
  if (!detail::is_token(h.name))
    return option_error{"name", detail::quoted(h.name), "must be a token as RFC 9110 defines it"};
  if (h.form > timeout_form::seconds)
    return option_error{"form", std::to_string(static_cast<int>(h.form)),
                        "must be grpc, milliseconds or seconds"};
  return std::nullopt;
}

namespace detail {

inline void check_context(option_checks& checks, const propagation_options& o) {
  const auto check = [&](std::string_view name, std::string_view field, std::string_view other) {
    if (name.empty()) return;
    const bool listed = name == other || std::any_of(o.headers.begin(), o.headers.end(),
                                                     [&](const auto& h) { return h.name == name; });
    if (!is_token(name))
      checks.require(option_error{std::string(field), quoted(name), "must be a token as RFC 9110 defines it"},
                     "context");
    if (listed)
      checks.require(option_error{std::string(field), quoted(name), "must not be listed twice"}, "context");
  };
  check(o.context.priority, "priority", {});
  check(o.context.degradation, "degradation", o.context.priority);
}

}  // namespace detail

inline std::optional<option_error> validate(const propagation_options& o) {
  detail::option_checks checks;
  checks.require(o.headers.size() >= 1 && o.headers.size() <= 8, "headers.size",
                 std::uint64_t{o.headers.size()}, "must be at least 1 and at most 8");
  for (auto h = o.headers.begin(); h != o.headers.end(); ++h) {
    const std::string group = "headers[" + std::to_string(h - o.headers.begin()) + "]";
    checks.require(validate(*h), group);
    const bool repeated =
        std::any_of(o.headers.begin(), h, [&](const auto& other) { return other.name == h->name; });
    if (repeated)
      checks.require(option_error{"name", detail::quoted(h->name), "must not be listed twice"}, group);
  }
  checks
      .require(o.margin >= duration::zero() && o.margin < duration::infinite(), "margin", o.margin,
               "must not be negative, and finite")
      .require(o.share >= 0.0 && o.share < 1.0, "share", o.share, "must be at least 0 and less than 1");
  detail::check_context(checks, o);
  return checks.result();
}

/// What has been written into a request.
enum class propagated : std::uint8_t {
  unlimited,  ///< no time, as there is no deadline
  limited,    ///< every header of the time left
  expired,    ///< nothing, as no time is left for the callee: do not send the request, see `no_time_left`
};

/// What has been read from a request, for the `call_options` of the calls that serve it.
struct inherited {
  /// On the clock of this process; `never()` if no header says anything.
  instant deadline = instant::never();
  std::optional<int> priority = {};  ///< nothing: the caller has said nothing
  /// The caller's level of service. Advice: see `degradation_options::heeds_callers`.
  std::uint32_t degradation = 0;
  /// The first header that is not of its form. The others count, but if there are none, nothing limits the
  /// call: better to refuse the request, as HTTP's 400 or gRPC's INVALID_ARGUMENT.
  std::optional<option_error> error = {};

  bool ok() const noexcept { return !error; }
  /// "propagation: grpc-timeout is '5s'; must be 1 to 8 digits and ...". Safe to log and to answer.
  std::string error_text() const { return error ? error->text("propagation") : std::string(); }
};

/// Anything that looks up a header: `get(name)` is an optional of what converts to `std::string_view`, owning
/// or not.
template <class Get>
concept header_getter = requires(Get& get, std::string_view name) {
  {static_cast<bool>(get(name))};
  {std::string_view(*get(name))};
};

/// Reads and writes what travels with a call between processes. A service usually has two, as those who call
/// it and those whom it calls may speak different headers, and need different margins.
///
/// Thread safety: shared objects safe; it does not change. Cost: no allocation but for an error.
class propagator {
 public:
  using options_type = propagation_options;
  static constexpr std::string_view policy_name = "propagation";

  explicit propagator(propagation_options options = {})
      : options_(detail::checked(policy_name, std::move(options))) {}

  /// `absl::StatusOr<propagator>`; needs seawall/status.hpp.
  template <class Creator = detail::creator<propagator>>
  static auto create(propagation_options options) {
    return Creator::make(std::move(options));
  }

  /// Writes what was left when the attempt began; every attempt must write its own.
  /// `set(name, value)` replaces a header of that name; both views end with the call.
  /// All headers are written or none: whoever reads only one of them must not take the call for unlimited.
  template <std::invocable<std::string_view, std::string_view> Set>
  [[nodiscard]] propagated write(const attempt& a, Set&& set) const {
    return write_all(a, a.time_left(), set);
  }
  /// What is left at `now`, for an operation that has spent time before it sends the request. On the driver's
  /// clock.
  template <std::invocable<std::string_view, std::string_view> Set>
  [[nodiscard]] propagated write(const attempt& a, instant now, Set&& set) const {
    return write_all(a, a.deadline() - now, set);
  }
  /// Outside of a pipeline: the time alone.
  template <std::invocable<std::string_view, std::string_view> Set>
  [[nodiscard]] propagated write(duration left, Set&& set) const {
    if (left == duration::infinite()) return propagated::unlimited;
    left = after_margin(left);
    for (const timeout_header& h : options_.headers) {
      if (!encode_timeout(h.form, left)) return propagated::expired;
    }
    for (const timeout_header& h : options_.headers) set(h.name, encode_timeout(h.form, left)->view());
    return propagated::limited;
  }

  /// The priority and the level of service of the call alone, where they are not 0: for protocols whose
  /// library writes deadlines by itself.
  template <std::invocable<std::string_view, std::string_view> Set>
  void write_context(const attempt& a, Set&& set) const {
    const context_headers& names = options_.context;
    const int priority = a.priority();
    const std::uint32_t level = std::min(a.degradation(), worst_level);
    if (priority != 0 && !names.priority.empty()) set(names.priority, priority_text(priority).view());
    if (level != 0 && !names.degradation.empty())
      set(names.degradation, priority_text(static_cast<int>(level)).view());
  }

  /// `now` is the moment at which the request arrived; what it waited for a thread is gone.
  template <header_getter Get>
  inherited read(Get&& get, instant now) const {
    inherited in;
    for (const timeout_header& h : options_.headers) {
      const auto& found = get(h.name);
      if (!found) continue;
      const std::string_view text(*found);
      if (const auto left = parse_timeout(h.form, text)) {
        in.deadline = std::min(in.deadline, deadline_in(*left, now));
      } else {
        refuse(in, h.name, text, detail::range_of(h.form));
      }
    }
    read_context(get, in);
    return in;
  }
  /// With a clock read.
  template <header_getter Get>
  inherited read(Get&& get) const {
    return read(get, steady_clock::now());
  }

  /// The priority and the level of service alone, into `in`.
  template <header_getter Get>
  void read_context(Get&& get, inherited& in) const {
    const context_headers& names = options_.context;
    if (!names.priority.empty()) {
      if (const auto& found = get(names.priority)) {
        const auto priority = parse_priority(std::string_view(*found));
        if (priority)
          in.priority = std::min(*priority, names.priority_max);
        else
          refuse(in, names.priority, std::string_view(*found),
                 "must be a whole number from -2147483648 to 2147483647");
      }
    }
    if (!names.degradation.empty()) {
      if (const auto& found = get(names.degradation)) {
        const auto level = parse_level(std::string_view(*found));
        if (level)
          in.degradation = *level;
        else
          refuse(in, names.degradation, std::string_view(*found), "must be a whole number from 0 to 15");
      }
    }
  }

  // For protocols whose library reads and writes deadlines by itself, such as gRPC's.

  /// What the callee may have of the time left; not positive if nothing remains. `infinite()` stays what it
  /// is.
  duration after_margin(duration left) const noexcept {
    if (left == duration::infinite()) return left;
    const double share = static_cast<double>(left.ns()) * options_.share;
    return left - options_.margin - duration::from_ns(detail::saturating_from_double(share));
  }
  /// The deadline of a call that arrived at `now` with so much time left. Not after `now` if the margin takes
  /// it all: a pipeline then rejects the call without an attempt.
  instant deadline_in(duration left, instant now) const noexcept {
    const duration rest = after_margin(left);
    return rest == duration::infinite() ? instant::never() : now + rest;
  }

  const propagation_options& options() const noexcept { return options_; }

 private:
  template <class Set>
  propagated write_all(const attempt& a, duration left, Set& set) const {
    const propagated p = write(left, set);
    if (p != propagated::expired) write_context(a, set);
    return p;
  }
  static void refuse(inherited& in, std::string_view name, std::string_view text, std::string_view range) {
    if (in.ok()) in.error = option_error{std::string(name), detail::quoted(text), std::string(range)};
  }

  propagation_options options_;
};

/// What an operation returns when `write` says `expired`, by way of `outcome_traits<R>::reject`: the
/// dependency was not asked, so it says nothing about it, and is not tried again.
inline rejection no_time_left(const attempt& a) noexcept {
  return {.policy = "deadline",
          .why = a.number() == 1 ? reason::deadline_expired : reason::deadline_exceeded,
          .detail = "less its margin",
          .attempts = a.number() - 1,
          .elapsed = a.started() - a.context().started()};
}

}  // namespace seawall

#endif  // SEAWALL_PROPAGATION_HPP
