// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Draws the charts of the page and answers "why?".
//
// For: what needs the reader's hand (zoom, a frame's answer) or pixels. Tables, figures and
// sentences are decided in Python; here templates only get their values.
// Not for: reading traces. All text goes in as text, never as HTML.
'use strict';

const page = document.documentElement;
// What the page knows of itself; the tests read it.
page.dataset.errors = 0;
for (const kind of ['error', 'unhandledrejection', 'securitypolicyviolation'])
  window.addEventListener(kind, () => { page.dataset.errors = Number(page.dataset.errors) + 1; });

const data = JSON.parse(document.getElementById('data').textContent);
const OUTCOMES = data.outcomes.map(([name]) => name);
const DROPPED = OUTCOMES.indexOf('dropped');
const LEFT_AXIS = 62;
const charts = [];
const state = { mode: 'latency', min: 0, max: 1, asked: null };

// ---- Data ------------------------------------------------------------------------------------

function sums(steps, scale = 1) {
  let at = 0;
  return steps.map(step => (at += step) * scale);
}

function readElement(element, run) {
  element.run = run;
  element.sequence = sums(element.sequence);
  element.time = sums(element.time, 1e-6);
  element.latency = element.latency.map(us => us / 1000);
  element.budget = element.budget === null ? 0 : element.budget / 1000;
  element.had = element.had.map(us => us === null ? null : us / 1000);
  element.margin = element.latency.map((ms, i) =>
    element.had[i] === null ? null : element.had[i] - ms);
  element.isLate = new Uint8Array(element.time.length);
  for (const i of element.late) element.isLate[i] = 1;
  element.place = new Map(element.sequence.map((number, i) => [number, i]));
  for (const worker of element.workers) {
    worker.start = sums(worker.start, 1e-6);
    worker.duration = worker.duration.map(us => us * 1e-6);
    worker.sequence = sums(worker.sequence);
  }
}

data.runs.forEach((run, number) => {
  run.load.time = sums(run.load.time, 1e-6);
  run.elements.forEach(element => readElement(element, number));
});
const span = Math.max(...data.runs.map(run => run.span)) * 1e-6;
state.max = span;

function elementAt(place) {
  const [run, element] = place.split('.').map(Number);
  return data.runs[run].elements[element];
}

// ---- Colours ---------------------------------------------------------------------------------

let colours = {};
function readColours() {
  const style = getComputedStyle(page);
  for (const name of [...OUTCOMES, 'late', 'load', 'ink', 'soft', 'line', 'page'])
    colours[name] = style.getPropertyValue('--' + name).trim();
}
readColours();

const colourOf = (element, i) =>
  element.isLate[i] ? colours.late : colours[OUTCOMES[element.outcome[i]]];

// ---- What the charts share -------------------------------------------------------------------

const FONT = '11px system-ui, "DejaVu Sans", sans-serif';
const ratio = () => window.devicePixelRatio || 1;

function axis(more) {
  return {
    stroke: () => colours.soft, font: FONT, ticks: { show: false },
    grid: { stroke: () => colours.line, width: 1 }, gap: 6, ...more,
  };
}

function timeAxis() {
  return axis({ size: 26, grid: { show: false }, space: 60,
                values: (u, ticks) => ticks.map(tick => +tick.toFixed(3) + ' s') });
}

function baseOptions(holder, height) {
  return {
    width: Math.max(200, holder.clientWidth), height, legend: { show: false },
    padding: [8, 20, 0, 0],
    cursor: { points: { show: false }, y: false,
              drag: { x: true, y: false, setScale: false, dist: 5 } },
  };
}

function timeOptions(holder, height, element) {
  const options = baseOptions(holder, height);
  options.cursor.sync = { key: 'run' + element.run, setSeries: false, scales: ['x', null],
                          filters: { pub: type => type === 'mousemove' || type === 'mouseleave' } };
  options.cursor.bind = { dblclick: () => () => zoom(0, span) };
  options.scales = { x: { time: false, range: () => [state.min, state.max] } };
  options.hooks = { setSelect: [onSelect], ready: [u => askOnClick(u, element)],
                    setCursor: [u => readOut(u, element, holder)] };
  return options;
}

