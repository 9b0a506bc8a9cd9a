// Plots, drawn by hand in SVG: bars on each other, or lines. Everything about them is an attribute or a class, since the policy allows no
// style in the document; kinds differ by pattern and dash too, and every value can be read by keyboard, in words, and as a table.

import { h, put } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 190;
const PAD = { left: 54, right: 10, top: 8, bottom: 22 };
const MINUTE = 60000;
const HOUR = 60 * MINUTE;
/** What lies between two marks of the time axis: minutes up to a day, then days. */
const SPANS = [5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7200, 10080];

const HOURS = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hour12: false });
const DAYS = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const BOTH = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hour12: false });

let made = 0;

function s(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) element.setAttribute(name, String(value));
  element.append(...children.flat(Infinity).filter((child) => child !== null));
  return element;
}

/** The step that begins at `at` and lasts `length`, in words. */
export function span(at, length) {
  return `${BOTH.format(at)} to ${length < 24 * HOUR ? HOURS.format(at + length) : BOTH.format(at + length)}`;
}

/** The lines of a value axis up to `top`, at numbers that people count by; bytes are counted by 1024. */
export function marks(top, binary = false) {
  if (!(top > 0)) return [0, 1];
  const base = binary ? 1024 ** Math.max(0, Math.floor(Math.log(top) / Math.log(1024))) : 1;
  const rough = top / base / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(binary && base > 1 ? 0.1 : 1, [1, 2, 5, 10].find((one) => one * power >= rough) * power) * base;
  return Array.from({ length: Math.ceil(top / step - 1e-9) + 1 }, (_, at) => at * step);
}

/** Powers of ten around the values, for an axis on which each is as far from the next. */
function decades(low, high) {
  const [from, to] = [Math.floor(Math.log10(Math.max(low, 1))), Math.ceil(Math.log10(Math.max(high, 10)))];
  return Array.from({ length: Math.max(to - from, 1) + 1 }, (_, at) => 10 ** (from + at));
}

/** Times at which the axis is marked: on the hour or at midnight where the reader is. */
export function times(from, to, most) {
  const fits = SPANS.find((minutes) => (to - from) / (minutes * MINUTE) <= most) ?? 10080;
  const local = (time) => time - new Date(time).getTimezoneOffset() * MINUTE;
  const found = [];
  for (let time = Math.ceil(from / (5 * MINUTE)) * 5 * MINUTE; time < to; time += 5 * MINUTE) {
    if (local(time) % (fits * MINUTE) === 0) found.push({ time, text: fits >= 1440 || local(time) % (24 * HOUR) === 0 ? DAYS.format(time) : HOURS.format(time) });
  }
  return found;
}

/** What fills the kind number `kind`: a colour, and a pattern that tells it from its neighbours without one. */
function pattern(id, kind) {
  const lines = [null, "M0 6L6 0", "M0 3H6", "M0 0L6 6M0 6L6 0", "M3 0V6", "M1 1h1.6v1.6h-1.6zM4 4h1.6v1.6h-1.6z", "M0 0L6 6"][kind % 7];
  return s("pattern", { id, width: 6, height: 6, patternUnits: "userSpaceOnUse" }, s("rect", { width: 6, height: 6, class: `kind-${kind}` }), lines === null ? null : s("path", { d: lines, class: "hatch" }));
}

/**
 * A plot: `{ title, note, tools, lines, log, binary, word, mark, pick }`. `word(value)` says a value, `mark` one of the axis, `pick(step)` is called where a step is chosen.
 * `draw({ at, length, kinds })` shows what there is: when steps begin, how long they are, and kinds as `{ name, kind, values }`; title,
 * word, mark and binary may come anew with it.
 */
