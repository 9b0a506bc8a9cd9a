// Requests that wait for a person's word.

import { ask } from "../api.js";
import { asRule } from "../as_rule.js";
import { dialog, h, plain, put, refill, say, table, tag, text } from "../dom.js";
import { bytes, count, day, near } from "../format.js";
import { listing } from "../text.js";

const EVERY = 2000;
const STATES = { waiting: ["waits", "warn"], allowed: ["let on", "good"], used: ["let on, and sent", "good"], denied: ["refused", "bad"], timed_out: ["nobody answered", ""], left: ["left", ""] };

export async function show(place, { may }) {
  const heading = h("h1", { tabindex: "-1" }, "Approvals");
  const number = h("p", { class: "empty", role: "status" });
  const [list, ended, grants] = [h("div", {}), h("section", { class: "part" }), h("section", { class: "part" })];
  put(place, heading, h("p", {}, "A rule with ", h("code", {}, "action = \"approve\""), " holds a request here until somebody says yes; without a word in time it is refused."), number, list, grants, ended);
  const cards = new Map();
  let known = "";
  const look = async (background) => {
    const found = await ask("GET", "/api/approvals", { background });
    for (const { left } of cards.values()) put(left, near(left.dateTime));
    const said = JSON.stringify(found);
    if (said === known) return;
    known = said;
    const waiting = found.items.filter((item) => item.status === "waiting");
    put(number, waiting.length === 0 ? "Nothing waits." : waiting.length === 1 ? "One request waits." : `${count(waiting.length)} requests wait.`);
    for (const [id, { element }] of cards) if (!waiting.some((item) => item.id === id)) leave(id, element);
    for (const item of waiting) if (!cards.has(item.id)) cards.set(item.id, card(item, may, () => look(false)));
    // A card that is there stays where it is, with whoever is reading or typing in it.
    waiting.map((item) => cards.get(item.id).element).forEach((element, at) => list.children[at] !== element && list.insertBefore(element, list.children[at] ?? null));
    refill(grants, h("h2", {}, "Let on for a time"), allowed(found.grants, may, look));
    put(ended, h("h2", {}, "Ended within the hour"), over(found.items.filter((item) => item.status !== "waiting")));
  };
  /** Takes a card away; who was in it goes on at the next one: at its beginning, so that no key that was pressed twice answers that as well. */
  function leave(id, element) {
    const inside = element.contains(document.activeElement);
    const next = element.nextElementSibling ?? element.previousElementSibling ?? heading;
    cards.delete(id);
    element.remove();
    if (inside) next.focus();
  }
  await look(false);
  const timer = setInterval(() => look(true).catch(() => {}), EVERY);
  return () => clearInterval(timer);
}

/** What was asked for, in one line. */
const asked = ({ method, host, path }, most = 200) => h("span", { class: "mono" }, text(`${method} ${host}${path}`, most));

function allowed(grants, may, look) {
  return table("Let on for a time", [
    { name: "Agent", cell: (grant) => text(grant.agent) },
    { name: "What", cell: (grant) => asked(grant) },
    { name: "Rule", cell: (grant) => text(grant.rule) },
    { name: "By", cell: (grant) => text(grant.by) },
    { name: "Until", cell: (grant) => day(grant.until) },
    { name: "", cell: (grant) => may("operator", "approver") && h("button", { class: "quiet bad", "data-key": grant.id, on: { click: () => end(grant, look) } }, "End") },
  ], grants, "Nothing is let on for a time.");
}

function over(items) {
  return table("Ended within the hour", [
    { name: "What", cell: (item) => asked(item) },
    { name: "Agent", cell: (item) => text(item.agent) },
    { name: "How", cell: (item) => tag(...(STATES[item.status] ?? [item.status])) },
    { name: "By", cell: (item) => text(item.by) },
    { name: "When", cell: (item) => (item.settled_at ? near(item.settled_at) : "") },
  ], items, "Nothing has ended.");
}

