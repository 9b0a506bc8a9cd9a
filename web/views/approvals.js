// Requests that wait for a person's word.

import { ask } from "../api.js";
import { asRule } from "../as_rule.js";
import { dialog, h, put, say, table, tag } from "../dom.js";
import { bytes, day, near } from "../format.js";

const EVERY = 2000;
const STATES = { waiting: ["waits", "warn"], allowed: ["let on", "good"], used: ["let on, and sent", "good"], denied: ["refused", "bad"], timed_out: ["nobody answered", ""], left: ["left", ""] };

export async function show(place, { may }) {
  const list = h("div", { "aria-live": "polite" });
  const ended = h("section", {});
  const grants = h("section", {});
  put(place, h("h1", {}, "Approvals"), h("p", {}, "A rule with ", h("code", {}, "action = \"approve\""), " holds a request here until somebody says yes; without a word in time it is refused."), list, grants, ended);
  let known = "";
  const look = async (background) => {
    const found = await ask("GET", "/api/approvals", { background });
    const text = JSON.stringify(found);
    // What did not change stays as it is, with whoever is reading or typing there.
    if (text === known) return;
    known = text;
    const waiting = found.items.filter((item) => item.status === "waiting");
    put(list, waiting.length === 0 ? h("p", { class: "empty" }, "Nothing waits.") : waiting.map((item) => card(item, may, () => look(false))));
    put(grants, h("h2", {}, "Let on for a time"), table("Let on for a time", [
      { name: "Agent", cell: (grant) => grant.agent },
      { name: "What", cell: (grant) => h("span", { class: "mono" }, `${grant.method} ${grant.host}${grant.path}`) },
      { name: "Rule", cell: (grant) => grant.rule },
      { name: "By", cell: (grant) => grant.by },
      { name: "Until", cell: (grant) => day(grant.until) },
      { name: "", cell: (grant) => may("operator", "approver") && h("button", { class: "quiet bad", on: { click: () => end(grant, look) } }, "End") },
    ], found.grants, "Nothing is let on for a time."));
    put(ended, h("h2", {}, "Ended within the hour"), table("Ended within the hour", [
      { name: "What", cell: (item) => h("span", { class: "mono" }, `${item.method} ${item.host}${item.path}`) },
      { name: "Agent", cell: (item) => item.agent },
      { name: "How", cell: (item) => tag(...(STATES[item.status] ?? [item.status])) },
      { name: "By", cell: (item) => item.by ?? "" },
      { name: "When", cell: (item) => (item.settled_at ? near(item.settled_at) : "") },
    ], found.items.filter((item) => item.status !== "waiting"), "Nothing has ended."));
  };
  await look(false);
  const timer = setInterval(() => look(true).catch(() => {}), EVERY);
  return () => clearInterval(timer);
}

function card(item, may, look) {
  const answer = (decision, more = {}) => async () => {
    try {
      await ask("POST", `/api/approvals/${encodeURIComponent(item.id)}`, { body: { decision, ...more } });
      say(decision === "allow" ? "It goes on." : "It is refused.");
    } catch (problem) {
      say(problem.message, "wrong");
    }
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
      h("p", {}, `All of ${item.agent}'s ${item.method} requests to ${item.host} under the rule ${item.rule} whose path fits: * is one part, ** any number of them.`),
      stars ? h("p", { class: "wrong" }, `The program's own path has stars or braces in it: ${path}`) : null,
      h("label", { for: "pattern" }, "Path"), Object.assign(field, { id: "pattern" }), h("label", { for: "for_secs" }, "For"), Object.assign(time, { id: "for_secs" }),
    ], [{ value: "yes", label: "Let on", kind: "main" }, { value: "", label: "Cancel" }]);
    if (answered !== null) await answer("allow", { pattern: answered.data.get("pattern"), for_secs: Number(answered.data.get("for_secs")) })();
  };
  const body = item.body ?? {};
  const preview = body.preview ? [h("pre", {}, body.preview), body.cut ? h("small", {}, "There is more of it.") : null] : body.note ? h("p", {}, body.note) : null;
  const facts = [["Agent", item.user ? `${item.agent}, for ${item.user}` : item.agent], ["Rule", item.summary ? `${item.rule}: ${item.summary}` : item.rule],
    ["Request", h("span", { class: "mono" }, `${item.method} ${item.host}${item.path}`)],
    item.methods_beside?.length ? ["Read as", `${item.methods_beside.join(", ")} where a parameter or the body counts`] : null, item.connection ? ["Connection", item.connection] : null,
    ["Body", [body.content_type, bytes(body.size)].filter(Boolean).join(", ") || "none"], ["Time left", near(item.expires_at)]];
  const fields = item.fields?.length ? h("details", {}, h("summary", {}, `${item.fields.length + (item.more_fields ?? 0)} header fields`), h("pre", {}, item.fields.map(({ name, value }) => `${name}: ${value}`).join("\n"), item.more_fields ? `\n…and ${item.more_fields} more` : "")) : null;
  const buttons = may("operator", "approver") ? h("div", { class: "buttons" },
    h("button", { class: "main", on: { click: answer("allow") } }, "Allow once"), h("button", { on: { click: answer("allow", { for_secs: 3600 }) } }, "For an hour"),
    h("button", { on: { click: byPattern } }, "By a pattern…"), h("button", { on: { click: async () => (await asRule(item)) && answer("allow")() } }, "As a rule…"), h("button", { class: "bad", on: { click: answer("deny") } }, "Refuse")) : null;
  return h("article", { class: "card" }, h("h2", {}, item.title), h("dl", {}, facts.filter(Boolean).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])), preview, fields, buttons);
}

async function end(grant, look) {
  try {
    await ask("DELETE", `/api/approvals/grants/${encodeURIComponent(grant.id)}`);
    say("It has ended.");
  } catch (problem) {
    say(problem.message, "wrong");
  }
  await look(false);
}
