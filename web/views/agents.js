// Agents: who may use the proxy, and what each may do. A token is shown once, and kept nowhere in the page.

import { ask } from "../api.js";
import { dialog, h, plain, put, say, tag, text } from "../dom.js";
import { at, copier, drawer, facts, field, form, shut, words } from "../drawer.js";
import { count, day, near } from "../format.js";
import { list } from "../list.js";
import { isRequest, method, place as where } from "../record.js";

const KINDS = { active: "good", frozen: "bad", expired: "warn" };
const SPANS = [["", "never"], ["3600", "in an hour"], ["86400", "in a day"], ["604800", "in 7 days"], ["2592000", "in 30 days"], ["7776000", "in 90 days"], ["at", "at a time…"]];
const PER = [["s", "second"], ["min", "minute"], ["h", "hour"], ["day", "day"]];
const WAIT = 200;
const path = (name) => `/api/agents/${encodeURIComponent(name)}`;
const few = (all) => (all === null ? "all" : text(all.join(", ")));

export async function show(place, { may }) {
  const search = h("input", { type: "search", id: "find", placeholder: "ci, alice, frozen, github…", value: new URLSearchParams(location.search).get("q") ?? "" });
  const number = h("span", { class: "soft", role: "status" });
  const note = h("p", { hidden: true }, "No agent was added yet, so every program of the proxy's own user needs no token. The first agent changes that: from then on each needs one.");
  let open = false;
  const all = list({
    label: "Agents", key: (one) => one.name, empty: () => (search.value === "" ? null : "None is like that."),
    open: (one) => about(one, may, () => all.reload()),
    columns: [
      { name: "Agent", width: "minmax(8rem, 1.6fr)", cell: (one) => [h("span", { class: "mono" }, text(one.name)), one.ephemeral ? h("span", { class: "soft" }, " one command") : null] },
      { name: "State", width: "5.5rem", cell: (one) => tag(one.state, KINDS[one.state]) },
      { name: "For", width: "minmax(5rem, .8fr)", cell: (one) => (one.user === null ? h("span", { class: "soft" }, "nobody") : text(one.user)), wide: true },
      { name: "Providers", width: "minmax(6rem, 1.2fr)", cell: (one) => few(one.providers), wide: true },
      { name: "Hosts", width: "minmax(6rem, 1.2fr)", cell: (one) => few(one.hosts), wide: true },
      { name: "Rate", width: "5.5rem", cell: (one) => one.rate ?? "any", wide: true },
      { name: "Ends", width: "minmax(5rem, .8fr)", cell: (one) => (one.expires_at ? near(one.expires_at) : h("span", { class: "soft" }, "never")) },
    ],
    fetch: async (cursor) => {
      const query = new URLSearchParams({ limit: "200", q: search.value });
      if (cursor !== null) query.set("cursor", cursor);
      const found = await ask("GET", `/api/agents?${query}`);
      put(number, count(found.total));
      open = found.open;
      note.hidden = !open;
      return { rows: found.agents, next: found.next, total: found.total };
    },
  });
  let timer = 0;
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => all.reload(), WAIT);
  });
  put(place, h("h1", {}, "Agents ", number), h("div", { class: "row" }, h("div", {}, h("label", { for: "find" }, "Find"), search),
    may("operator") ? h("button", { class: "main", on: { click: () => mint(() => all.reload(), open) } }, "Mint a token…") : null), note, all.element);
  await all.reload();
  return () => {
    clearTimeout(timer);
    shut();
  };
}

/** Fields for what an agent may do, and what they say. */
function limits(providers, given = {}) {
  const [number, span] = given.rate ? given.rate.split("/") : ["", "min"];
  const provider = words("Providers", "Whose credentials it may use. None: all.", given.providers ?? [], providers);
  const host = words("Hosts", "Where it may go, such as api.example.com or *.example.com. None: everywhere.", given.hosts ?? []);
  const per = h("select", { "aria-label": "in each" }, PER.map(([value, name]) => h("option", { value }, `in each ${name}`)));
  per.value = span;
  const rate = field("Requests", h("input", { type: "number", min: 1, max: 1000000, value: number, placeholder: "any number" }));
  rate.input.after(per);
  rate.input.parentElement.classList.add("beside");
  const kept = given.expires_at ? [["keep", `as it is: ${day(given.expires_at)}`], ...SPANS] : SPANS;
  const ends = field("Ends", h("select", {}, kept.map(([value, name]) => h("option", { value }, name))));
  const when = field("At", h("input", { type: "datetime-local" }));
  when.box.hidden = true;
  ends.input.addEventListener("change", () => {
    when.box.hidden = ends.input.value !== "at";
  });
  const end = () => {
    const chosen = ends.input.value;
    if (chosen === "keep") return given.expires_at;
    if (chosen === "at") return when.input.value ? new Date(when.input.value).toISOString() : null;
    return chosen === "" ? null : new Date(Date.now() + Number(chosen) * 1000).toISOString();
  };
  return {
    boxes: [provider.box, host.box, rate.box, ends.box, when.box],
    fields: { providers: provider, hosts: host, rate, expires_at: ends },
    value: () => ({ providers: provider.value(), hosts: host.value(), rate: rate.input.value ? `${rate.input.value}/${per.value}` : null, expires_at: end() }),
  };
}

