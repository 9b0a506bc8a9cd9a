// Numbers and times as people read them, in their own language and zone.

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const AGO = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const STEPS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

export const clock = (time) => CLOCK.format(new Date(time));
export const day = (time) => DAY.format(new Date(time));

/** "in 3 hours", "2 days ago". */
export function near(time) {
  const seconds = (new Date(time).getTime() - Date.now()) / 1000;
  const [unit, size] = STEPS.find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
  return AGO.format(Math.trunc(seconds / size), unit);
}

/** 1536 -> "1.5 KiB". */
export function bytes(count) {
  if (count === null || count === undefined) return "";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (count >= 1024 && unit < units.length - 1) {
    count /= 1024;
    unit += 1;
  }
  return `${count >= 100 || unit === 0 ? Math.round(count) : count.toFixed(1)} ${units[unit]}`;
}

/** Milliseconds as "12 ms" or "3.4 s". */
export function milliseconds(count) {
  if (count === null || count === undefined) return "";
  return count < 1000 ? `${Math.round(count)} ms` : `${(count / 1000).toFixed(1)} s`;
}

/** How long a request took, less the time for which it waited for a person; and that time in words, where it waited. */
export function took({ duration_us, held_us = 0 }) {
  if (duration_us === undefined) return ["", null];
  return [milliseconds((duration_us - held_us) / 1000), held_us > 0 ? `after ${milliseconds(held_us / 1000)} held` : null];
}

export const count = (number) => new Intl.NumberFormat().format(number);