export function plot({ title, note, tools, lines = false, log = false, binary = false, word, mark = word, pick }) {
  made += 1;
  const id = `plot-${made}`;
  const canvas = s("svg", { height: HEIGHT, width: "100%", "aria-hidden": "true", focusable: "false" });
  const cursor = s("line", { class: "cursor", y1: PAD.top, y2: HEIGHT - PAD.bottom, visibility: "hidden" });
  const when = h("p", { class: "when" });
  const legend = h("ul", { class: "legend" });
  const reader = h("div", { class: "canvas", role: "slider", tabindex: "0", "aria-orientation": "horizontal", "aria-valuemin": 1, "aria-valuemax": 1, "aria-valuenow": 1, "aria-valuetext": "nothing yet" }, canvas);
  const rows = h("table", {});
  const scroll = h("div", { class: "scroll", tabindex: "0", role: "region" }, rows);
  const all = h("details", {}, h("summary", {}, "As a table"), scroll);
  const heading = h("h3", { id });
  const element = h("section", { class: "card chart", "aria-labelledby": id }, h("header", {}, heading, when), tools, note ? h("small", {}, note) : null, reader, legend, all);
  let shown = null;
  let chosen = null;

  function name(called) {
    title = called;
    heading.textContent = title;
    reader.setAttribute("aria-label", `${title}, step by step`);
    scroll.setAttribute("aria-label", `${title} as a table`);
  }

  const x = (at, width) => PAD.left + (at / shown.at.length) * (width - PAD.left - PAD.right);
  const said = (value) => (value === null ? "none" : word(value));
  const sum = (values) => values.reduce((total, value) => total + value, 0);

  function read() {
    const { at, length, kinds } = shown;
    const width = canvas.clientWidth;
    when.textContent = chosen === null ? `${span(at[0], at.length * length)}` : span(at[chosen], length);
    kinds.forEach((kind, number) => {
      const value = chosen === null ? (lines ? kind.whole : sum(kind.values)) : kind.values[chosen];
      legend.children[number].lastElementChild.textContent = said(value);
    });
    const place = chosen ?? at.length - 1;
    reader.setAttribute("aria-valuemax", at.length);
    reader.setAttribute("aria-valuenow", place + 1);
    reader.setAttribute("aria-valuetext", `${span(at[place], length)}: ${kinds.map(({ name, values }) => `${name} ${said(values[place])}`).join(", ")}`);
    const middle = x(place + 0.5, width);
    cursor.setAttribute("visibility", chosen === null ? "hidden" : "visible");
    cursor.setAttribute("x1", middle);
    cursor.setAttribute("x2", middle);
  }

  function choose(step) {
    chosen = step === null ? null : Math.min(Math.max(step, 0), shown.at.length - 1);
    read();
  }

  function axes(width, ticks, y) {
    const { at, length } = shown;
    const [from, to] = [at[0], at[0] + at.length * length];
    const across = ticks.map((value) => [s("line", { class: "grid", x1: PAD.left, x2: width - PAD.right, y1: y(value), y2: y(value) }), s("text", { x: PAD.left - 6, y: y(value) + 4, "text-anchor": "end" }, mark(value).replace(/\.0(?!\d)/, ""))]);
    const along = times(from, to, Math.max(2, Math.floor((width - PAD.left) / 74))).map(({ time, text }) => {
      const place = x((time - from) / length, width);
      return [s("line", { class: "tick", x1: place, x2: place, y1: HEIGHT - PAD.bottom, y2: HEIGHT - PAD.bottom + 4 }), place > width - 24 ? null : s("text", { x: place, y: HEIGHT - 5, "text-anchor": "middle" }, text)];
    });
    return [across, along];
  }

  function bars(width) {
    const { at, kinds } = shown;
    const totals = at.map((_, step) => sum(kinds.map(({ values }) => values[step])));
    const ticks = marks(Math.max(...totals), binary);
    const bottom = HEIGHT - PAD.bottom;
    const y = (value) => bottom - (value / ticks.at(-1)) * (bottom - PAD.top);
    const below = at.map(() => 0);
    const gap = x(1, width) - x(0, width) > 5 ? 1 : 0;
    const paths = kinds.map(({ values, kind }) => {
      const parts = values.map((value, step) => {
        if (value === 0) return "";
        const [left, right, low] = [x(step, width), x(step + 1, width) - gap, y(below[step])];
        below[step] += value;
        // What is there is seen, however little it is.
        const high = Math.min(y(below[step]), low - 1);
        return `M${left.toFixed(1)} ${low.toFixed(1)}H${right.toFixed(1)}V${high.toFixed(1)}H${left.toFixed(1)}z`;
      });
      return s("path", { d: parts.join(""), fill: `url(#${id}-${kind})` });
    });
    return [axes(width, ticks, y), paths];
  }

  function curves(width) {
    const { kinds } = shown;
    const known = kinds.flatMap(({ values }) => values.filter((value) => value !== null));
    const ticks = log ? decades(Math.min(...known, Infinity) === Infinity ? 1000 : Math.min(...known), Math.max(...known, 10000)) : marks(Math.max(...known, 0), binary);
    const bottom = HEIGHT - PAD.bottom;
    const scale = (value) => (log ? Math.log10(Math.max(value, ticks[0]) / ticks[0]) / Math.log10(ticks.at(-1) / ticks[0]) : value / ticks.at(-1));
    const y = (value) => bottom - scale(value) * (bottom - PAD.top);
    const paths = kinds.map(({ values, kind }) => {
      const points = values.map((value, step) => (value === null ? null : `${x(step + 0.5, width).toFixed(1)} ${y(value).toFixed(1)}`));
      const d = points.map((point, step) => (point === null ? "" : `${points[step - 1] ? "L" : "M"}${point}`)).join("");
      const alone = points.filter((point, step) => point !== null && !points[step - 1] && !points[step + 1]).map((point) => s("circle", { class: `curve-${kind}`, cx: point.split(" ")[0], cy: point.split(" ")[1], r: 2.5 }));
      return [s("path", { d, class: `curve curve-${kind}` }), alone];
    });
    return [axes(width, ticks, y), paths];
  }

  function paint() {
    const width = canvas.clientWidth;
    if (shown === null || width === 0) return;
    const defs = s("defs", {}, lines ? [] : shown.kinds.map(({ kind }) => pattern(`${id}-${kind}`, kind)));
    canvas.replaceChildren(defs, ...(lines ? curves(width) : bars(width)).flat(Infinity).filter((part) => part !== null), cursor);
    read();
  }

  function swatch({ kind }) {
    const inner = lines ? s("line", { x1: 0, x2: 22, y1: 6, y2: 6, class: `curve curve-${kind}` }) : s("rect", { width: 22, height: 12, fill: `url(#${id}-${kind})` });
    return s("svg", { width: 22, height: 12, "aria-hidden": "true" }, inner);
  }

  function listed() {
    if (!all.open || shown === null) return;
    const { at, length, kinds } = shown;
    const head = h("tr", {}, h("th", { scope: "col" }, "Step"), kinds.map(({ name }) => h("th", { scope: "col", class: "number" }, name)));
    const row = (time, step) => h("tr", {}, h("th", { scope: "row" }, span(time, length)), kinds.map(({ values }) => h("td", { class: "number" }, said(values[step]))));
    put(rows, h("thead", {}, head), h("tbody", {}, at.map(row)));
  }

  const under = (event) => Math.floor(((event.clientX - canvas.getBoundingClientRect().left - PAD.left) / (canvas.clientWidth - PAD.left - PAD.right)) * shown.at.length);
  const moves = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageUp: 10, PageDown: -10, Home: -Infinity, End: Infinity };
  reader.addEventListener("pointermove", (event) => shown && choose(under(event)));
  reader.addEventListener("pointerleave", () => shown && document.activeElement !== reader && choose(null));
  reader.addEventListener("focus", () => shown && chosen === null && choose(shown.at.length - 1));
  reader.addEventListener("blur", () => shown && choose(null));
  reader.addEventListener("click", (event) => shown && event.pointerType !== "touch" && pick?.(chosen ?? under(event)));
  reader.addEventListener("keydown", (event) => {
    if (shown === null) return;
    if (event.key === "Enter" && chosen !== null) pick?.(chosen);
    if (event.key === "Escape") choose(null);
    if (!(event.key in moves)) return;
    event.preventDefault();
    choose((chosen ?? shown.at.length - 1) + moves[event.key]);
  });
  all.addEventListener("toggle", listed);
  const watch = new ResizeObserver(paint);
  watch.observe(canvas);
  name(title);

  return {
    element,
    draw(data) {
      if (data.title !== undefined && data.title !== title) name(data.title);
      [word, mark] = [data.word ?? word, data.mark ?? mark];
      binary = data.binary ?? binary;
      const names = JSON.stringify(data.kinds.map(({ name, kind }) => [name, kind]));
      const moved = shown !== null && shown.at[0] !== data.at[0] && shown.length === data.length;
      // The reader stays at the step that they were at.
      if (chosen !== null && shown !== null) chosen = moved ? Math.max(0, chosen - Math.round((data.at[0] - shown.at[0]) / data.length)) : Math.min(chosen, data.at.length - 1);
      const known = legend.dataset.names === names;
      shown = data;
      legend.dataset.names = names;
      if (!known) put(legend, data.kinds.map((kind) => h("li", {}, swatch(kind), h("bdi", { title: kind.name }, kind.name), h("b", {}))));
      paint();
      listed();
    },
    end: () => watch.disconnect(),
  };
}
