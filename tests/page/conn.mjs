// Connections, catalogue and agents as a person uses them. conn.mjs MODULES SCENE LINK… [map:RULES]

import { asks, drive, goTo, looked, picture, signedIn } from "./lib.mjs";

const drawer = (page) => page.getByRole("dialog").last();
const main = (page) => page.getByRole("main");

/** A row of a long list, by the words in it. */
const row = (page, text) => main(page).getByRole("row").filter({ hasText: text });

/** All that the browser keeps of the page, where no credential and no token may be. */
const kept = (page) => page.evaluate(() => JSON.stringify([location.href, history.state, { ...localStorage }, { ...sessionStorage }, document.cookie]));

const SCENES = {
  /** From the catalogue to a connection that works, is replaced, and goes. */
  async register([link]) {
    const { page } = await signedIn(link);
    await goTo(page, "Catalogue");
    await page.getByLabel("Find", { exact: true }).fill("acme");
    await row(page, "Acme").click();
    await drawer(page).getByRole("heading", { name: "What is entered" }).waitFor();
    const about = await drawer(page).innerText();
    const console_ = await drawer(page).getByRole("link", { name: "acme.example/keys" }).evaluate((one) => [one.rel, one.referrerPolicy, one.target]);
    await drawer(page).getByRole("button", { name: "Register…" }).click();
    const site = drawer(page).getByLabel("The site");
    const key = drawer(page).getByLabel("An API key");
    const inputs = await key.evaluate((input) => [input.type, input.autocomplete]);
    await site.fill("not one/label");
    await key.fill("key-0123456789");
    await drawer(page).getByRole("button", { name: "Register", exact: true }).click();
    const wrong = await drawer(page).getByText("One label of a host's name").innerText();
    await site.fill("team");
    await drawer(page).getByLabel("For whom").fill("alice");
    await drawer(page).getByRole("button", { name: "Register", exact: true }).click();
    await drawer(page).getByText("registered", { exact: true }).waitFor();
    const stored = await drawer(page).innerText();
    await drawer(page).getByRole("button", { name: "Test it" }).click();
    await drawer(page).getByText("it works").waitFor();
    const tried = await drawer(page).getByRole("status").last().innerText();
    await page.keyboard.press("Escape");
    await goTo(page, "Connections");
    await row(page, "acme:alice").click();
    await drawer(page).getByText("Every program of the proxy's own user").waitFor();
    await drawer(page).getByText("to the service within seven days").waitFor();
    await drawer(page).getByRole("button", { name: "Replace its credential…" }).click();
    await drawer(page).getByLabel("The site").fill("team");
    await drawer(page).getByLabel("An API key").fill("key-of-another-day");
    await drawer(page).getByRole("button", { name: "Replace it" }).click();
    await drawer(page).getByText("replaced", { exact: true }).waitFor();
    const storage = await kept(page);
    await page.keyboard.press("Escape");
    await row(page, "acme:alice").click();
    await drawer(page).getByRole("button", { name: "Remove…" }).click();
    await drawer(page).getByRole("button", { name: "Remove", exact: true }).click();
    await page.getByText("No service is connected yet").waitFor();
    return { about, console: console_, inputs, wrong, stored, tried, storage };
  },

  /** A log-in at a service whose app is named first. */
  async log_in([link]) {
    const { page, context } = await signedIn(link, { ignoreHTTPSErrors: true });
    await goTo(page, "Catalogue");
    await page.getByLabel("Find", { exact: true }).fill("acme");
    await row(page, "Acme").click();
    await drawer(page).getByRole("button", { name: "Log in…" }).click();
    const uri = await drawer(page).getByText("/oauth/callback").innerText();
    await drawer(page).getByLabel("Client ID").fill("app");
    await drawer(page).getByLabel("Client secret").fill("s3cr3t-of-the-app");
    await drawer(page).getByRole("button", { name: "Store the app" }).click();
    await drawer(page).getByLabel("For whom").fill("alice");
    await drawer(page).getByRole("button", { name: "Begin" }).click();
    const [tab] = await Promise.all([context.waitForEvent("page"), drawer(page).getByRole("link", { name: "Open the page of Acme" }).click()]);
    await tab.locator("[name=login]").fill("alice");
    await tab.locator("[name=password]").fill("x");
    await tab.locator("[type=submit]").click();
    await tab.getByText("Authorize").first().waitFor();
    await tab.locator("[type=submit]").click();
    await tab.getByText("Connected").first().waitFor();
    const opener = await tab.evaluate(() => window.opener);
    await drawer(page).getByText("Your account of Acme is connected.").waitFor();
    await page.keyboard.press("Escape");
    await goTo(page, "Connections");
    await row(page, "acme:alice").click();
    await drawer(page).getByRole("button", { name: "Test it" }).click();
    await drawer(page).getByText("it works").waitFor();
    const tried = await drawer(page).getByText("it works").locator("..").innerText();
    await drawer(page).getByRole("button", { name: "Renew now" }).click();
    const renewed = await page.getByText("still good").innerText();
    return { uri, opener, tried, renewed, storage: await kept(page) };
  },

  /** A log-in at a service that has codes alone. */
  async by_code([link]) {
    const { page, context } = await signedIn(link, { ignoreHTTPSErrors: true });
    await goTo(page, "Connections");
    await row(page, "acme").click();
    await drawer(page).getByRole("button", { name: /^Log in/ }).click();
    await drawer(page).getByRole("button", { name: "Begin" }).click();
    const code = await drawer(page).getByLabel("The code", { exact: true }).innerText();
    await picture(page, "code");
    const [tab] = await Promise.all([context.waitForEvent("page"), drawer(page).getByRole("link", { name: "login.acme.example/device" }).first().click()]);
    await tab.locator("[name=user_code]").fill(code);
    await tab.locator("[type=submit]").first().click();
    await tab.getByRole("button", { name: "Continue" }).click();
    await tab.locator("[name=login]").fill("alice");
    await tab.locator("[name=password]").fill("x");
    await tab.locator("[type=submit]").click();
    await tab.getByText("Authorize").first().waitFor();
    await tab.locator("[type=submit]").click();
    await drawer(page).getByText("Your account of Acme is connected.").waitFor();
    await page.keyboard.press("Escape");
    await row(page, "acme").click();
    await drawer(page).getByRole("button", { name: /^Log in/ }).click();
    await drawer(page).getByRole("button", { name: "Begin" }).click();
    await drawer(page).getByRole("button", { name: "Give up" }).click();
    await page.locator("dialog").waitFor({ state: "detached" });
    return { code };
  },

  /** A token, its limits, and the end of it. */
  async agents([link, auditor]) {
    const { page } = await signedIn(link);
    await goTo(page, "Agents");
    await page.getByText("No agent was added yet").waitFor();
    await page.getByRole("button", { name: "Mint a token…" }).click();
    await drawer(page).getByText("This is the first agent").waitFor();
    await drawer(page).getByLabel("Name").fill("not a name");
    await drawer(page).getByRole("button", { name: "Mint", exact: true }).click();
    const wrong = await drawer(page).getByText("make a name").first().innerText();
    await drawer(page).getByLabel("Name").fill("ci");
    await drawer(page).getByLabel("For whom").fill("alice");
    await drawer(page).getByLabel("Providers").fill("github, nobody_knows_it");
    await drawer(page).getByLabel("Requests").fill("60");
    await drawer(page).getByLabel("Ends").selectOption("86400");
    await drawer(page).getByRole("button", { name: "Mint", exact: true }).click();
    const unknown = await drawer(page).getByText("there is no provider called").innerText();
    await drawer(page).getByRole("button", { name: "Take out nobody_knows_it" }).click();
    await drawer(page).getByRole("button", { name: "Mint", exact: true }).click();
    const token = await drawer(page).getByLabel("The token").innerText();
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await drawer(page).getByRole("button", { name: "Copy", exact: true }).click();
    await drawer(page).getByText("Copied").waitFor();
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    const pasted = {};
    for (const name of ["Shell here", "Shell elsewhere", "Docker", "compose", "Kubernetes"]) {
      await drawer(page).getByRole("tab", { name, exact: true }).click();
      pasted[name] = await drawer(page).getByRole("tabpanel").innerText();
    }
    await picture(page, "minted");
    await page.keyboard.press("Escape");
    await page.locator("dialog").waitFor({ state: "detached" });
    const after = await page.content();
    const storage = await kept(page);
    await row(page, "ci").click();
    await drawer(page).getByText("none in the log").waitFor();
    await drawer(page).getByRole("button", { name: "Change its limits…" }).click();
    await drawer(page).getByRole("button", { name: "Take out github" }).click();
    await drawer(page).getByLabel("Requests").fill("");
    await drawer(page).getByRole("button", { name: "Change them" }).click();
    await page.getByText("ci has new limits.").waitFor();
    const changed = (await asks(page, "GET", "/api/agents/ci")).body;
    const looks = await signedIn(auditor);
    await goTo(looks.page, "Agents");
    await row(looks.page, "ci").click();
    await drawer(looks.page).getByRole("heading", { name: "What it may do" }).waitFor();
    const buttons = await drawer(looks.page).getByRole("button").allInnerTexts();
    const refused = await asks(looks.page, "DELETE", "/api/agents/ci");
    await row(page, "ci").click();
    await drawer(page).getByRole("button", { name: "Freeze" }).click();
    await row(page, "frozen").waitFor();
    await row(page, "ci").click();
    await drawer(page).getByRole("button", { name: "Revoke…" }).click();
    await drawer(page).getByRole("button", { name: "Revoke", exact: true }).click();
    await page.getByText("No agent was added yet").waitFor();
    return { mistaken: wrong, unknown, token, copied, pasted, shown_later: after.includes(token), storage, changed, buttons, refused: [refused.status, refused.body.code] };
  },

  /** Far more agents than fit, moved through by keyboard. */
  async many([link]) {
    const { page } = await signedIn(link);
    await goTo(page, "Agents");
    const grid = page.getByRole("grid", { name: "Agents" });
    await row(page, "agent-00000").waitFor();
    const first = { rows: await grid.getByRole("row").count(), total: await grid.getAttribute("aria-rowcount") };
    await grid.focus();
    const active = () => page.evaluate(() => document.getElementById(document.querySelector("[role=grid]").getAttribute("aria-activedescendant"))?.innerText.split("\n")[0] ?? null);
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    const second = await active();
    // To the end of what is there, again and again: more of it comes each time.
    let seen = 0;
    for (let turn = 0; turn < 10 && !(await row(page, "agent-00999").count()); turn += 1) {
      await page.keyboard.press("End");
      await page.waitForFunction((seen) => document.querySelector(".list-space").offsetHeight > seen || document.querySelector(".list-space").offsetHeight >= 44000, seen);
      seen = await page.evaluate(() => document.querySelector(".list-space").offsetHeight);
    }
    await page.keyboard.press("End");
    const last = await active();
    const rows = await grid.getByRole("row").count();
    await page.keyboard.press("Enter");
    await drawer(page).getByRole("heading", { name: last }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByLabel("Find", { exact: true }).fill("agent-0050");
    await page.waitForFunction(() => document.querySelector("h1 .soft").textContent === "10");
    return { first, second, last, rows };
  },

  /** What hostile names do to the lists: nothing. */
  async hostile([link]) {
    const seen = [];
    const { page } = await signedIn(link, { viewport: { width: 1280, height: 800 } });
    await goTo(page, "Catalogue");
    await page.getByLabel("Find", { exact: true }).fill("evil");
    await row(page, "evil").waitFor();
    const title = await row(page, "evil").getByRole("gridcell").first().innerText();
    seen.push(...await looked(page, "evil"));
    await row(page, "evil").click();
    await drawer(page).getByRole("heading", { name: "What is entered" }).waitFor();
    const text = await drawer(page).innerText();
    const links = await drawer(page).getByRole("link").evaluateAll((all) => all.map((one) => one.getAttribute("href")));
    seen.push(...await looked(page, "evil-open"));
    await drawer(page).getByRole("button", { name: "Register…" }).click();
    await drawer(page).getByRole("button", { name: "Register", exact: true }).waitFor();
    seen.push(...await looked(page, "evil-register"));
    return { seen, title, length: text.length, links, markup: await page.locator("dialog b, dialog img, dialog script").count() };
  },

  /** Panels and forms, light and dark. */
  async look(links) {
    const seen = [];
    for (const [at, colorScheme] of ["light", "dark"].entries()) {
      const { page } = await signedIn(links[at], { colorScheme, viewport: { width: 1280, height: 800 } });
      const see = async (name) => seen.push(...await looked(page, `${name}-${colorScheme}`, [1280, 320]));
      await goTo(page, "Catalogue");
      await see("catalogue");
      await row(page, "acme").first().click();
      await drawer(page).getByRole("heading", { name: "What is entered" }).waitFor();
      await see("catalogue-open");
      await drawer(page).getByRole("button", { name: "Register…" }).click();
      await drawer(page).getByRole("button", { name: "Register", exact: true }).waitFor();
      await see("register");
      await page.keyboard.press("Escape");
      await goTo(page, "Connections");
      await see("connections");
      await row(page, "github").first().click();
      await drawer(page).getByRole("heading", { name: "Who may use it" }).waitFor();
      await see("connection");
      await page.keyboard.press("Escape");
      await goTo(page, "Agents");
      await see("agents");
      await row(page, "nightly").click();
      await drawer(page).getByText("None: tokens for a short time").waitFor();
      await see("agent");
      await drawer(page).getByRole("button", { name: "Change its limits…" }).click();
      await drawer(page).getByRole("button", { name: "Change them" }).waitFor();
      await see("limits");
      await page.keyboard.press("Escape");
      await page.getByRole("button", { name: "Mint a token…" }).click();
      await drawer(page).getByLabel("Name").fill(`seen-${colorScheme}`);
      await see("mint");
      await drawer(page).getByRole("button", { name: "Mint", exact: true }).click();
      await drawer(page).getByLabel("The token").waitFor();
      await drawer(page).getByRole("tab", { name: "compose" }).click();
      await see("token");
    }
    return { seen };
  },
};

await drive(SCENES);
