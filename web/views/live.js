// Requests as they happen. What came last is kept, a few thousand of it; the document holds no more rows than are seen.

import { ask, events } from "../api.js";
import { h, put, tag } from "../dom.js";
import { bytes, clock, count, took as lasted } from "../format.js";
import { VERDICTS } from "../meanings.js";
import { method, place, record } from "../record.js";
import { HELD, held } from "../held.js";
import { visible } from "../text.js";

const WORDS = { held: HELD, ...VERDICTS };
const KEPT = 5000;
/** What a cell shows of a text; the record has the whole. */
const LETTERS = 300;
/** Seconds of the little plot. */
const SECONDS = 60;
const AWAY = 60000;
const COLUMNS = ["Time", "Agent", "Method", "Where", "Provider", "Verdict", "Status", "Took", "Bytes"];
const NARROW = matchMedia("(max-width: 46rem)");

/** What came, newest last: one for each request, and marks of what did not come. */
class Kept {
  rows = [];
  byId = new Map();
  /** How many were ever added: rows move up by one with each. */
  added = 0;

  clear() {
    this.rows = [];
    this.byId.clear();
  }

  take(event) {
    const known = this.byId.get(event.id);
    if (known !== undefined) return known.open || !event.event.endsWith("open") ? fill(known, event) : known;
    const row = fill({ id: event.id }, event);
    this.byId.set(event.id, row);
    this.push(row);
    return row;
  }

  /** Those under way may have ended meanwhile, so they are not told to go on. */
  gap(text) {
    for (const row of this.rows) if (row.open && !row.held) Object.assign(row, { open: false, status: "?" });
    this.push({ gap: text, said: "" });
  }

  /** Its lines follow, whatever became of it. */
  release(id) {
    const row = this.byId.get(id);
    if (row?.held) Object.assign(row, { event: { ...row.event, verdict: undefined }, held: false, word: "…", kind: "", status: "…" });
    return row;
  }

  push(row) {
    this.rows.push(row);
    this.added += 1;
    if (this.rows.length > KEPT * 1.1) for (const old of this.rows.splice(0, this.rows.length - KEPT)) if (old.id !== undefined) this.byId.delete(old.id);
  }
}

/** What a row shows, made once. */
function fill(row, event) {
  const text = (value) => visible(value ?? "").slice(0, LETTERS);
  const waits = event.event === "held";
  const open = waits || event.event.endsWith("open");
  const where = text(place(event) + (event.path ?? ""));
  const [word, kind] = WORDS[event.verdict] ?? [text(event.verdict ?? "…"), ""];
  const moved = event.bytes_down === undefined ? "" : bytes(event.bytes_up + event.bytes_down);
  const [took] = lasted(event);
  const said = [event.agent, event.method, place(event), event.path, event.provider, event.connection, event.verdict, event.rule, event.refusal, event.id, event.status, ...(event.notes ?? [])].join(" ").toLowerCase();
  return Object.assign(row, { event, open, held: waits, time: clock(event.began ?? event.time), agent: text(event.agent ?? "—"), method: text(method(event)), where, provider: text(event.provider), word, kind, canary: event.canary !== undefined,
    status: event.status === undefined ? (open ? "…" : "") : String(event.status), level: event.status >= 500 ? "bad" : event.status >= 400 ? "warn" : "", took, moved, said });
}