function onSelect(u) {
  const { left, width } = u.select;
  if (width < 5) return;
  const [from, to] = [u.posToVal(left, 'x'), u.posToVal(left + width, 'x')];
  u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  zoom(from, to);
}

function zoom(from, to) {
  const width = Math.min(span, Math.max(to - from, 0.02));
  state.min = Math.min(Math.max(0, from), span - width);
  state.max = state.min + width;
  for (const chart of charts)
    if (chart.isTimed) chart.plot.setScale('x', { min: state.min, max: state.max });
  showMessages();
}

function redraw() {
  for (const chart of charts) chart.plot.redraw(false);
}

function inPlot(u, draw) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.setLineDash([]);
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  draw(ctx, bbox);
  ctx.restore();
}

// The places of what is to be seen, with one more at each side.
function visible(u, times) {
  const { min, max } = u.scales.x;
  let from = 0, to = times.length;
  while (from < to && times[from + 1] < min) from++;
  while (to > from && times[to - 1] > max) to--;
  return [from, Math.min(times.length, to + 1)];
}

function drawLoad(u, run) {
  const { time, value } = data.runs[run].load;
  const most = Math.max(...value, 0);
  if (!most) return;
  inPlot(u, (ctx, box) => {
    ctx.fillStyle = colours.load;
    for (let i = 0; i < time.length; i++) {
      if (!value[i]) continue;
      const left = u.valToPos(time[i], 'x', true);
      const right = u.valToPos(i + 1 < time.length ? time[i + 1] : span, 'x', true);
      const height = box.height * value[i] / most;
      ctx.fillRect(left, box.top + box.height - height, right - left, height);
    }
  });
}

function drawAsked(u, element) {
  if (!state.asked || state.asked.element.run !== element.run) return;
  const { element: asked, i } = state.asked;
  inPlot(u, (ctx, box) => {
    const x = Math.round(u.valToPos(asked.time[i], 'x', true)) + .5;
    ctx.strokeStyle = colours.ink;
    ctx.lineWidth = ratio();
    ctx.setLineDash([3 * ratio(), 3 * ratio()]);
    ctx.beginPath();
    ctx.moveTo(x, box.top);
    ctx.lineTo(x, box.top + box.height);
    ctx.stroke();
    if (asked !== element || u.data.length < 3 || u.data[1][i] === null) return;
    if (element.outcome[i] === DROPPED) return;
    ctx.setLineDash([]);
    ctx.beginPath();
    ctx.arc(x, u.valToPos(u.data[1][i], 'y', true), 6 * ratio(), 0, 7);
    ctx.stroke();
  });
}

// ---- Latency ---------------------------------------------------------------------------------

// One scale for the main charts of all runs, so that they can be compared. What lies far outside
// of the budget is drawn at the edge.
function bounds(element) {
  const same = element.main ? data.runs.flatMap(run => run.elements.filter(e => e.main))
                            : [element];
  const of = same.flatMap(e =>
    e[state.mode].filter((ms, i) => ms !== null && e.outcome[i] !== DROPPED));
  const budget = same.reduce((most, e) => Math.max(most, e.budget), 0) || Infinity;
  const least = of.reduce((a, b) => Math.min(a, b), 0);
  const most = of.reduce((a, b) => Math.max(a, b), 0);
  const had = same.reduce((top, e) => e.had.reduce((a, b) => Math.max(a, b), top), 0);
  if (state.mode === 'latency')
    return [0, Math.max(Math.min(most, 3 * budget), Math.min(had, 1.6 * budget)) * 1.08 || 1];
  return [Math.max(least, -2 * budget) * 1.08 - 1, most * 1.08 + 1];
}

function latencyData(element) {
  const isLatency = state.mode === 'latency';
  const line = isLatency ? element.had : element.had.map(ms => ms === null ? null : 0);
  return [element.time, isLatency ? element.latency : element.margin, line];
}

