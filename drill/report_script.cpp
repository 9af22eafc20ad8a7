// SPDX-License-Identifier: Apache-2.0
#include "report_page.hpp"

namespace drill {

std::string_view report_script() {
  return R"js('use strict';
const data = JSON.parse(document.getElementById('data').textContent);
const runs = [data.bare, data.seawall];
const dependencies = Object.keys(data.seawall.total.attempts_per_s);
const end = data.seawall.total.end_s;
const tip = document.getElementById('tip');

// Text.

const percent = (part, whole) => whole ? (100 * part / whole).toFixed(1) + '%' : '-';
const availability = f => f.offered ? (f.full + f.degraded) / f.offered : null;
const ms = v => v === null ? '-' : v < 1000 ? v.toFixed(0) + ' ms' : (v / 1000).toFixed(2) + ' s';
const latency = (f, name) => f.has_latency ? f[name] : null;

// Elements.

function html(tag, attributes, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  e.append(...children);
  return e;
}
function svg(tag, attributes, text) {
  const e = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  if (text !== undefined) e.textContent = text;
  return e;
}
const place = id => document.getElementById(id);

function legend(host, entries) {
  const row = html('div', {class: 'legend'});
  for (const [label, colour, kind] of entries) {
    const mark = html('i', {class: kind || ''});
    mark.style[kind ? 'borderColor' : 'background'] = `var(--${colour})`;
    row.append(html('span', {}, mark, label));
  }
  host.append(row);
}

// A chart: time to the right, a scale upwards, the acts behind.

const width = 1072, left = 52, right = 8;
const x = t => left + (width - left - right) * t / end;
const middle = f => (f.begin_s + f.end_s) / 2;

class Chart {
  constructor(host, {height, scale, ticks, format, named, band = 0}) {
    this.top = named ? 34 : 8;
    this.bottom = this.top + height;
    this.scale = scale;
    const all = this.bottom + band + 22;
    this.root = svg('svg', {viewBox: `0 0 ${width} ${all}`, role: 'img'});
    this.shade(named);
    for (const v of ticks) this.rule(v, format(v));
    for (let t = 0; t <= end; t += end > 25 ? 5 : 1) {
      this.add('text', {x: x(t), y: all - 4, 'text-anchor': 'middle'}, t + ' s');
    }
    this.cursor = svg('line', {class: 'cursor', y1: this.top, y2: this.bottom + band});
    host.append(this.root);
  }
  add(tag, attributes, text) { this.root.append(svg(tag, attributes, text)); }
  y(v) { return this.bottom - (this.bottom - this.top) * Math.min(1, Math.max(0, this.scale(v))); }

  shade(named) {
    for (const a of data.seawall.acts) {
      const {begin_s, end_s} = a.figures;
      const w = x(end_s) - x(begin_s);
      const box = {x: x(begin_s), y: this.top, width: w, height: this.bottom - this.top};
      if (a.trouble) this.add('rect', {class: 'shade', ...box});
      this.add('line', {class: 'change', x1: x(begin_s), x2: x(begin_s), y1: this.top, y2: this.bottom});
      if (!named) continue;
      const [first, ...rest] = a.title.split(' ');
      const middle = x(begin_s) + w / 2;
      this.add('text', {class: 'act', x: middle, y: 13, 'text-anchor': 'middle'}, first);
      this.add('text', {class: 'act', x: middle, y: 26, 'text-anchor': 'middle'}, rest.join(' '));
    }
  }
  rule(v, label) {
    this.add('line', {class: 'grid', x1: left, x2: width - right, y1: this.y(v), y2: this.y(v)});
    this.add('text', {x: left - 6, y: this.y(v) + 4, 'text-anchor': 'end'}, label);
  }
  limit(v, label) {
    this.add('line', {class: 'limit', x1: left, x2: width - right, y1: this.y(v), y2: this.y(v)});
    this.add('text', {x: width - right - 4, y: this.y(v) - 4, 'text-anchor': 'end'}, label);
  }
  // Level within a step: no slope pretends to know what happened in between.
  line(series, value, colour, thin) {
    let path = '', pen = 'M';
    for (const f of series) {
      const v = value(f);
      if (v === null) { pen = 'M'; continue; }
      path += `${pen}${x(f.begin_s).toFixed(1)} ${this.y(v).toFixed(1)}H${x(f.end_s).toFixed(1)}`;
      pen = 'L';
    }
    this.add('path', {class: 'line' + (thin ? ' thin' : ''), d: path, stroke: `var(--${colour})`});
  }
  // What lies between two heights.
  area(series, from, to, colour) {
    let path = '';
    for (const f of series) {
      if (to(f) <= from(f)) continue;
      path += `M${x(f.begin_s).toFixed(1)} ${this.y(from(f)).toFixed(1)}V${this.y(to(f)).toFixed(1)}` +
              `H${x(f.end_s).toFixed(1)}V${this.y(from(f)).toFixed(1)}Z`;
    }
    this.add('path', {d: path, fill: `var(--${colour})`});
  }
  bands(list) {
    for (const b of list) {
      if (b.state === 'none') continue;
      const w = Math.max(0.5, x(b.end_s) - x(b.begin_s));
      this.add('rect', {x: x(b.begin_s), y: this.bottom + 3, width: w, height: 9, fill: `var(--${b.state})`});
    }
  }
  // `lines` gives the text for the step at index i.
  hover(lines) {
    this.root.append(this.cursor);
    const steps = data.seawall.series;
    this.root.addEventListener('mousemove', e => {
      const box = this.root.getBoundingClientRect();
      const t = ((e.clientX - box.left) * width / box.width - left) / (width - left - right) * end;
      const i = steps.findIndex(f => f.begin_s <= t && t < f.end_s);
      if (i < 0) return this.leave();
      for (const k of ['x1', 'x2']) this.cursor.setAttribute(k, x(middle(steps[i])));
      this.cursor.style.visibility = 'visible';
      tip.textContent = `${steps[i].begin_s.toFixed(2)} s\n` + lines(i);
      tip.style.display = 'block';
      tip.style.left = Math.min(e.clientX + 14, innerWidth - tip.offsetWidth - 8) + 'px';
      tip.style.top = e.clientY + 14 + 'px';
    });
    this.root.addEventListener('mouseleave', () => this.leave());
  }
  leave() {
    this.cursor.style.visibility = 'hidden';
    tip.style.display = 'none';
  }
}

const at = (run, i) => run.series[Math.min(i, run.series.length - 1)];
const forBoth = text => i => runs.map(r => r.name.padEnd(9) + text(at(r, i))).join('\n');

// The page, from top to bottom.

function drawHead() {
  const failed = data.criteria.filter(c => !c.met).length;
  place('what').append(
      `${data.rate_per_s} checkouts per second, ${end.toFixed(0)} s for each run, seed ${data.seed}. `,
      html('span', {class: failed ? 'fail' : 'pass'},
           failed ? `${failed} of ${data.criteria.length} criteria are not met.` : 'All criteria are met.'));
  const line = (r, text) => html('div', {class: 'is-' + r.name}, r.name, html('b', {}, text));
  const tile = (title, text) =>
      html('div', {class: 'tile'}, html('h3', {}, title), ...runs.map(r => line(r, text(r))));
  place('tiles').append(
      tile('checkouts answered', r => percent(r.total.full + r.total.degraded, r.total.offered)),
      tile('p99 of the wait', r => ms(r.total.p99_ms)),
      tile('answered at four times the load', r => r.overload
          ? percent(r.overload.checkout.full + r.overload.checkout.degraded, r.overload.checkout.offered) : '-'),
      tile('charged without an order', r => String(r.payments.charged_without_order)),
      tile('double charges', r => String(r.payments.double_charges)));
}

function drawAvailability() {
  const host = place('availability');
  legend(host, [['bare', 'bare', 'line'], ['seawall', 'seawall', 'line']]);
  const c = new Chart(host, {height: 190, scale: v => v, ticks: [0, .25, .5, .75, 1],
                             format: v => 100 * v + '%', named: true});
  for (const r of runs) c.line(r.series, availability, r.name);
  c.hover(forBoth(f => percent(f.full + f.degraded, f.offered)));
}

function drawOutcomes() {
  const host = place('outcomes');
  legend(host, [['full answer', 'seawall'], ['degraded answer', 'degraded'], ['error page', 'error'],
                ['no answer', 'silence'], ['turned away on purpose', 'half-open']]);
  const top = Math.ceil(data.rate_per_s * 1.15 / 25) * 25;
  const rate = (...names) => f => names.reduce((sum, n) => sum + f[n], 0) / (f.end_s - f.begin_s);
  for (const r of runs) {
    host.append(html('div', {class: 'note is-' + r.name}, r.name));
    const c = new Chart(host, {height: 105, scale: v => v / top, ticks: [0, data.rate_per_s],
                               format: v => v + '/s'});
    const heights = [() => 0, rate('full'), rate('full', 'degraded'), rate('full', 'degraded', 'errors'),
                     rate('full', 'degraded', 'errors', 'unanswered'),
                     rate('full', 'degraded', 'errors', 'unanswered', 'turned_away')];
    ['seawall', 'degraded', 'error', 'silence', 'half-open'].forEach(
        (colour, i) => c.area(r.series, heights[i], heights[i + 1], colour));
    c.hover(i => {
      const f = at(r, i);
      return [`full       ${f.full}`, `degraded   ${f.degraded}`, `error page ${f.errors}`,
              `no answer  ${f.unanswered}`, `turned away ${f.turned_away}`].join('\n');
    });
  }
}

function drawLatency() {
  const host = place('latency');
  legend(host, [['bare p99', 'bare', 'line'], ['bare p50', 'bare', 'dashed'],
                ['seawall p99', 'seawall', 'line'], ['seawall p50', 'seawall', 'dashed']]);
  const c = new Chart(host, {height: 200, scale: v => Math.log10(v / 10) / Math.log10(300),
                             ticks: [10, 30, 100, 300, 1000], format: v => v + ' ms'});
  c.limit(data.deadline_ms, "deadline of seawall's checkout");
  c.limit(data.patience_ms, 'patience of the customers');
  for (const r of runs) {
    c.line(r.series, f => latency(f, 'p50_ms'), r.name, true);
    c.line(r.series, f => latency(f, 'p99_ms'), r.name);
  }
  c.hover(forBoth(f => `p50 ${ms(latency(f, 'p50_ms'))}  p99 ${ms(latency(f, 'p99_ms'))}`));
}

function drawAttempts() {
  const host = place('attempts');
  legend(host, [['bare', 'bare', 'line'], ['seawall', 'seawall', 'line'], ['breaker closed', 'closed'],
                ['half-open', 'half-open'], ['open', 'open']]);
  const steps = runs.flatMap(r => r.series);
  const peak = Math.max(data.rate_per_s, ...steps.flatMap(f => Object.values(f.attempts_per_s)));
  const top = Math.ceil(peak * 1.1 / 50) * 50;
  for (const d of dependencies) {
    host.append(html('div', {class: 'note'}, d));
    const c = new Chart(host, {height: 110, scale: v => Math.sqrt(v / top),
                               ticks: [0, Math.round(data.rate_per_s / 40) * 10, data.rate_per_s, top],
                               format: v => v + '/s', band: 14});
    for (const r of runs) c.line(r.series, f => f.attempts_per_s[d], r.name);
    c.bands(data.seawall.breakers[d]);
    c.hover(forBoth(f => f.attempts_per_s[d].toFixed(1) + '/s'));
  }
}

const shareOf = (f, count) => f.offered ? count(f) / f.offered : 0;

// One bar for each run, divided by `parts`: [label, colour, share of it in the run's `figures`].
function bars(host, title, parts, figures) {
  host.append(html('div', {class: 'note'}, title));
  legend(host, parts.map(([label, colour]) => [label, colour]));
  const left = 80, line = 26;
  const root = svg('svg', {viewBox: `0 0 ${width} ${line * runs.length}`, role: 'img'});
  runs.forEach((r, i) => {
    const y = i * line;
    root.append(svg('text', {class: 'is-' + r.name, x: 0, y: y + 14}, r.name));
    let from = left;
    for (const [label, colour, value] of parts) {
      const share = Math.max(0, value(figures(r))), w = (width - left) * share;
      root.append(svg('rect', {x: from, y, width: w, height: line - 6, fill: `var(--${colour})`}));
      if (w > 45) root.append(svg('text', {class: 'in', x: from + 6, y: y + 14}, percent(share, 1)));
      from += w;
    }
  });
  host.append(root);
}

function drawRecommendations() {
  const host = place('recommendations'), s = data.seawall.recommendations;
  if (!s) return host.append('There was no such act.');
  const missing = s.stale + s.none;
  host.append(html('p', {class: 'note'},
      `${s.act}: ${missing} could not be had. With seawall ${s.stale} of them (${percent(s.stale, missing)}) came ` +
      `from the cache, too old and better than none, and ${s.none} were bestsellers. In the whole run ` +
      `${s.fresh_in_all} came from the cache while they were fresh, ${s.stale_in_all} too old, and ${s.none_in_all} ` +
      `were bestsellers; ${s.told_in_all} customers were told.`));
}

function drawOverload() {
  const host = place('overload');
  if (!runs.every(r => r.overload)) return host.append('There was no such act.');
  const {checkout, browsing, offered_share} = data.seawall.overload;
  const rate = f => (f.offered / (f.end_s - f.begin_s)).toFixed(0);
  host.append(html('p', {class: 'note'},
      `${data.render_workers} workers render the pages of either storefront: ${data.checkout_page_ms} ms for a ` +
      `checkout's, ${data.product_page_ms} ms for a product's. ${rate(checkout)} checkouts and ${rate(browsing)} ` +
      `product pages a second ask for ${offered_share.toFixed(1)} times the time that the workers have.`));
  const of = (visitors, count) => o => shareOf(o[visitors], count);
  const overload = r => r.overload;
  bars(host, 'Checkouts', [
      ['answered', 'seawall', of('checkout', f => f.full + f.degraded)],
      ['error page', 'error', of('checkout', f => f.errors)],
      ['no answer', 'silence', of('checkout', f => f.unanswered)]], overload);
  bars(host, 'Product pages', [
      ['answered', 'seawall', of('browsing', f => f.full + f.degraded)],
      ['refused, told when to come back', 'half-open', of('browsing', f => f.refused)],
      ['error page', 'error', of('browsing', f => f.errors - f.refused)],
      ['no answer', 'silence', of('browsing', f => f.unanswered)]], overload);
  bars(host, "The workers' time", [
      ['for pages that reached somebody who still waited', 'seawall', o => o.served_share],
      ['for nobody', 'error', o => o.rendered_share - o.served_share],
      ['idle', 'closed', o => 1 - Math.max(o.served_share, o.rendered_share)]], overload);
  const told = runs.map(r => `${r.name} ${ms(r.overload.browsing.p99_of_failed_ms)}`).join(', ');
  host.append(html('p', {class: 'note'}, `Until a visitor who gets no product page knows it, p99: ${told}.`));
}

function drawChaos() {
  const host = place('chaos');
  if (!runs.every(r => r.chaos)) return host.append('There was no such act.');
  const counts = runs.map(({name, chaos: c}) => `${name} ${c.calls} calls, of which ${c.failures} failed on purpose, ` +
      `${c.delays} were held up, ${c.hangs} hung and ${c.wrong_answers} got a wrong answer`).join('; ');
  host.append(html('p', {class: 'note'},
      `The same chaos in both storefronts, where they call inventory and recommendations: ${counts}. A wrong ` +
      `answer looks right: it counts as an answer in both.`));
  bars(host, 'Checkouts', [
      ['answered', 'seawall', f => shareOf(f, g => g.full)],
      ['degraded', 'degraded', f => shareOf(f, g => g.degraded)],
      ['error page', 'error', f => shareOf(f, g => g.errors)],
      ['no answer', 'silence', f => shareOf(f, g => g.unanswered)]], r => r.chaos.checkout);
}

function drawReadOnly() {
  const host = place('read-only');
  if (!runs.every(r => r.read_only)) return host.append('There was no such act.');
  const m = data.seawall.read_only;
  const levels = data.seawall.levels.map(l => `${l.state} until ${l.end_s.toFixed(1)} s`).join(', ');
  host.append(html('p', {class: 'note'},
      `With seawall, ${m.turned_away} of ${m.came} checkouts in the midst of the act were turned away and ` +
      `told when to come back, p99 ${ms(m.p99_ms)}; ${m.charged} of them were charged. The bare storefront ` +
      `has no such mode: to it the act is a calm one. Level of service: ${levels}.`));
  const of = (visitors, count) => mode => {
    const f = mode[visitors], all = f.offered + f.turned_away;
    return all ? count(f) / all : 0;
  };
  const readOnly = r => r.read_only;
  bars(host, 'Checkouts', [
      ['answered', 'seawall', of('checkout', f => f.full + f.degraded)],
      ['turned away, told when to come back', 'half-open', of('checkout', f => f.turned_away)],
      ['error page', 'error', of('checkout', f => f.errors)],
      ['no answer', 'silence', of('checkout', f => f.unanswered)]], readOnly);
  bars(host, 'Product pages', [
      ['answered', 'seawall', of('browsing', f => f.full + f.degraded)],
      ['refused or turned away', 'half-open', of('browsing', f => f.refused + f.turned_away)],
      ['error page', 'error', of('browsing', f => f.errors - f.refused)],
      ['no answer', 'silence', of('browsing', f => f.unanswered)]], readOnly);
}

function table(host, heads, rows) {
  const cell = (tag, c) =>
      Array.isArray(c) ? html(tag, {class: c[1], colspan: c[2] || 1}, c[0]) : html(tag, {}, c);
  const t = html('table', {}, ...heads.map(head => html('tr', {}, ...head.map(c => cell('th', c)))));
  for (const {cells, kind = ''} of rows) {
    t.append(html('tr', {class: kind}, ...cells.map(c => cell('td', c))));
  }
  host.append(t);
}

function drawActs() {
  const names = ['answered', 'degraded', 'p50', 'p99', 'max', 'attempts/s'];
  const columns = (f, victim) => [
      [percent(f.full + f.degraded, f.offered), 'first'], percent(f.degraded, f.offered),
      ...['p50_ms', 'p99_ms', 'max_ms'].map(n => ms(latency(f, n))),
      victim ? f.attempts_per_s[victim].toFixed(1) : ''];
  const rows = data.seawall.acts.map((a, i) => ({cells: [
      a.title, ...runs.flatMap(r => columns(r.acts[i].figures, a.victim))]}));
  rows.push({cells: ['in all', ...runs.flatMap(r => columns(r.total, ''))], kind: 'sum'});
  table(place('acts'), [['', ...runs.map(r => [r.name, 'first group is-' + r.name, names.length])],
                        ['', ...runs.flatMap(() => names.map((n, i) => i ? n : [n, 'first']))]], rows);
  place('acts').append(html('p', {class: 'note'}, 'attempts/s: sent to the dependency in trouble.'));
}

function drawCriteria() {
  table(place('criteria'), [[['', 'text'], ['', 'text'], ['required', 'text'], ['measured', 'text']]],
        data.criteria.map(c => ({cells: [[c.met ? 'PASS' : 'FAIL', 'text ' + (c.met ? 'pass' : 'fail')],
                                         [c.what, 'text'], [c.required, 'text'], [c.measured, 'text']]})));
}

drawHead();
drawAvailability();
drawOutcomes();
drawLatency();
drawAttempts();
drawRecommendations();
drawOverload();
drawChaos();
drawReadOnly();
drawActs();
drawCriteria();
)js";
}

}  // namespace drill
