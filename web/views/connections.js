// Connections as they stand, and what an operator can do with them.

import { ask } from "../api.js";
import { logIn, register, tester } from "../connect.js";
import { dialog, h, plain, put, say, tag, text } from "../dom.js";
import { drawer, facts, shut } from "../drawer.js";
import { count, day, near } from "../format.js";
import { list } from "../list.js";

const KINDS = { active: "good", pending: "warn", attention: "bad", expired: "bad", failed: "bad", revoked: "" };
const WAIT = 200;

export async function show(place, { may }) {
  const search = h("input", { type: "search", id: "find", placeholder: "github, alice, attention…", value: new URLSearchParams(location.search).get("q") ?? "" });
  const number = h("span", { class: "soft", role: "status" });
  const all = list({
    label: "Connections", key: (one) => one.connection, empty: () => (search.value === "" ? ["No service is connected yet, so no request goes with a credential. ", h("a", { href: "/catalogue" }, "The catalogue"), " has those that can be."] : "None is like that. The catalogue has the services that can be connected."),
    open: (one) => about(one, may, () => all.reload()),
    columns: [
      { name: "Connection", width: "minmax(9rem, 2fr)", cell: (one) => h("span", { class: "mono" }, text(one.connection)) },
      { name: "Kind", width: "minmax(6rem, .8fr)", cell: (one) => (one.app ? `${one.auth_type}, an app` : one.auth_type), wide: true },
      { name: "Status", width: "6rem", cell: (one) => tag(one.status, KINDS[one.status]) },
      { name: "Ends", width: "minmax(7rem, 1.2fr)", cell: life },
      { name: "Last used", width: "minmax(6rem, .9fr)", cell: (one) => (one.last_used_at ? near(one.last_used_at) : "not yet"), wide: true },
    ],
    fetch: async (cursor) => {
      const query = new URLSearchParams({ limit: "200", q: search.value });
      if (cursor !== null) query.set("cursor", cursor);
      const { connections: rows, next, total } = await ask("GET", `/api/connections?${query}`);
      put(number, count(total));
      return { rows, next, total };
    },
  });
  let timer = 0;
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => all.reload(), WAIT);
  });
  put(place, h("h1", {}, "Connections ", number),
    h("div", { class: "row" }, h("div", {}, h("label", { for: "find" }, "Find"), search), may("operator") ? h("a", { class: "button main", href: "/catalogue" }, "Connect a service…") : null), all.element);
  await all.reload();
  return () => {
    clearTimeout(timer);
    shut();
  };
}

/** What is left of its life, of the time since it was registered. */
function life(one) {
  if (!one.expires_at) return h("span", { class: "soft" }, one.next_renewal_at ? "renewed" : "no end");
  const [from, to, now] = [new Date(one.registered_at ?? one.expires_at), new Date(one.expires_at), new Date()].map((time) => time.getTime());
  const left = to > from ? Math.min(1, Math.max(0, (to - now) / (to - from))) : 0;
  return [h("meter", { min: 0, max: 1, low: 0.15, value: left, "aria-label": "what is left" }), ` ${near(one.expires_at)}`];
}

