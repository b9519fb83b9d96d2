import assert from "node:assert/strict";
import { Hono } from "hono";
import { dag, engine } from "../../engine/mod.ts";
import { listen } from "../../server/mod.ts";
import { server } from "./_checked.ts";
import { look, pageTest, serve } from "./_browser.ts";

const evil = `<img src=x onerror="globalThis.__hurt=1"><script>globalThis.__hurt=1</script>`;

const fine = dag("fine", { schedule: "@daily", start: "2021-01-01", catchup: false, tags: ["a"] });
fine.task("one", () => 1);
const broken = dag("broken", {
  description: evil,
  tags: [`<b>${evil}`, "a"],
  params: { note: evil },
});
broken.task("fails", ({ log }) => {
  log.error(evil);
  throw new Error(evil);
});
const longName = dag(`a_${"very_".repeat(30)}long_name`, {
  schedule: "@hourly",
  start: "2021-01-01",
  catchup: false,
});
longName.task("one", () => 1);

pageTest("the list of all DAGs", async (browser, t) => {
  await using served = await serve({
    dags: [fine, broken, longName],
    startPaused: true,
    server: { faults: () => [`Cannot load ${evil}`] },
  });
  const { etl, url } = served;
  await (await etl.trigger("broken")).done;
  await using looked = await look(browser, url);
  const { page } = looked;
  const names = () => page.locator(".dag-row .cover").allTextContents();
  await page.locator(".dag-row").first().waitFor();

  await t.step("failing ones come first, and each tells how its runs ended", async () => {
    assert.equal((await names())[0], "broken");
    const states = await page.locator(`[data-dag=broken] .runs .square`).evaluateAll((all) =>
      all.map((one) => one.getAttribute("data-state"))
    );
    assert.deepEqual(states, (await etl.runs({ dag: "broken" })).map(({ state }) => state));
    assert.equal(await page.locator("[data-chip=failing] span").textContent(), "1");
    assert.match(
      await page.locator("[data-dag=fine] .schedule").textContent() ?? "",
      /00:00 each day/,
    );
  });

  await t.step("what others wrote is text, and nothing of it runs", async () => {
    assert.equal(await page.locator("[data-dag=broken] .dag-name .faint").textContent(), evil);
    assert.match(await page.locator(".wrong").first().textContent() ?? "", /<script>/);
    const isHurt = () => page.evaluate(() => "__hurt" in globalThis);
    await page.goto(`${url}/dags/broken/grid`);
    for (const tab of ["Graph", "Gantt", "Code", "Params", "Calendar", "Grid"]) {
      await page.locator(".tabs").getByRole("link", { name: tab }).click();
      await page.locator(".tabs [aria-current]", { hasText: tab }).waitFor();
      await page.waitForFunction(() => !document.querySelector(".dag-view .bones"));
    }
    assert.equal(await isHurt(), false);
    const [run] = await etl.runs({ dag: "broken" });
    await page.goto(`${url}/dags/broken/grid?run=${run!.id}`);
    await page.locator(".panel .wrong").getByText("<script>").waitFor();
    assert.equal(await isHurt(), false);
    await page.goto(`${url}/dags/broken/grid?run=${run!.id}&task=fails`);
    await page.locator(".panel").getByText("<script>").first().waitFor();
    assert.equal(await isHurt(), false);
    await page.goto(url);
    await page.locator(".dag-row").first().waitFor();
  });

  await t.step("search and tags leave only what fits, and stand in the address", async () => {
    await page.keyboard.press("/");
    await page.keyboard.type("fin");
    await page.waitForFunction(() => document.querySelectorAll(".dag-row").length === 1);
    assert.deepEqual(await names(), ["fine"]);
    assert.match(page.url(), /q=fin/);
    await page.reload();
    await page.locator(".dag-row").first().waitFor();
    assert.deepEqual(await names(), ["fine"]);
    await page.keyboard.press("/");
    await page.keyboard.press("ControlOrMeta+A");
    await page.keyboard.type("nobody");
    await page.getByText("No DAG fits").waitFor();
    await page.getByText("Show all of them").click();
    await page.locator("[data-dag=fine] .tag", { hasText: /^a$/ }).click();
    await page.waitForFunction(() => document.querySelectorAll(".dag-row").length === 2);
    await page.goBack();
  });

  await t.step("keys lead through it", async () => {
    await page.goto(url);
    await page.locator(".dag-row").first().waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    await page.keyboard.press("k");
    assert.equal(await page.evaluate(() => document.activeElement?.textContent), "broken");
    await page.keyboard.press("Enter");
    await page.locator(".tabs").waitFor();
    await page.keyboard.press("2");
    await page.waitForURL(/dags\/broken\/graph/);
    await page.keyboard.press("g");
    await page.keyboard.press("h");
    await page.waitForURL(new RegExp(`${url}/$`));
    await page.keyboard.press("?");
    await page.getByRole("dialog").getByText("Search").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
  });

  await t.step("a key may be pressed as soon as what it is for is seen", async () => {
    await page.goto(url);
    await page.locator(".dag-row").first().waitFor();
    await page.evaluate(() => {
      const observer = new MutationObserver(() => {
        if (!document.querySelector(".dag-head")) return;
        observer.disconnect();
        document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "t", bubbles: true }));
      });
      observer.observe(document.body, { childList: true, subtree: true });
    });
    await page.locator("[data-dag=broken] .cover").click();
    await page.getByRole("dialog", { name: "Trigger broken" }).waitFor();
  });

  await t.step("light and dark follow the system, and can be chosen", async () => {
    await page.goto(url);
    await page.locator(".dag-row").first().waitFor();
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await ground();
    await page.emulateMedia({ colorScheme: "dark" });
    const dark = await ground();
    assert.notEqual(light, dark);
    await page.getByLabel("Theme: system").click();
    assert.equal(await ground(), light);
    await page.reload();
    await page.locator(".dag-row").first().waitFor();
    assert.equal(await ground(), light);
    await page.getByLabel("Theme: light").click();
    await page.getByLabel("Theme: dark").click();
    assert.equal(await ground(), dark);
  });

  await t.step("nothing is wider than the screen, on phones neither", async () => {
    const paths = ["/", "/dags/broken", "/dags/broken/graph", "/dags/broken/params", "/datasets"];
    for (const path of paths) {
      await page.setViewportSize({ width: 390, height: 800 });
      await page.goto(url + path);
      await page.locator("main > *").first().waitFor();
      await page.waitForFunction(() => !document.querySelector("main .bones"));
      for (const width of [390, 820, 1440]) {
        await page.setViewportSize({ width, height: 800 });
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(wide <= width, `${path} is ${wide} wide on ${width}`);
      }
    }
  });
});

