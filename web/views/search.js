// What the audit log says, looked up: the conditions stand in the address, so that it can be sent to somebody.

import { ask, fetched } from "../api.js";
import { h, put, say, tag } from "../dom.js";
import { bytes, clock, count, took } from "../format.js";
import { quoted } from "../lines.js";
import { list } from "../list.js";
import { doer, happening, isRequest, method, place, record, verdict } from "../record.js";
import { standing } from "../standing.js";
import { shown, visible } from "../text.js";

/** Requests of one answer, and of a list: whoever has scrolled through so many looks for something closer. */
const PAGE = 200;
const MOST = 20000;
/** How long is looked for a text without a word from whoever waits, while nothing is found. */
const PATIENCE = 20000;
/** What a page can hold of a file. */
const LARGEST = 256 * 1024 * 1024;
const RANGES = { "1h": "the last hour", "6h": "the last 6 hours", "24h": "the last 24 hours", "7d": "the last 7 days", "30d": "the last 30 days", "": "any time" };
const FILES = { csv: ["CSV", "audit.csv"], jsonl: ["JSON Lines", "audit.jsonl"], ocsf: ["OCSF", "audit.ocsf.jsonl"] };
const VERDICTS = { inject: "inject: with a stored credential", pass: "pass: as it was sent", tunnel: "tunnel: unread", intercept: "intercept: a CONNECT that was opened", answer: "answer: by Nexus", refuse: "refuse" };
const NAMES = ["text", "agent", "host", "provider", "verdict", "status", "user", "lease", "rule"];
/** Those that stand behind "More". */
const MORE = ["provider", "verdict", "status", "user", "lease", "rule"];
const OPTIONS = { agent: "--agent", host: "--host", provider: "--provider", verdict: "--verdict", status: "--status", user: "--user", lease: "--lease", rule: "--rule", text: "--text" };
const NARROW = matchMedia("(max-width: 46rem)");
const DAY = new Intl.DateTimeFormat(undefined, { month: "short", day: "2-digit" });

export async function show(main) {
  if (location.search === "") history.replaceState(null, "", `${location.pathname}?from=24h`);
  const banner = standing();
  const results = h("section", { "aria-label": "What was found" });
  let stop = new AbortController();
  const look = (query) => {
    stop.abort();
    stop = new AbortController();
    put(results, found(query, search, stop.signal));
  };
  const search = (query) => {
    const text = query.toString();
    history.pushState(null, "", text === "" ? location.pathname : `${location.pathname}?${text}`);
    look(query);
  };
  const query = new URLSearchParams(location.search);
  put(main, h("h1", {}, "Search"), banner.element, form(query, search), results);
  look(query);
  return () => {
    stop.abort();
    banner.stop();
    document.querySelector("dialog.record-box")?.close();
  };
}

const UNITS = { s: 1, m: 60, h: 3600, d: 86400 };

/** A time of the address as the field of a form has it, in the zone of whoever looks. */
function local(time) {
  const ago = /^([0-9]{1,5})([smhd])$/.exec(time ?? "");
  const date = new Date(ago ? Date.now() - Number(ago[1]) * UNITS[ago[2]] * 1000 : (time ?? ""));
  if (Number.isNaN(date.getTime())) return "";
  return new Date(date.getTime() - date.getTimezoneOffset() * 60000).toISOString().slice(0, 19);
}