function about(one, may, look) {
  const name = one.connection;
  const [provider, user] = [one.provider, one.user ?? ""];
  const panel = drawer(plain(name));
  const mine = one.agent !== null;
  const users = h("div", {}, h("p", { class: "empty" }, "…"));
  const used = h("div", {}, h("p", { class: "empty" }, "…"));
  const oauth = one.auth_type === "oauth2";
  const done = () => look();
  const renew = async (event) => {
    event.target.disabled = true;
    try {
      const { refreshed } = await ask("POST", `/v1/refresh/${encodeURIComponent(name)}`);
      say(refreshed ? `${name} is renewed.` : `${name} is still good: a renewal would cost a refresh token for nothing.`);
    } catch (problem) {
      say(problem.message, "wrong");
    }
    event.target.disabled = false;
    look();
  };
  const renewable = one.fields.includes("refresh_token") || one.next_renewal_at !== null;
  const acts = may("operator") && !mine ? [
    renewable && !one.app ? h("button", { on: { click: renew } }, "Renew now") : null,
    oauth ? h("button", { on: { click: () => logIn(provider, { user, done }) } }, one.app ? "Log in…" : "Log in again…") : null,
    h("button", { on: { click: () => register(provider, { user, rotate: true, done }) } }, "Replace its credential…"),
    h("button", { class: "bad", on: { click: () => remove(one, panel, look) } }, "Remove…")] : null;
  put(panel.body,
    h("p", {}, tag(one.status, KINDS[one.status]), one.status === "attention" || one.status === "expired" ? " It needs a person: a log-in, or a new credential." : null),
    acts === null ? null : one.app ? h("div", { class: "buttons" }, acts) : tester(name, acts),
    h("h3", {}, "What it is"), facts([["Service", h("a", { href: `/catalogue?service=${encodeURIComponent(provider)}` }, text(provider))], ["Kind", one.app ? `${one.auth_type}, an app that people log in by` : one.auth_type], ["For", one.user ? text(one.user) : "nobody in particular: the default one"],
      ["Of the agent", mine && text(one.agent)], ["Ends", one.expires_at ? [life(one), h("small", {}, day(one.expires_at))] : "no end that is known"], ["Renewed from", one.next_renewal_at && day(one.next_renewal_at)],
      ["Connected", one.registered_at && day(one.registered_at)], ["Last used", one.last_used_at ? `${near(one.last_used_at)}, ${day(one.last_used_at)}` : "not yet"],
      ["App", one.client_id && h("span", { class: "mono" }, text(`${one.client_id}…`))], ["Scopes", one.scopes.length > 0 && h("span", { class: "mono" }, plain(one.scopes.join(" ")))], ["Consists of", h("span", { class: "mono" }, plain(one.fields.join(", ")))]]),
    h("h3", {}, "Where it goes"), h("ul", { class: "mono" }, one.hosts.map((host) => h("li", {}, text(host)))),
    one.token_urls.length > 0 ? [h("p", { class: "soft" }, "Renewed at"), h("ul", { class: "mono" }, one.token_urls.map((url) => h("li", {}, text(url))))] : null,
    h("h3", {}, "Who used it"), used, h("h3", {}, "Who may use it"), users);
  by(one, used);
  who(name, users);
}

/** The agents of the newest requests in the log that went with it. */
async function by(one, place) {
  try {
    const { records } = await ask("GET", `/api/audit/search?${new URLSearchParams({ provider: one.provider, verdict: "inject", from: "7d", limit: "200" })}`);
    const found = new Map();
    for (const { agent, time } of records.filter((record) => record.connection === one.connection && record.agent)) if (!found.has(agent)) found.set(agent, time);
    const link = h("a", { href: `/search?${new URLSearchParams({ provider: one.provider, verdict: "inject", from: "7d" })}` }, "All that went with the service's");
    if (records.length === 0) return put(place, h("p", {}, "No request to the service within seven days went with a credential."));
    put(place, h("p", { class: "soft" }, `Of the newest ${count(records.length)} requests to the service within seven days. `, link),
      found.size > 0 ? h("ul", {}, [...found].slice(0, 20).map(([agent, time]) => h("li", {}, text(agent), ", ", near(time)))) : h("p", {}, "None of them went with it."));
  } catch (problem) {
    put(place, h("p", { class: "wrong" }, problem.message));
  }
}

/** The agents that their own limits let use it; rules may say less. */
async function who(name, place) {
  try {
    const { agents, total, open } = await ask("GET", `/api/agents?limit=20&connection=${encodeURIComponent(name)}`);
    const some = agents.map((agent) => h("li", {}, h("a", { href: `/agents?q=${encodeURIComponent(agent.name)}` }, text(agent.name)), agent.state === "active" ? null : [" ", tag(agent.state, "warn")]));
    put(place, h("p", { class: "soft" }, "Agents that their limits let use it; rules may say less."), open ? h("p", {}, "Every program of the proxy's own user: no agent was added yet.") : null,
      agents.length > 0 ? h("ul", {}, some, total > agents.length ? h("li", { class: "soft" }, `and ${count(total - agents.length)} more`) : null) : open ? null : h("p", {}, "None."));
  } catch (problem) {
    put(place, h("p", { class: "wrong" }, problem.message));
  }
}

async function remove(one, panel, look) {
  const answered = await dialog(`Remove ${plain(one.connection)}?`, h("p", {}, "Its credential is erased, and ended at the service where that can be asked to. Programs that used it are refused."),
    [{ value: "yes", label: "Remove", kind: "bad" }, { value: "", label: "Cancel" }]);
  if (answered === null) return;
  try {
    const { warning } = await ask("DELETE", `/v1/connections/${encodeURIComponent(one.connection)}`);
    say(warning ? `${one.connection} is removed, but its tokens may still be good: ${warning}` : `${one.connection} is removed.`, warning ? "wrong" : "done");
    panel.close();
  } catch (problem) {
    say(problem.message, "wrong");
  }
  await look();
}