// For each frame what it had: a line where all have the same.
function drawBudget(u, element) {
  const line = u.data[2], [from, to] = visible(u, element.time), tall = 1.5 * ratio();
  inPlot(u, ctx => {
    ctx.fillStyle = colours.ink;
    for (let i = from; i < to; i++) {
      if (line[i] === null) continue;
      const x = u.valToPos(element.time[i], 'x', true);
      const next = i + 1 < element.time.length ? element.time[i + 1] : span;
      const width = u.valToPos(Math.min(next, element.time[i] + .1), 'x', true) - x;
      ctx.fillRect(x, u.valToPos(line[i], 'y', true) - tall / 2, Math.max(width, 1), tall);
    }
  });
}

function drawDots(u, element) {
  const values = u.data[1], [from, to] = visible(u, element.time);
  const { min, max } = u.scales.y, scale = ratio();
  const wide = u.bbox.width / (to - from) > 6 * scale;
  const radius = (wide ? 3 : 1.7) * scale;
  inPlot(u, (ctx, box) => {
    for (const late of [0, 1]) {
      for (let i = from; i < to; i++) {
        if (values[i] === null || element.outcome[i] === DROPPED) continue;
        if (element.isLate[i] !== late) continue;
        ctx.fillStyle = colourOf(element, i);
        const x = u.valToPos(element.time[i], 'x', true);
        if (values[i] > max || values[i] < min) drawEdge(ctx, box, x, values[i] > max, 3 * scale);
        else drawDot(ctx, x, u.valToPos(values[i], 'y', true), late ? radius * 1.35 : radius);
      }
    }
    drawOutside(ctx, box, values.filter((value, i) => value !== null &&
      (value > max || value < min) && element.outcome[i] !== DROPPED));
    drawRug(u, ctx, box, element, from, to);
    drawMarks(u, ctx, box, element);
  });
}

function drawDot(ctx, x, y, radius) {
  ctx.beginPath();
  ctx.arc(x, y, radius, 0, 7);
  ctx.fill();
}

function drawEdge(ctx, box, x, isTop, size) {
  const tip = isTop ? box.top + 6 * ratio() : box.top + box.height - 10 * ratio();
  const back = isTop ? tip + 1.8 * size : tip - 1.8 * size;
  ctx.beginPath();
  ctx.moveTo(x, tip);
  ctx.lineTo(x - size, back);
  ctx.lineTo(x + size, back);
  ctx.fill();
}

// How far those reach that are drawn at the edge.
function drawOutside(ctx, box, values) {
  if (!values.length) return;
  const most = values.reduce((a, b) => Math.abs(b) > Math.abs(a) ? b : a);
  const far = Math.abs(most) < 1000 ? most.toFixed(1) + ' ms' : (most / 1000).toFixed(2) + ' s';
  ctx.fillStyle = colours.ink;
  ctx.font = 11 * ratio() + 'px system-ui, "DejaVu Sans", sans-serif';
  ctx.textAlign = 'right';
  ctx.textBaseline = 'top';
  ctx.fillText(`${values.length} outside, up to ${far.replace('-', '−')}`,
               box.left + box.width - 6 * ratio(),
               most > 0 ? box.top + 20 * ratio() : box.top + box.height - 40 * ratio());
}

// A tick at the bottom for each frame that did not get the full stage.
function drawRug(u, ctx, box, element, from, to) {
  const width = Math.max(1, ratio()), height = 6 * ratio();
  for (let i = from; i < to; i++) {
    if (!element.outcome[i]) continue;
    ctx.fillStyle = colours[OUTCOMES[element.outcome[i]]];
    const x = u.valToPos(element.time[i], 'x', true);
    ctx.fillRect(x, box.top + box.height - height, width, height);
  }
}

// A tick at the top for each message.
function drawMarks(u, ctx, box, element) {
  ctx.fillStyle = colours.soft;
  for (const [us] of element.told)
    ctx.fillRect(u.valToPos(us * 1e-6, 'x', true), box.top, Math.max(1, ratio()), 4 * ratio());
}

