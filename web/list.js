// A long list: of its rows only those that can be seen are in the page, and the server is asked for more as somebody comes near the end.
// Moved through by keyboard as a grid (ARIA Authoring Practices): arrows, Page Up and Down, Home, End; Enter opens.

import { h, put } from "./dom.js";

/** Rows in the page above and below what is seen. */
const SPARE = 8;
/** Rows that are kept: whoever looks for one among more has better means than scrolling. */
const MOST = 100000;

let made = 0;

/**
 * `fetch(cursor)` answers `{ rows, next, total }` (`total` where it is known); `columns` are `{ name, width, cell(row), numeric, wide }`, where
 * `wide` ones are left out on narrow screens; `open(row)` is what Enter and a click do; `key(row)` names a row. All rows are `height` pixels high.
 * `empty` is what is said where there is nothing, or a function that says it. What comes back is `{ element, reload(), count() }`; `reload` asks from the beginning and keeps the place as far as it can.
 */
export function list({ label, columns, fetch, open, key, empty, height = 44 }) {
  const name = `list-${(made += 1)}`;
  const head = h("div", { class: "list-head", role: "row", "aria-rowindex": 1 }, columns.map((column) => h("div", { role: "columnheader", class: kind(column) }, column.name)));
  const space = h("div", { class: "list-space", role: "rowgroup" });
  const grid = h("div", { class: "list", role: "grid", tabindex: "0", "aria-label": label, "aria-colcount": columns.length, id: name }, h("div", { role: "rowgroup", class: "list-top" }, head), space);
  const note = h("p", { class: "list-note empty", role: "status" });
  const element = h("div", { class: "list-box" }, grid, note);
  grid.style.setProperty("--columns", columns.map(({ width }) => width ?? "1fr").join(" "));
  // On a narrow screen nothing has a least width: what does not fit is cut, and whole where the row is opened.
  grid.style.setProperty("--narrow", columns.filter(({ wide }) => !wide).map(({ width }) => (width ?? "1fr").replace(/minmax\([^,]+,/, "minmax(0,")).join(" "));
  grid.style.setProperty("--height", `${height}px`);

  let rows = [];
  let next = null;
  let total = null;
  let asked = 0;
  let busy = false;
  let active = -1;
  const shown = new Map();

  function row(at) {
    const one = rows[at];
    const line = h("div", { class: "list-row", role: "row", id: `${name}-${at}`, "aria-rowindex": at + 2, "aria-selected": at === active ? "true" : "false" },
      columns.map((column) => h("div", { role: "gridcell", class: kind(column) }, column.cell(one))));
    line.style.transform = `translateY(${at * height}px)`;
    line.addEventListener("click", (event) => {
      if (event.target.closest("a, button") === null) choose(at, true);
    });
    return line;
  }

  /** Puts into the page what can be seen, and takes out what can't. */
  function draw() {
    const from = Math.max(0, Math.floor(grid.scrollTop / height) - SPARE);
    const to = Math.min(rows.length, Math.ceil((grid.scrollTop + grid.clientHeight) / height) + SPARE);
    for (const [at, line] of shown) {
      if (at < from || at >= to) {
        line.remove();
        shown.delete(at);
      }
    }
    let before = null;
    for (let at = from; at < to; at += 1) {
      let line = shown.get(at);
      if (line === undefined) {
        line = row(at);
        shown.set(at, line);
        // In their order for whoever reads the page aloud.
        if (before === null) space.prepend(line);
        else before.after(line);
      }
      before = line;
    }
    if (next !== null && to > rows.length - 2 * SPARE) more();
  }

  async function more() {
    if (busy || rows.length >= MOST) return;
    busy = true;
    const mine = asked;
    try {
      const answer = await fetch(next);
      if (mine !== asked) return;
      take(answer);
    } catch (error) {
      if (mine === asked) put(note, error.message, " ", h("button", { class: "quiet", on: { click: () => more() } }, "Again"));
    } finally {
      if (mine === asked) busy = false;
    }
    if (mine === asked) draw();
  }

  function take(answer) {
    rows = rows.concat(answer.rows);
    next = answer.next ?? null;
    total = answer.total ?? (next === null ? rows.length : null);
    space.style.height = `${rows.length * height}px`;
    grid.setAttribute("aria-rowcount", total === null ? -1 : total + 1);
    grid.hidden = rows.length === 0;
    const full = rows.length >= MOST && next !== null;
    put(note, rows.length === 0 ? (typeof empty === "function" ? empty() : empty) : full ? "There are more than fit here: say more closely which." : null);
  }

  /** From the beginning; what is in the page stays there until the answer has come. */
  async function reload() {
    asked += 1;
    const mine = asked;
    busy = true;
    const place = rows[active] === undefined ? null : key(rows[active]);
    try {
      const answer = await fetch(null);
      if (mine !== asked) return;
      rows = [];
      shown.clear();
      put(space);
      active = -1;
      take(answer);
      active = place === null ? -1 : rows.findIndex((one) => key(one) === place);
      grid.removeAttribute("aria-activedescendant");
      if (grid.scrollTop > rows.length * height) grid.scrollTop = 0;
    } catch (error) {
      if (mine !== asked) return;
      rows = [];
      take({ rows: [], next: null });
      put(note, error.message);
    } finally {
      if (mine === asked) busy = false;
    }
    draw();
  }

  function choose(at, opens) {
    if (rows.length === 0) return;
    const before = shown.get(active);
    active = Math.min(Math.max(at, 0), rows.length - 1);
    before?.setAttribute("aria-selected", "false");
    const top = active * height;
    const seen = grid.clientHeight - head.offsetHeight;
    if (top < grid.scrollTop) grid.scrollTop = top;
    else if (top + height > grid.scrollTop + seen) grid.scrollTop = top + height - seen;
    draw();
    shown.get(active)?.setAttribute("aria-selected", "true");
    grid.setAttribute("aria-activedescendant", `${name}-${active}`);
    if (opens) open?.(rows[active]);
  }

  grid.addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
  grid.addEventListener("keydown", (event) => {
    if (event.target !== grid || event.altKey || event.ctrlKey || event.metaKey) return;
    const page = Math.max(1, Math.floor(grid.clientHeight / height) - 2);
    const to = { ArrowDown: active + 1, ArrowUp: active - 1, PageDown: active + page, PageUp: active - page, Home: 0, End: rows.length - 1 }[event.key];
    if (to === undefined && !(event.key === "Enter" && active >= 0)) return;
    event.preventDefault();
    if (to === undefined) open?.(rows[active]);
    else choose(to, false);
  });
  new ResizeObserver(() => draw()).observe(grid);
  return { element, reload, count: () => ({ loaded: rows.length, total }) };
}

function kind({ numeric, wide }) {
  return [numeric && "number", wide && "wide"].filter(Boolean).join(" ") || null;
}