async function suggested() {
  const { providers } = await ask("GET", "/api/catalogue?limit=1000");
  return providers.map((one) => one.id);
}

async function mint(look, first) {
  const panel = drawer("Mint a token");
  const bounds = limits(await suggested());
  const name = field("Name", h("input", { name: "agent", required: true, maxlength: 64, pattern: "[A-Za-z0-9._~\\-]+", spellcheck: "false", autocapitalize: "none", autocomplete: "off", "data-mismatch": "Letters, digits and - . _ ~ make a name." }), "It stands in the audit log beside all that the agent does.");
  const user = field("For whom", h("input", { name: "whom", maxlength: 128, pattern: "[A-Za-z0-9._~@+\\-]+", spellcheck: "false", autocapitalize: "none", autocomplete: "off", "data-mismatch": "Letters, digits and . _ ~ @ + - make a name." }), "It uses this person's connections, and nobody else's. Nothing: it may name anybody's.");
  const fields = { ...bounds.fields, name, user };
  put(panel.body, first ? h("p", { class: "wrong" }, "This is the first agent: from now on every program that uses the proxy must show a token.") : null,
    form([name.box, user.box, bounds.boxes], { label: "Mint" }, async () => {
      let made;
      try {
        made = await ask("POST", "/api/agents", { body: { name: name.input.value.trim(), user: user.input.value.trim() || null, ...bounds.value() } });
      } catch (problem) {
        throw at(problem, fields);
      }
      panel.title(`The token of ${made.agent.name}`);
      put(panel.body, shown(made));
      look();
    }));
  name.input.focus();
}

/** The one time that a token is seen. */
function shown({ token, lines, agent }) {
  const secret = h("pre", { class: "token", tabindex: "0", "aria-label": "The token" }, token);
  const parts = [h("p", { class: "wrong" }, "It is shown this once. When this panel is closed, nobody can see it again."), h("div", { class: "copied" }, secret, copier(() => token, "Copy the token"))];
  if (lines === null) return [parts, h("p", {}, `No proxy runs beside this gateway. Its program shows ${agent.name} and the token to the proxy of its own machine.`)];
  const all = [["sh", "Shell here"], ["elsewhere", "Shell elsewhere"], ["docker", "Docker"], ["compose", "compose"], ["kubernetes", "Kubernetes"]];
  const code = h("pre", { class: "paste", tabindex: "0", role: "tabpanel", id: "paste" });
  let now = "";
  const tabs = all.map(([key, label]) => h("button", { type: "button", role: "tab", "aria-controls": "paste", id: `paste-${key}`, "data-key": key, on: { click: () => choose(key) } }, label));
  const choose = (key) => {
    now = lines[key];
    put(code, now);
    code.setAttribute("aria-labelledby", `paste-${key}`);
    for (const tab of tabs) {
      tab.setAttribute("aria-selected", tab.dataset.key === key ? "true" : "false");
      tab.tabIndex = tab.dataset.key === key ? 0 : -1;
    }
  };
  const bar = h("div", { role: "tablist", class: "tabs", "aria-label": "Where its program runs", on: { keydown: (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    const next = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length];
    choose(next.dataset.key);
    next.focus();
  } } }, tabs);
  choose("sh");
  return [parts, h("h3", {}, "Paste this where its program runs"), bar, h("div", { class: "copied" }, code, copier(() => now)), h("ul", {}, lines.notes.map((note) => h("li", {}, plain(note))))];
}

