// What the page says of a decision, held against what the log says: decided.mjs SOURCES… [LINES]; prints what was found as JSON.
//
// Every event, verdict, refusal and step that Nexus can write is put together, true combinations and others: a sentence may only ever say what
// the record proves. LINES is a file with lines of a real log.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fate, reasons } from "../../web/decided.js";
import { NOTES, REFUSALS, VERDICTS } from "../../web/meanings.js";

const plain = (parts) => parts.map((part) => part.code ?? part.strong ?? part.time ?? part).join("");
const told = (record) => reasons(record).map(plain);
const NOTHING = "nothing of it reached the service";

/** Record, what is said first, what else has to be said, what must not be. */
const TABLE = [
  [{ event: "open", verdict: "inject", source: "s", connection: "acme:bob", strategy: "bearer", rule: "r" }, "It was let on, with a stored credential.", ["The rule r let it on.", "The connection acme:bob goes on by the strategy bearer."]],
  [{ event: "close", verdict: "inject", source: "s", notes: ["caller_left"] }, "It was let on, with a stored credential.", ["No rule of the policy speaks of it."]],
  [{ event: "open", verdict: "pass", source: "s" }, "It was let on without a stored credential.", ["No rule of the policy speaks of it."]],
  [{ event: "close", verdict: "pass", source: "s", host: "nexus.internal" }, "It asked for a page of the proxy itself, which answered.", [], ["No rule"]],
  [{ event: "close", verdict: "answer", notes: ["token_response"] }, "Nexus answered it itself, and sent nothing on."],
  [{ event: "tunnel_close", verdict: "tunnel", source: "s", notes: ["idle"] }, "It was let on as a tunnel: Nexus does not read its bytes."],
  [{ event: "tunnel_close", verdict: "intercept", source: "s" }, "A CONNECT that was opened: each request inside has a record of its own.", [], ["No rule"]],
  [{ event: "tunnel_refuse", verdict: "intercept", notes: ["no_request", "abandoned"] }, "No request came through it."],
  // It never left.
  [{ event: "refuse", verdict: "refuse", refusal: "policy", rule: "r", notes: ["rule"] }, `Nexus refused it; ${NOTHING}.`, ["The rule r refused it."]],
  [{ event: "refuse", verdict: "refuse", refusal: "limit", rule: "r", notes: ["rule"] }, `Nexus refused it; ${NOTHING}.`, ["The limit of the rule r was reached."], ["refused it."]],
  [{ event: "refuse", verdict: "refuse", refusal: "policy", rule: "r", notes: ["held", "approval_denied"] }, `Nexus refused it; ${NOTHING}.`, ["The rule r asks for a person's yes.", "approval_denied: A person said no."]],
  [{ event: "refuse", verdict: "refuse", refusal: "canary", rule: "r", canary: { place: "header" }, notes: ["canary"] }, `Nexus refused it; ${NOTHING}.`, ["The rule r let it on; it was something else that ended it.", "A placeholder stood in a header field."], ["r refused"]],
  [{ event: "refuse", verdict: "refuse", refusal: "auth_required", rule: "r" }, `Nexus refused it; ${NOTHING}.`, ["The rule r let it on; it was something else that ended it."]],
  [{ event: "refuse", verdict: "refuse", refusal: "policy", notes: ["no_rule"] }, `Nexus refused it; ${NOTHING}.`, ["no_rule: No rule speaks of it, and policy.default is deny."]],
  [{ event: "refuse", verdict: "refuse", refusal: "malformed", notes: ["chunk_size"] }, `Nexus refused it; ${NOTHING}.`, ["chunk_size: that is what was wrong with it."]],
  [{ event: "refuse", verdict: "inject", notes: ["abandoned"] }, `It ended before it was sent; ${NOTHING}.`, ["abandoned: The program left before its request was sent."]],
  [{ event: "refuse", notes: ["held", "abandoned"], rule: "r" }, `It ended before it was sent; ${NOTHING}.`, ["The rule r asks for a person's yes."]],
  // It was open, and then ended.
  [{ event: "close", verdict: "refuse", refusal: "upstream", rule: "r" }, "It had begun, and Nexus ended it; how much of it reached the service is not on record.", ["The rule r let it on; it was something else that ended it."], [NOTHING]],
  [{ event: "close", verdict: "refuse", refusal: "timeout" }, "It had begun, and Nexus ended it; how much of it reached the service is not on record."],
  [{ event: "close", verdict: "refuse", refusal: "canary", canary: { place: "body" }, notes: ["canary"] }, "It had begun, and Nexus ended it; how much of it reached the service is not on record."],
  [{ event: "close", verdict: "refuse", refusal: "private-address" }, `It had begun, and Nexus ended it; ${NOTHING}.`],
  [{ event: "close", verdict: "refuse", refusal: "upstream-tls", notes: ["replayed"] }, "It went to the service once; Nexus ended it before another answer came.", [], [NOTHING]],
  [{ event: "close", verdict: "refuse", refusal: "upstream-tls", notes: ["stale_connection"] }, "It had begun, and Nexus ended it; how much of it reached the service is not on record.", [], [NOTHING]],
  [{ event: "close", verdict: "refuse", refusal: "auth_required", notes: ["attention"] }, "It went to the service, which refused the credential, or the lack of one; Nexus answered in its place."],
  [{ event: "close", verdict: "refuse", refusal: "upstream", upstream_http: "1.1", notes: ["unknown_coding"] }, "It went to the service, which answered; Nexus kept that answer back.", [], [NOTHING]],
  [{ event: "tunnel_close", verdict: "refuse", refusal: "upstream" }, `Nexus ended it; ${NOTHING}.`],
  [{ event: "tunnel_close", verdict: "refuse", refusal: "tls", dialled: "1.2.3.4:443", notes: ["sni_mismatch"] }, "Nexus ended it; a stream to the service was open by then, and no bytes of the program went into it."],
];

