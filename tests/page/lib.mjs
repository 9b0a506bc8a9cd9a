// What all scripts that drive the page share: a browser, people in it, what axe finds, pictures.
//
// A script is called with MODULES SCENE LINK… [map:RULES], gives `drive` its scenes, and prints what it saw as JSON, the last line.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const [modules, scene, ...more] = process.argv.slice(2);
const given = more.filter((word) => !word.startsWith("map:"));
// Names of services that a test has on loopback.
const mapped = more.filter((word) => word.startsWith("map:")).map((word) => `--host-resolver-rules=${word.slice(4)}`);
const load = createRequire(`${modules}/`);
const { chromium } = load("playwright-core");
const axe = readFileSync(load.resolve("axe-core/axe.min.js"), "utf8");
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", ...mapped] });

/** What the browser complained of. */
export const wrong = [];

/** A page of a person of their own; what the browser complains of is collected. */
export async function person(options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(20000);
  page.on("pageerror", (error) => wrong.push(error.message));
  page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
  return { context, page };
}

/** A person who followed the link, with the overview before them. */
export async function signedIn(link, options) {
  const { context, page } = await person(options);
  await page.goto(link);
  await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
  return { context, page };
}

/** Goes to a view by the navigation, and waits until it has its data. */
export async function goTo(page, name) {
  await page.getByRole("navigation").getByRole("link", { name, exact: true }).click();
  await page.getByRole("heading", { level: 1, name, exact: true }).waitFor();
  await page.waitForFunction(() => document.querySelector("main > .empty:only-of-type")?.textContent !== "…");
}

/** What axe finds serious or critical. It is put there by the browser's own door, past the page's policy. */
export async function barriers(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return violations.filter(({ impact }) => ["serious", "critical"].includes(impact)).map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
}

/** How many pixels the document is wider than the window, which nothing may be. */
export const overflow = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

/** A picture for whoever asked for some by PICTURES. */
export async function picture(page, name) {
  if (process.env.PICTURES) await page.screenshot({ path: `${process.env.PICTURES}/${name}.png` });
}

/** What is wrong with what is shown now, at each width, in words; a picture of each where they are asked for. */
export async function looked(page, name, widths = [1280, 320, 3840]) {
  const seen = [];
  for (const width of widths) {
    await page.setViewportSize({ width, height: 800 });
    const over = await overflow(page);
    if (over > 0) seen.push(`${name} at ${width}: ${over} px too wide`);
    await picture(page, `${name}-${width}`);
  }
  await page.setViewportSize({ width: 1280, height: 800 });
  for (const barrier of await barriers(page)) seen.push(`${name}: ${barrier}`);
  return seen;
}

/** Asks the gateway as the page does, with both halves of the session. */
export function asks(page, method, path, body) {
  return page.evaluate(async ([method, path, body]) => {
    const headers = { "nexus-page": localStorage.getItem("nexus.page"), "content-type": "application/json" };
    const answer = await fetch(path, { method, headers, body: body === null ? undefined : JSON.stringify(body) });
    const text = await answer.text();
    return { status: answer.status, body: text === "" ? null : JSON.parse(text) };
  }, [method, path, body ?? null]);
}

/** Plays the scene that was asked for. */
export async function drive(scenes) {
  try {
    const result = await scenes[scene](given);
    console.log(JSON.stringify({ ...result, wrong }));
  } finally {
    await browser.close();
  }
}
