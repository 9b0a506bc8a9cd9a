// A request that waits for a person's word: the log has no line of it yet.

import { h, tag } from "./dom.js";
import { near } from "./format.js";
import { method, place } from "./record.js";
import { shown } from "./text.js";

/** What a row says, the colour of it, what it means. */
export const HELD = ["held", "warn", "It waits for a person's word; nothing of it has left."];

/** It as an element, with the way to where it is answered. */
export function held(event, { may }) {
  const facts = [["Agent", event.agent], ["Rule", event.rule], ["Provider", event.provider], ["Connection", event.connection], ["Request", event.id]];
  return h("article", { class: "record" }, h("h2", {}, shown(`${method(event)} ${place(event)}`, { most: 300 })), h("p", { class: "path" }, shown(event.path ?? "")),
    h("p", { class: "tags" }, tag(HELD[0], HELD[1])), h("p", {}, HELD[2]),
    h("p", {}, "Asked ", h("time", { datetime: event.time }, near(event.time)), "; without a word it is refused ", h("time", { datetime: event.expires_at }, near(event.expires_at)), "."),
    h("p", {}, h("a", { href: "/approvals" }, may("operator", "approver") ? "Answer it in Approvals" : "See it in Approvals")),
    h("dl", {}, facts.filter(([, value]) => value).map(([name, value]) => [h("dt", {}, name), h("dd", {}, shown(value))])));
}