pageTest("a pause is ended only after it was said what that starts", async (browser) => {
  const due = dag("due", {
    schedule: "@daily",
    start: "2021-01-01",
    end: "2021-01-04",
    catchup: true,
  });
  due.task("one", () => 1);
  await using served = await serve({ dags: [due], startPaused: true });
  await using looked = await look(browser, served.url);
  const { page } = looked;
  await page.getByRole("switch").click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("4 runs").first().waitFor();
  assert.equal(served.etl.status("due").paused, true);
  await dialog.getByText("Leave it paused").click();
  assert.equal(served.etl.status("due").paused, true);
  await page.getByRole("switch").click();
  await dialog.getByText("Start 4 runs").click();
  await page.waitForFunction(() =>
    document.querySelectorAll("[data-dag=due] .square[data-state=success]").length === 4
  );
  assert.equal(served.etl.status("due").paused, false);
  await page.getByRole("switch").click();
  await page.locator(".switch[aria-checked=false]").waitFor();
  assert.equal(served.etl.status("due").paused, true);
});

pageTest("a server that wants a token is shown one", async (browser) => {
  const auth = (token: string | undefined) => token === "let-me-in" ? "admin" as const : undefined;
  await using served = await serve({ dags: [fine], server: { auth } });
  await using looked = await look(browser, served.url);
  const { page } = looked;
  await page.getByLabel("Token").fill("wrong");
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByLabel("Token").waitFor();
  await page.getByLabel("Token").fill("let-me-in");
  await page.getByRole("button", { name: "Continue" }).click();
  await page.locator("[data-dag=fine]").waitFor();
  await page.locator("[data-connection=live]").waitFor();
  await page.reload();
  await page.locator("[data-dag=fine]").waitFor();
  assert.ok(!page.url().includes("let-me-in"));
});

pageTest("it finds its way below another path of a host's app", async (browser) => {
  await using etl = await engine({ dags: [fine] });
  const app = new Hono();
  app.route("/etl", server(etl));
  await using http = await listen(app.fetch);
  await using looked = await look(browser, `${http.url}/etl`);
  const { page } = looked;
  await page.locator("[data-dag=fine] .cover").click();
  await page.waitForURL(`${http.url}/etl/dags/fine`);
  await page.reload();
  await page.locator("h1", { hasText: "fine" }).waitFor();
});
