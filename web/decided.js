// What the log says of a decision, in sentences that hold for what is on record, and say no more.
//
// A sentence is a list of words of ours and of `{ code }`, `{ strong }` and `{ time }` for what stands out; it knows nothing of elements.

import { NOTES, PLACES, REFUSALS, VERDICTS } from "./meanings.js";

/** Refusals of something that had begun, but was sent to nobody: its way ended before. */
const UNSENT = ["private-address", "loop", "upstream-tls", "policy", "draining"];
/** Steps after which the service has had the request at least once. */
const SENT = ["replayed", "challenged", "not_replayable", "attention"];
/** Steps on which the request was written, at least in part, before it was sent once more. */
const WRITTEN = ["stale_connection", "goaway", "refused_stream", "expectation_failed"];
/** What a rule that asks for a person leaves in a record. */
const ASKED = ["held", "approval_asked", "approval_denied", "approval_timed_out", "approval_impossible"];

const NOTHING = "nothing of it reached the service.";

/** Whether its first line was written, so that it could leave. */
const began = ({ event }) => !event.endsWith("refuse");

/** What became of it, and how far it came. */
export function fate(record) {
  const { event, verdict, host, notes = [] } = record;
  if (verdict === "pass" && host === "nexus.internal") return "It asked for a page of the proxy itself, which answered.";
  if (verdict === "refuse") return refused(record);
  if (!began(record) && verdict !== "answer") return notes.includes("no_request") ? "No request came through it." : `It ended before it was sent; ${NOTHING}`;
  if (verdict === undefined) return event.endsWith("open") ? "It is not decided yet." : "It was not decided.";
  return VERDICTS[verdict]?.[2] ?? "It was let on.";
}

/** Nexus answered itself; where the record was opened before, something may have left by then. */
function refused(record) {
  const { event, refusal, notes = [] } = record;
  if (!began(record)) return `Nexus refused it; ${NOTHING}`;
  if (event === "tunnel_close") return record.dialled === undefined ? `Nexus ended it; ${NOTHING}` : "Nexus ended it; a stream to the service was open by then, and no bytes of the program went into it.";
  if (record.upstream_http !== undefined) return "It went to the service, which answered; Nexus kept that answer back.";
  if (refusal === "auth_required") return "It went to the service, which refused the credential, or the lack of one; Nexus answered in its place.";
  if (SENT.some((note) => notes.includes(note))) return "It went to the service once; Nexus ended it before another answer came.";
  if (UNSENT.includes(refusal) && !WRITTEN.some((note) => notes.includes(note))) return `It had begun, and Nexus ended it; ${NOTHING}`;
  return "It had begun, and Nexus ended it; how much of it reached the service is not on record.";
}

/** What the rule that is named did. */
function ruled({ rule, verdict, refusal, approval, notes = [] }) {
  const named = { code: rule };
  if (verdict === "refuse" && notes.includes("rule")) return refusal === "limit" ? ["The limit of the rule ", named, " was reached."] : ["The rule ", named, " refused it."];
  if (approval !== undefined || ASKED.some((note) => notes.includes(note))) return ["The rule ", named, " asks for a person's yes."];
  if (verdict === "refuse") return ["The rule ", named, " let it on; it was something else that ended it."];
  return ["The rule ", named, " let it on."];
}

/** Whether rules had a say, and the record would name the one that decided. */
const unruled = ({ source, verdict, host }) => source !== undefined && ["inject", "pass", "tunnel"].includes(verdict) && host !== "nexus.internal";

const said = (note, { refusal }) => NOTES[note] ?? (["malformed", "too-large"].includes(refusal) ? "that is what was wrong with it." : "a step on the way.");

/** All of it. */
export function reasons(record) {
  const all = [[fate(record)]];
  const add = (...parts) => all.push(parts);
  const [why, advice, file] = REFUSALS[record.refusal] ?? [];
  if (record.refusal !== undefined) add({ strong: record.refusal }, ": ", why ?? "", advice ? ` ${advice}` : "", ...(file ? [" (", { code: `docs/howto/${file}` }, ")"] : []));
  if (record.rule !== undefined) all.push(ruled(record));
  else if (unruled(record)) add("No rule of the policy speaks of it.");
  if (record.connection !== undefined) add("The connection ", { code: record.connection }, ...(record.verdict === "inject" && record.strategy ? [" goes on by the strategy ", { code: record.strategy }, "."] : [" is the one that it is about."]));
  if (record.would_refuse !== undefined) add("If they were enforced, these rules would have refused it: ", { code: record.would_refuse }, ".");
  if (record.would_hold !== undefined) add("If they were enforced, these rules would have held it for a person: ", { code: record.would_hold }, ".");
  if (record.approval !== undefined) add(record.approval === "grant" ? "A person had said yes for a time: " : "A person said yes: ", { code: record.approved_by ?? "" }, ...(record.approved_at ? [" at ", { time: record.approved_at }] : []), ...(record.approval_id ? [" (", { code: record.approval_id }, ")"] : []), ".");
  if (record.canary !== undefined) add("A placeholder stood ", PLACES[record.canary.place] ?? { code: record.canary.place }, ...(record.canary.agent ? [", made for ", { code: record.canary.agent }] : []), ...(record.canary.connection ? [", of the connection ", { code: record.canary.connection }] : []), ".");
  if (record.made !== undefined) add("The connection ", { code: record.made }, " was made of its answer.");
  if (record.guard_hits) add(`${record.guard_hits} ${record.guard_hits === 1 ? "secret was" : "secrets were"} scrubbed out of the answer.`);
  for (const note of record.notes ?? []) if (note !== "canary" && (note !== "rule" || record.rule === undefined)) add({ code: note }, ": ", said(note, record));
  return all;
}