function latencyChart(holder, element) {
  const options = timeOptions(holder, element.main ? 250 : 190, element);
  let range = bounds(element);
  options.scales.y = { range: () => range };
  options.axes = [timeAxis(), axis({ size: LEFT_AXIS, space: 36,
                                     values: (u, ticks) => ticks.map(tick =>
                                       `${tick} ms`.replace('-', '−')) })];
  options.series = [{}, { paths: () => null, points: { show: false } },
                    { paths: () => null, points: { show: false } }];
  options.hooks.drawAxes = [u => drawLoad(u, element.run), u => drawBudget(u, element)];
  options.hooks.draw = [u => drawDots(u, element), u => drawAsked(u, element)];
  const plot = new uPlot(options, latencyData(element), holder);
  return { plot, isTimed: true, update() {
    range = bounds(element);
    plot.setData(latencyData(element));
  } };
}

// ---- What left -------------------------------------------------------------------------------

// Rows from the best: each level that was applied, then what left in its place.
function rowsOf(element) {
  const keys = element.outcome.map((outcome, i) =>
    outcome <= 1 ? (outcome ? Math.max(1, element.level[i]) : 0) : 1000 + outcome);
  const found = [...new Set(keys)].sort((a, b) => a - b);
  const names = found.map(key =>
    key >= 1000 ? OUTCOMES[key - 1000] : key ? 'level ' + key : 'full');
  return { rows: keys.map(key => found.indexOf(key)), names };
}

function rowOptions(holder, names, element, rowHeight) {
  const options = timeOptions(holder, 36 + rowHeight * names.length, element);
  options.scales.y = { range: () => [-.5, names.length - .5], dir: -1 };
  options.axes = [timeAxis(), axis({
    size: LEFT_AXIS, splits: () => names.map((name, i) => i), values: () => names,
    grid: { show: false } })];
  options.series = [{}, { paths: () => null, points: { show: false } }];
  return options;
}

function leftChart(holder, element) {
  const { rows, names } = rowsOf(element);
  const options = rowOptions(holder, names, element, 18);
  options.hooks.drawAxes = [u => drawLoad(u, element.run)];
  options.hooks.draw = [u => inPlot(u, ctx => {
    const [from, to] = visible(u, element.time);
    const height = Math.abs(u.valToPos(1, 'y', true) - u.valToPos(0, 'y', true)) * .66;
    for (let i = from; i < to; i++) {
      const x = u.valToPos(element.time[i], 'x', true);
      const next = i + 1 < element.time.length ? element.time[i + 1] : element.time[i] + .03;
      const width = Math.max(1, u.valToPos(Math.min(next, element.time[i] + .1), 'x', true) - x);
      ctx.fillStyle = colours[OUTCOMES[element.outcome[i]]];
      ctx.fillRect(x, u.valToPos(rows[i], 'y', true) - height / 2, width, height);
    }
  }), u => drawAsked(u, element)];
  return { plot: new uPlot(options, [element.time, rows], holder), isTimed: true };
}

// ---- Workers ---------------------------------------------------------------------------------

function drawWorker(u, ctx, worker, row, height) {
  const scale = ratio(), middle = u.valToPos(row, 'y', true);
  const { min, max } = u.scales.x;
  for (let i = 0; i < worker.start.length; i++) {
    const begin = worker.start[i], end = begin + worker.duration[i];
    if (end < min || begin > max) continue;
    const x = u.valToPos(begin, 'x', true), width = u.valToPos(end, 'x', true) - x;
    const kind = worker.kind[i], isService = kind & 1, level = kind >> 2;
    ctx.fillStyle = isService ? colours[level ? 'cheaper' : 'full'] : colours.soft;
    const tall = isService ? height : height / 3;
    if (kind & 2) drawDiscarded(ctx, x, middle - tall / 2, Math.max(width, 1), tall);
    else ctx.fillRect(x, middle - tall / 2, isService ? Math.max(width, .6) : width, tall);
    if (isService && width > 34 * scale) 
      drawNumber(ctx, worker.sequence[i], x + width / 2, middle,
                 kind & 2 ? colours.ink : colours.page);
  }
}

