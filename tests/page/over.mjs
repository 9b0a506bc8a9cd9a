// The overview as a person uses it: REQUESTS LINK LINK LINK are how many are counted, and who looks.

import { asks, barriers, drive, overflow, signedIn } from "./lib.mjs";

const seen = {};
// Half an hour beside the hours of UTC.
const person = async (link, options) => (await signedIn(link, { timezoneId: "Asia/Kolkata", ignoreHTTPSErrors: true, ...options })).page;
const stats = async (page, query) => (await asks(page, "GET", `/api/stats?${query}`)).body;

/** Waits until all requests are counted. */
async function counted(page, requests) {
  while ((await stats(page, "range=1h")).totals.requests < requests) await page.evaluate(() => new Promise(requestAnimationFrame));
}

/** What a plot says: its steps in words, from the last back to the first, by keyboard alone. */
async function spoken(page, title) {
  const slider = page.getByRole("slider", { name: title });
  await slider.focus();
  const steps = Number(await slider.getAttribute("aria-valuemax"));
  const words = [];
  await page.keyboard.press("End");
  for (let step = 0; step < 5; step += 1) {
    words.push(await slider.getAttribute("aria-valuetext"));
    await page.keyboard.press("ArrowLeft");
  }
  await page.keyboard.press("Home");
  const first = await slider.getAttribute("aria-valuenow");
  return { steps, words, first };
}

/** The sums of the columns of a plot's table. */
async function summed(page, title) {
  const plot = page.getByRole("region", { name: title, exact: true });
  await plot.getByText("As a table").click();
  return plot.locator("table").evaluate((table) => {
    const names = [...table.querySelectorAll("thead th")].slice(1).map((cell) => cell.textContent);
    const rows = [...table.querySelectorAll("tbody tr")].map((row) => [...row.querySelectorAll("td")].map((cell) => Number(cell.textContent) || 0));
    return Object.fromEntries(names.map((name, at) => [name, rows.reduce((sum, row) => sum + row[at], 0)]));
  });
}

async function reading(link, requests) {
  const page = await person(link, { viewport: { width: 1280, height: 900 } });
  await counted(page, requests);
  await page.getByRole("button", { name: "1 hour" }).click();
  await page.getByRole("button", { name: "1 hour", pressed: true }).waitFor();
  seen.focus = await page.evaluate(() => document.activeElement.textContent);
  seen.url = new URL(page.url()).search;
  seen.stats = await stats(page, "range=1h");
  seen.ranges = [];
  for (const range of ["6h", "24h", "7d", "30d"]) seen.ranges.push((await stats(page, `range=${range}`)).totals);
  seen.tiles = (await page.locator(".numbers.small > div").allInnerTexts()).map((text) => text.split("\n").slice(0, 2).reverse());
  seen.spoken = await spoken(page, "Requests, step by step");
  seen.table = await summed(page, "Requests");
  const providers = page.getByRole("region", { name: "Providers" });
  seen.provider = await providers.getByRole("link", { name: "acme" }).getAttribute("href");
  await page.getByRole("button", { name: "Agents" }).click();
  await page.getByRole("button", { name: "Bytes" }).click();
  await page.getByRole("heading", { name: "Bytes by agent" }).waitFor();
  seen.search = new URL(page.url()).search;
  seen.fresh = await page.getByRole("region", { name: "Hosts never seen before" }).getByRole("link").allInnerTexts();
  await page.reload();
  await page.getByRole("button", { name: "Bytes", pressed: true }).waitFor();
  return page;
}