function form(query, search) {
  const field = (name, label, element) => h("div", {}, h("label", { for: `search-${name}` }, label), Object.assign(element, { id: `search-${name}`, name }));
  const input = (name, label, hint) => field(name, label, h("input", { value: query.get(name) ?? "", placeholder: hint, maxlength: "255", spellcheck: "false", autocapitalize: "off", autocomplete: "off" }));
  const choice = (name, label, options, value) => {
    const select = h("select", {}, Object.entries(options).map(([word, text]) => h("option", { value: word }, text)));
    select.value = value;
    return field(name, label, select);
  };
  const from = query.get("from") ?? "";
  const own = query.has("until") || !(from in RANGES);
  const when = choice("when", "When", { ...RANGES, own: "from … until …" }, own ? "own" : from);
  const times = [["from", "From"], ["until", "Until"]].map(([name, label]) => field(name, label, h("input", { type: "datetime-local", step: "1", value: own ? local(query.get(name)) : "" })));
  const select = when.querySelector("select");
  const reveal = () => times.forEach((one) => (one.hidden = select.value !== "own"));
  reveal();
  const who = [input("agent", "Agent", "ci"), input("host", "Host", "*.example.com")];
  const narrow = NARROW.matches;
  const hidden = narrow ? ["agent", "host", ...MORE] : MORE;
  const more = h("details", { open: hidden.some((name) => query.has(name)) }, h("summary", {}, "More conditions"), h("div", { class: "conditions" }, narrow ? who : null,
    input("provider", "Provider", "github"), choice("verdict", "Verdict", { "": "any", ...VERDICTS }, query.get("verdict") ?? ""), input("status", "Status", "403 or 5xx"),
    input("user", "User of the agent", "alice"), input("lease", "Lease", "its id"), input("rule", "Rule", "its name")));
  const made = h("form", { class: "card search", role: "search" },
    h("div", { class: "conditions first" }, when, times, input("text", "Text", "in any value"), narrow ? null : who, narrow ? null : submit()),
    more, narrow ? submit() : null);
  select.addEventListener("change", () => {
    reveal();
    if (select.value !== "own") made.requestSubmit();
  });
  made.addEventListener("submit", (event) => {
    event.preventDefault();
    search(said(new FormData(made), new URLSearchParams(location.search).get("order")));
  });
  return made;
}

const submit = () => h("button", { class: "main" }, "Search");

/** What the form says, as it stands in the address. */
function said(data, order) {
  const query = new URLSearchParams();
  const put = (name, value) => value && query.set(name, value);
  if (data.get("when") === "own") {
    for (const name of ["from", "until"]) put(name, data.get(name) && new Date(data.get(name)).toISOString());
  } else {
    put("from", data.get("when"));
  }
  for (const name of NAMES) put(name, data.get(name).trim());
  put("order", order);
  return query;
}

/** The list of what the query finds, and what can be done with all of it. */
function found(query, search, signal) {
  const told = h("p", { class: "told", role: "status" });
  const oldest = query.get("order") === "oldest";
  let held = 0;
  const turn = h("button", { class: "quiet", on: { click: () => search(turned(query, oldest)) } }, oldest ? "Oldest first ↑" : "Newest first ↓");
  turn.setAttribute("aria-label", oldest ? "Oldest first; show the newest first" : "Newest first; show the oldest first");
  const rows = list({
    label: "Requests", height: NARROW.matches ? 50 : 34, key: (one) => one.seq, open: (one) => panel("A record", record(one)),
    fetch: async (cursor) => {
      const answer = await piece(query, cursor, told, signal);
      held = (cursor === null ? 0 : held) + answer.rows.length;
      if (held < MOST || answer.next === null) return answer;
      put(told, `Here are the first ${count(held)}. Say more closely which, or take all of them along as a file.`);
      return { ...answer, next: null };
    }, empty: "Nothing like that is in the log. Look at a longer time, or leave a condition out.",
    columns: [
      { name: "Time", width: "8.5rem", wide: true, cell: when },
      { name: "Who", width: "minmax(4rem, 7.5rem)", wide: true, cell: (one) => shown(doer(one), { mono: false, most: 200 }) },
      { name: "What", width: "minmax(0, 1fr)", cell: request },
      { name: "Provider", width: "minmax(3rem, 6.5rem)", wide: true, cell: (one) => shown(one.provider ?? one.connection?.split(":")[0] ?? "", { mono: false, most: 200 }) },
      { name: "Verdict", width: "5.6rem", wide: true, cell: (one) => (isRequest(one) ? verdict(one) : null) },
      { name: "Status", width: "3.5rem", numeric: true, cell: (one) => (one.status === undefined ? "" : h("span", { class: one.status >= 500 ? "wrong" : one.status >= 400 ? "warn" : null }, String(one.status))) },
      { name: "Took", width: "3.8rem", numeric: true, wide: true, cell: lasted },
    ],
  });
  rows.reload();
  return [h("div", { class: "results" }, told, turn, files(query, signal)), rows.element];
}

function turned(query, oldest) {
  const other = new URLSearchParams(query);
  if (oldest) other.delete("order");
  else other.set("order", "oldest");
  return other;
}

function when(one) {
  const date = new Date(one.time);
  return h("time", { datetime: one.time, title: one.time }, `${DAY.format(date)} ${clock(date)}`);
}

function lasted(one) {
  const [text, held] = took(one);
  return held === null ? text : h("span", { title: `${text}, ${held}` }, text);
}