// Work for nothing: its frame had left.
function drawDiscarded(ctx, x, top, width, height) {
  ctx.globalAlpha = .25;
  ctx.fillRect(x, top, width, height);
  ctx.globalAlpha = 1;
  ctx.strokeStyle = ctx.fillStyle;
  ctx.lineWidth = ratio();
  ctx.strokeRect(x + .5, top + .5, Math.max(width - 1, 1), height - 1);
}

function drawNumber(ctx, number, x, y, colour) {
  ctx.fillStyle = colour;
  ctx.font = 10 * ratio() + 'px system-ui, "DejaVu Sans", sans-serif';
  ctx.textAlign = 'center';
  ctx.textBaseline = 'middle';
  ctx.fillText(number, x, y);
}

function workersChart(holder, element) {
  const names = element.workers.map(worker => worker.name);
  const options = rowOptions(holder, names, element, 24);
  options.hooks.drawAxes = [u => drawLoad(u, element.run)];
  options.hooks.draw = [u => inPlot(u, ctx => {
    const height = Math.abs(u.valToPos(1, 'y', true) - u.valToPos(0, 'y', true)) * .7;
    element.workers.forEach((worker, row) => drawWorker(u, ctx, worker, row, height));
  }), u => drawAsked(u, element)];
  const empty = element.time.map(() => null);
  return { plot: new uPlot(options, [element.time, empty], holder), isTimed: true };
}

// ---- Distribution ----------------------------------------------------------------------------

function binsOf(element, count) {
  const left = element.latency.filter((ms, i) => element.outcome[i] !== DROPPED);
  const [, top] = bounds(element);
  const width = top / count, all = new Array(count).fill(0), late = new Array(count).fill(0);
  element.latency.forEach((ms, i) => {
    if (element.outcome[i] === DROPPED) return;
    const bin = Math.min(count - 1, Math.floor(ms / width));
    all[bin]++;
    late[bin] += element.isLate[i];
  });
  return { width, all, late, budget: element.budget, left: left.sort((a, b) => a - b) };
}

function drawBins(u, bins) {
  inPlot(u, ctx => {
    const base = u.valToPos(.6, 'y', true);
    bins.all.forEach((count, i) => {
      if (!count) return;
      const x = u.valToPos(i * bins.width, 'x', true);
      const width = u.valToPos((i + 1) * bins.width, 'x', true) - x - ratio();
      const top = u.valToPos(count, 'y', true);
      ctx.fillStyle = bins.late[i] === count ? colours.late : colours.soft;
      ctx.fillRect(x, top, Math.max(1, width), base - top);
      if (!bins.late[i] || bins.late[i] === count) return;
      const lateTop = u.valToPos(bins.late[i], 'y', true);
      ctx.fillStyle = colours.late;
      ctx.fillRect(x, lateTop, Math.max(1, width), base - lateTop);
    });
  });
}

function drawAt(u, value, name, align) {
  if (!value || value > u.scales.x.max) return;
  const { ctx, bbox } = u, x = Math.round(u.valToPos(value, 'x', true)) + .5;
  const isBold = align === 'center';
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = colours.ink;
  ctx.lineWidth = (isBold ? 2 : 1) * ratio();
  if (!isBold) ctx.setLineDash([2 * ratio(), 3 * ratio()]);
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.font = 10 * ratio() + 'px system-ui, "DejaVu Sans", sans-serif';
  ctx.textAlign = x - bbox.left < 30 * ratio() ? 'left' : align;
  ctx.fillText(name, x, bbox.top - (isBold ? 16 : 4) * ratio());
  ctx.restore();
}

