// The rules as they are live, what they did, and what the log would have needed. They are changed in files, not here.

import { ask } from "../api.js";
import { h, put, say, table, tag } from "../dom.js";
import { count, day, near } from "../format.js";
import { listing, shown } from "../text.js";

const RANGES = { "24h": "a day", "7d": "a week", "30d": "30 days" };
const KINDS = { allow: "good", deny: "bad", limit: "warn", approve: "warn" };
/** More rows than this are asked for one by one. */
const ROWS = 300;

export async function show(place) {
  const range = h("select", { id: "range" }, Object.entries(RANGES).map(([value, name]) => h("option", { value }, `the last ${name.replace(/^a /, "")}`)));
  range.value = "7d";
  const find = h("input", { type: "search", id: "find", placeholder: "a rule, a host, an agent…", spellcheck: "false" });
  const idle = h("input", { type: "checkbox", id: "idle" });
  const [standing, rules, shadows, presets] = [h("div", { class: "policy-standing" }), h("div", {}), h("section", { class: "policy-part" }), h("section", { class: "policy-part" })];
  let policy = null;

  const draw = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = policy.rules.filter((rule) => words.every((word) => `${rule.name} ${rule.file}:${rule.line} ${rule.action} ${rule.text}`.toLowerCase().includes(word)) && (!idle.checked || rule.last === null));
    const why = policy.rules.length === 0 ? "There is no rule: what becomes of a request is up to the providers' files, the agents' limits, and the default." : "No rule is like that.";
    put(rules, table("Rules, in their order", columns(policy), found.slice(0, ROWS), why), found.length > ROWS ? h("p", { class: "empty" }, `${count(found.length - ROWS)} more; find them by a word.`) : null);
  };
  const look = async () => {
    put(standing, h("p", { class: "empty" }, "Counting what the log says…"));
    try {
      policy = await ask("GET", `/api/policy?since=${range.value}`);
    } catch (problem) {
      put(standing, h("p", { class: "wrong", role: "alert" }, problem.message));
      return;
    }
    put(standing, stands(policy));
    draw();
    put(shadows, h("h2", {}, "What rules in report mode would have done"), shadowed(policy));
    put(presets, offered(policy.presets));
  };
  for (const field of [find, idle]) field.addEventListener("input", () => policy && draw());
  range.addEventListener("change", look);
  put(place, h("h1", {}, "Policy"), standing,
    h("div", { class: "row" }, h("div", {}, h("label", { for: "find" }, "Find"), find), h("div", {}, h("label", { for: "range" }, "Counted over"), range),
      h("div", { class: "check" }, idle, h("label", { for: "idle" }, "Only those that never matched"))),
    rules, shadows, suggested(() => range.value, () => policy), presets);
  await look();
}

function stands(policy) {
  const path = (text) => h("code", {}, shown(text, { mono: false }));
  return [policy.mistake ? h("p", { class: "wrong", role: "alert" }, "What was written since was not taken; the rules below stay in force. ", shown(policy.mistake, { mono: false })) : null,
    h("p", {}, "The first rule that fits decides. What none of them speaks of is ", tag(policy.default === "deny" ? "refused" : "let on", policy.default === "deny" ? "bad" : "good"), ". In force since ", h("time", { datetime: policy.in_force_since }, day(policy.in_force_since)), "."),
    h("p", {}, "They are changed where they are written, in ", path(policy.file), " and the files of ", path(policy.folder), "; a proxy that is up takes a change at once. Nothing is changed here."),
    h("p", {}, h("small", {}, `Counted from ${day(policy.counted_from)} on.`, policy.whole ? "" : " The log has more from before: only its last 256 MiB are read.", " Otherwise: something else refused them, Nexus answered them itself, or their callers left before."))];
}

function columns(policy) {
  const order = new Map(policy.rules.map((rule, at) => [rule, at + 1]));
  return [
    { name: "#", numeric: true, cell: (rule) => count(order.get(rule)) },
    { name: "Rule", cell: (rule) => [shown(rule.name, { mono: false, most: 80 }), h("small", {}, shown(rule.file.split("/").at(-1)), h("span", { class: "mono line" }, `:${rule.line}`)), searched(policy, rule)] },
    { name: "What it says", cell: (rule) => h("details", { class: "says" }, h("summary", {}, shown(inShort(rule.text), { most: 90 })), h("pre", { tabindex: "0" }, listing(rule.text))) },
    { name: "Action", cell: (rule) => [tag(rule.action, KINDS[rule.action] ?? ""), rule.mode === "report" ? [" ", tag("report", "warn")] : null] },
    { name: "Let on", numeric: true, cell: (rule) => number(rule.let_on) },
    { name: "Refused", numeric: true, cell: (rule) => number(rule.refused) },
    { name: "Otherwise", numeric: true, cell: (rule) => number(rule.otherwise) },
    { name: "Waiting", numeric: true, cell: (rule) => number(rule.waiting, "/approvals") },
    { name: "Last", cell: (rule) => (rule.last === null ? tag("never matched", "warn") : h("time", { datetime: rule.last, title: day(rule.last) }, near(rule.last))) },
  ];
}