/** Host and path first: on a narrow screen this is all there is, and the rest below it. */
function request(one) {
  const more = [clock(one.time), doer(one), one.verdict].filter(Boolean).map(visible).join(" · ");
  const what = isRequest(one) ? `${method(one)} ${place(one)}${one.path ?? ""}` : happening(one);
  return [shown(what, { most: 300 }), h("small", { class: "narrow" }, more)];
}

/** The next of what is found. A text may have to be looked for long: what was looked at is told, and after a while a person is asked. */
async function piece(query, cursor, told, signal) {
  const asked = new URLSearchParams(query);
  asked.set("limit", PAGE);
  let [scanned, until] = [0, Date.now() + PATIENCE];
  for (;;) {
    if (cursor !== null) asked.set("cursor", cursor);
    const answer = await ask("GET", `/api/audit/search?${asked}`, { signal });
    scanned += answer.scanned;
    cursor = answer.cursor;
    if (answer.records.length > 0 || !answer.more) {
      put(told, answer.behind ? "The index of the log is still being made: what it hasn't yet is not found." : query.has("text") && scanned > PAGE ? `${count(scanned)} requests were looked through.` : null);
      return { rows: answer.records, next: cursor };
    }
    put(told, `${count(scanned)} requests were looked through, and nothing was found yet.`);
    if (Date.now() > until) {
      await pressed(told, "Look further", signal);
      until = Date.now() + PATIENCE;
    }
  }
}

/** Until somebody presses the button. */
function pressed(told, label, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => reject(new DOMException("left", "AbortError"));
    signal.addEventListener("abort", stop, { once: true });
    told.append(" ", h("button", { class: "quiet", on: { click: ({ target }) => {
      signal.removeEventListener("abort", stop);
      target.remove();
      resolve();
    } } }, label));
  });
}

/** Buttons that hand over all of it as a file. */
function files(query, signal) {
  const made = Object.entries(FILES).map(([format, [label, name]]) => {
    const button = h("button", { class: "quiet", on: { click: () => fetchFile(button, query, { format, name, signal }) } }, label);
    return button;
  });
  return h("div", { class: "files", role: "group", "aria-label": "Hand over as a file" }, h("span", { class: "soft", "aria-hidden": "true" }, "Export"), made);
}

async function fetchFile(button, query, { format, name, signal }) {
  const label = button.textContent;
  button.disabled = true;
  try {
    const asked = new URLSearchParams(query);
    asked.delete("order");
    asked.set("format", format);
    const response = await fetched("GET", `/api/audit/export?${asked}`, { signal });
    const blob = await whole(response, (held) => put(button, `${label}: ${bytes(held)}`));
    if (blob === null) tooLarge(query, format);
    else keep(blob, name);
  } catch (problem) {
    if (problem.name !== "AbortError") say(problem.status === undefined ? "The file broke off, and was not kept." : problem.message, "wrong");
  } finally {
    put(button, label);
    button.disabled = false;
  }
}

/** The whole of an answer, or null where it is more than a page can hold. */
async function whole(response, tell) {
  const reader = response.body.getReader();
  const [parts, type] = [[], response.headers.get("content-type")];
  let held = 0;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return new Blob(parts, { type });
    parts.push(value);
    held += value.length;
    tell(held);
    if (held > LARGEST) {
      await reader.cancel();
      return null;
    }
  }
}

function keep(blob, name) {
  const link = h("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

/** What does the same in a terminal, where nothing has to be held. */
function command(query, format) {
  const words = ["nexus audit export", "--format", format];
  const from = query.get("from");
  if (from) words.push("--since", quoted(from));
  if (query.has("until")) words.push("--until", quoted(query.get("until")));
  for (const name of NAMES) if (query.has(name)) words.push(`${OPTIONS[name]}=${quoted(visible(query.get(name)))}`);
  return words.join(" ");
}

function tooLarge(query, format) {
  panel("It is too large for a page", h("h2", {}, "It is too large for a page"), h("p", {}, `The file has more than ${bytes(LARGEST)}. On the gateway's machine this writes it without a bound:`), h("pre", {}, command(query, format)));
}

/** Something over the list, at its side. Escape, "Close" and a click beside it take it away. */
function panel(label, ...content) {
  const box = h("dialog", { class: "record-box", "aria-label": label }, h("form", { method: "dialog", class: "record-close" }, h("button", { class: "quiet" }, "Close")), content);
  box.addEventListener("close", () => box.remove());
  box.addEventListener("click", (event) => event.target === box && box.close());
  document.body.append(box);
  box.showModal();
}