function card(item, may, look) {
  let busy = false;
  const answer = (decision, more = {}) => async () => {
    if (busy) return;
    busy = true;
    try {
      await ask("POST", `/api/approvals/${encodeURIComponent(item.id)}`, { body: { decision, ...more } });
      say(`${plain(item.method, 40)} to ${plain(item.host, 100)} ${decision === "allow" ? "goes on." : "is refused."}`);
    } catch (problem) {
      say(problem.message, "wrong");
    }
    busy = false;
    await look();
  };
  const byPattern = async () => {
    // A star that the program sent is none of the person's.
    const path = item.path.split("?")[0];
    const stars = /[*{}]/.test(path);
    const field = h("input", { name: "pattern", value: stars ? "" : path, required: true, spellcheck: "false" });
    const time = h("select", { name: "for_secs" }, [["900", "15 minutes"], ["3600", "an hour"], ["28800", "8 hours"], ["86400", "a day"]].map(([value, name]) => h("option", { value }, name)));
    time.value = "3600";
    const answered = await dialog("Let on what fits a pattern", [
      h("p", {}, "All of ", text(item.agent), `'s ${plain(item.method)} requests to `, text(item.host), " under the rule ", text(item.rule), " whose path fits: * is one part, ** any number of them."),
      stars ? h("p", { class: "wrong" }, "The program's own path has stars or braces in it: ", text(path)) : null,
      h("label", { for: "pattern" }, "Path"), Object.assign(field, { id: "pattern" }), h("label", { for: "for_secs" }, "For"), Object.assign(time, { id: "for_secs" }),
    ], [{ value: "yes", label: "Let on", kind: "main" }, { value: "", label: "Cancel" }]);
    if (answered !== null) await answer("allow", { pattern: answered.data.get("pattern"), for_secs: Number(answered.data.get("for_secs")) })();
  };
  const body = item.body ?? {};
  const preview = body.preview ? [h("pre", { tabindex: "0" }, listing(body.preview)), body.cut ? h("small", {}, "There is more of it.") : null] : body.note && body.size !== 0 ? h("p", { class: "soft" }, `No preview: ${plain(body.note)}.`) : null;
  const sizes = [body.content_type && text(body.content_type), body.content_type && bytes(body.size) && ", ", bytes(body.size)].filter(Boolean);
  const left = h("time", { datetime: item.expires_at }, near(item.expires_at));
  const facts = [["Agent", [text(item.agent), item.user ? [", for ", text(item.user)] : null]], ["Rule", [text(item.rule), item.summary ? [": ", text(item.summary, 500)] : null]],
    ["Request", asked(item, 4096)], item.methods_beside?.length ? ["Read as", [text(item.methods_beside.join(", ")), " where a parameter or the body counts"]] : null, item.connection ? ["Connection", text(item.connection)] : null,
    ["Body", sizes.length > 0 ? sizes : "none"], ["Refused by itself", left]];
  const told = (item.fields?.length ?? 0) + (item.more_fields ?? 0);
  const fields = item.fields?.length ? h("details", {}, h("summary", {}, told === 1 ? "One header field" : `${count(told)} header fields`), h("pre", {}, item.fields.map(({ name, value }) => plain(`${name}: ${value}`, 2000)).join("\n"), item.more_fields ? `\n…and ${item.more_fields} more` : "")) : null;
  const buttons = may("operator", "approver") ? h("div", { class: "buttons" },
    h("button", { class: "main", on: { click: answer("allow") } }, "Allow once"), h("button", { on: { click: answer("allow", { for_secs: 3600 }) } }, "Allow for an hour"),
    h("button", { on: { click: byPattern } }, "Allow a pattern…"), h("button", { on: { click: async () => (await asRule(item)) && answer("allow")() } }, "As a rule…"), h("button", { class: "bad", on: { click: answer("deny") } }, "Refuse")) : null;
  const title = `question-${item.id}`;
  const element = h("article", { class: "card", tabindex: "-1", "aria-labelledby": title }, h("h2", { id: title }, text(item.title, 120)), h("dl", {}, facts.filter(Boolean).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])), preview, fields, buttons);
  return { element, left };
}

async function end(grant, look) {
  try {
    await ask("DELETE", `/api/approvals/grants/${encodeURIComponent(grant.id)}`);
    say(`${plain(grant.method, 40)} to ${plain(grant.host, 100)} is let on no longer.`);
  } catch (problem) {
    say(problem.message, "wrong");
  }
  await look(false);
  document.querySelector("main h1")?.focus();
}
