// A yes that lasts: the rule that somebody may write, shown as it would be. The page writes none.

import { ask } from "./api.js";
import { dialog, h, put, say } from "./dom.js";
import { quoted } from "./lines.js";
import { listing, shown } from "./text.js";

/** Shows the rule for what `item` asks about. True where the request is to go on once, which is asked for in the same place. */
export async function asRule(item) {
  let rule = await ask("GET", `/api/approvals/${encodeURIComponent(item.id)}/rule`).catch((problem) => ({ problem }));
  const own = rule.problem === undefined ? rule.paths : "";
  const field = h("input", { id: "as-rule-paths", value: own, spellcheck: "false", maxlength: "255" });
  const made = h("div", { class: "as-rule", "aria-live": "polite" });
  const draw = () => put(made, rule.problem === undefined ? parts(rule) : h("p", { class: "wrong", role: "alert" }, rule.problem.message));
  let asked = 0;
  field.addEventListener("input", async () => {
    const mine = (asked += 1);
    const found = await ask("GET", `/api/approvals/${encodeURIComponent(item.id)}/rule?${new URLSearchParams(field.value === "" ? {} : { pattern: field.value })}`).catch((problem) => ({ problem }));
    // What was typed meanwhile is asked about by itself.
    if (mine !== asked) return;
    rule = found;
    draw();
  });
  draw();
  const answered = await dialog("Let it on as a rule", [
    h("p", {}, "Such requests go on from then on, and nobody is asked. Rules stand in files, under whatever review these have: this page writes none."),
    h("label", { for: field.id }, "Paths"), field, made,
  ], [{ value: "once", label: "Copy the rule, and let this one on", kind: "main" }, { value: "copy", label: "Copy the rule" }, { value: "", label: "Cancel" }]);
  if (answered === null || rule.problem !== undefined) return false;
  try {
    await navigator.clipboard.writeText(rule.text);
    say(`Copied. Paste it before the rule ${rule.before}.`);
  } catch {
    say("The browser does not let the page copy; select the text instead.", "wrong");
    return false;
  }
  return answered.value === "once";
}

function parts(rule) {
  const code = (text) => h("code", {}, shown(text, { mono: false, most: 300 }));
  const edit = `\${EDITOR:-vi} +${rule.line} ${quoted(rule.file)}`;
  return [rule.wider ? h("p", {}, "It speaks of more than this one path.") : null, h("pre", { tabindex: "0" }, listing(rule.text)),
    h("p", {}, "It goes directly before the rule ", code(rule.before), ", which begins at line ", String(rule.line), " of ", code(rule.file), ":"),
    h("pre", { tabindex: "0" }, listing(`${edit}\nnexus policy check`)),
    h("p", {}, h("small", {}, "A proxy that is up takes it at once. It keeps all that the rule says which asks, and names this agent, host, port and method."))];
}
