// Does in Chromium what a person does on the page. drive.mjs MODULES SCENE LINK…; prints what it saw as JSON, the last line.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const [modules, scene, ...links] = process.argv.slice(2);
const load = createRequire(`${modules}/`);
const { chromium } = load("playwright-core");
const axe = readFileSync(load.resolve("axe-core/axe.min.js"), "utf8");
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const wrong = [];

/** A page of a person of their own; what the browser complains of is collected. */
async function person(options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(20000);
  page.on("pageerror", (error) => wrong.push(error.message));
  page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
  return { context, page };
}

async function signedIn(link, options) {
  const { context, page } = await person(options);
  await page.goto(link);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  return { context, page };
}

/** What axe finds serious or critical. It is put there by the browser's own door, past the page's policy. */
async function barriers(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return violations.filter(({ impact }) => ["serious", "critical"].includes(impact)).map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
}

const SCENES = {
  async sign_in([link]) {
    const { context, page } = await signedIn(link);
    const address = page.url();
    const seen = await page.evaluate(() => ({ history: history.length, cookie: document.cookie }));
    const again = await person();
    await again.page.goto(link);
    await again.page.getByRole("heading", { name: "You are not signed in" }).waitFor();
    const alert = await again.page.getByRole("alert").innerText();
    const [cookie] = await context.cookies();
    // Half of a session is none.
    const half = await page.evaluate(() => fetch("/api/session").then((answer) => answer.status));
    const secret = await page.evaluate(() => localStorage.getItem("nexus.page"));
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    const left = await page.evaluate((secret) => fetch("/api/session", { headers: { "nexus-page": secret } }).then((answer) => answer.json()), secret);
    return { address, seen, alert, cookie: { httpOnly: cookie.httpOnly, sameSite: cookie.sameSite, expires: cookie.expires }, half, left: left.code, cookies: (await context.cookies()).length };
  },

  async approve([operator, auditor]) {
    const { page } = await signedIn(operator);
    await page.getByRole("link", { name: "Approvals", exact: true }).click();
    const card = page.getByRole("article");
    await card.waitFor();
    const text = await card.innerText();
    const looks = await signedIn(auditor);
    await looks.page.getByRole("link", { name: "Approvals", exact: true }).click();
    await looks.page.getByRole("article").waitFor();
    const buttons = await looks.page.getByRole("article").getByRole("button").count();
    const refused = await looks.page.evaluate(async () => {
      const headers = { "nexus-page": localStorage.getItem("nexus.page"), "content-type": "application/json" };
      const found = await (await fetch("/api/approvals", { headers })).json();
      const answer = await fetch(`/api/approvals/${found.items[0].id}`, { method: "POST", headers, body: JSON.stringify({ decision: "allow" }) });
      return [answer.status, (await answer.json()).code];
    });
    await card.getByRole("button", { name: "Allow once" }).click();
    await page.getByText("Nothing waits.").waitFor();
    return { text, markup: await page.locator("article b, article script").count(), buttons, refused };
  },

  async look(links) {
    const seen = [];
    for (const [at, colorScheme] of ["light", "dark"].entries()) {
      const { page } = await signedIn(links[at], { colorScheme, viewport: { width: 1280, height: 800 } });
      for (const name of await page.getByRole("navigation").getByRole("link").allInnerTexts()) {
        await page.getByRole("link", { name, exact: true }).click();
        await page.getByRole("heading", { level: 1, name, exact: true }).waitFor();
        await page.waitForFunction(() => document.querySelector("main > .empty:only-of-type")?.textContent !== "…");
        for (const width of [1280, 320, 3840]) {
          await page.setViewportSize({ width, height: 800 });
          const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
          if (over > 0) seen.push(`${name} at ${width}: ${over} px too wide`);
          if (process.env.PICTURES) await page.screenshot({ path: `${process.env.PICTURES}/${name}-${colorScheme}-${width}.png` });
        }
        await page.setViewportSize({ width: 1280, height: 800 });
        for (const barrier of await barriers(page)) seen.push(`${name}, ${colorScheme}: ${barrier}`);
      }
    }
    return { seen };
  },

  async framed([link]) {
    const { page } = await person();
    const { origin } = new URL(link);
    await page.setContent(`<iframe src="${origin}/"></iframe>`);
    await page.waitForTimeout(500);
    const inside = page.frames().length > 1 ? await page.frames()[1].evaluate(() => document.querySelector("main") !== null).catch(() => false) : false;
    const other = await page.evaluate((origin) => fetch(`${origin}/api/session`, { credentials: "include" }).then(() => "read", () => "kept"), origin);
    wrong.length = 0;
    return { inside, other };
  },
};

try {
  const result = await SCENES[scene](links);
  console.log(JSON.stringify({ ...result, wrong }));
} finally {
  await browser.close();
}