/** What needs a person is mended where it stands: the log-in is made, and the item is gone. */
async function mending(page) {
  const card = page.getByRole("article").filter({ hasText: "needs a credential" });
  // What many agents met is one card, since one act mends it; another connection is another.
  await page.route("**/api/attention", async (route) => {
    const answer = await route.fetch();
    const { items } = await answer.json();
    const others = ["ci", "ci", "<b>evil</b>\u202e", ..."abcdefg"].map((agent) => ({ ...items[0], id: `${items[0].id}${agent}`, agent, count: 100 }));
    await route.fulfill({ response: answer, json: { items: [...items, ...others, { ...items[0], id: "x", agent: "ci", connection: "acme:eve", command: "nexus login acme --user eve" }] } });
  });
  const again = () => page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await again();
  await card.nth(1).waitFor();
  seen.together = await card.allInnerTexts();
  seen.crowd = { over: await overflow(page), markup: await card.locator("b").count() };
  if (process.env.PICTURES) await page.screenshot({ path: `${process.env.PICTURES}/overview-together.png` });
  await page.unrouteAll({ behavior: "wait" });
  await again();
  await card.nth(1).waitFor({ state: "detached" });
  seen.card = await card.innerText();
  await card.getByRole("button").click();
  const drawer = page.getByRole("dialog");
  await drawer.getByRole("heading").first().waitFor();
  await drawer.getByRole("button", { name: /^(Log in…|Begin)$/ }).first().waitFor();
  // Where there are two ways, this is the one that is renewed by itself.
  if (await drawer.getByRole("button", { name: "Log in…" }).count()) await drawer.getByRole("button", { name: "Log in…" }).click();
  await drawer.getByRole("button", { name: "Begin" }).click();
  const link = drawer.getByRole("link", { name: /^Open the page of/ });
  await link.waitFor();
  seen.mend = { href: await link.getAttribute("href"), rel: await link.getAttribute("rel") };
  const [tab] = await Promise.all([page.context().waitForEvent("page"), link.click()]);
  await tab.locator("[name=login]").fill("bob");
  await tab.locator("[name=password]").fill("x");
  await tab.locator("[type=submit]").click();
  await tab.getByText("Authorize").first().waitFor();
  await tab.locator("[type=submit]").click();
  await tab.getByText("Connected").first().waitFor();
  await drawer.getByText("is connected.").waitFor();
  await page.keyboard.press("Escape");
  await page.getByText("Nothing. What is refused").waitFor();
  seen.mended = (await asks(page, "GET", "/api/attention")).body.items.map(({ status }) => status);
}

/** News come while somebody reads: they stay where they are. */
async function staying(page) {
  await page.getByRole("button", { name: "1 hour" }).click();
  const slider = page.getByRole("slider", { name: "Requests, step by step" });
  await slider.focus();
  await page.keyboard.press("Home");
  const before = { top: await page.evaluate(() => scrollY), now: await slider.getAttribute("aria-valuenow") };
  await page.route("**/api/stats*", async (route) => {
    const answer = await route.fetch();
    const body = await answer.json();
    body.totals.requests += 1000000;
    body.hosts.items.unshift({ ...body.hosts.items[0], name: `\u202e<b>evil</b>\u001b[31m${"x".repeat(65536)}` });
    body.providers.items[0].name = "<script>alert(1)</script>";
    await route.fulfill({ response: answer, json: body });
  });
  // As whoever comes back to the page.
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await page.locator(".numbers.small b").first().filter({ hasText: "1,000,0" }).waitFor();
  const after = { top: await page.evaluate(() => scrollY), now: await slider.getAttribute("aria-valuenow"), focus: await slider.evaluate((one) => one === document.activeElement) };
  seen.stays = { before, after, over: await overflow(page), markup: await page.locator("td b, main script").count() };
}

async function looking(links) {
  seen.looks = [];
  for (const [at, colorScheme] of ["light", "dark"].entries()) {
    const page = await person(links[at], { colorScheme, viewport: { width: 1280, height: 900 } });
    await page.goto(`${new URL(page.url()).origin}/?range=1h`);
    await page.locator(".chart path").first().waitFor({ state: "attached" });
    for (const width of at === 0 ? [1280, 320, 3840] : [1280]) {
      await page.setViewportSize({ width, height: 900 });
      const over = await overflow(page);
      if (over > 0) seen.looks.push(`at ${width}: ${over} px too wide`);
      if (process.env.PICTURES) await page.screenshot({ path: `${process.env.PICTURES}/overview-${colorScheme}-${width}.png`, fullPage: true });
    }
    for (const barrier of await barriers(page)) seen.looks.push(`${colorScheme}: ${barrier}`);
  }
}

await drive({
  async overview([requests, link, ...links]) {
    const page = await reading(link, Number(requests));
    await mending(page);
    await staying(page);
    await looking(links);
    return seen;
  },
});