function about(one, may, look) {
  const panel = drawer(plain(one.name));
  const leases = h("div", {});
  const acts = may("operator") ? h("div", { class: "buttons" },
    one.ephemeral ? null : h("button", { on: { click: () => change(one, look) } }, "Change its limits…"),
    h("button", { on: { click: () => freeze(one, panel, look) } }, one.frozen_since ? "Thaw" : "Freeze"),
    h("button", { class: "bad", on: { click: () => revoke(one, panel, look) } }, "Revoke…")) : null;
  const last = h("span", {}, "…");
  put(panel.body, h("p", {}, tag(one.state, KINDS[one.state]), one.frozen_why ? ` ${plain(one.frozen_why)}, since ${day(one.frozen_since)}` : null, one.ephemeral ? " It was made for one command, and ends with it." : null), acts,
    h("h3", {}, "What it may do"), facts([["For", one.user === null ? "nobody in particular: it may name anybody's connections" : text(one.user)], ["Providers", few(one.providers)], ["Hosts", one.hosts === null ? "all that the rules allow" : few(one.hosts)],
      ["Requests", one.rate ?? "any number"], ["Ends", one.expires_at ? `${near(one.expires_at)}, ${day(one.expires_at)}` : "never"], ["Added", one.created_at && day(one.created_at)], ["Last request", last], ["Log", h("a", { href: `/search?${new URLSearchParams({ agent: one.name, from: "7d" })}` }, "What it did")]]),
    h("h3", {}, "Leases"), leases);
  seen(one, last);
  if (may("operator")) lent(one, leases);
  else put(leases, h("p", {}, one.leases === 0 ? "None." : `${count(one.leases)} of them.`));
}

/** Its newest request in the log. */
async function seen(one, place) {
  try {
    // What was done to it stands in the log under its name as well.
    const { records, more } = await ask("GET", `/api/audit/search?${new URLSearchParams({ agent: one.name, limit: "50" })}`);
    const record = records.find(isRequest);
    put(place, record ? [`${near(record.time)}, `, h("span", { class: "mono" }, text(`${method(record)} ${where(record)}`))] : more ? "not among the newest lines of the log" : "none in the log");
  } catch (problem) {
    put(place, problem.message);
  }
}

/** Tokens for a short time that act for it. */
async function lent(one, place) {
  try {
    const { leases } = await ask("GET", `${path(one.name)}/leases`);
    const end = async (lease) => {
      await ask("DELETE", `/api/leases/${encodeURIComponent(lease.id)}`).then(() => say("It has ended."), (problem) => say(problem.message, "wrong"));
      await lent(one, place);
    };
    const row = (lease) => h("li", {}, h("span", { class: "mono" }, lease.id), ` ends ${near(lease.expires_at)}`, lease.calls === null ? null : `, ${count(lease.calls_left)} of ${count(lease.calls)} calls left`, " ", h("button", { class: "quiet bad", on: { click: () => end(lease) } }, "End"));
    put(place, leases.length === 0 ? h("p", { class: "soft" }, "None: tokens for a short time that act for it.") : h("ul", {}, leases.map(row)));
  } catch (problem) {
    put(place, problem.status === 404 ? h("p", { class: "soft" }, "None.") : h("p", { class: "wrong" }, problem.message));
  }
}

async function change(one, look) {
  const panel = drawer(`Limits of ${plain(one.name)}`);
  const bounds = limits(await suggested(), one);
  put(panel.body, h("p", {}, "Its token stays. What it has open ends within a second, and is begun anew under the new limits."), form(bounds.boxes, { label: "Change them" }, async () => {
    try {
      await ask("PATCH", path(one.name), { body: bounds.value() });
    } catch (problem) {
      throw at(problem, bounds.fields);
    }
    say(`${one.name} has new limits.`);
    panel.close();
    look();
  }));
}

async function freeze(one, panel, look) {
  try {
    await ask(one.frozen_since ? "DELETE" : "PUT", `${path(one.name)}/frozen`);
    say(one.frozen_since ? `${one.name} gets what it may again.` : `${one.name} gets nothing until somebody thaws it.`);
    panel.close();
  } catch (problem) {
    say(problem.message, "wrong");
  }
  look();
}

async function revoke(one, panel, look) {
  const answered = await dialog(`Revoke ${plain(one.name)}?`, h("p", {}, "Its token is worthless from now on, and so are its leases. What it has open ends within a second."), [{ value: "yes", label: "Revoke", kind: "bad" }, { value: "", label: "Cancel" }]);
  if (answered === null) return;
  try {
    await ask("DELETE", path(one.name));
    say(`${one.name} is revoked.`);
    panel.close();
  } catch (problem) {
    say(problem.message, "wrong");
  }
  look();
}
