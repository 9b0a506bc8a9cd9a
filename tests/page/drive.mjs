// Does in Chromium what a person does on the page. drive.mjs MODULES SCENE LINK…; prints what it saw as JSON, the last line.

import { asks, drive, goTo, looked, person, signedIn, wrong } from "./lib.mjs";

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
    const { body: found } = await asks(looks.page, "GET", "/api/approvals");
    const answer = await asks(looks.page, "POST", `/api/approvals/${found.items[0].id}`, { decision: "allow" });
    const refused = [answer.status, answer.body.code];
    await card.getByRole("button", { name: "Allow once" }).click();
    await page.getByText("Nothing waits.").waitFor();
    return { text, markup: await page.locator("article b, article script").count(), buttons, refused };
  },

  /** Two requests wait: a person answers them by keyboard alone, and is never lost. */
  async answers([operator]) {
    const { page } = await signedIn(operator);
    await goTo(page, "Approvals");
    const cards = page.getByRole("article");
    await page.getByText("2 requests wait.").waitFor();
    const seen = await looked(page, "held");
    const text = await cards.allInnerTexts();
    const focus = () => page.evaluate(() => [document.activeElement.tagName, document.activeElement.innerText.split("\n")[0]]);
    await cards.first().getByRole("button", { name: "Allow once" }).focus();
    await page.keyboard.press("Enter");
    await page.getByText("One request waits.").waitFor();
    const next = await focus();
    // The same key again answers nothing.
    await page.keyboard.press("Enter");
    const said = await page.locator("#said").innerText();
    await page.keyboard.press("Tab");
    while ((await focus())[1] !== "Refuse") await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByText("Nothing waits.").waitFor();
    seen.push(...(await looked(page, "answered")));
    return { seen, text, next, said, last: await focus() };
  },

  /** A path that leads nowhere. */
  async nowhere([link]) {
    const { page } = await signedIn(link);
    const answer = await page.goto(new URL("/nonsense", link).href);
    await page.getByRole("heading", { name: "There is no such view" }).waitFor();
    const kind = (path, accept) => page.evaluate(([path, accept]) => fetch(path, { headers: { accept } }).then((answer) => [answer.status, answer.headers.get("content-type")]), [path, accept]);
    const others = [await kind("/nonsense", "*/*"), await kind("/api/nonsense", "text/html"), await kind("/page/nonsense.js", "text/html")];
    await page.getByRole("link", { name: "To the overview" }).click();
    await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
    wrong.length = 0;
    return { status: answer.status(), others };
  },

  async look(links) {
    const seen = [];
    for (const [at, colorScheme] of ["light", "dark"].entries()) {
      const { page } = await signedIn(links[at], { colorScheme, viewport: { width: 1280, height: 800 } });
      for (const name of await page.getByRole("navigation").getByRole("link").allInnerTexts()) {
        await goTo(page, name);
        seen.push(...await looked(page, `${name}-${colorScheme}`));
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

await drive(SCENES);