export async function show(main, context) {
  const kept = new Kept();
  const asked = new URLSearchParams(location.search);
  const find = h("input", { type: "search", id: "find", value: asked.get("text") ?? "", placeholder: "an agent, a host, a path…", spellcheck: "false", maxlength: 200 });
  const verdict = choice("verdict", [["", "all"], ...Object.keys(WORDS).map((word) => [word, word])], asked.get("verdict"));
  const status = choice("status", [["", "all"], ["400", "400 and above"], ["500", "500 and above"]], asked.get("min_status"));
  const pause = h("button", { "aria-pressed": "false", "aria-keyshortcuts": "Space", on: { click: () => hold(!paused) } }, "Pause");
  const state = h("p", { class: "state", role: "status" }, "…");
  const rate = h("p", { class: "rate" }, "0 a second");
  const plot = plotted();
  const list = grid((row) => row.event && open(row));
  let paused = false;
  /** What is shown while paused, and how much had come then. */
  let frozen = null;
  let words = wordsOf(find.value);
  let panel = null;
  let due = false;
  let over = false;

  const draw = () => {
    due = false;
    if (over) return;
    const rows = frozen?.rows ?? kept.rows;
    const fits = (row) => row.gap !== undefined || (words.every((word) => row.said.includes(word)) && (verdict.value === "" || row.event.verdict === verdict.value) && (status.value === "" || row.event.status >= Number(status.value)));
    list.draw(words.length === 0 && verdict.value === "" && status.value === "" ? rows : rows.filter(fits), kept.rows.length === 0 ? "Nothing has happened yet." : "Nothing of what is here is like that.");
    if (frozen !== null) pause.textContent = `Go on (${count(Math.min(kept.added - frozen.added, KEPT))} new)`;
  };
  const soon = () => {
    if (due) return;
    due = true;
    requestAnimationFrame(draw);
  };
  function hold(on) {
    paused = on;
    frozen = on ? { rows: [...kept.rows], added: kept.added } : null;
    pause.setAttribute("aria-pressed", String(on));
    pause.textContent = on ? "Go on" : "Pause";
    soon();
  }
  function open(row) {
    panel = panelOf(row, context, () => {
      panel = null;
      list.focus();
    });
  }

  const seen = (row) => {
    if (row !== undefined && panel?.row === row) panel.draw();
    soon();
  };
  const told = {
    hello: (data) => {
      rate.dataset.most = data.most;
      // What waits is told anew.
      for (const row of kept.rows) if (row.held) kept.release(row.id);
    },
    request: (data) => seen(kept.take(data)),
    held: (data) => seen(kept.take(data)),
    released: (data) => seen(kept.release(data.id)),
    rate: (data) => {
      const part = data.kept_one_of > 1 ? [tag(`1 of ${count(data.kept_one_of)} shown`, "warn"), " "] : [];
      const chosen = queryOf(find.value, verdict.value, status.value).size > 0;
      plot.push(chosen ? data.matching : data.all);
      put(rate, part, chosen ? `${data.kept_one_of > 1 ? "about " : ""}${count(data.matching)} a second, of ${count(data.all)} in all` : `${count(data.all)} a second`);
    },
    lost: (data) => {
      kept.gap(data.count === null ? "What happened before this is not shown: the page was away for too long" : `${count(data.count)} not shown: more came than was taken`);
      soon();
    },
    end: () => {},
  };
  const stream = followed({
    query: () => queryOf(find.value, verdict.value, status.value),
    told: (name, data) => told[name]?.(data),
    fresh: () => kept.clear(),
    said: (text, kind) => {
      state.className = `state ${kind}`;
      put(state, text, kind === "wrong" ? [" ", h("button", { class: "quiet", on: { click: () => stream.now() } }, "Try now")] : null);
      if (kind === "wrong") plot.push(0);
    },
  });
  let typed = null;
  const changed = () => {
    words = wordsOf(find.value);
    soon();
    clearTimeout(typed);
    typed = setTimeout(() => {
      const query = queryOf(find.value, verdict.value, status.value).toString();
      history.replaceState(history.state, "", query === "" ? location.pathname : `${location.pathname}?${query}`);
      stream.again();
    }, 350);
  };
  for (const field of [find, verdict, status]) field.addEventListener("input", changed);
  const key = (pressed) => {
    if (pressed.key !== " " || pressed.target.closest?.("input, select, textarea, button, a, summary, dialog")) return;
    pressed.preventDefault();
    hold(!paused);
  };
  document.addEventListener("keydown", key);

  put(main, h("h1", {}, "Live"), h("div", { class: "row live-filter" }, labelled("Find", find), labelled("Verdict", verdict), labelled("Status", status), pause),
    h("div", { class: "live-standing" }, state, plot.element, rate), list.element,
    h("p", { class: "hint" }, h("small", {}, "Arrows move, Enter opens a record, Space holds the list. Refused requests, and those to private addresses, are here as well.")));
  // Who may not look is told so at once; what comes later is tried again.
  await ask("GET", "/api/session");
  stream.start();
  soon();
  return () => {
    over = true;
    clearTimeout(typed);
    document.removeEventListener("keydown", key);
    panel?.close();
    stream.stop();
    list.stop();
  };
}

const wordsOf = (text) => text.toLowerCase().split(/\s+/).filter(Boolean);

function queryOf(text, verdict, status) {
  const given = { text: text.trim(), verdict, min_status: status };
  return new URLSearchParams(Object.entries(given).filter(([, value]) => value !== ""));
}

