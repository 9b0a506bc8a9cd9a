// What stands how, what needs a person, and what happened, in numbers.

import { ask } from "../api.js";
import { connect } from "../connect.js";
import { h, plain, put, refill, say, table, tag, text, visible } from "../dom.js";
import { shut } from "../drawer.js";
import { bytes, count, day, milliseconds, near } from "../format.js";
import { PLACES } from "../meanings.js";
import { plot } from "../plot.js";

const EVERY = 5000;
/** So many agents are named on a card. */
const NAMED = 8;
/** What can be looked at, in words, and how often it is looked at anew. */
const RANGES = { "1h": ["1 hour", 5000], "6h": ["6 hours", 15000], "24h": ["24 hours", 15000], "7d": ["7 days", 30000], "30d": ["30 days", 30000] };
const OF = { providers: ["Providers", "provider"], agents: ["Agents", "agent"], hosts: ["Hosts", "host"] };
const BY = { requests: "Requests", bytes: "Bytes" };
/** The kinds of answers, from the bottom of a bar up. */
const ENDS = [["answered", 0], ["the service said no", 1], ["refused", 2], ["errors", 5], ["no answer", 4], ["under way", 3]];
const PERCENTS = [["p50_us", "median", 0], ["p90_us", "p90", 1], ["p99_us", "p99", 5]];
const STEPS = [["renewed", "renewals", 0], ["replayed", "second sends", 1], ["scrubbed", "secrets kept from callers", 2], ["canaries", "canary alarms", 5]];

const micros = (value) => (value < 1000 ? `${value} µs` : milliseconds(value / 1000));
const short = (value) => new Intl.NumberFormat(undefined, { notation: "compact" }).format(value);

export async function show(place, context) {
  const numbers = h("div", { class: "numbers" });
  const needs = h("div", { "aria-live": "polite" });
  const happened = h("div", {});
  put(place, h("h1", {}, "Overview"), numbers, h("h2", {}, "Needs you"), needs, happened);
  let known = "";
  const look = async (background) => {
    const [status, attention, approvals] = await Promise.all(["/api/status", "/api/attention", "/api/approvals"].map((path) => ask("GET", path, { background })));
    const said = JSON.stringify([status, attention, approvals.waiting]);
    if (said === known) return;
    known = said;
    const total = Object.values(status.connections).reduce((sum, one) => sum + one, 0);
    const shown = [[total === 1 ? "connection" : "connections", total, "/connections"], [status.agents === 1 ? "agent" : "agents", status.agents, "/agents"], ["services known", status.providers, "/catalogue"], [approvals.waiting === 1 ? "request waits for a yes" : "requests wait for a yes", approvals.waiting, "/approvals"]];
    put(numbers, shown.map(([name, number, path]) => h("div", {}, h("b", {}, count(number)), path ? h("a", { href: path }, name) : name)));
    const open = attention.items.filter((item) => item.status === "open");
    refill(needs, approvals.waiting > 0 ? held(approvals.waiting) : null, open.length === 0 ? approvals.waiting > 0 ? null : h("p", { class: "empty" }, "Nothing. What is refused for want of a credential stands here, with what mends it.") : h("div", { class: "cards" }, together(open).map((items) => need(items, context, look))));
  };
  await look(false);
  const timer = setInterval(() => document.hidden || look(true).catch(() => {}), EVERY);
  const happenings = await history_of(happened, context);
  // Nobody looks while the page is hidden; who comes back sees what is.
  const back = () => document.hidden || Promise.all([look(true), happenings.look(true)]).catch(() => {});
  document.addEventListener("visibilitychange", back);
  return () => {
    document.removeEventListener("visibilitychange", back);
    clearInterval(timer);
    happenings.end();
    shut();
  };
}

/** Requests that wait for a yes. */
const held = (waiting) => h("p", {}, tag("waits", "warn"), " ", h("a", { href: "/approvals", "data-key": "held" }, waiting === 1 ? "One request waits for a yes" : `${count(waiting)} requests wait for a yes`), waiting === 1 ? "; without one in time it is refused." : "; without one in time they are refused.");

/** What one act mends stands once, however many agents met it. */
function together(open) {
  const cards = new Map();
  for (const item of open) {
    const key = act(item);
    if (cards.has(key)) cards.get(key).push(item);
    else cards.set(key, [item]);
  }
  return [...cards.values()];
}

