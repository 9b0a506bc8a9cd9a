// A yes that lasts: the rule that somebody may write, shown as it would be. The page writes none.

import { ask } from "./api.js";
import { h, put, say } from "./dom.js";
import { quoted } from "./lines.js";
import { listing, shown } from "./text.js";

/** Shows the rule for what `item` asks about. True where the request is to go on once, which is asked for in the same place. */
export async function asRule(item) {
  const look = (pattern) => ask("GET", `/api/approvals/${encodeURIComponent(item.id)}/rule?${new URLSearchParams(pattern === "" ? {} : { pattern })}`).catch((problem) => ({ problem }));
  return shownFor(await look(""), look);
}

/** The dialog, from `rule` on. It is no form: Enter in the field answers nothing. */
function shownFor(rule, look) {
  const field = h("input", { id: "as-rule-paths", value: rule.paths ?? "", spellcheck: "false", maxlength: "255" });
  const made = h("div", { class: "as-rule", "aria-live": "polite" });
  const failed = h("div", { class: "as-rule-failed" });
  let [latest, once, writing, refused] = [0, false, false, false];
  const end = (answer) => {
    once = answer;
    box.close();
  };
  // Only what is drawn can be copied, and only into the clipboard of a browser that lets the page: then the dialog may go.
  const copy = (answer) => async () => {
    if (writing) return;
    writing = field.readOnly = true;
    try {
      await navigator.clipboard.writeText(rule.text);
      say(`Copied. Paste it before the rule ${rule.before}.`);
      end(answer && box.open);
    } catch {
      refused = true;
      put(on, "Let this one on");
      put(failed, h("p", { class: "wrong", role: "alert" }, "The browser does not let the page copy. The rule below is selected: copy it from there."));
      const text = made.querySelector("pre");
      text.focus();
      getSelection().selectAllChildren(text);
    }
    writing = field.readOnly = false;
  };
  const onward = copy(true);
  const on = h("button", { type: "button", class: "main", on: { click: () => (refused ? end(true) : onward()) } }, "Copy the rule, and let this one on");
  const only = h("button", { type: "button", on: { click: copy(false) } }, "Copy the rule");
  const ready = (is) => [on, only].forEach((button) => (button.disabled = !is));
  const draw = () => {
    put(made, rule.problem === undefined ? parts(rule) : h("p", { class: "wrong", role: "alert" }, rule.problem.message));
    ready(rule.problem === undefined);
  };
  field.addEventListener("input", async () => {
    const mine = (latest += 1);
    ready(false);
    put(failed);
    const found = await look(field.value);
    // What was typed meanwhile is asked about by itself.
    if (mine !== latest) return;
    rule = found;
    draw();
  });
  const box = h("dialog", { "aria-labelledby": "as-rule-title" }, h("h2", { id: "as-rule-title" }, "Let it on as a rule"),
    h("p", {}, "Such requests go on from then on, and nobody is asked. Rules stand in files, under whatever review these have: this page writes none."),
    h("label", { for: field.id }, "Paths"), field, failed, made,
    h("div", { class: "buttons" }, on, only, h("button", { type: "button", on: { click: () => end(false) } }, "Cancel")));
  draw();
  document.body.append(box);
  box.showModal();
  return new Promise((resolve) => box.addEventListener("close", () => {
    box.remove();
    resolve(once);
  }));
}

function parts(rule) {
  const code = (text) => h("code", {}, shown(text, { mono: false, most: 300 }));
  const edit = `\${EDITOR:-vi} +${rule.line} ${quoted(rule.file)}`;
  return [rule.wider ? h("p", {}, "It speaks of more than this one path.") : null, h("pre", { tabindex: "0" }, listing(rule.text)),
    h("p", {}, "It goes directly before the rule ", code(rule.before), ", which begins at line ", String(rule.line), " of ", code(rule.file), ":"),
    h("pre", { tabindex: "0" }, listing(`${edit}\nnexus policy check`)),
    h("p", {}, h("small", {}, "A proxy that is up takes it at once. It keeps all that the rule says which asks, and names this agent, host, port and method."))];
}
