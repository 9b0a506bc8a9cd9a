// What stands how, and what needs a person.

import { ask } from "../api.js";
import { h, put, tag } from "../dom.js";
import { count, near } from "../format.js";

const EVERY = 5000;

export async function show(place) {
  const numbers = h("div", { class: "numbers" });
  const needs = h("div", { "aria-live": "polite" });
  put(place, h("h1", {}, "Overview"), numbers, h("h2", {}, "Needs you"), needs);
  let known = "";
  const look = async (background) => {
    const [status, attention, approvals] = await Promise.all(["/api/status", "/api/attention", "/api/approvals"].map((path) => ask("GET", path, { background })));
    const text = JSON.stringify([status, attention, approvals.waiting]);
    if (text === known) return;
    known = text;
    const total = Object.values(status.connections).reduce((sum, one) => sum + one, 0);
    const shown = [["connections", total, "/connections"], ["agents", status.agents], ["providers known", status.providers], ["requests wait for a word", approvals.waiting, "/approvals"]];
    put(numbers, shown.map(([name, number, path]) => h("div", {}, h("b", {}, count(number)), path ? h("a", { href: path }, name) : name)));
    const open = attention.items.filter((item) => item.status === "open");
    put(needs, open.length === 0 ? h("p", { class: "empty" }, "Nothing.") : h("div", { class: "cards" }, open.map(need)));
  };
  await look(false);
  const timer = setInterval(() => look(true).catch(() => {}), EVERY);
  return () => clearInterval(timer);
}

function need(item) {
  return h("article", { class: "card" }, h("h2", {}, item.title), h("p", {}, tag(item.urgency ?? "open", item.urgency === "blocking" ? "bad" : "warn"), ` asked for ${count(item.count ?? 1)} times, last ${near(item.last_seen)}`), h("p", {}, item.content), item.command ? h("pre", {}, item.command) : null);
}
