// Requests as they happen, as a person watches them. live.mjs MODULES SCENE LINK PROXY SERVICE [PROCESS]; see lib.mjs.

import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { asks, drive, goTo, looked, picture, signedIn, wrong } from "./lib.mjs";

const run = promisify(execFile);
/** Asks the service by way of the proxy, as any program does; the status. */
const curl = async (proxy, url, ...more) => (await run("curl", ["-s", "-o", "/dev/null", "-w", "%{http_code}", "--path-as-is", "-x", `http://${proxy}`, ...more, url])).stdout;
const row = (page, text) => page.getByRole("row").filter({ hasText: text });

/** What nobody should send. */
const HOSTILE = [
  { agent: "ci", method: "GET", scheme: "https", host: "api.github.com", port: 443, path: "/user" },
  { agent: "ci", method: "POST", scheme: "http", host: "127.0.0.1", port: 8081, path: "/a'; touch pwned; '/$(touch pwned)`touch pwned`/b?x=&q=" },
  { agent: "-x", method: "-X", scheme: "https", host: "::1", port: 443, path: "/\u001b[31m\u0007\n\r\"\\{}*\u00e9/\u202egpj/" },
  { agent: "ci", host: "a.example", port: 8443 },
  { agent: "ci", method: "get", scheme: "https", host: "b.example", port: 443, path: `/${"a/".repeat(600)}x...+953` },
  { agent: "ci", method: "GET", scheme: "https", host: "b.example", port: 443, path: "/hooks/***/x" },
  { method: "OPTIONS", scheme: "https", host: "b.example", port: 443, path: "*" },
  { agent: "ci", method: "DELETE", scheme: "https", host: "b.example", port: 443, path: "/a%2fb//c/./x" },
  { agent: "ci", method: "GET", scheme: "https", host: "b.example", port: 443, path: "/a%20b/c{d}/\ud800/" },
];

