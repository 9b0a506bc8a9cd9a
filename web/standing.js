// Whether the audit log is as it was written: a line where it is, a banner where it is not.

import { ask } from "./api.js";
import { h, put, say } from "./dom.js";
import { count, day, milliseconds, near } from "./format.js";

/** How often it is asked while the log is looked at, and else. */
const SOON = 1000;
const LATER = 60000;

/** What stands above a view of the log: `{ element, stop() }`. */
export function standing() {
  const element = h("section", { class: "standing", "aria-label": "Whether the log is as it was written" });
  let [timer, known, over] = [null, "", false];
  const look = async (method, path, background) => {
    clearTimeout(timer);
    let found = null;
    try {
      found = await ask(method, path, { background });
      const text = JSON.stringify(found);
      // What did not change stays as it is, with whoever is reading there; but it gets older.
      if (text !== known && !over) put(element, drawn(found, () => look("POST", "/api/audit/verify", false)));
      else for (const time of element.querySelectorAll("time")) put(time, near(time.dateTime));
      known = text;
    } catch (problem) {
      if (!background) say(problem.message, "wrong");
    }
    if (!over) timer = setTimeout(() => look("GET", "/api/audit/standing", true), found?.checking ? SOON : LATER);
  };
  look("GET", "/api/audit/standing", true);
  return { element, stop: () => {
    over = true;
    clearTimeout(timer);
  } };
}

function drawn(found, again) {
  const checking = found.checking;
  const under = checking && [h("progress", { max: Math.max(1, checking.of), value: checking.segments, "aria-label": "of the segments" }), ` ${count(checking.lines)} lines looked at`];
  const button = h("button", { class: "quiet", disabled: Boolean(checking), on: { click: again } }, "Verify now");
  const checked = found.checked_at && h("span", { class: "soft" }, "looked at ", h("time", { datetime: found.checked_at, title: day(found.checked_at) }, near(found.checked_at)), found.took_millis ? `, in ${milliseconds(found.took_millis)}` : "");
  const line = (kind, word, ...more) => h("div", { class: `standing-line ${kind}` }, h("strong", { class: `state ${kind}` }, word), more, checked, under ? h("span", {}, under) : null, button);
  if (found.state === "broken") {
    const { segment, line: number, what } = found.broken;
    return h("div", { class: "broken", role: "alert" }, line("bad", "The audit log is not as it was written."),
      h("p", {}, `Line ${count(number)} of segment ${segment}: ${what}.`),
      h("p", {}, "Keep a copy of the folder as it is. What was written before that line can still be read; ", h("code", {}, "nexus audit verify"), " says the same in a terminal."));
  }
  if (found.state !== "holds") return line("warn", checking ? "The log is being looked at." : "It is not known whether the log holds.", checking ? null : h("span", {}, found.why));
  return [line("good", "The log is as it was written", h("span", {}, signed(found.proven))), details(found)];
}

function signed({ lines, signed }) {
  return signed ? `${count(lines)} lines, signed up to line ${count(signed.line)}` : `${count(lines)} lines, none of them signed`;
}

function details({ proven, key }) {
  const rows = [["Head", proven.head], ["Key of this log", key], ["Signed", proven.signed && `up to line ${count(proven.signed.line)}, ${day(proven.signed.time)}; ${count(proven.signed.lines_after)} lines came after`],
    ["Segments", `${count(proven.segments)}, of which ${count(proven.read)} were read now; the files of the others are unchanged since they were`],
    ["Not kept", proven.first > 1 && `lines 1 to ${count(proven.first - 1)}`]];
  const carried = proven.carried.slice(-5).reverse().map((one) => h("li", {}, `Lines ${count(one.from)} to ${count(one.through)} had no head when they were found, ${day(one.time)}: a proxy was killed, or somebody added them.`));
  return h("details", {}, h("summary", {}, "What that rests on"),
    h("dl", {}, rows.filter(([, value]) => value).map(([name, value]) => [h("dt", {}, name), h("dd", { class: name === "Signed" || name === "Segments" ? null : "mono" }, value)])),
    h("p", {}, "Not proven:"), h("ul", {}, proven.unproven.map((what) => h("li", {}, what))), carried.length > 0 ? h("ul", {}, carried) : null);
}