function spreadChart(holder, element) {
  const mode = state.mode;
  state.mode = 'latency';
  const bins = binsOf(element, 60);
  state.mode = mode;
  const most = bins.all.reduce((a, b) => Math.max(a, b), 1);
  const at = percent => bins.left[Math.max(0, Math.ceil(percent / 100 * bins.left.length) - 1)];
  const options = baseOptions(holder, 190);
  options.padding = [30, 20, 0, 0];
  options.cursor.show = false;
  const decades = Math.ceil(Math.log10(most + 1));
  options.scales = { x: { time: false, range: () => [0, bins.width * 60] },
                     y: { distr: 3, range: () => [.6, Math.pow(10, decades)] } };
  options.axes = [axis({ size: 26, grid: { show: false }, space: 50,
                         values: (u, ticks) => ticks.map(tick => tick + ' ms') }),
                  axis({ size: LEFT_AXIS, filter: (u, splits) => splits, splits: () =>
                    Array.from({ length: decades + 1 }, (none, i) => Math.pow(10, i)) })];
  options.series = [{}, { paths: () => null, points: { show: false } }];
  options.hooks = { draw: [u => drawBins(u, bins), u => drawAt(u, bins.budget, 'budget', 'center'),
                           u => drawAt(u, at(50), 'p50', 'right'),
                           u => drawAt(u, at(99), 'p99', 'left')] };
  if (bins.left[bins.left.length - 1] > bins.width * 60)
    holder.parentElement.querySelector('output').textContent = 'last bar: all that took longer';
  const middle = bins.all.map((count, i) => (i + .5) * bins.width);
  return { plot: new uPlot(options, [middle, bins.all.map(count => count || null)], holder),
           isTimed: false };
}

// ---- Why -------------------------------------------------------------------------------------

function put([template, ...values]) {
  return data.templates[template].replace(/\{\w+\}/g, () => values.shift());
}

function nearest(element, number) {
  const after = element.sequence.findIndex(other => other > number);
  const place = after < 0 ? element.sequence.length : after;
  return element.sequence.slice(Math.max(0, place - 1), place + 1).join(' and ');
}

function ask(element, number) {
  const answer = document.getElementById('answer'), i = element.place.get(number);
  document.getElementById('of').value = placeOf(element);
  document.getElementById('number').value = number;
  state.asked = i === undefined ? null : { element, i };
  answer.className = 'asked';
  answer.textContent = i === undefined
    ? put([data.noFrame, element.label, number, nearest(element, number)])
    : element.why[i].map(put).join('');
  history.replaceState(null, '', `#why=${placeOf(element)}.${number}`);
  redraw();
}

const placeOf = element => element.run + '.' + data.runs[element.run].elements.indexOf(element);

function closest(u, element) {
  const { left, top } = u.cursor, values = u.data[1];
  if (left < 0) return null;
  let best = null, least = Infinity;
  const [from, to] = visible(u, element.time);
  for (let i = from; i < to; i++) {
    const x = u.valToPos(element.time[i], 'x') - left;
    const y = values[i] === null ? 0 : u.valToPos(values[i], 'y') - top;
    const distance = x * x + y * y / 16;
    if (distance < least) [best, least] = [i, distance];
  }
  return best;
}

function askOnClick(u, element) {
  let down = 0;
  u.over.addEventListener('mousedown', event => { down = event.clientX; });
  u.over.addEventListener('click', event => {
    if (Math.abs(event.clientX - down) > 4) return;
    const i = closest(u, element);
    if (i !== null) ask(element, element.sequence[i]);
  });
}

function readOut(u, element, holder) {
  const output = holder.parentElement.querySelector('output'), i = u.cursor.idx;
  if (u.cursor.left < 0 || i === null || i === undefined) { output.textContent = ''; return; }
  const spare = element.margin[i] === null ? ''
    : `, ${element.margin[i].toFixed(1)} ms to spare`;
  output.textContent = `frame ${element.sequence[i]}, ${element.time[i].toFixed(2)} s: ` +
    `${data.outcomes[element.outcome[i]][1]}, ${element.latency[i].toFixed(1)} ms${spare}`;
}

