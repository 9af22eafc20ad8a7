// SPDX-License-Identifier: Apache-2.0
#include "judge.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>

namespace drill::election {
namespace {

using seawall::duration;
using seawall::instant;

struct history {
  std::optional<instant> first, last;
  instant until = {};
  std::optional<instant> ended;
};
using histories = std::map<std::pair<std::uint64_t, node>, history>;

histories collect(const std::vector<record>& log) {
  histories all;
  for (const record& r : log) {
    if (r.what == record::kind::wrote) continue;
    history& h = all[{r.token, r.from}];
    if (r.what == record::kind::ended) {
      h.ended = h.ended ? std::min(*h.ended, r.at) : r.at;
      continue;
    }
    h.until = h.first ? std::max(h.until, r.until) : r.until;
    h.first = h.first ? std::min(*h.first, r.at) : r.at;
    h.last = h.last ? std::max(*h.last, r.at) : r.at;
  }
  return all;
}

std::string name(const lease& l) { return fmt::format("node {} with token {}", l.holder + 1, l.token); }

double ms(duration d) { return static_cast<double>(d.ns()) * 1e-6; }

void check_tokens(verdict& v) {
  for (std::size_t i = 1; i < v.leases.size(); ++i) {
    const lease &a = v.leases[i - 1], &b = v.leases[i];
    if (b.token <= a.token) v.wrong_tokens.push_back(fmt::format("{} came after {}", name(b), name(a)));
  }
}

/// Against whichever lease ends last of those that began before: no other one can reach further.
void check_overlaps(verdict& v) {
  const lease* furthest = nullptr;
  for (const lease& l : v.leases) {
    if (furthest != nullptr && furthest->holder != l.holder) {
      const duration gap = l.from - furthest->until;
      if (gap < duration::zero())
        v.overlaps.push_back(
            fmt::format("{} began {:.3f} ms before the end of {}", name(l), -ms(gap), name(*furthest)));
      v.least_gap = v.least_gap ? std::min(*v.least_gap, gap) : gap;
    }
    if (furthest == nullptr || furthest->until < l.until) furthest = &l;
  }
}

}  // namespace

verdict judge(const std::vector<record>& log) {
  verdict v;
  for (const auto& [key, h] : collect(log)) {
    if (!h.first) continue;
    const lease l{.holder = key.second,
                  .token = key.first,
                  .from = *h.first,
                  .until = h.ended ? std::min(h.until, *h.ended) : h.until};
    if (h.ended && *h.ended < *h.last)
      v.wrong_tokens.push_back(fmt::format("{} was valid again after its end", name(l)));
    v.leases.push_back(l);
  }
  std::stable_sort(v.leases.begin(), v.leases.end(),
                   [](const lease& a, const lease& b) { return a.from < b.from; });
  check_tokens(v);
  check_overlaps(v);
  return v;
}

}  // namespace drill::election
