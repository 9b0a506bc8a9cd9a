// The shell: who is signed in, the way between the views, and nothing of what they show.

import { ask, keep, known } from "./api.js";
import { h, put, say } from "./dom.js";
import { day } from "./format.js";

/** Views by path. Each module has `show(place, context)`, which may return what is to be done when it goes. */
const VIEWS = [
  { path: "/", name: "Overview", module: "./views/overview.js" },
  { path: "/live", name: "Live", module: "./views/live.js" },
  { path: "/search", name: "Search", module: "./views/search.js" },
  { path: "/connections", name: "Connections", module: "./views/connections.js" },
  { path: "/catalogue", name: "Catalogue", module: "./views/catalogue.js" },
  { path: "/agents", name: "Agents", module: "./views/agents.js" },
  { path: "/approvals", name: "Approvals", module: "./views/approvals.js" },
  { path: "/policy", name: "Policy", module: "./views/policy.js" },
];

const SIGN_IN = "/sign-in";
let leave = null;
/** Counts what was gone to: a view that is ready after somebody has gone on is none any more. */
let turn = 0;
let person = null;

function nav() {
  const link = ({ path, name }) => h("li", {}, h("a", { href: path, "data-view": path, "aria-current": path === location.pathname ? "page" : null }, name));
  return h("nav", { "aria-label": "Views" }, h("ul", {}, VIEWS.map(link)));
}

function shell() {
  const who = h("p", { class: "who" }, `${person.name}, ${person.role}`, h("small", {}, `signed in until ${day(person.ends_at)}`));
  const out = h("button", { class: "quiet", on: { click: signOut } }, "Sign out");
  put(document.body,
    h("a", { href: "#main", class: "skip" }, "To the content"),
    h("header", {}, h("a", { href: "/", class: "brand" }, h("img", { src: "/page/icon.svg", alt: "", width: 24, height: 24 }), "Nexus"), nav(), h("div", { class: "foot" }, who, out, h("small", {}, `Nexus ${person.version}`))),
    h("main", { id: "main", tabindex: "-1" }),
    h("div", { id: "said", "aria-live": "polite" }));
}

async function go(path, push = true) {
  if (push) history.pushState(null, "", path);
  await show();
  document.getElementById("main")?.focus();
}

async function show() {
  const mine = (turn += 1);
  leave?.();
  leave = null;
  if (location.pathname === SIGN_IN || person === null) return signIn();
  if (document.getElementById("main") === null) shell();
  for (const link of document.querySelectorAll("a[data-view]")) {
    if (link.dataset.view === location.pathname) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  // On a narrow screen the way between the views is wider than the window.
  document.querySelector("a[data-view][aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  const view = VIEWS.find(({ path }) => path === location.pathname);
  // Of its own, so that a view that was left draws over no other.
  const main = h("main", { id: "main", tabindex: "-1" });
  document.getElementById("main").replaceWith(main);
  document.title = `${view?.name ?? "Not here"} - Nexus`;
  if (view === undefined) return put(main, h("h1", {}, "There is no such view"), h("p", {}, h("a", { href: "/" }, "To the overview")));
  put(main, h("h1", {}, view.name), h("p", { class: "empty" }, "…"));
  try {
    const { show } = await import(view.module);
    const stop = await show(main, { person, go, may });
    if (mine === turn) leave = stop;
    else stop?.();
  } catch (error) {
    put(main, h("h1", {}, view.name), h("p", { class: "wrong", role: "alert" }, error.message));
  }
}

/** Whether who is signed in may do what one of `roles` may. */
function may(...roles) {
  return roles.includes(person.role);
}

async function signIn() {
  const link = location.hash.slice(1);
  const say = (title, ...text) => put(document.body, h("main", { class: "alone" }, h("img", { src: "/page/icon.svg", alt: "", width: 48, height: 48 }), h("h1", {}, title), text));
  document.title = "Sign in - Nexus";
  const how = [h("p", {}, "On the machine where the gateway runs, this opens the page, once and within five minutes:"), h("pre", {}, "nexus open"),
    h("p", {}, "Somebody who may only look, or only answer held requests, gets a link by ", h("code", {}, "nexus open --role auditor"), " or ", h("code", {}, "--role approver"), ".")];
  if (link === "") return say("Sign in", how);
  // Out of the address and the history before anything else.
  history.replaceState(null, "", "/");
  try {
    const signed = await ask("POST", "/api/session", { body: { link } });
    keep(signed.page);
    person = signed;
    await show();
  } catch (problem) {
    say("You are not signed in", h("p", { class: "wrong", role: "alert" }, problem.message), how);
  }
}

async function signOut() {
  try {
    await ask("DELETE", "/api/session");
  } catch (problem) {
    if (problem.code !== "signed_out") return say(problem.message, "wrong");
  }
  signedOut();
}

function signedOut() {
  keep(null);
  person = null;
  turn += 1;
  leave?.();
  leave = null;
  put(document.body);
  history.replaceState(null, "", SIGN_IN);
  signIn();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='/']");
  if (link === null || link === undefined || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || link.target) return;
  event.preventDefault();
  go(link.getAttribute("href"));
});
window.addEventListener("popstate", () => show());
window.addEventListener("hashchange", () => location.pathname === SIGN_IN && signIn());
window.addEventListener("signed-out", () => person !== null && signedOut());

/** Who reads what is here already does something too: the gateway, which sees nothing of it, is told so now and then. */
const TELL = 20000;
let told = Date.now();
for (const kind of ["pointerdown", "keydown", "wheel"]) {
  document.addEventListener(kind, () => {
    if (person === null || Date.now() - told < TELL) return;
    told = Date.now();
    // Where that is not heard, the next thing that is asked for will say so.
    ask("GET", "/api/session").catch(() => {});
  }, { capture: true, passive: true });
}

if (known() && location.pathname !== SIGN_IN) {
  try {
    person = await ask("GET", "/api/session");
  } catch (problem) {
    if (problem.code === "away") put(document.body, h("main", { class: "alone" }, h("h1", {}, "The gateway is away"), h("p", {}, problem.message)));
    else keep(null);
  }
}
if (document.querySelector("main") === null) await show();
