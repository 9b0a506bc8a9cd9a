// How a service is connected: what is entered, or a log-in on its own page. Nothing that was entered is kept here.

import { ask } from "./api.js";
import { h, plain, put, say, tag, text } from "./dom.js";
import { at, copier, drawer, field, form } from "./drawer.js";
import { clock } from "./format.js";

const LOOKS = 1500;
const ENDS = { access_denied: "The service was told no.", expired: "Nobody answered in time.", withdrawn: "It was given up.", connection_failed: "The service gave no credential; the log of the gateway says why." };
const USER = "[A-Za-z0-9._~@+\\-]{1,128}";

/**
 * Connects a service by whatever it takes: a log-in where an app is registered for it, else what is entered, or a choice of both. `again`
 * says that there is a connection already, `entered` that it is what was entered that does not do.
 */
export async function connect(provider, { user, again = false, entered = false, done }) {
  const entry = await known(provider);
  const [logs, types] = [entry.log_in !== null, entry.ways.length > 0];
  if (logs && !types) return logIn(provider, { user, done });
  if (!logs || entered) return register(provider, { user, rotate: again, done });
  if (entry.log_in.app && again) return logIn(provider, { user, done });
  const panel = drawer(`Connect ${plain(entry.title)}`);
  put(panel.body, h("p", {}, "It can be connected in two ways."),
    h("h3", {}, "A log-in"), h("p", {}, entry.log_in.browser ? "You agree on a page of the service; Nexus renews what it gets by itself." : "You enter a code on a page of the service; Nexus renews what it gets by itself.", entry.log_in.app ? null : " First an app is made there, once for all users."),
    h("p", {}, h("button", { class: entry.log_in.app ? "main" : null, on: { click: () => logIn(provider, { user, done }) } }, "Log in…")),
    h("h3", {}, "A credential that is typed"), h("p", {}, `It is made ${entry.console ? "in the service's own settings" : "at the service"}, and pasted here: `, text(entry.ways.map((way) => way.map((one) => one.prompt).join(" and ")).join(", or ")), "."),
    h("p", {}, h("button", { class: entry.log_in.app ? null : "main", on: { click: () => register(provider, { user, rotate: again, done }) } }, "Enter it…")));
}

/** All that is to be known of a service. */
export const known = (provider) => ask("GET", `/api/catalogue/${encodeURIComponent(provider)}`);