const number = (value, href = null) => (value === 0 ? h("span", { class: "empty" }, "0") : href === null ? count(value) : h("a", { href }, count(value)));

/** To the requests that were counted. */
function searched(policy, rule) {
  const all = rule.let_on + rule.refused + rule.otherwise;
  if (all === 0) return null;
  return h("small", {}, " ", h("a", { href: `/search?${new URLSearchParams({ from: policy.counted_from, rule: rule.name })}` }, all === 1 ? "its request" : `its ${count(all)} requests`));
}

/** Whom and what it speaks of, in one line. */
function inShort(text) {
  const lines = text.split("\n").filter((line) => line.includes("=") && !/^(name|action|mode|reason|summary|rate|burst|timeout|per) /.test(line));
  return lines.length === 0 ? "everything" : lines.map((line) => line.replace(/^(\w+) = /, "$1 ").replaceAll('"', "")).join(", ");
}

function shadowed(policy) {
  const watching = policy.rules.filter((rule) => rule.mode === "report");
  return table("Rules in report mode", [
    { name: "Rule", cell: (rule) => shown(rule.name, { mono: false, most: 80 }) },
    { name: "Would have refused", numeric: true, cell: (rule) => number(rule.would_refuse) },
    { name: "Would have held", numeric: true, cell: (rule) => number(rule.would_hold) },
    { name: "Last", cell: (rule) => (rule.last === null ? "never" : near(rule.last)) },
  ], watching, "No rule only reports. With mode = \"report\" the log says whom a rule would have refused or held, and the next rule decides.");
}

function suggested(since, policy) {
  const agent = h("input", { id: "agent", placeholder: "every agent", spellcheck: "false", maxlength: 64 });
  const made = h("div", { "aria-live": "polite" });
  const look = async () => {
    put(made, h("p", { class: "empty" }, "Reading the log…"));
    try {
      const asked = new URLSearchParams({ since: since(), ...(agent.value.trim() === "" ? {} : { agent: agent.value.trim() }) });
      const found = await ask("GET", `/api/policy/suggestion?${asked}`);
      put(made, compared(found, policy()?.rules.map((rule) => rule.text) ?? []));
    } catch (problem) {
      put(made, h("p", { class: "wrong", role: "alert" }, problem.message));
    }
  };
  return h("section", { class: "policy-part" }, h("h2", {}, "What the log would have needed"),
    h("p", {}, "The least rules that would have let on what was let on, with everything else refused. Read them before you use them: what was done is not always what should be."),
    h("form", { class: "row", on: { submit: (event) => { event.preventDefault(); look(); } } }, h("div", {}, h("label", { for: "agent" }, "Agent"), agent), h("button", { class: "main" }, "Suggest rules")), made);
}

function compared(found, present) {
  // Compared without their names, shown with them.
  const changes = difference(present.map(meaning), found.rules.map(meaning)).map(({ sign, at }) => ({ sign, text: (sign === "+" ? found.rules : present)[at].trim() }));
  const [added, removed] = ["+", "-"].map((sign) => changes.filter((one) => one.sign === sign).length);
  const facts = [`${count(found.requests)} requests of ${count(found.kinds)} kinds, from ${day(found.counted_from)} on.`, found.whole ? "" : "Only the last 256 MiB of the log were read.", found.dropped ? "There were more kinds than are looked at: name an agent, or take a shorter time." : ""].filter(Boolean).join(" ");
  if (found.rules.length === 0) return h("p", { class: "empty" }, "Nothing was let on in this time.");
  return [h("p", {}, facts), h("p", {}, `Beside the rules that are in force: ${count(added)} added, ${count(removed)} removed, ${count(changes.length - added - removed)} as they are.`),
    h("ol", { class: "diff" }, changes.slice(0, ROWS).map(change)), changes.length > ROWS ? h("p", { class: "empty" }, `${count(changes.length - ROWS)} more; the file has them all.`) : null,
    h("div", { class: "buttons" }, h("button", { on: { click: () => copied(found.text) } }, "Copy the suggested rules"), h("button", { on: { click: () => stored(found.text) } }, "Download suggested.toml")),
    h("p", {}, h("small", {}, "Put it into ", h("code", {}, "policies/suggested.toml"), " and ", h("code", {}, "policy.default = \"deny\""), " into ", h("code", {}, "nexus.toml"), ". ", h("code", {}, "nexus policy test"), " holds a table of requests against it before.")),
    named("They would have refused", found.would_refuse), named("No rule can speak of", found.no_rule_can_say), named("Refused or asked about before, and let on by them", found.newly_let_on.map(({ request, times }) => `${count(times)} × ${request}`)), named("Refused already, and by them", found.refused_already.map(({ request, times }) => `${count(times)} × ${request}`)),
    found.of_commands > 0 ? h("p", {}, h("small", {}, `${count(found.of_commands)} more requests came from agents of `, h("code", {}, "nexus run"), " or ", h("code", {}, "nexus test"), ", whose names never come again.")) : null];
}

