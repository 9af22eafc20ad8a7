// SPDX-License-Identifier: Apache-2.0
#include "terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "analysis.hpp"
#include "report_text.hpp"
#include <fmt/format.h>

namespace drill {
namespace {

using std::chrono::microseconds;

double seconds(microseconds d) { return std::chrono::duration<double>(d).count(); }

using figures_in_span = figures (*)(const run_record&, time_span);

figures last_second(const run_record& r, figures_in_span figures_in = figures_ended_within) {
  const microseconds end = std::max(r.whole().end, microseconds(1'000'000));
  return figures_in(r, {end - microseconds(1'000'000), end});
}

std::string percent(const figures& f, double share) {
  return f.offered == 0 ? "-" : fmt::format("{:.1f}%", 100 * share);
}

std::string browsing_text(const figures& f) {
  const auto share = [&](std::uint64_t count) {
    return percent(f, static_cast<double>(count) / static_cast<double>(f.offered));
  };
  return fmt::format("{} answered, {} refused, {} waited in vain", share(f.full), share(f.refused),
                     share(f.unanswered));
}

std::string progress_bar(double done) {
  constexpr std::size_t width = 30;
  const auto filled = static_cast<std::size_t>(std::clamp(done, 0.0, 1.0) * width);
  return fmt::format("[{}{}]", std::string(filled, '#'), std::string(width - filled, '.'));
}

std::string headline(const run_record& r, microseconds planned_length) {
  const double at = seconds(r.whole().end);
  const double length = seconds(planned_length);
  return fmt::format("seawall drill, run {} of 2: {:<8} {} {:3.0f} of {:.0f} s\n",
                     r.kind == shop_kind::bare ? 1 : 2, name_of(r.kind), progress_bar(at / length), at,
                     length);
}

std::string level_text(const run_record& r) {
  const level_view level = r.shop.empty() ? level_view::absent : r.shop.back().stats.service.level;
  return level == level_view::absent ? "" : fmt::format("   level of service: {}", name_of(level));
}

std::string dependency_lines(const run_record& r, const figures& latest) {
  std::string text = fmt::format("  {:<16} {:<10} {:>10}{}\n", "", "breaker", "attempts/s", level_text(r));
  for (const dependency d : all_dependencies) {
    const breaker_view breaker = r.shop.empty() ? breaker_view::absent : r.shop.back().stats.of[d].breaker;
    text +=
        fmt::format("  {:<16} {:<10} {:>10.0f}\n", name_of(d), name_of(breaker), latest.attempts_per_s[d]);
  }
  return text;
}

std::string checkout_lines(const run_record& r, const figures& latest) {
  const figures total = figures_within(r, r.whole());
  const std::uint64_t pending = r.shop.empty() ? 0 : r.shop.back().stats.payments_in_queue;
  return fmt::format("  last second: {} answered, {} degraded, p50 {}, p99 {}\n",
                     percent(latest, latest.availability()), percent(latest, latest.degraded_share()),
                     latency_text(latest, latest.p50), latency_text(latest, latest.p99)) +
         fmt::format("  so far:      {} of {} checkouts answered, {} degraded; {} payments pending\n",
                     percent(total, total.availability()), total.offered,
                     percent(total, total.degraded_share()), pending);
}

std::string browsing_line(const run_record& r) {
  const figures latest = last_second(r, browsing_ended_within);
  return latest.offered == 0 ? "  browsing:    nobody\n"
                             : fmt::format("  browsing:    {}\n", browsing_text(latest));
}

std::string act_line(std::size_t number, const run_record& r, const run_record* bare) {
  const auto share = [number](const run_record& of) -> std::string {
    if (number >= of.acts.size()) return "";
    const figures f = figures_within(of, of.acts[number].when);
    return percent(f, f.availability());
  };
  const bool done = number < r.acts.size();
  const std::string& title = done ? r.acts[number].what.title : bare->acts[number].what.title;
  return fmt::format("  {} {:<26} {:>8} {:>8}\n", number + 1 == r.acts.size() ? '>' : ' ', title,
                     share(bare != nullptr ? *bare : r), bare != nullptr ? share(r) : "");
}

class plain_view final : public drill_view {
 public:
  void keep_for_comparison(const run_record&) override { next_line_at_ = microseconds(0); }