const act = ({ connection, reason, command }) => JSON.stringify([connection, reason, command]);

/** The names of those that met it, each once, with commas between them. */
function askers(items) {
  const names = [...new Set(items.map(({ agent }) => agent))];
  const more = names.length > NAMED ? [`, and ${count(names.length - NAMED)} more`] : [];
  return [...names.slice(0, NAMED).map((name, at) => [at > 0 ? ", " : null, h("bdi", {}, visible(name))]), more];
}

function need(items, { may }, look) {
  const item = items.reduce((latest, one) => (new Date(one.last_seen) > new Date(latest.last_seen) ? one : latest));
  const times = items.reduce((sum, one) => sum + one.count, 0);
  const [provider, user = ""] = item.connection.split(/:(.*)/s);
  // A log-in that waits for a word can only be approved where the vault is.
  const mends = item.reason !== "pending_approval" && may("operator");
  const label = { not_registered: "Connect…", revoked: "Connect again…", refused: "Connect again…", attention: "Log in again…", unfit: "Enter it again…" }[item.reason] ?? "Connect…";
  const mend = () => connect(provider, { user, again: item.reason !== "not_registered", entered: item.reason === "unfit", done: () => look(false) }).catch((problem) => say(item.command ? `${problem.message}; or type: ${item.command}` : problem.message, "wrong"));
  return h("article", { class: "card" }, h("h2", {}, text(item.title)),
    h("p", {}, tag(item.urgency ?? "open", item.urgency === "blocking" ? "bad" : "warn"), ` asked for ${times === 1 ? "once" : `${count(times)} times`} by `, askers(items), `, last ${near(item.last_seen)}`),
    h("p", {}, why(item)), mends ? h("p", { class: "mend" }, h("button", { class: "main", "data-key": `mend ${act(item)}`, on: { click: mend } }, label)) : null,
    item.command ? h("p", { class: "command" }, mends ? "Or run " : may("operator") ? "Run " : "An operator runs ", h("code", {}, plain(item.command))) : null);
}

/** What is wrong, without what programs are told to do about it: whoever reads this may be the operator that they are told to ask. */
function why({ content, command }) {
  const at = content.indexOf(` Ask the operator to run \`${command}\``);
  return plain(at < 0 ? content : content.slice(0, at));
}

/** What happened: a range, its plots, and whose requests they were. */
async function history_of(place, { go }) {
  const asked = new URLSearchParams(location.search);
  const chosen = { range: pick(RANGES, asked.get("range"), "24h"), of: pick(OF, asked.get("of"), "providers"), by: pick(BY, asked.get("by"), "requests") };
  let stats = null;
  const search = (conditions, step = null) => {
    const from = step === null ? stats.from : stats.steps[step].at;
    const until = step === null ? stats.to : (stats.steps[step + 1]?.at ?? stats.to);
    return `/search?${new URLSearchParams({ ...conditions, from, until })}`;
  };
  const drawn = parts(chosen, { go, search, change });
  const empty = h("div", {});
  put(place, h("div", { class: "row heading" }, h("h2", { id: "happened" }, "What happened"), drawn.ranges), empty, drawn.element);
  let known = "";
  let timer = 0;
  let ended = false;
  async function look(background) {
    const { range, by } = chosen;
    const found = await ask("GET", `/api/stats?${new URLSearchParams({ range, by })}`, { background });
    const said = JSON.stringify([found, chosen.of]);
    // Somebody may have chosen something else meanwhile.
    if (ended || said === known || range !== chosen.range || by !== chosen.by) return;
    [known, stats] = [said, found];
    refill(empty, nothing(found));
    drawn.element.hidden = found.totals.requests === 0 && found.new_hosts.count === 0 && found.canaries.length === 0;
    drawn.draw(found);
  }
  async function round() {
    if (!document.hidden) await look(true).catch(() => {});
    if (!ended) timer = setTimeout(round, RANGES[chosen.range][1]);
  }
  async function change(what) {
    Object.assign(chosen, what);
    const usual = { range: "24h", of: "providers", by: "requests" };
    const query = new URLSearchParams(Object.entries(chosen).filter(([name, value]) => usual[name] !== value)).toString();
    history.replaceState(null, "", query === "" ? location.pathname : `${location.pathname}?${query}`);
    drawn.mark();
    await look(false).catch((problem) => say(problem.message, "wrong"));
  }
  await look(false);
  timer = setTimeout(round, RANGES[chosen.range][1]);
  const end = () => {
    ended = true;
    clearTimeout(timer);
    drawn.end();
  };
  return { look, end };
}