function choice(id, options, value) {
  const field = h("select", { id }, options.map(([value, name]) => h("option", { value }, name)));
  field.value = options.some(([known]) => known === value) ? value : "";
  return field;
}

const labelled = (name, field) => h("div", {}, h("label", { for: field.id }, name), field);

/** The stream, begun again where it ends, from where it was. */
function followed({ query, told, fresh, said }) {
  let last = null;
  let control = new AbortController();
  let wait = 1000;
  let timer = null;
  let away = null;
  let stopped = false;
  const run = async () => {
    const own = (control = new AbortController());
    const asked = query();
    if (last === null) asked.set("earlier", "1000");
    let whole = last === null;
    try {
      await events(`/api/events?${asked}`, (name, data, id) => {
        if (own.signal.aborted) return;
        if (whole) fresh();
        whole = false;
        if (id !== null) last = id;
        if (name === "hello") {
          wait = 1000;
          said("Live", "good");
        }
        told(name, data);
      }, own.signal, last);
      if (!own.signal.aborted) later("The gateway has ended the stream");
    } catch (problem) {
      if (!own.signal.aborted && problem.code !== "signed_out") later(problem.message);
    }
  };
  const later = (why) => {
    if (stopped) return;
    said(`${why}. Trying again in ${wait / 1000} s.`, "wrong");
    clearTimeout(timer);
    timer = setTimeout(run, wait);
    wait = Math.min(wait * 2, 16000);
  };
  const now = () => {
    clearTimeout(timer);
    control.abort();
    if (!stopped) run();
  };
  // A page that nobody sees holds no place at the gateway; it comes back to where it was.
  const seen = () => {
    clearTimeout(away);
    if (document.hidden) away = setTimeout(() => { clearTimeout(timer); control.abort(); away = "gone"; }, AWAY);
    else if (away === "gone") now();
    if (!document.hidden) away = null;
  };
  document.addEventListener("visibilitychange", seen);
  return {
    start: run,
    now,
    /** From the beginning, by another query. */
    again: () => { last = null; now(); },
    stop: () => {
      stopped = true;
      clearTimeout(timer);
      clearTimeout(away);
      control.abort();
      document.removeEventListener("visibilitychange", seen);
    },
  };
}

/** The last minute as bars. */
function plotted() {
  const bars = Array.from({ length: SECONDS }, () => h("i", {}));
  const numbers = Array(SECONDS).fill(0);
  const push = (number) => {
    numbers.push(number);
    numbers.shift();
    const most = Math.max(1, ...numbers);
    for (const [at, bar] of bars.entries()) bar.style.transform = `scaleY(${numbers[at] / most})`;
  };
  return { element: h("div", { class: "plot", "aria-hidden": "true" }, bars), push };
}