  void look(const run_record& so_far, microseconds) override {
    if (so_far.whole().end < next_line_at_) return;
    next_line_at_ = so_far.whole().end + microseconds(1'000'000);
    fmt::print("{}\n", progress_line(so_far));
    std::fflush(stdout);
  }

 private:
  microseconds next_line_at_{0};
};

class live_view final : public drill_view {
 public:
  live_view() { write("\x1b[?25l"); }  // hides the cursor
  ~live_view() override { write("\x1b[?25h"); }

  void keep_for_comparison(const run_record& bare) override { bare_ = std::make_unique<run_record>(bare); }

  void look(const run_record& so_far, microseconds planned_length) override {
    const std::string table = live_table(so_far, bare_.get(), planned_length);
    std::string drawing = lines_ > 0 ? fmt::format("\x1b[{}A", lines_) : "";
    for (const char c : table) {
      if (c == '\n') drawing += "\x1b[K";  // what an earlier, longer line has left
      drawing += c;
    }
    lines_ = std::count(table.begin(), table.end(), '\n');
    write(drawing + "\x1b[J");
  }

 private:
  static void write(const std::string& text) {
    std::fputs(text.c_str(), stdout);
    std::fflush(stdout);
  }

  std::unique_ptr<run_record> bare_;
  std::ptrdiff_t lines_ = 0;
};

bool terminal_fits() {
  winsize size{};
  if (::isatty(STDOUT_FILENO) == 0 || ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return false;
  return size.ws_col >= 80 && size.ws_row >= 24;
}

}  // namespace

std::string live_table(const run_record& so_far, const run_record* bare, microseconds planned_length) {
  const figures latest = last_second(so_far);
  std::string text =
      headline(so_far, planned_length) + dependency_lines(so_far, latest) + checkout_lines(so_far, latest) +
      browsing_line(so_far) +
      fmt::format("    {:<26} {:>8} {:>8}\n", "checkouts answered", "bare", bare ? "seawall" : "");
  const std::size_t acts = std::max(so_far.acts.size(), bare != nullptr ? bare->acts.size() : 0);
  for (std::size_t i = 0; i < acts; ++i) text += act_line(i, so_far, bare);
  return text;
}

std::string progress_line(const run_record& so_far) {
  const figures latest = last_second(so_far);
  std::string line = fmt::format(
      "{:<8} {:>3.0f} s  {:<22} answered {:>6}  degraded {:>6}  p50 {:>6}  p99 {:>6}", name_of(so_far.kind),
      seconds(so_far.whole().end), so_far.acts.empty() ? "" : so_far.acts.back().what.title,
      percent(latest, latest.availability()), percent(latest, latest.degraded_share()),
      latency_text(latest, latest.p50), latency_text(latest, latest.p99));
  if (const figures browsing = last_second(so_far, browsing_ended_within); browsing.offered > 0) {
    line += "  browsing " + browsing_text(browsing);
  }
  if (so_far.kind == shop_kind::bare || so_far.shop.empty()) return line;
  for (const dependency d : all_dependencies) {
    const breaker_view breaker = so_far.shop.back().stats.of[d].breaker;
    if (breaker != breaker_view::closed) line += fmt::format("  {} {}", name_of(d), name_of(breaker));
  }
  const level_view level = so_far.shop.back().stats.service.level;
  if (level != level_view::full) line += fmt::format("  level {}", name_of(level));
  return line;
}

std::unique_ptr<drill_view> make_view(bool live) {
  if (live && terminal_fits()) return std::make_unique<live_view>();
  return std::make_unique<plain_view>();
}

}  // namespace drill
