// The services that are known: what is entered for each, where that is had, and where it goes.

import { ask } from "../api.js";
import { away, known, logIn, register } from "../connect.js";
import { h, plain, put, tag, text } from "../dom.js";
import { drawer, facts, shut } from "../drawer.js";
import { count } from "../format.js";
import { list } from "../list.js";

const TAKES = { oauth2: "log-in", api_key: "key", basic_auth: "user and password", grant: "makes tokens" };

export async function show(place, { may }) {
  const { providers: all } = await ask("GET", "/api/catalogue?limit=1000");
  const search = h("input", { type: "search", id: "find", placeholder: "github, mail, api.stripe.com…", value: new URLSearchParams(location.search).get("q") ?? "" });
  const category = h("select", { id: "category" }, ["", ...new Set(all.map((one) => one.category))].sort().map((name) => h("option", { value: name }, name === "" ? "all" : plain(name))));
  const takes = h("select", { id: "takes" }, h("option", { value: "" }, "all"), Object.entries(TAKES).map(([value, name]) => h("option", { value }, name)));
  const found = () => {
    const words = search.value.toLowerCase().replaceAll("-", "_").split(/\s+/).filter(Boolean);
    return all.filter((one) => {
      const about = `${one.id} ${one.title} ${one.category} ${one.hosts.join(" ")}`.toLowerCase().replaceAll("-", "_");
      return (category.value === "" || one.category === category.value) && (takes.value === "" || one.takes.includes(takes.value)) && words.every((word) => about.includes(word));
    });
  };
  const number = h("span", { class: "soft", role: "status" });
  const services = list({
    label: "Services", key: (one) => one.id, open: (one) => about(one.id, may), empty: "None is like that. A file in the providers folder of the gateway's home adds a service.",
    columns: [
      { name: "Service", width: "minmax(9rem, 1.4fr)", cell: (one) => [h("b", {}, text(one.title)), " ", h("span", { class: "mono soft" }, text(one.id))] },
      { name: "Category", width: "minmax(6rem, .8fr)", cell: (one) => text(one.category), wide: true },
      { name: "Takes", width: "minmax(6rem, 1fr)", cell: (one) => one.takes.map((word) => TAKES[word] ?? word).join(", ") },
      { name: "Goes to", width: "minmax(9rem, 2fr)", cell: (one) => h("span", { class: "mono" }, text(one.hosts.join(", "))), wide: true },
      { name: "Connections", width: "6.5rem", cell: (one) => (one.connections === 0 ? "" : count(one.connections)), numeric: true, wide: true },
    ],
    fetch: async () => {
      const rows = found();
      put(number, `${count(rows.length)} of ${count(all.length)}`);
      return { rows, next: null, total: rows.length };
    },
  });
  for (const [input, event] of [[search, "input"], [category, "change"], [takes, "change"]]) input.addEventListener(event, () => services.reload());
  const labelled = (label, input) => h("div", {}, h("label", { for: input.id }, label), input);
  put(place, h("h1", {}, "Catalogue"), h("p", {}, "Services that Nexus knows: what is entered for each, where that is had, and where it goes. ", number),
    h("div", { class: "row" }, labelled("Find", search), labelled("Category", category), labelled("Takes", takes)), services.element);
  await services.reload();
  const asked = new URLSearchParams(location.search).get("service");
  if (asked !== null && all.some((one) => one.id === asked)) await about(asked, may);
  return shut;
}

async function about(id, may) {
  const panel = drawer("…");
  let one;
  try {
    one = await known(id);
  } catch (problem) {
    return put(panel.body, h("p", { class: "wrong", role: "alert" }, problem.message));
  }
  panel.title(plain(one.title));
  const named = (way) => h("ul", {}, way.map((field) => h("li", {}, text(field.prompt), " ", field.secret ? tag("secret") : null, field.hint ? h("small", {}, `Such as ${plain(field.hint, 200)}`) : null, field.part_of ? h("small", {}, `It is a part of ${plain(field.part_of)}`) : null)));
  const by = one.log_in;
  const buttons = may("operator") ? [
    by && (by.browser || by.device) ? h("button", { class: "main", on: { click: () => logIn(id, {}) } }, "Log in…") : null,
    one.ways.length > 0 ? h("button", { class: by && by.browser ? null : "main", on: { click: () => register(id, {}) } }, "Register…") : null] : null;
  put(panel.body,
    h("p", {}, one.verified ? null : [tag("not verified", "warn"), " "], one.builtin ? "It comes with Nexus." : "It is described by a file of the gateway's home."),
    h("div", { class: "buttons" }, buttons, one.connections > 0 ? h("a", { href: `/connections?q=${encodeURIComponent(id)}` }, `${count(one.connections)} connected`) : null),
    by ? [h("h3", {}, "Log in"), h("p", {}, by.browser ? "On a page of the service." : "By a code that is typed on a page of the service.", by.app ? " An app is registered." : " It needs an app of yours there, once."), facts([["Redirect URI", by.browser && h("code", {}, by.redirect_uri)], ["Usual scopes", by.scopes.length > 0 && h("span", { class: "mono" }, plain(by.scopes.join(" ")))]])] : null,
    one.ways.length > 0 ? [h("h3", {}, "What is entered"), one.ways.map((way, number) => [number > 0 ? h("p", { class: "soft" }, "or") : null, named(way)])] : null,
    one.console ? [h("h3", {}, "Where it is had"), h("p", {}, away(one.console))] : null,
    h("h3", {}, "Where it goes"), h("ul", { class: "mono" }, one.hosts.map((host) => h("li", {}, text(host)))),
    h("h3", {}, "Besides"), facts([["Name", h("code", {}, one.id)], ["Category", text(one.category)],
      ["Tried by", one.not_tried ? `Nothing: ${plain(one.not_tried)}` : one.tried_by.length > 0 ? h("span", { class: "mono" }, plain(one.tried_by.join(", "))) : "nothing that is known"],
      ["Presets", one.presets.length > 0 ? h("span", { class: "mono" }, one.presets.join(", ")) : "none: its requests can't be told apart"],
      ["Variables", one.variables.length > 0 && h("span", { class: "mono" }, plain(one.variables.join(", ")))]]));
}
