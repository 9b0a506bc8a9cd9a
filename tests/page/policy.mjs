// The rules as they are live, as a person looks at them. policy.mjs MODULES SCENE LINK…; see lib.mjs.

import { readFileSync } from "node:fs";

import { drive, goTo, looked, signedIn } from "./lib.mjs";

const row = (page, text) => page.getByRole("region", { name: "Rules, in their order" }).getByRole("row").filter({ hasText: text });

await drive({
  async use([link]) {
    const { page } = await signedIn(link);
    await goTo(page, "Policy");
    await row(page, "no writes").waitFor();
    const seen = { writes: await row(page, "no writes").innerText(), idle: await row(page, "idle").innerText(), where: await page.locator("main").innerText() };
    await page.getByLabel("Only those that never matched").check();
    await row(page, "no writes").waitFor({ state: "detached" });
    seen.never = await row(page, "idle").count();
    await row(page, "idle").getByText("example.net").first().click();
    seen.text = await row(page, "idle").locator("pre").innerText();
    await page.getByLabel("Agent").fill("nobody-1");
    await page.getByRole("button", { name: "Suggest rules" }).click();
    await page.getByText("Nothing was let on in this time.").waitFor();
    await page.getByLabel("Agent").fill("");
    await page.getByRole("button", { name: "Suggest rules" }).click();
    await page.getByText("1 added, 3 removed").waitFor();
    seen.diff = await page.locator(".diff").innerText();
    const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download suggested.toml" }).click()]);
    seen.file = readFileSync(await file.path(), "utf8");
    await page.getByText("services have some").click();
    await page.getByRole("region", { name: "Presets" }).waitFor();
    // Told what is added to one text and taken from it to have another.
    seen.difference = await page.evaluate(async () => {
      const { difference } = await import("/page/views/policy.js");
      const told = (before, after) => difference([...before], [...after]).map(({ sign, text }) => sign + text).join("");
      return [told("abc", "abc"), told("abc", "axc"), told("", "ab"), told("ab", ""), told("abcd", "bd")];
    });
    return seen;
  },

  async look([light, dark]) {
    const seen = [];
    for (const [colorScheme, link] of [["light", light], ["dark", dark]]) {
      const { page } = await signedIn(link, { colorScheme, viewport: { width: 1280, height: 800 } });
      await goTo(page, "Policy");
      await row(page, "no writes").waitFor();
      await page.getByRole("button", { name: "Suggest rules" }).click();
      await page.locator(".diff").waitFor();
      seen.push(...await looked(page, `policy-${colorScheme}`));
      // The number of a line stays whole, and beside its file.
      await page.setViewportSize({ width: 320, height: 800 });
      const places = await page.locator("small:has(.line)").evaluateAll((all) => all.filter((one) => one.offsetHeight > 30).map((one) => one.textContent));
      seen.push(...places.map((place) => `${place} is in two lines`));
    }
    return { seen };
  },
});
