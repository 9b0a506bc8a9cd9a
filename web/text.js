// Texts of strangers: shown as they are, doing nothing to what stands around them.

import { h, visible } from "./dom.js";

export { visible };

/** The same of several lines. */
export const listing = (text) => text.split("\n").map(visible).join("\n");

/** The text in a box of its own; what is longer than `most` is cut, and whole in the title. */
export function shown(text, { most = 4096, mono = true } = {}) {
  const whole = visible(text);
  const cut = whole.length > most;
  return h("bdi", { class: mono ? "mono" : null, title: cut ? whole : null }, cut ? `${whole.slice(0, most)}…` : whole);
}