await drive({
  async watch([link, proxy, service]) {
    const { page } = await signedIn(link);
    await goTo(page, "Live");
    await page.getByText("Nothing has happened yet.").waitFor();
    await curl(proxy, `http://${service}/items?page=2`);
    await row(page, "/items?page=").filter({ hasText: "204" }).waitFor();
    const seen = { first: await row(page, "/items?page=").innerText() };
    // While it is held nothing moves; what came is counted.
    const list = page.getByRole("grid");
    await list.focus();
    await page.keyboard.press("Space");
    await curl(proxy, `http://${service}/while-held`);
    await page.getByRole("button", { name: "Go on (1 new)" }).waitFor();
    seen.held = await row(page, "/while-held").count();
    await page.keyboard.press("Space");
    await row(page, "/while-held").waitFor();
    seen.refused = await curl(proxy, `http://${service}/it's/%3Cscript%3Ealert(1)%3C/script%3E`, "-X", "POST");
    await row(page, "refuse").waitFor();
    // The newest is the first; Enter opens it, Escape leads back.
    await list.focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    const panel = page.getByRole("dialog");
    await panel.getByText("The rule no writes refused it.").waitFor();
    seen.record = await panel.innerText();
    await picture(page, "record");
    await panel.getByRole("button", { name: "What would be decided now?" }).click();
    await panel.getByText("no writes (deny, ").waitFor();
    await page.keyboard.press("Escape");
    await panel.waitFor({ state: "detached" });
    seen.focus = await list.evaluate((element) => document.activeElement === element);
    // What is typed filters at once what is here, and what comes.
    await page.getByLabel("Find").fill("while-held");
    await row(page, "/items").waitFor({ state: "detached" });
    seen.address = new URL(page.url()).search;
    await page.waitForFunction(() => new URLSearchParams(location.search).get("text") === "while-held");
    await curl(proxy, `http://${service}/while-held/again`);
    await curl(proxy, `http://${service}/other`);
    await row(page, "/while-held/again").waitFor();
    seen.filtered = await page.getByRole("grid").getByRole("row").filter({ visible: true }).count() - 1;
    await page.getByLabel("Find").fill("");
    await row(page, "/other").waitFor();
    await page.getByLabel("Verdict").selectOption("refuse");
    await row(page, "/other").waitFor({ state: "detached" });
    // Who reads what is here already is not idle: the gateway is told so.
    const told = page.waitForResponse((response) => response.url().endsWith("/api/session") && !("nexus-background" in response.request().headers()));
    await page.evaluate(() => {
      const now = Date.now;
      Date.now = () => now() + 60000;
    });
    await page.keyboard.press("Shift");
    seen.active = (await told).status();
    return seen;
  },

  async look([light, dark, proxy, service]) {
    const seen = [];
    for (const [colorScheme, link] of [["light", light], ["dark", dark]]) {
      const { page } = await signedIn(link, { colorScheme, viewport: { width: 1280, height: 800 } });
      await goTo(page, "Live");
      await Promise.all(["/v1/items", "/v1/items/17", "/health"].map((path) => curl(proxy, `http://${service}${path}`)));
      await curl(proxy, `http://${service}/orders/4711`, "-X", "POST");
      await row(page, "/orders/4711").last().waitFor();
      seen.push(...await looked(page, `live-${colorScheme}`));
      await row(page, "/orders/4711").first().click();
      await page.getByRole("dialog").waitFor();
      seen.push(...await looked(page, `record-${colorScheme}`));
    }
    return { seen };
  },

  async held([link, proxy, service]) {
    const { page } = await signedIn(link, { viewport: { width: 1280, height: 800 }, permissions: ["clipboard-read", "clipboard-write"] });
    await goTo(page, "Live");
    const sent = curl(proxy, `http://${service}/orders?token=1`, "-X", "PUT");
    await row(page, "held").waitFor();
    const seen = { row: await row(page, "held").innerText() };
    await page.getByLabel("Verdict").selectOption("held");
    await row(page, "/orders?token=").click();
    const panel = page.getByRole("dialog");
    seen.panel = await panel.innerText();
    seen.looks = await looked(page, "held");
    await page.keyboard.press("Escape");
    await page.getByRole("navigation").getByRole("link", { name: "Overview", exact: true }).click();
    seen.tile = await page.locator(".numbers.small > div").first().filter({ hasText: "held" }).innerText();
    // Whoever comes when it waits already sees it, and what becomes of it.
    await goTo(page, "Live");
    await row(page, "held").click();
    await panel.getByRole("link", { name: "Answer it in Approvals" }).click();
    // As a rule: it is shown, and changes with its paths; one that can't be is said to be none.
    await page.getByRole("button", { name: "As a rule…" }).click();
    await panel.getByText('paths = "/orders"').waitFor();
    seen.looks.push(...await looked(page, "as-rule"));
    const [once, only] = [/, and let this one on$/, /^Copy the rule$/].map((name) => panel.getByRole("button", { name }));
    await panel.getByLabel("Paths").fill("/other");
    await panel.getByRole("alert").waitFor();
    await panel.getByLabel("Paths").press("Enter");
    seen.none = [await once.isDisabled(), await only.isDisabled(), await panel.isVisible()];
    // The browser tells its console of what was answered 400.
    wrong.length = 0;
    // Until what was typed is answered, the rule that stands there is not to be had, and Enter does not answer the request.
    let release;
    const gate = new Promise((resolve) => (release = resolve));
    await page.route("**/rule?*", async (route) => { await gate; await route.continue(); });
    await panel.getByLabel("Paths").fill("/*");
    await panel.getByLabel("Paths").press("Enter");
    seen.between = [await once.isDisabled(), await only.isDisabled(), await panel.isVisible()];
    release();
    await panel.getByText('paths = "/*"').waitFor();
    await page.unrouteAll({ behavior: "wait" });
    await panel.getByLabel("Paths").press("Enter");
    seen.rule = await panel.innerText();
    await only.click();
    await page.getByText("Copied.").waitFor();
    await panel.waitFor({ state: "detached" });
    seen.copied = await page.evaluate(() => navigator.clipboard.readText());
    await picture(page, "as-rule-copied");
    // Where the browser does not let the page copy, the rule stays there to be taken, and the request waits for a second press.
    await page.evaluate(() => { navigator.clipboard.writeText = () => Promise.reject(new Error("no")); });
    await page.getByRole("button", { name: "As a rule…" }).click();
    await once.click();
    await panel.getByRole("alert").waitFor();
    seen.selected = await page.evaluate(() => getSelection().toString());
    seen.looks.push(...await looked(page, "as-rule-by-hand"));
    seen.waits = await asks(page, "GET", "/api/approvals").then(({ body }) => body.items.filter(({ status }) => status === "waiting").length);
    await panel.getByRole("button", { name: "Let this one on" }).click();
    await page.getByText("goes on.").waitFor();
    seen.status = await sent;
    await goTo(page, "Live");
    await row(page, "204").waitFor();
    // The time of the request is told apart from the person's.
    await row(page, "204").click();
    seen.took = [await panel.locator("dt", { hasText: "Took" }).locator("xpath=following-sibling::dd[1]").innerText()];
    await page.keyboard.press("Escape");
    await goTo(page, "Search");
    seen.took.push(await row(page, "204").locator("[title*=' held']").getAttribute("title"));
    await goTo(page, "Live");
    // In the same list: it waits, and ends.
    const other = curl(proxy, `http://${service}/other`, "-X", "PUT");
    await row(page, "/other").filter({ hasText: "held" }).waitFor();
    await page.evaluate(async () => {
      const { ask } = await import("/page/api.js");
      const [item] = (await ask("GET", "/api/approvals")).items;
      await ask("POST", `/api/approvals/${item.id}`, { body: { decision: "deny" } });
    });
    await row(page, "/other").filter({ hasText: "403" }).waitFor();
    seen.other = await other;
    seen.rows = await row(page, "/other").count();
    return seen;
  },

  /** Somebody goes on before a view is ready, again and again: what it began ends. */
  async left([link]) {
    const { page } = await signedIn(link);
    let open = 0;
    const counts = (step) => (request) => { if (new URL(request.url()).pathname === "/api/events") open += step; };
    page.on("request", counts(1));
    for (const end of ["requestfailed", "requestfinished"]) page.on(end, counts(-1));
    const held = [];
    let shut = true;
    await page.route("**/api/session", (route) => (shut ? held.push(route) : route.continue()));
    for (let times = 0; times < 8; times += 1) {
      await page.getByRole("navigation").getByRole("link", { name: "Live", exact: true }).click();
      await page.getByLabel("Verdict").waitFor();
      await goTo(page, "Policy");
    }
    shut = false;
    await Promise.all(held.map((route) => route.continue()));
    // Past as many streams as a browser opens to one place, nothing would be answered any more.
    await goTo(page, "Live");
    await page.getByRole("status").filter({ hasText: /^Live$/ }).waitFor();
    await goTo(page, "Policy");
    for (let times = 0; times < 200 && open > 0; times += 1) await asks(page, "GET", "/api/session");
    return { asked: held.length, open, heading: await page.getByRole("heading", { level: 1 }).allInnerTexts() };
  },

  async lost([link, proxy, service, process_]) {
    const { page } = await signedIn(link);
    let shut = true;
    await page.route("**/api/events*", (route) => (shut ? route.abort() : route.continue()));
    await page.getByRole("link", { name: "Live", exact: true }).click();
    await page.getByText("Trying again in").waitFor();
    shut = false;
    await page.getByRole("button", { name: "Try now" }).click();
    await page.getByRole("status").filter({ hasText: /^Live$/ }).waitFor();
    await curl(proxy, `http://${service}/after`);
    await row(page, "/after").waitFor();
    process.kill(Number(process_), "SIGTERM");
    await page.getByText("Trying again in").waitFor();
    const kept = await row(page, "/after").count();
    const text = await page.locator(".state").innerText();
    wrong.length = 0;
    return { kept, text };
  },

  async lines([link]) {
    const { page } = await signedIn(link);
    return page.evaluate(async (hostile) => {
      const { explainLine, rule } = await import("/page/lines.js");
      const { record } = await import("/page/record.js");
      const strange = "<b>bold</b>\u001b[31m\u202egpj.<script>alert(1)</script>";
      const event = { event: "refuse", time: "2026-01-01T00:00:00Z", verdict: strange, refusal: strange, notes: [strange], canary: { place: strange, agent: strange } };
      for (const name of ["id", "agent", "method", "host", "path", "provider", "connection", "rule", "would_refuse", "approved_by", "sni", "process", "source"]) event[name] = strange.repeat(name === "path" ? 1000 : 1);
      const shown = record(event, {});
      document.body.append(shown);
      return { markup: shown.querySelectorAll("b, script").length, text: shown.textContent.includes("\u202e") || shown.textContent.includes("\u001b"),
        wide: document.documentElement.scrollWidth - document.documentElement.clientWidth, lines: hostile.map((one) => explainLine(one).line), rules: hostile.flatMap((one) => ["deny", "allow", "approve"].map((action) => rule(one, action).text)) };
    }, HOSTILE);
  },
});