/** A list of rows of one height, of which the document holds those that are seen. The newest is the first. */
function grid(opened) {
  const body = h("div", { class: "live-body", role: "rowgroup" });
  const head = h("div", { class: "live-row head", role: "row", "aria-rowindex": 1 }, COLUMNS.map((name) => h("span", { role: "columnheader", class: name.toLowerCase() }, name)));
  const empty = h("p", { class: "empty" });
  const element = h("div", { class: "live-list", role: "grid", tabindex: "0", "aria-label": "Requests, the newest first", "aria-colcount": COLUMNS.length }, h("div", { role: "rowgroup", class: "live-head" }, head), body);
  const box = h("div", { class: "live-box" }, element, empty);
  const pool = [];
  let rows = [];
  /** The row that arrows move; it stays the same one as others come. */
  let current = null;
  const at = (number) => rows[rows.length - 1 - number];
  const height = () => (NARROW.matches ? 58 : 34);

  const line = () => {
    const cells = Object.fromEntries(COLUMNS.map((name) => [name.toLowerCase(), h("span", { role: "gridcell", class: name.toLowerCase() })]));
    const word = h("span", { class: "tag" });
    cells.verdict.append(word);
    const made = { element: h("div", { class: "live-row", role: "row" }, Object.values(cells)), cells, word, row: null };
    made.element.addEventListener("click", () => { current = made.row; opened(made.row); place_(); });
    return made;
  };
  const write = (made, row, number) => {
    made.row = row;
    const { cells, word } = made;
    const gap = row.gap !== undefined;
    made.element.className = `live-row${gap ? " gap" : ""}${row === current ? " current" : ""}${row.kind === "bad" ? " refused" : ""}`;
    made.element.id = `live-${number}`;
    made.element.setAttribute("aria-rowindex", String(number + 2));
    made.element.setAttribute("aria-selected", String(row === current));
    cells.time.textContent = gap ? "" : row.time;
    cells.agent.textContent = gap ? "" : row.agent;
    cells.method.textContent = gap ? "" : row.method;
    cells.where.textContent = gap ? row.gap : row.where;
    cells.where.title = gap ? "" : row.where;
    cells.provider.textContent = gap ? "" : row.provider;
    word.textContent = gap ? "" : row.canary ? `${row.word}, canary` : row.word;
    word.className = gap ? "none" : `tag ${row.canary ? "bad" : row.kind}`;
    cells.status.textContent = gap ? "" : row.status;
    cells.status.className = `status ${row.level ?? ""}`;
    cells.took.textContent = gap ? "" : row.took;
    cells.bytes.textContent = gap ? "" : row.moved;
  };
  function place_() {
    const high = height();
    const above = Math.max(0, element.scrollTop - high);
    const first = Math.max(0, Math.floor(above / high) - 4);
    const shown = Math.min(rows.length - first, Math.ceil(element.clientHeight / high) + 10, 200);
    body.style.height = `${rows.length * high}px`;
    while (pool.length < shown) {
      pool.push(line());
      body.append(pool.at(-1).element);
    }
    for (const [number, made] of pool.entries()) {
      made.element.hidden = number >= shown;
      if (number >= shown) continue;
      made.element.style.transform = `translateY(${(first + number) * high}px)`;
      write(made, at(first + number), first + number);
    }
    const held = current === null ? -1 : rows.length - 1 - rows.lastIndexOf(current);
    const there = held >= first && held < first + shown && rows.includes(current);
    if (there) element.setAttribute("aria-activedescendant", `live-${held}`);
    else element.removeAttribute("aria-activedescendant");
  }
  let before = null;
  const draw = (given, why) => {
    const high = height();
    // Who has scrolled down reads on where they are, while others come above.
    const read = element.scrollTop > high ? at(Math.floor(element.scrollTop / high)) : null;
    const was = element.scrollTop;
    const place = read === null || read === undefined ? -1 : rows.length - 1 - rows.lastIndexOf(read);
    before = rows;
    rows = given;
    empty.textContent = rows.length === 0 ? why : "";
    empty.hidden = rows.length > 0;
    element.setAttribute("aria-rowcount", String(rows.length + 1));
    if (place >= 0 && before !== null) {
      const now = rows.lastIndexOf(read);
      if (now >= 0) {
        body.style.height = `${rows.length * high}px`;
        element.scrollTop = was + (rows.length - 1 - now - place) * high;
      }
    }
    place_();
  };
  element.addEventListener("scroll", place_, { passive: true });
  element.addEventListener("keydown", (pressed) => {
    const page = Math.max(1, Math.floor(element.clientHeight / height()) - 2);
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }[pressed.key];
    if (pressed.key === "Enter" && current !== null && rows.includes(current)) {
      // Or it would press the button that has the focus then.
      pressed.preventDefault();
      return opened(current);
    }
    if (step === undefined || rows.length === 0) return;
    pressed.preventDefault();
    const known = rows.lastIndexOf(current);
    const number = known < 0 ? (step > 0 ? -1 : 0) : rows.length - 1 - known;
    const next = Math.min(rows.length - 1, Math.max(0, number + step));
    current = at(next);
    const [top, high] = [next * height(), height()];
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + 2 * high > element.scrollTop + element.clientHeight) element.scrollTop = top + 2 * high - element.clientHeight;
    place_();
  });
  const resized = new ResizeObserver(() => place_());
  resized.observe(element);
  return { element: box, focus: () => element.focus(), draw, stop: () => resized.disconnect() };
}

/** The record of a row, over the list at its side. */
function panelOf(row, context, closed) {
  const inside = h("div", {});
  const box = h("dialog", { class: "record-box", "aria-label": "A record" }, h("form", { method: "dialog", class: "record-close" }, h("button", { class: "quiet" }, "Close")), inside);
  const draw = () => put(inside, row.held ? held(row.event, context) : row.event.event === "held" ? h("p", { class: "empty" }, "It does not wait any longer; its record comes.") : record(row.event, context));
  box.addEventListener("close", () => {
    box.remove();
    closed();
  });
  box.addEventListener("click", (event) => event.target === box && box.close());
  draw();
  document.body.append(box);
  box.showModal();
  return { row, draw, close: () => box.close() };
}