function fillElements() {
  const select = document.getElementById('of');
  for (const run of data.runs) {
    for (const element of [...run.elements].sort((a, b) => b.main - a.main)) {
      const name = data.runs.length > 1 ? `${run.title}: ${element.label}` : element.label;
      select.add(new Option(name, placeOf(element)));
    }
  }
}

function askFromAddress() {
  const match = /^#why=(\d+)\.(\d+)\.(\d+)$/.exec(location.hash);
  if (match && data.runs[match[1]] && data.runs[match[1]].elements[match[2]])
    ask(data.runs[match[1]].elements[match[2]], Number(match[3]));
}

// ---- Messages --------------------------------------------------------------------------------

const MOST_MESSAGES = 200;

function showMessages() {
  for (const details of document.querySelectorAll('details.messages[open]')) {
    const told = elementAt(details.dataset.at).told.filter(([us]) =>
      us * 1e-6 >= state.min && us * 1e-6 <= state.max);
    const list = details.querySelector('div');
    list.textContent = '';
    for (const [us, text] of told.slice(0, MOST_MESSAGES)) {
      const line = list.appendChild(document.createElement('p'));
      line.className = 'words';
      line.textContent = (us * 1e-6).toFixed(3) + ' s  ' + text;
    }
    if (told.length > MOST_MESSAGES)
      list.appendChild(document.createElement('p')).textContent =
        `… and ${told.length - MOST_MESSAGES} more: zoom in to see them.`;
  }
}

// ---- The page --------------------------------------------------------------------------------

const KINDS = { latency: latencyChart, left: leftChart, workers: workersChart,
                spread: spreadChart };

function makeCharts() {
  for (const box of document.querySelectorAll('.chart')) {
    const holder = box.querySelector('.plot'), element = elementAt(box.dataset.at);
    charts.push({ ...KINDS[box.dataset.kind](holder, element), holder });
  }
}

function setMode(mode) {
  state.mode = mode;
  for (const button of document.querySelectorAll('[data-mode]'))
    button.setAttribute('aria-pressed', button.dataset.mode === mode);
  for (const chart of charts) if (chart.update) chart.update();
}

const ZOOMS = {
  left: width => [state.min - width / 2, state.max - width / 2],
  right: width => [state.min + width / 2, state.max + width / 2],
  in: width => [state.min + width / 4, state.max - width / 4],
  out: width => [state.min - width / 2, state.max + width / 2],
  all: () => [0, span],
};

function listen() {
  for (const button of document.querySelectorAll('[data-mode]'))
    button.addEventListener('click', () => setMode(button.dataset.mode));
  for (const button of document.querySelectorAll('[data-zoom]'))
    button.addEventListener('click', () =>
      zoom(...ZOOMS[button.dataset.zoom](state.max - state.min)));
  document.getElementById('ask').addEventListener('submit', event => {
    event.preventDefault();
    ask(elementAt(document.getElementById('of').value),
        Number(document.getElementById('number').value));
  });
  document.addEventListener('click', event => {
    if (!event.target.matches('.ask')) return;
    const [run, element, number] = event.target.dataset.at.split('.').map(Number);
    ask(data.runs[run].elements[element], number);
  });
  document.getElementById('answer').addEventListener('click', event => {
    event.target.className = '';
  });
  document.addEventListener('toggle', showMessages, true);
  window.addEventListener('hashchange', askFromAddress);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    readColours();
    redraw();
  });
  let waiting = 0;
  window.addEventListener('resize', () => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(() => {
      for (const { plot, holder } of charts)
        plot.setSize({ width: Math.max(200, holder.clientWidth), height: plot.height });
    });
  });
}

fillElements();
makeCharts();
listen();
askFromAddress();
// Behind the drawing of the charts, which they have put off until now.
queueMicrotask(() => {
  page.dataset.charts = charts.length;
  page.dataset.width = window.innerWidth;
  page.dataset.overflow = Math.max(0, page.scrollWidth - window.innerWidth);
  page.dataset.ready = Math.round(performance.now());
});
