// Texts of strangers: shown as they are, doing nothing to what stands around them.

import { h } from "./dom.js";

/** What is not seen, or moves what is: controls, marks that turn the direction, halves of letters. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** The text with what nobody sees written out: an escape becomes `\u{1b}`. */
export const visible = (text) => String(text).replace(UNSEEN, (letter) => `\\u{${letter.codePointAt(0).toString(16)}}`);

/** The same of several lines. */
export const listing = (text) => text.split("\n").map(visible).join("\n");

/** The text in a box of its own; what is longer than `most` is cut, and whole in the title. */
export function shown(text, { most = 4096, mono = true } = {}) {
  const whole = visible(text);
  const cut = whole.length > most;
  return h("bdi", { class: mono ? "mono" : null, title: cut ? whole : null }, cut ? `${whole.slice(0, most)}…` : whole);
}
