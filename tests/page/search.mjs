// Search as a person uses it: types, scrolls, goes back, opens a record, takes the file along.

import { readFileSync } from "node:fs";
import { barriers, drive, goTo, looked, overflow, picture, signedIn, wrong } from "./lib.mjs";

const rows = (page) => page.getByRole("grid").getByRole("row").filter({ has: page.getByRole("gridcell") });
const settled = (page) => page.waitForFunction(() => document.querySelector(".list-row") !== null);
/** What the rows say, from the first that is in the page on. */
const texts = (page) => rows(page).allInnerTexts();

async function search(page, fields) {
  for (const [label, text] of Object.entries(fields)) await page.getByLabel(label, { exact: true }).fill(text);
  const answered = page.waitForResponse((response) => response.url().includes("/api/audit/search"));
  await page.keyboard.press("Enter");
  await answered;
}

await drive({
  async finds([link]) {
    const { page } = await signedIn(link, { acceptDownloads: true });
    await goTo(page, "Search");
    await settled(page);
    const few = (await rows(page).count()) < 60;
    const providers = await page.locator(".list-row > :nth-child(4)").allInnerTexts();
    // Down a list whose end is far: it goes on where the page ends, and only what is seen is in the page.
    const grid = page.getByRole("grid");
    const before = await grid.evaluate((grid) => grid.scrollHeight);
    await grid.evaluate((grid) => grid.scrollTo(0, grid.scrollHeight));
    await page.waitForFunction((before) => document.querySelector(".list").scrollHeight > before, before);
    const onwards = (await rows(page).count()) < 60;
    const standing = page.getByRole("region", { name: "Whether the log is as it was written" });
    await standing.getByText("The log is as it was written").waitFor();
    await search(page, { Host: "127.0.0.1" });
    await page.waitForFunction(() => document.querySelectorAll(".list-row").length === 5);
    const here = await rows(page).count();
    const address = page.url();
    const first = async () => JSON.stringify(await rows(page).first().locator("time").getAttribute("datetime"));
    const newest = await first();
    await page.getByRole("button", { name: /^Newest first/ }).click();
    await page.getByRole("button", { name: /^Oldest first/ }).waitFor();
    await page.waitForFunction(() => document.querySelectorAll(".list-row").length === 5);
    const order = [newest > (await first()) ? "newest" : "oldest", new URL(page.url()).searchParams.get("order")];
    await page.goBack();
    await page.getByRole("button", { name: /^Newest first/ }).waitFor();
    await page.waitForFunction(() => document.querySelectorAll(".list-row").length === 5);
    const back = page.url() === address && (await page.getByLabel("Host", { exact: true }).inputValue()) === "127.0.0.1";
    const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "CSV" }).click()]);
    const csv = readFileSync(await file.path(), "utf8");
    // By keyboard into the list and into a record.
    await page.getByRole("grid").focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    const record = await page.getByRole("dialog").innerText();
    await picture(page, "record-light");
    const seen = await barriers(page);
    await page.keyboard.press("Escape");
    seen.push(...(await looked(page, "search-few-light")));
    await page.goto(new URL("/search?from=24h", address).href);
    await settled(page);
    seen.push(...(await looked(page, "search-light")));
    return { few, providers, here, address, order, back, onwards, csv, record, standing: await standing.innerText(), barriers: seen };
  },

  async hostile([link]) {
    const { page } = await signedIn(link, { colorScheme: "dark" });
    let asked = 0;
    page.on("request", (request) => (asked += request.url().endsWith("/x") ? 1 : 0));
    await goTo(page, "Search");
    await settled(page);
    const all = [];
    const over = [];
    // Each kind is found by what is left of it; then the record.
    for (const text of ["onerror", "gnp.exe", "red", "{{7*7}}", "longlong"]) {
      await search(page, { Text: text });
      await page.waitForFunction((text) => document.querySelector(".list-row")?.innerText.includes(text), text);
      all.push(...(await texts(page)));
      await rows(page).first().click();
      all.push((await page.getByRole("dialog").innerText()).slice(0, 2000));
      for (const width of [1280, 320]) {
        await page.setViewportSize({ width, height: 800 });
        if ((await overflow(page)) > 0) over.push(`${text} at ${width}`);
        await picture(page, `hostile-${text.replace(/\W/g, "")}-${width}`);
      }
      await page.setViewportSize({ width: 1280, height: 800 });
      await page.keyboard.press("Escape");
    }
    const markup = await page.locator("main img, main b b, .list-row b, .list-row i, dialog img").count();
    await page.goto(new URL("/search?from=24h", page.url()).href);
    await settled(page);
    return { texts: all, markup, asked, over, barriers: await looked(page, "search-dark") };
  },

  /** Every view of a log that strangers wrote. */
  async everywhere([link]) {
    const { page } = await signedIn(link);
    const all = [];
    let markup = 0;
    for (const name of await page.getByRole("navigation").getByRole("link").allInnerTexts()) {
      await goTo(page, name);
      if (name === "Live" || name === "Search") await page.locator("[role=row]").nth(5).waitFor();
      if (name === "Overview") await page.getByRole("region", { name: "Hosts never seen before" }).waitFor();
      if (name === "Policy") await page.getByText("Counted from").waitFor();
      all.push(...(await looked(page, `everywhere-${name}`, [1280, 320])));
      markup += await page.locator("main img, main b b, main i:not(.plot i), main script").count();
    }
    return { all, markup };
  },

  async broken([link]) {
    const { page } = await signedIn(link);
    await goTo(page, "Search");
    const alert = page.getByRole("alert");
    await alert.waitFor();
    const text = await alert.innerText();
    const seen = await looked(page, "search-broken");
    wrong.splice(0, wrong.length, ...wrong.filter((said) => said !== ""));
    return { alert: text, barriers: seen };
  },
});