/** A link out of the page, to which nothing of us is told. Only to what is a page. */
export function away(address, label) {
  let url = null;
  try {
    url = new URL(address);
  } catch {
    return text(address);
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") return text(address);
  return h("a", { href: url.href, target: "_blank", rel: "noopener noreferrer", referrerpolicy: "no-referrer" }, plain(label ?? address));
}

const whose = (user) => field("For whom", h("input", { name: "user", pattern: USER, maxlength: 128, value: user ?? "", disabled: user !== undefined, spellcheck: "false", autocapitalize: "none", "data-mismatch": "Letters, digits and . _ ~ @ + - make a name." }),
  "A person's name, such as alice. Nothing: the default one, which everybody's programs use.");

/** What is entered for one way to a credential. */
function inputs(way) {
  return Object.fromEntries(way.map((one) => {
    const about = [one.hint && `Such as ${plain(one.hint, 200)}.`, one.part_of && `It is a part of ${one.part_of}.`].filter(Boolean).join(" ");
    const common = { name: one.name, required: true, spellcheck: "false", autocapitalize: "none", pattern: one.pattern, "data-mismatch": one.part_of ? "One label of a host's name: letters, digits and inner hyphens." : "The name of a host alone, without a scheme, port or path." };
    const input = one.file ? h("textarea", { ...common, rows: 6, autocomplete: "off", class: "mono" }) : h("input", { ...common, type: one.secret ? "password" : "text", autocomplete: one.secret ? "new-password" : "off" });
    const made = field(text(one.prompt), input, about);
    if (one.file) made.box.append(chosen(input));
    else if (one.secret) made.box.append(shower(input));
    return [one.name, made];
  }));
}

/** A file of this machine into the field; it is sent as what was typed is. */
function chosen(input) {
  const file = h("input", { type: "file", "aria-label": "Take it from a file" });
  file.addEventListener("change", async () => {
    const [one] = file.files;
    if (one === undefined) return;
    if (one.size > 65536) return say("A key file is smaller than 64 KiB.", "wrong");
    input.value = await one.text();
    file.value = "";
  });
  return file;
}

function shower(input) {
  const box = h("input", { type: "checkbox" });
  box.addEventListener("change", () => {
    input.type = box.checked ? "text" : "password";
  });
  return h("label", { class: "inline" }, box, "Show what I type");
}

/** Registers a credential that a person enters; with `rotate`, in the place of the one that is there. */
export async function register(provider, { user, rotate = false, done }) {
  const entry = await known(provider);
  const title = plain(entry.title);
  const panel = drawer(rotate ? `A new credential for ${title}` : `Register ${title}`);
  if (entry.ways.length === 0) return put(panel.body, h("p", {}, "Nothing that a person could enter makes a credential of it."));
  const person = whose(user);
  const place = h("div", {});
  const names = (way) => way.map((one) => plain(one.prompt, 100)).join(", ");
  const which = entry.ways.map((way, number) => h("option", { value: number }, names(way)));
  const choice = field("How", h("select", {}, which));
  const replace = h("input", { type: "checkbox", checked: rotate, disabled: rotate });
  const show = () => put(place, entering(entry, Number(choice.input.value), { panel, person, user, replace, rotate, done }));
  choice.input.addEventListener("change", show);
  put(panel.body, entry.console ? h("p", {}, "It is made at ", away(entry.console), ".") : null,
    entry.verified ? null : h("p", { class: "wrong" }, "What Nexus knows of this service was not read at the vendor's. Look at where the credential goes: ", h("span", { class: "mono" }, plain(entry.hosts.join(", ")))),
    person.box, entry.ways.length > 1 ? choice.box : null, place);
  show();
}

function entering(entry, number, { panel, person, user, replace, rotate, done }) {
  const fields = inputs(entry.ways[number]);
  const ends = field("When it ends", h("input", { type: "datetime-local" }), "Where you know it.");
  const parts = [Object.values(fields).map(({ box }) => box), ends.box, rotate ? null : h("label", { class: "inline" }, replace, "Replace one that is there")];
  return form(parts, { label: rotate ? "Replace it" : "Register" }, async () => {
    if (!person.input.disabled && !person.input.checkValidity()) return;
    const name = user !== undefined ? user : person.input.value.trim();
    const connection = name ? `${entry.id}:${name}` : entry.id;
    const body = { connection, fields: Object.fromEntries(Object.entries(fields).map(([name, { input }]) => [name, input.value])), replace: replace.checked, merge: rotate };
    if (ends.input.value) body.expires_at = new Date(ends.input.value).toISOString();
    let stored;
    try {
      stored = await ask("POST", "/api/connections", { body });
    } catch (problem) {
      if (problem.code === "exists") problem.message = `There is one already. Where it is to go, tick "Replace one that is there".`;
      throw at(problem, fields);
    }
    for (const { input } of Object.values(fields)) input.value = "";
    done?.(stored.registered);
    put(panel.body, h("p", {}, tag(stored.replaced ? "replaced" : "registered", "good"), " ", h("b", { class: "mono" }, text(stored.registered))),
      h("p", {}, "It goes to these hosts and to no other:"), h("ul", { class: "mono" }, stored.hosts.map((host) => h("li", {}, text(host)))),
      (stored.warnings ?? []).map((warning) => h("p", { class: "wrong" }, plain(warning))), tester(stored.registered));
  });
}

/** Tries a connection, and shows what came back; `more` are other buttons for it. */
export function tester(connection, more) {
  const place = h("div", { role: "status", class: "tried" });
  const button = h("button", { type: "button" }, "Test it");
  button.addEventListener("click", async () => {
    button.disabled = true;
    put(place, h("p", { class: "empty" }, "One harmless request goes out…"));
    try {
      const tried = await ask("POST", `/api/connections/${encodeURIComponent(connection)}/test`);
      const word = tried.works ? tag("it works", "good") : tag(tried.refusal ? `Nexus refused: ${plain(tried.refusal)}` : "it does not do", "bad");
      put(place, h("p", {}, word, tried.account ? [" as ", h("b", {}, text(tried.account))] : null),
        h("p", { class: "mono" }, text(tried.request), ` → ${tried.status}, ${tried.millis} ms`), tried.detail ? h("p", {}, plain(tried.detail)) : null,
        tried.command ? h("p", {}, "What mends it: ", h("code", {}, plain(tried.command))) : null);
    } catch (problem) {
      put(place, h("p", { class: "wrong" }, problem.message));
    } finally {
      button.disabled = false;
    }
  });
  return h("div", {}, h("div", { class: "buttons" }, button, more), place);
}

/** Logs a person in on the service's own page. */
export async function logIn(provider, { user, done }) {
  const entry = await known(provider);
  let waiting = null;
  const panel = drawer(`Log in to ${plain(entry.title)}`, () => waiting?.abort());
  const again = () => logIn(provider, { user, done });
  if (entry.log_in === null) return put(panel.body, h("p", {}, "Nobody logs in there; a credential is registered."));
  if (!entry.log_in.app) return put(panel.body, app(entry, again));
  const person = whose(user);
  const scopes = field("Scopes", h("input", { name: "scopes", spellcheck: "false", autocapitalize: "none" }), `Several with blanks between. Nothing: ${entry.log_in.scopes.length ? plain(entry.log_in.scopes.join(" ")) : "what is usual"}.`);
  const begin = async () => {
    const name = user !== undefined ? user : person.input.value.trim();
    waiting = new AbortController();
    if (!entry.log_in.browser) return byCode(entry, name, { panel, done, signal: waiting.signal, scopes: scopes.input.value.split(/\s+/).filter(Boolean) });
    const body = { provider_name: entry.id, return_url: "/oauth/callback", scopes: scopes.input.value.split(/\s+/).filter(Boolean) };
    if (name) body.user_id = name;
    const begun = await ask("POST", "/v1/request-connection", { body }).catch((problem) => {
      // A person is asked already: it is the same question.
      if (problem.code === "pending") return problem.document;
      throw problem;
    });
    await until(begun, { entry, panel, done, signal: waiting.signal });
  };
  put(panel.body, form([person.box, scopes.box], { label: "Begin" }, begin));
}

/** No app is registered: what makes one, and its client. */
function app(entry, again) {
  const tenants = entry.ways.flat().filter((one, number, all) => one.pattern && !one.secret && all.findIndex((other) => other.name === one.name) === number);
  const fields = { ...inputs(tenants), ...inputs([{ name: "client_id", prompt: "Client ID", secret: false }, { name: "client_secret", prompt: "Client secret", secret: true, hint: "" }]) };
  fields.client_secret.input.required = false;
  const uri = entry.log_in.redirect_uri;
  const made = form(Object.values(fields).map(({ box }) => box), { label: "Store the app" }, async () => {
    const given = Object.entries(fields).map(([name, { input }]) => [name, input.value.trim()]).filter(([, value]) => value !== "");
    try {
      await ask("POST", "/api/connections", { body: { connection: entry.id, fields: Object.fromEntries(given), app: true } });
    } catch (problem) {
      throw at(problem, fields);
    }
    for (const { input } of Object.values(fields)) input.value = "";
    await again();
  });
  return [h("p", {}, "People log in by an app of yours, and none is registered yet. Make one", entry.console ? [" at ", away(entry.console)] : null, ", with this redirect URI:"),
    h("div", { class: "copied" }, h("pre", {}, uri), copier(() => uri)), h("p", {}, "Then say which it is:"), made];
}

/** Shows where to go, and watches until it has ended. */
async function until(begun, { entry, panel, done, signal }) {
  const title = plain(entry.title);
  const standing = h("p", { role: "status" }, "Waiting for you to agree there…");
  const give = h("button", { type: "button", class: "quiet" }, "Give up");
  const link = away(begun.authUrl, `Open the page of ${title}`);
  link.className = "button main";
  put(panel.body, h("p", {}, `On a page of ${title} you say that Nexus may use your account. It opens in a tab of its own.`), h("p", {}, link), standing, give);
  link.focus();
  const path = encodeURIComponent(begun.connection_id);
  give.addEventListener("click", async () => {
    await ask("DELETE", `/v1/connections/${path}?pending=true`).catch((problem) => say(problem.message, "wrong"));
    panel.close();
  });
  await watched(`/v1/check-connection/${path}`, { panel, done, title, signal });
}

/** A code that is typed on a page of the service, on whatever device. */
async function byCode(entry, name, { panel, done, signal, scopes }) {
  const title = plain(entry.title);
  const begun = await ask("POST", "/api/device-log-ins", { body: { connection: name ? `${entry.id}:${name}` : entry.id, scopes } });
  const path = `/api/device-log-ins/${encodeURIComponent(begun.id)}`;
  const give = h("button", { type: "button", class: "quiet" }, "Give up");
  give.addEventListener("click", async () => {
    await ask("DELETE", path).catch((problem) => say(problem.message, "wrong"));
    panel.close();
  });
  const link = away(begun.verification_uri, begun.verification_uri);
  put(panel.body, h("p", {}, "Open this page on any device, and enter the code there:"), h("p", {}, link),
    h("div", { class: "copied" }, h("pre", { class: "code", tabindex: "0", "aria-label": "The code" }, plain(begun.user_code)), copier(() => begun.user_code, "Copy the code")),
    begun.verification_uri_complete ? h("p", {}, away(begun.verification_uri_complete, "The page with the code in it")) : null,
    h("p", { role: "status" }, `Waiting until it was entered; it is good until ${clock(begun.expires_at)}.`), give);
  link.focus?.();
  await watched(path, { panel, done, title, signal });
}

/** Looks until it has ended, or nobody looks any more. */
async function watched(path, { panel, done, title, signal }) {
  for (;;) {
    const found = await ask("GET", path, { background: true, signal }).catch((problem) => {
      if (problem.name === "AbortError") return null;
      // It is away for a moment, perhaps.
      if (problem.status === 0) return { status: "pending" };
      throw problem;
    });
    if (found === null || signal.aborted) return;
    if (found.status !== "pending") return over(found, { panel, done, title });
    await new Promise((resolve) => setTimeout(resolve, LOOKS));
    if (signal.aborted) return;
  }
}

function over(found, { panel, done, title }) {
  const good = found.status === "active";
  done?.();
  const words = good ? `Your account of ${title} is connected.` : ENDS[found.reason] ?? `It is ${found.status}.`;
  put(panel.body, h("p", { role: "status" }, tag(found.status, good ? "good" : "bad"), ` ${words}`));
}
