// One record of the audit log, whole: what was asked, what was decided and why, and the lines to go on with.

import { ask } from "./api.js";
import { fate, reasons } from "./decided.js";
import { h, put, say, tag } from "./dom.js";
import { bytes, took } from "./format.js";
import { ACTIONS, explainLine, inquiry, rule } from "./lines.js";
import { EVENTS, VERDICTS, door } from "./meanings.js";
import { listing, shown, visible } from "./text.js";

const TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const PORTS = { http: 80, https: 443 };

/** `host` with its port where that is not the usual one. */
export const place = (event) => `${event.host ?? ""}${event.port === undefined || event.port === PORTS[event.scheme ?? "https"] ? "" : `:${event.port}`}`;

/** The method; a CONNECT whose bytes nobody reads has none on record. */
export const method = (event) => event.method ?? (event.event?.startsWith("tunnel_") ? "CONNECT" : "—");

/** The verdict as a word in its colour; a request that has not ended says so. */
export function verdict(event) {
  const [word, kind] = VERDICTS[event.verdict] ?? [visible(event.verdict ?? event.event), ""];
  const made = tag(word, kind);
  made.title = fate(event);
  return made;
}

/** Whether it is a request or a tunnel, not a word of the gateway or the log itself. */
export const isRequest = (event) => /^(tunnel_)?(open|close|refuse)$/.test(event.event);

/** Who did it: of a request the agent; of anything else whoever holds the key or the session, where `agent` is whom it was done to. */
export const doer = (event) => (isRequest(event) ? event.agent : event.event === "page_signed_in" ? event.name : event.by ?? event.agent) ?? "";

/** Of what is no request: what was done, and to what. */
export function happening(event) {
  const objects = [event.agent, event.name, event.connection, event.rule, event.file, event.lease, event.approval_id, event.version];
  return [event.event.replaceAll("_", " "), objects.find((object) => object !== undefined && (object !== event.agent || event.by !== undefined))].filter(Boolean).join(" ");
}

/**
 * The record as an element. `event` is one object with all that the log says of a request: the members of its last line over those
 * of its first one; or any other line of the log. `context` is that of the view.
 */
export function record(event, context) {
  const title = isRequest(event) ? `${method(event)} ${place(event)}` : event.event.replaceAll("_", " ");
  const parts = isRequest(event) ? request(event) : EVENTS[event.event] === undefined ? [] : [h("p", {}, EVENTS[event.event])];
  const whole = h("details", {}, h("summary", {}, "As it stands in the log"), h("pre", { tabindex: "0" }, listing(JSON.stringify(event, null, 1))));
  return h("article", { class: "record" }, h("h2", {}, shown(title, { most: 300 })), parts, isRequest(event) ? null : facts(operation(event)), whole);
}

/** What people call the members of a line that is no request; the others go by their own names. */
const LABELS = { by: "Done by", kind: "As", source: "From", agent: "To the agent", connection: "Connection", rule: "Rule", name: "Name", file: "File", approval_id: "Question", answer: "Answer", answered_by: "Answered by", for_secs: "For seconds", pattern: "Paths", limits: "Limits", time: "Time", seq: "Line" };
/** Members that only the chain needs, which stand in the line itself. */
const CHAINED = ["v", "event", "prev", "src", "hash"];

/** Who did what to whom, in this order, then all the rest. */
function operation(event) {
  const label = (name) => (name === "agent" && event.by === undefined ? "Agent" : LABELS[name] ?? name);
  const value = (name) => (name === "time" ? moment(event.time) : event[name]);
  const others = Object.keys(event).filter((name) => !(name in LABELS) && !CHAINED.includes(name));
  return [...Object.keys(LABELS), ...others].filter((name) => event[name] !== undefined).map((name) => [label(name), value(name)]);
}

function request(event) {
  const ended = event.event.endsWith("close") || event.event.endsWith("refuse");
  const status = event.status === undefined ? null : tag(String(event.status), event.status >= 500 ? "bad" : event.status >= 400 ? "warn" : "good");
  const path = event.path === undefined ? null : h("p", { class: "path" }, shown(event.path));
  return [path, h("p", { class: "tags" }, verdict(event), status, ended ? null : tag("under way", "warn")),
    h("h3", {}, "What was decided"), h("ul", { class: "reasons" }, reasons(event).map((reason) => h("li", {}, sentence(reason)))),
    h("h3", {}, "What happened"), facts(happened(event)), event.host === undefined ? null : lines(event)];
}