const pick = (all, name, usual) => (Object.hasOwn(all, name ?? "") ? name : usual);

/** What to say where there is nothing, or not all yet. */
function nothing({ totals, complete }) {
  return [
    complete ? null : h("p", { class: "wrong", role: "status" }, "The index of the audit log is being made: these are not all the numbers yet."),
    totals.requests > 0 ? null : h("p", { class: "empty" }, "Nothing went through Nexus in this time. A longer one may show more; a program goes through it by ", h("code", {}, "nexus run -- PROGRAM"), "."),
  ];
}

/** A row of buttons of which one is pressed. */
function choice(label, options, is, choose) {
  const buttons = Object.entries(options).map(([value, [name]]) => h("button", { class: "quiet", value, "aria-pressed": "false", on: { click: () => choose(value) } }, name));
  const mark = () => buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.value === is())));
  mark();
  return { element: h("div", { class: "pick", role: "group", "aria-label": label }, buttons), mark };
}

/** All that is drawn, and what draws it. */
function parts(chosen, { go, search, change }) {
  const ranges = choice("Range", RANGES, () => chosen.range, (range) => change({ range }));
  const of = choice("Whose", OF, () => chosen.of, (value) => change({ of: value }));
  const by = choice("By what", Object.fromEntries(Object.entries(BY).map(([name, word]) => [name, [word]])), () => chosen.by, (value) => change({ by: value }));
  const to = (conditions) => (step) => go(search(conditions, step));
  const requests = plot({ title: "Requests", word: count, mark: short, pick: to({}) });
  const lasted = plot({ title: "How long they took", note: "until the last byte, where a service answered; off by 3.2 % at most", lines: true, log: true, word: micros, pick: to({}) });
  const whose = plot({ title: "Requests by provider", tools: h("div", { class: "row choices" }, of.element, by.element), word: count, mark: short, pick: to({}) });
  const steps = plot({ title: "What Nexus did on the way", word: count, mark: short, pick: to({}) });
  const [totals, tops] = [h("div", { class: "numbers small" }), h("div", { class: "tops" })];
  const element = h("div", {}, totals, h("div", { class: "plots" }, requests.element, lasted.element, whose.element, steps.element), tops);
  function draw(stats) {
    const at = stats.steps.map((step) => new Date(step.at).getTime());
    const length = stats.step_secs * 1000;
    const series = (value) => stats.steps.map(value);
    requests.draw({ at, length, kinds: ENDS.map(([name, kind], number) => ({ name, kind, values: series((step) => ends(step)[number]) })) });
    lasted.draw({ at, length, kinds: PERCENTS.map(([key, name, kind]) => ({ name, kind, whole: stats.totals[key], values: series((step) => step[key]) })) });
    const measured = chosen.by === "bytes" ? { word: bytes, mark: bytes, binary: true } : { word: count, mark: short, binary: false };
    whose.draw({ at, length, kinds: named(stats[chosen.of], OF[chosen.of][1]), title: `${BY[chosen.by]} by ${OF[chosen.of][1]}`, ...measured });
    steps.draw({ at, length, kinds: STEPS.map(([key, name, kind]) => ({ name, kind, values: series((step) => step[key]) })) });
    refill(totals, sums(stats, search));
    const talking = Object.entries(OF).map(([key, [title, field]]) => talkers(title, field, stats[key], chosen.by, search));
    const alarms = h("section", {}, canaries(stats.canaries, search));
    const hosts = h("section", {}, fresh(stats.new_hosts, search));
    // Alarms come first where there are any.
    refill(tops, stats.canaries.length > 0 ? [alarms, hosts, talking] : [talking, hosts, alarms]);
  }
  const all = [requests, lasted, steps, whose];
  return { element, ranges: ranges.element, draw, mark: () => [ranges, of, by].forEach((one) => one.mark()), end: () => all.forEach((one) => one.end()) };
}

/** How many of the requests ended how, in the order of [`ENDS`]. */
function ends({ requests, refused, rejected, errors, unanswered, unfinished }) {
  return [requests - refused - rejected - errors - unanswered - unfinished, rejected, refused, errors, unanswered, unfinished];
}