/** What a rule says without what it is called. */
const meaning = (text) => text.trim().split("\n").filter((line) => !line.startsWith("name = ")).join("\n");

function change({ sign, text }) {
  const [word, element] = { "+": ["added", "ins"], "-": ["removed", "del"], " ": ["as it is", "span"] }[sign];
  const lines = listing(text).split("\n").map((line) => `${sign} ${line}`).join("\n");
  return h("li", { class: word === "as it is" ? "same" : word }, h("span", { class: "hidden" }, `${word}:`), h(element, {}, h("pre", {}, lines)));
}

/** What is to be added to `before` and taken from it to have `after`, in order (the longest common subsequence). */
export function difference(before, after) {
  const [rows, columns] = [before.length + 1, after.length + 1];
  // Past this the common beginning and end are all that is looked for.
  const large = rows * columns > 4000000;
  const longest = large ? null : Array.from({ length: rows }, () => new Uint32Array(columns));
  for (let at = rows - 2; !large && at >= 0; at -= 1) {
    for (let to = columns - 2; to >= 0; to -= 1) longest[at][to] = before[at] === after[to] ? longest[at + 1][to + 1] + 1 : Math.max(longest[at + 1][to], longest[at][to + 1]);
  }
  const changes = [];
  let [at, to] = [0, 0];
  while (at < before.length || to < after.length) {
    if (at < before.length && to < after.length && before[at] === after[to]) {
      changes.push({ sign: " ", text: before[at], at });
      at += 1;
      to += 1;
    } else if (at < before.length && (to === after.length || large || longest[at + 1][to] >= longest[at][to + 1])) {
      changes.push({ sign: "-", text: before[at], at });
      at += 1;
    } else {
      changes.push({ sign: "+", text: after[to], at: to });
      to += 1;
    }
  }
  return changes;
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    say("Copied.");
  } catch {
    say("The browser does not let the page copy; download the file instead.", "wrong");
  }
}

function stored(text) {
  const link = h("a", { href: URL.createObjectURL(new Blob([text], { type: "application/toml" })), download: "suggested.toml" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function named(title, requests) {
  if (requests.length === 0) return null;
  return h("details", {}, h("summary", {}, `${title}: ${requests.length === 100 ? "100 or more" : count(requests.length)}`), h("ul", { class: "named" }, requests.map((one) => h("li", {}, shown(one, { most: 300 })))));
}

function offered(presets) {
  const with_ = presets.filter((one) => one.presets.length > 0);
  const without = presets.filter((one) => one.presets.length === 0);
  const list = h("div", {});
  const box = h("details", {}, h("summary", {}, `Presets: ${count(with_.length)} services have some`), list);
  // Hundreds of rows that few look at.
  box.addEventListener("toggle", () => put(list, box.open && [h("p", {}, "A rule with ", h("code", {}, "preset = \"read_only\""), " or ", h("code", {}, "\"no_delete\""), " and the service's ", h("code", {}, "provider"), " lets on what its file says, and nothing else of it."),
    table("Presets", [{ name: "Service", cell: (one) => [one.title, h("small", {}, one.provider)] }, { name: "Presets", cell: (one) => one.presets.map((word) => [tag(word), " "]) }], with_, "None."),
    without.length > 0 ? h("p", { class: "empty" }, `None: ${without.map((one) => one.provider).join(", ")}.`) : null]));
  return box;
}
