// A panel at the side for one thing of a list: what is known of it, and what can be done. One at a time; Escape and "Close" take it away.

import { h, put } from "./dom.js";

let open = null;

/** Opens a panel; what comes back is `{ body, close }`. `gone` is called when it is closed, however that came. */
export function drawer(title, gone) {
  open?.close();
  const heading = h("h2", { id: "drawer-title" }, title);
  const body = h("div", { class: "drawer-body" });
  const box = h("dialog", { class: "drawer", "aria-labelledby": "drawer-title" },
    h("div", { class: "drawer-head" }, heading, h("button", { type: "button", class: "quiet", on: { click: () => box.close() } }, "Close")), body);
  const mine = { body, close: () => box.close(), title: (text) => put(heading, text) };
  box.addEventListener("close", () => {
    // What was typed or shown once goes with it.
    put(body);
    box.remove();
    if (open === mine) open = null;
    gone?.();
  });
  document.body.append(box);
  box.showModal();
  open = mine;
  return mine;
}

/** Takes away the panel that is open, as when a view goes. */
export const shut = () => open?.close();

/** Facts as a list of names and values; those without a value are left out. */
export function facts(pairs) {
  const shown = pairs.filter(([, value]) => value !== null && value !== undefined && value !== false && value !== "");
  return h("dl", {}, shown.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

/** A field of a form with its label, what helps to fill it in, and a place for what is wrong with it. */
export function field(label, input, hint) {
  const id = input.id || `field-${Math.random().toString(36).slice(2)}`;
  input.id = id;
  const wrong = h("p", { class: "wrong", id: `${id}-wrong`, hidden: true });
  const help = hint ? h("small", { id: `${id}-help` }, hint) : null;
  input.setAttribute("aria-describedby", [help && `${id}-help`, `${id}-wrong`].filter(Boolean).join(" "));
  const box = h("div", { class: "field" }, h("label", { for: id }, label), input, help, wrong);
  const say = (text) => {
    wrong.hidden = !text;
    put(wrong, text || null);
    if (text) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  };
  input.addEventListener("input", () => say(""));
  // In our words and at our place, not in a bubble that goes again.
  input.addEventListener("invalid", (event) => {
    event.preventDefault();
    say(input.validity.valueMissing ? "It is needed." : input.validity.patternMismatch ? (input.dataset.mismatch ?? "It is not of this form.") : input.validationMessage);
    input.form?.querySelector("[aria-invalid=true]")?.focus();
  });
  return { box, input, say };
}

/** A form whose button is shut while it works; what goes wrong is said at its field, or above the button. */
export function form(parts, { label, kind = "main", extra }, work) {
  const wrong = h("p", { class: "wrong", role: "alert" });
  const button = h("button", { type: "submit", class: kind }, label);
  const made = h("form", { autocomplete: "off", class: "fields" }, parts, wrong, h("div", { class: "buttons" }, button, extra));
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    put(wrong);
    button.disabled = true;
    try {
      await work();
    } catch (problem) {
      if (!problem.at?.()) put(wrong, problem.message);
    } finally {
      button.disabled = false;
    }
  });
  return made;
}

/** A button that copies a text, and says that it did. */
export function copier(text, label = "Copy") {
  const button = h("button", { type: "button", class: "quiet" }, label);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text());
      put(button, "Copied");
    } catch {
      put(button, "Mark it and copy it by hand");
    }
    setTimeout(() => put(button, label), 2500);
  });
  return button;
}

/** Words that are added one by one, each with a button that takes it out; `suggested` are offered while typing. */
export function words(label, hint, given = [], suggested = []) {
  const all = [...given];
  const options = h("datalist", { id: `words-${Math.random().toString(36).slice(2)}` }, suggested.map((word) => h("option", { value: word })));
  const input = h("input", { list: options.id, spellcheck: "false", autocapitalize: "none" });
  const chips = h("ul", { class: "chips" });
  const made = field(label, input, hint);
  const draw = () => put(chips, all.map((word, at) => h("li", {}, h("bdi", {}, word), h("button", { type: "button", class: "quiet", "aria-label": `Take out ${word}`, on: { click: () => {
    all.splice(at, 1);
    draw();
    input.focus();
  } } }, "×"))));
  const take = () => {
    for (const word of input.value.split(/[\s,]+/).filter(Boolean)) if (!all.includes(word)) all.push(word);
    input.value = "";
    draw();
  };
  input.addEventListener("keydown", (event) => {
    if ((event.key === "Enter" || event.key === ",") && input.value.trim() !== "") {
      event.preventDefault();
      take();
    } else if (event.key === "Backspace" && input.value === "" && all.length > 0) {
      all.pop();
      draw();
    }
  });
  input.addEventListener("change", take);
  draw();
  input.before(chips);
  made.box.append(options);
  return { ...made, value: () => (take(), all.length === 0 ? null : [...all]) };
}

/** Puts what a problem says at the field that it is about, if there is one among `fields`. */
export function at(problem, fields) {
  const found = fields[problem.document?.field];
  if (found === undefined) return problem;
  problem.at = () => {
    found.say(problem.message);
    found.input.focus();
    return true;
  };
  return problem;
}
