// Elements. What comes from the network is text here, always: nothing in the page makes markup of a string.

/** An element: `h("a", { href: "/live", on: { click: go } }, "Live")`. Attributes that are null or false are left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (name === "value" || name === "checked" || name === "disabled" || name === "hidden") {
      element[name] = value;
    } else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  put(element, ...children);
  return element;
}

/** Children in the place of those that are there. */
export function put(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Children in the place of others; who had the focus on one that is there again (`data-key`), has it again. */
export function refill(element, ...children) {
  const had = element.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  put(element, ...children);
  if (had !== undefined) element.querySelector(`[data-key="${CSS.escape(had)}"]`)?.focus({ preventScroll: true });
}

/** What is said to a screen reader at once, and shown for a while. */
export function say(text, kind = "done") {
  const place = document.getElementById("said");
  const note = h("p", { class: `said ${kind}`, role: kind === "wrong" ? "alert" : "status" }, text);
  place.append(note);
  setTimeout(() => note.remove(), kind === "wrong" ? 12000 : 5000);
}

/** A dialog with a form. Resolves to the button's value, or null where it was closed. */
export function dialog(title, content, buttons) {
  return new Promise((resolve) => {
    const heading = h("h2", { id: "dialog-title" }, title);
    const made = buttons.map(({ value, label, kind }) => h("button", { value, class: kind ?? null, formnovalidate: value === "" }, label));
    const form = h("form", { method: "dialog" }, heading, content, h("div", { class: "buttons" }, made));
    const box = h("dialog", { "aria-labelledby": "dialog-title" }, form);
    box.addEventListener("close", () => {
      const value = box.returnValue || null;
      resolve(value === null ? null : { value, data: new FormData(form) });
      box.remove();
    });
    document.body.append(box);
    box.showModal();
  });
}

/** A table whose head tells what sorts; `columns` are { name, cell, numeric }. */
export function table(caption, columns, rows, empty) {
  if (rows.length === 0) return h("p", { class: "empty" }, empty);
  const head = h("tr", {}, columns.map(({ name, numeric }) => h("th", { scope: "col", class: numeric ? "number" : null }, name)));
  const cells = (row) => columns.map(({ cell, numeric }) => h("td", { class: numeric ? "number" : null }, cell(row)));
  const body = rows.map((row) => h("tr", {}, cells(row)));
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", {}, h("caption", { class: "hidden" }, caption), h("thead", {}, head), h("tbody", {}, body)));
}

/** A word in a box of the colour of its kind. */
export function tag(word, kind = "") {
  return h("span", { class: `tag ${kind}` }, word);
}

/** What is not seen, or moves what is: controls, marks that turn the direction, halves of letters. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** The text with what nobody sees written out: an escape becomes `\u{1b}`. */
export const visible = (text) => String(text).replace(UNSEEN, (letter) => `\\u{${letter.codePointAt(0).toString(16)}}`);

/** The same of one that may be longer than anybody reads: the beginning of it. */
export function plain(text, most = 1000) {
  const whole = String(text);
  return whole.length > most ? `${visible(whole.slice(0, most))}…` : visible(whole);
}

/** What the network says, for a place of one line: it turns nothing around it, and of a long one the beginning is shown, more of it in its title. */
export function text(said, most = 200) {
  const whole = String(said ?? "");
  return h("bdi", { title: whole.length > 24 ? plain(whole, 2000) : null }, plain(whole, most));
}