/** The five largest, and the rest together. */
function named({ items, others }, field) {
  const [first, rest] = [items.slice(0, 5), [...items.slice(5), ...(others === null ? [] : [others])]];
  const kinds = first.map(({ name, series }, kind) => ({ name: name === null ? `no ${field}` : visible(name), kind, values: series }));
  if (rest.length === 0) return kinds;
  return [...kinds, { name: "all others", kind: 6, values: rest[0].series.map((_, step) => rest.reduce((sum, { series }) => sum + series[step], 0)) }];
}

function sums({ totals }, search) {
  const tile = (name, number, more, conditions) => h("div", {}, h("b", {}, number), conditions ? h("a", { href: search(conditions), "data-key": `tile ${name}` }, name) : name, more ? h("small", {}, more) : null);
  const share = (part) => (totals.requests > 0 ? `${new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 }).format(part / totals.requests)} of all` : null);
  return [
    tile("requests", count(totals.requests), totals.unfinished > 0 ? `${count(totals.unfinished)} of them under way${totals.held > 0 ? `, ${count(totals.held)} held for a word` : ""}` : null, {}),
    tile("refused", count(totals.refused), share(totals.refused), { verdict: "refuse", status: "4xx" }),
    tile("errors", count(totals.errors), share(totals.errors), { status: "5xx" }),
    tile("renewals", count(totals.renewed), `${count(totals.replayed)} sent a second time`),
    tile("median time", totals.p50_us === null ? "none" : micros(totals.p50_us), totals.p99_us === null ? null : `p99 ${micros(totals.p99_us)}`),
    tile("to services", bytes(totals.bytes_up), `${bytes(totals.bytes_down)} to callers`),
  ];
}

/** A name of the network, which leads to what it did where it has one. */
function name_of(field, name, search) {
  if (name === null) return h("span", { class: "empty" }, `no ${field}`);
  return h("a", { href: search({ [field]: name }), "data-key": `${field} ${name}`, title: visible(name) }, h("bdi", { class: "name" }, visible(name)));
}

function talkers(title, field, { items, others }, by, search) {
  const size = (one) => (by === "bytes" ? one.bytes_up + one.bytes_down : one.requests);
  const most = Math.max(1, ...items.map(size));
  const rows = others === null ? items : [...items, { ...others, rest: true }];
  return h("section", {}, h("h3", {}, title), table(title, [
    { name: title.slice(0, -1), cell: (one) => [one.rest ? h("span", { class: "empty" }, "all others") : name_of(field, one.name, search), one.rest ? null : h("meter", { min: 0, max: most, value: size(one), "aria-label": "compared with the first" })] },
    { name: "Requests", numeric: true, cell: (one) => count(one.requests) },
    { name: "Refused", numeric: true, cell: (one) => count(one.refused) },
    { name: "Errors", numeric: true, cell: (one) => count(one.errors) },
    { name: "Bytes", numeric: true, cell: (one) => bytes(one.bytes_up + one.bytes_down) },
  ], rows, "None."));
}

function fresh({ count: all, items, full }, search) {
  const title = "Hosts never seen before";
  return [h("h3", {}, all > items.length ? `${title}: the newest ${items.length} of ${count(all)}` : title), table(title, [
    { name: "Host", cell: ({ host }) => name_of("host", host, search) },
    { name: "First seen", cell: ({ first_seen }) => h("time", { datetime: first_seen, title: day(first_seen) }, near(first_seen)) },
    { name: "By", cell: ({ agent }) => name_of("agent", agent, search) },
    { name: "Provider", cell: ({ provider }) => name_of("provider", provider, search) },
  ], items, full ? "50,000 hosts are remembered, and which are new is not known any longer." : "Every host of this time was seen before.")];
}

function canaries(items, search) {
  const title = "Canary alarms";
  return [h("h3", {}, title), table(title, [
    { name: "When", cell: ({ at }) => h("time", { datetime: at, title: day(at) }, near(at)) },
    { name: "Agent", cell: ({ agent }) => name_of("agent", agent, search) },
    { name: "Host", cell: ({ host, place }) => [name_of("host", host, search), h("small", {}, PLACES[place] ?? visible(place))] },
    { name: "Request", cell: ({ refused }) => (refused ? tag("refused", "good") : tag("went on", "bad")) },
  ], items, "No placeholder was seen where it does not belong.")];
}
