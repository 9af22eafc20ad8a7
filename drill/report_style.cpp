// SPDX-License-Identifier: Apache-2.0
#include "report_page.hpp"

namespace drill {

std::string_view report_style() {
  return R"css(
:root {
  --page: #ffffff; --card: #f6f7f9; --ink: #1b2330; --soft: #5d6878; --rule: #d9dee5; --grid: #e7eaef;
  --bare: #cf5a1c; --seawall: #0b7285; --degraded: #7cc4d1; --error: #d94a4a; --silence: #8b93a0;
  --shade: #f3e3d3; --closed: #cfe8d5; --half-open: #f2b632; --open: #c92a2a; --good: #2b8a3e; --bad: #c92a2a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12161c; --card: #1b212a; --ink: #e6eaf0; --soft: #98a3b3; --rule: #333c49; --grid: #252c36;
    --bare: #ff9357; --seawall: #45c4d8; --degraded: #2c7482; --error: #e0605f; --silence: #6b7482;
    --shade: #2b2520; --closed: #23452d; --half-open: #d9a021; --open: #e05252; --good: #5fc877; --bad: #ff7b7b;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 4px; }
h2 { font-size: 17px; margin: 36px 0 2px; }
p { margin: 0 0 12px; max-width: 78ch; }
.soft, .note { color: var(--soft); }
.note { font-size: 13px; margin-bottom: 6px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 12px; margin: 24px 0 8px; }
.tile { background: var(--card); border-radius: 8px; padding: 12px 16px; }
.tile h3 { margin: 0 0 6px; font-size: 13px; font-weight: 500; color: var(--soft); }
.tile div { display: flex; justify-content: space-between; align-items: baseline; }
.tile b { font-size: 21px; font-variant-numeric: tabular-nums; }
.is-bare, th.is-bare { color: var(--bare); }
.is-seawall, th.is-seawall { color: var(--seawall); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; font-size: 13px; color: var(--soft); margin: 2px 0 4px; }
.legend i { display: inline-block; width: 18px; height: 10px; margin-right: 6px; border-radius: 2px; }
.legend i.line { height: 0; border-top: 3px solid; margin-bottom: 3px; border-radius: 0; }
.legend i.dashed { height: 0; border-top: 3px dotted; margin-bottom: 3px; border-radius: 0; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { font: 11px system-ui, sans-serif; fill: var(--soft); }
svg .act, svg .in { fill: var(--ink); }
svg .is-bare { fill: var(--bare); }
svg .is-seawall { fill: var(--seawall); }
svg .shade { fill: var(--shade); }
svg .grid { stroke: var(--grid); }
svg .change { stroke: var(--rule); }
svg .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
svg .thin { stroke-width: 1.6; stroke-dasharray: 2 3; }
svg .limit { stroke: var(--soft); stroke-dasharray: 6 4; }
svg .cursor { stroke: var(--soft); visibility: hidden; }
#tip { position: fixed; z-index: 1; display: none; pointer-events: none; background: var(--card); color: var(--ink);
  border: 1px solid var(--rule); border-radius: 6px; padding: 6px 10px; font-size: 12.5px; white-space: pre;
  font-variant-numeric: tabular-nums; box-shadow: 0 2px 8px rgb(0 0 0 / 20%); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums; margin-top: 8px; }
th, td { text-align: right; padding: 4px 7px; border-bottom: 1px solid var(--grid); white-space: nowrap; }
th { color: var(--soft); font-weight: 500; }
th.group { text-align: center; }
th:first-child, td:first-child, td.text, th.text { text-align: left; }
td.text { white-space: normal; }
td.first, th.first { border-left: 2px solid var(--rule); }
tr.sum td { border-top: 2px solid var(--rule); font-weight: 600; }
.pass, .fail { font-weight: 700; }
.pass { color: var(--good); }
.fail { color: var(--bad); }
)css";
}

}  // namespace drill