/** Names and values: elements and words of ours as they are, what strangers sent in a box of its own. */
function facts(pairs) {
  const rows = pairs.filter(([, value]) => value !== undefined && value !== null && value !== "");
  return h("dl", {}, rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value instanceof Node ? value : shown(typeof value === "string" ? value : JSON.stringify(value)))]));
}

function happened(event) {
  const words = (text) => (text ? h("span", {}, text) : null);
  const moved = event.bytes_up === undefined ? null : `${bytes(event.bytes_up)} up, ${bytes(event.bytes_down)} down`;
  const spoken = [event.http && `HTTP/${event.http} from the program`, event.upstream_http && `HTTP/${event.upstream_http} to the service`].filter(Boolean).join(", ");
  return [["Began", moment(event.began)], [event.began === undefined ? "Time" : "Ended", moment(event.time)],
    ["Took", words(took(event).filter(Boolean).join(", "))],
    ["Agent", event.agent], ["Lease", event.lease], ["Process", event.process], ["From", event.source], ["Came", event.door && words(visible(door(event.door)))],
    ["Server name", event.sni], ["Provider", event.provider], ["Connection", event.connection], ["Went to", event.dialled], ["Spoke", words(visible(spoken))],
    ["Body", words(moved)], ["Record", event.id], ["Line", event.seq === undefined ? null : String(event.seq)]];
}

const moment = (time) => (time === undefined ? null : h("time", { datetime: time }, TIME.format(new Date(time))));

/** A sentence of `decided.js` as elements: what strangers sent stays what it is. */
function sentence(parts) {
  return parts.map((part) => {
    if (part.code !== undefined) return h("code", {}, shown(part.code, { mono: false, most: 300 }));
    if (part.strong !== undefined) return h("strong", {}, visible(part.strong));
    return part.time === undefined ? part : moment(part.time);
  });
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    say("Copied.");
  } catch {
    say("The browser does not let the page copy; select the text instead.", "wrong");
  }
}

function copyable(text, name) {
  const box = h("pre", { tabindex: "0" }, listing(text));
  return h("div", { class: "copyable" }, box, h("button", { class: "quiet", "aria-label": `Copy the ${name}`, on: { click: () => copied(text) } }, "Copy"));
}

const caveats = (notes) => (notes.length === 0 ? null : h("small", {}, `${notes.join("; ")}.`));

const OUTCOMES = { inject: "good", pass: "", tunnel: "", strip: "warn", refuse: "bad", auth_required: "warn", own_page: "", answer: "good" };

/** What the rules, agents and connections of now would make of it. */
function now(event) {
  const answer = h("div", { "aria-live": "polite" });
  const look = async () => {
    put(answer, h("p", { class: "empty" }, "…"));
    try {
      put(answer, explained(await ask("GET", `/api/explain?${new URLSearchParams(inquiry(event))}`)));
    } catch (problem) {
      put(answer, h("p", { class: "wrong", role: "alert" }, problem.message));
    }
  };
  return [h("p", {}, h("button", { class: "quiet", on: { click: look } }, "What would be decided now?")), answer];
}

function explained(answer) {
  const at = (rule) => rule && `${rule.name} (${rule.action}, ${rule.file}:${rule.line})`;
  const all = (rules) => rules?.map(at).join("; ");
  return facts([["Now", tag(answer.outcome.replaceAll("_", " "), OUTCOMES[answer.outcome])], ["Why", h("span", {}, visible(answer.why))], ["Rule", at(answer.policy?.rule)],
    ["Asks a person", all(answer.policy?.approvals)], ["Would refuse", all(answer.policy?.would_refuse)], ["Provider", answer.provider], ["Connection", answer.connection],
    ["Goes on as", answer.placements.join(", ")], ["Taken off", answer.strips.join(", ")], ["Next", answer.command]]);
}

function lines(event) {
  const command = explainLine(event);
  const field = h("select", { "aria-label": "What the rule does" }, Object.entries(ACTIONS).map(([value, name]) => h("option", { value }, name)));
  field.value = event.verdict === "refuse" ? "allow" : "deny";
  const made = h("div", {});
  const draw = () => {
    const { text, notes } = rule(event, field.value);
    put(made, copyable(text, "rule"), caveats(notes));
  };
  field.addEventListener("change", draw);
  draw();
  return [h("h3", {}, "Why, in a terminal"), copyable(command.line, "command"), caveats(command.notes), now(event),
    h("h3", {}, "A rule for such requests"), h("p", { class: "choice" }, field), made,
    h("p", {}, "It goes before the first rule that fits, into ", h("code", {}, "nexus.toml"), " or a file of ", h("code", {}, "policies/"), "; a proxy that is up takes it at once.")];
}