for (const [record, first, more = [], never = []] of TABLE) {
  const said = told(record);
  assert.equal(said[0], first, JSON.stringify(record));
  for (const one of more) assert.ok(said.includes(one), `${one}: ${said.join("\n")}`);
  for (const one of never) assert.ok(!said.some((text) => text.includes(one)), `${one}: ${said.join("\n")}`);
}

// All of them put together.
const EVENTS = ["open", "close", "refuse", "tunnel_open", "tunnel_close", "tunnel_refuse"];
const SETS = [[], ...Object.keys(NOTES).map((note) => [note]), ["held", "approval_denied"], ["renewed", "replayed"], ["rule"]];
let combinations = 0;
for (const event of EVENTS) for (const verdict of [undefined, ...Object.keys(VERDICTS)]) for (const refusal of verdict === "refuse" ? Object.keys(REFUSALS) : [undefined]) for (const notes of SETS) for (const more of [{}, { upstream_http: "2", dialled: "a", status: 200 }, { rule: "r" }, { approval: "once", approved_by: "ann" }]) {
  const record = { event, verdict, refusal, notes, source: "s", ...more };
  const said = told(record).join("\n");
  combinations += 1;
  assert.ok(!/undefined|null|\[object/.test(said), said);
  const left = event.endsWith("close");
  // That nothing left is only said where no line says that it may have, or where what ended it comes before anything is sent.
  if (left && said.includes(NOTHING)) assert.ok(event === "tunnel_close" ? more.dialled === undefined : more.upstream_http === undefined && !["replayed", "challenged", "stale_connection", "goaway", "refused_stream", "expectation_failed"].some((note) => notes.includes(note)) && ["private-address", "loop", "upstream-tls", "policy", "draining"].includes(refusal), `${JSON.stringify(record)}: ${said}`);
  if (event.endsWith("refuse")) assert.ok(!/was let on[,.]| let it on\.$/.test(fate(record)), fate(record));
  if (said.includes("The rule r refused it.")) assert.ok(verdict === "refuse" && notes.includes("rule"), said);
}

// Whatever word the source has for a refusal has its sentence.
const [sources, lines] = [JSON.parse(process.argv[2]), process.argv[3]];
const unknown = sources.filter((word) => !Object.hasOwn(REFUSALS, word) && !Object.hasOwn(NOTES, word));
const real = lines === undefined ? [] : readFileSync(lines, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line)).filter(({ event }) => /^(tunnel_)?(open|close|refuse)$/.test(event)).map((record) => ({ event: record.event, said: told(record) }));
console.log(JSON.stringify({ combinations, unknown, real }));
