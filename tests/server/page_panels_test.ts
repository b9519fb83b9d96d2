/// <reference lib="dom" />
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import {
  copy,
  csv,
  http,
  listLoads,
  listRejects,
  listRejectTables,
  replayRejects,
} from "../../operators/mod.ts";
import { dag, type Engine, engine, file, fn, logFiles, param, pipe } from "../../engine/mod.ts";
import { listen, openReceipts } from "../../server/mod.ts";
import { server } from "./_checked.ts";
import { freshDatabase, sharedPostgres, type TestDatabase } from "../_postgres.ts";
import { hasBrowser, look, openBrowser } from "./_browser.ts";

if (hasBrowser) await sharedPostgres();

const MARKUP = `<img src=x onerror="globalThis.owned=1">`;
const CSV = `"id","<b>fare</b>","<script>owned=1</script>"\n1,2.5,x\n2,3.5,y\n`;

/** One of them is none. */
const FARES = "id,fare\n1,<i>two</i>\n2,3\n";

/** A server with a database, and DAGs that load, talk and fail. */
class Site implements AsyncDisposable {
  readonly url: string;
  readonly engine: Engine;
  readonly database: TestDatabase;
  /** Lets the chatty task end. */
  readonly hush: () => void;
  /** How often the file was downloaded. */
  downloads = 0;
  readonly #resources: AsyncDisposableStack;

  private constructor(
    resources: AsyncDisposableStack,
    parts: Pick<Site, "url" | "engine" | "database" | "hush">,
  ) {
    this.#resources = resources;
    this.url = parts.url;
    this.engine = parts.engine;
    this.database = parts.database;
    this.hush = parts.hush;
  }

  static async open(): Promise<Site> {
    await using opening = new AsyncDisposableStack();
    const database = opening.use(await freshDatabase());
    const home = await Deno.makeTempDir({ prefix: "sluice-page-" });
    opening.defer(() => Deno.remove(home, { recursive: true }));
    let site: Site | undefined = undefined;
    const files = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, ({ url }) => {
      site!.downloads++;
      const text = url.endsWith("fares.csv") ? FARES : CSV;
      return new Response(text, { headers: { etag: '"1"', "content-length": `${text.length}` } });
    });
    opening.defer(() => files.shutdown());
    const hush = Promise.withResolvers<void>();
    opening.defer(() => hush.resolve());
    const store = opening.use(await file(home));
    const logs = logFiles(home);
    const connection = { url: database.url };
    const etl = opening.use(
      await engine({
        dags: dags(`http://127.0.0.1:${files.addr.port}`, hush.promise),
        home,
        store,
        logs,
        connections: { database: () => Promise.resolve(connection) },
      }),
    );
    const app = server(etl, {
      ...{ store, logs, home },
      receipts: opening.use(openReceipts(home)),
      loads: (query) => listLoads(connection, query),
      rejects: {
        tables: () => listRejectTables(connection),
        rows: (query) => listRejects(connection, query),
        replay: (order) => replayRejects(connection, order),
      },
    });
    const { url } = opening.use(await listen(app.fetch));
    site = new Site(opening.move(), { url, engine: etl, database, hush: hush.resolve });
    return site;
  }

  /** Triggers a run, and waits for its end. */
  async run(dag: string): Promise<string> {
    const { id, done } = await this.engine.trigger(dag);
    await done;
    return id;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#resources.disposeAsync();
  }
}

function dags(base: string, hushed: Promise<void>) {
  const months = dag("months", {
    schedule: "@monthly",
    start: "2021-01-01",
    paused: true,
    params: {
      color: param({ enum: ["yellow", "green"], default: "yellow", description: "Which cabs" }),
      token: "a secret of the trade",
    },
  });
  const download = months.task(
    "download",
    http({ url: (run) => `${base}/${run.params.color}_${run.strftime("%Y-%m")}.csv` }),
  );
  months.task(
    "load",
    pipe(download, csv(), copy({ table: (run) => `${run.params.color} ${MARKUP}` })),
  );

  const chatty = dag("chatty");
  chatty.task("talk", async ({ log }) => {
    log.info(`first \u001b[31mred\u001b[0m ${MARKUP}`);
    log.warn("a warning", { of: "nothing" });
    for (let i = 1; i <= 2000; i++) log.info(`line ${i}`);
    await hushed;
    log.error("the last\nin two lines");
  });

  const flaky = dag("flaky");
  const often = flaky.task("often", ({ attempt, log }) => {
    log.info(`attempt ${attempt} begins`);
    if (attempt === 1) throw new Error(`Cannot reach the warehouse ${MARKUP}`);
    return { attempt };
  }, { retries: 1, retryDelay: { seconds: 0 } });
  const broken = flaky.task("broken", () => {
    throw new Error("It is broken");
  }, { after: often });
  flaky.task("behind", fn({ of: broken }, ({ of }) => of));
  const fares = dag("fares");
  fares.task(
    "load",
    pipe(
      http({ url: `${base}/fares.csv` }),
      csv({ types: { fare: "integer" }, onReject: { limit: 10 } }),
      copy({ table: "fares" }),
    ),
  );
  return [months, chatty, flaky, fares];
}

/** Looks for what must never be there: something that text was made to do. */
async function checkNothingRan(page: Page): Promise<void> {
  assert.equal(await page.evaluate("globalThis.owned"), undefined);
  assert.equal(await page.locator("main img, main script, .dialog img").count(), 0);
}

/** What cannot be used without a mouse or eyes: buttons and fields without a name, pictures without words. */
async function nameless(page: Page): Promise<string[]> {
  return await page.evaluate(() => {
    const named = (element: Element): boolean =>
      Boolean(
        element.getAttribute("aria-label") || element.getAttribute("title") ||
          element.textContent?.trim() ||
          (element as HTMLInputElement).labels?.[0]?.textContent?.trim(),
      );
    return [...document.querySelectorAll(
      "button, input, select, textarea, a[href], [role=img], [role=dialog], [role=progressbar]",
    )].filter((element) => !named(element)).map((element) => element.outerHTML.slice(0, 120));
  });
}

Deno.test({
  name: "the page's panels: forms, logs, speed, loads and rejects",
  ignore: !hasBrowser,
  async fn(t) {
    await using site = await Site.open();
    await using browser = await openBrowser();
    let run = "";

    await t.step(
      "a run is triggered by a form that shows what its tasks will be given",
      async () => {
        await using view = await look(browser, `${site.url}/dags/months/grid`);
        const { page } = view;
        await page.getByRole("button", { name: "Trigger" }).click();
        const dialog = page.getByRole("dialog", { name: "Trigger months" });
        await dialog.getByText("A date", { exact: true }).click();
        await dialog.getByLabel("Logical date").fill("2021-03-01");
        await dialog.getByLabel("color").selectOption("green");
        const preview = dialog.getByRole("region", { name: "What it would do" });
        await preview.getByText("green_2021-03.csv").waitFor();
        await preview.getByText(`green ${MARKUP}`).waitFor();
        assert.equal(await dialog.getByLabel("token").inputValue(), "***");
        assert.deepEqual(await nameless(page), []);
        assert.deepEqual(await site.engine.runs(), []);

        await dialog.getByLabel("Logical date").fill("nonsense");
        await preview.getByRole("alert").waitFor();
        assert.ok(await dialog.getByRole("button", { name: "Trigger" }).isDisabled());
        await dialog.getByLabel("Logical date").fill("2021-03-01");
        await preview.getByText("green_2021-03.csv").waitFor();
        await site.engine.unpause("months");
        await dialog.getByRole("button", { name: "Trigger" }).click();
        await page.getByRole("status").getByText(/^Triggered manual__20210301/).waitFor();
        assert.equal(await dialog.count(), 0);
        const made = (await site.engine.runs({ kind: "manual" }))[0]!;
        run = made.id;
        assert.deepEqual(made.params, { color: "green", token: "a secret of the trade" });
        await page.getByRole("link", { name: "Open it" }).click();
        assert.equal(new URL(page.url()).searchParams.get("run"), run);
        assert.equal((await site.engine.done(run)).state, "success");
        await checkNothingRan(page);
      },
    );

    await t.step("focus stays in a dialog, and goes back where it came from", async () => {
      await using view = await look(browser, `${site.url}/dags/months/grid`);
      const { page } = view;
      const button = page.getByRole("button", { name: "Trigger" });
      await button.focus();
      await page.keyboard.press("Enter");
      await page.getByRole("dialog").waitFor();
      const press = async (key: string): Promise<void> => {
        await page.keyboard.press(key);
        assert.ok(await page.evaluate(() => document.activeElement?.closest("[role=dialog]")));
      };
      for (let i = 0; i < 20; i++) await press(i % 3 === 2 ? "Shift+Tab" : "Tab");
      for (const key of ["Tab", "Shift+Tab"]) {
        await page.evaluate(() => (document.activeElement as HTMLElement).blur());
        await press(key);
        await page.getByRole("dialog").focus();
        await press(key);
      }
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "detached" });
      assert.ok(await button.evaluate((element) => element === document.activeElement));
    });

    await t.step(
      "a load is cleared with its list before it, and downloads nothing again",
      async () => {
        const before = site.downloads;
        const where = `/dags/months/grid?run=${run}&task=load`;
        await using view = await look(browser, site.url + where);
        const { page } = view;
        await page.getByRole("button", { name: "Clear", exact: true }).click();
        const dialog = page.getByRole("dialog", { name: "Clear load" });
        await dialog.getByText("1 task of 1 run is cleared").waitFor();
        assert.equal((await site.engine.get(run))!.cleared, 0);
        await dialog.getByLabel("And those before them").check();
        await dialog.getByText("2 tasks of 1 run are cleared").waitFor();
        await dialog.getByLabel("And those before them").uncheck();
        await dialog.getByRole("button", { name: "Clear 1 task" }).click();
        await page.getByRole("status").getByText("1 task cleared").waitFor();
        const { cleared, tasks } = await site.engine.done(run);
        assert.deepEqual([cleared, tasks["load"]!.attempt], [1, 2]);
        assert.equal(site.downloads, before);
        await page.locator(".panel").getByText("success").first().waitFor();
      },
    );

    await t.step(
      "the speed says for whom each stage waits; options and output are text",
      async () => {
        await using view = await look(browser, `${site.url}/dags/months/grid?run=${run}&task=load`);
        const { page } = view;
        const speed = page.getByRole("region", { name: "Speed" });
        await speed.getByText("copy", { exact: true }).waitFor();
        assert.match(await speed.innerText(), /2\s+rows/);
        assert.match(await speed.innerText(), /The pace is set by/);
        await page.locator(".panel").getByRole("link", { name: "Options" }).click();
        await page.getByText(`green ${MARKUP}`).first().waitFor();
        await page.locator(".panel").getByRole("link", { name: "Output" }).click();
        await page.getByText("<script>owned=1</script>").waitFor();
        await page.locator(".panel").getByRole("link", { name: "History" }).click();
        await page.locator(".history").getByText("running").first().waitFor();
        await checkNothingRan(page);
        assert.deepEqual(await nameless(page), []);
      },
    );

    await t.step(
      "a log follows while it grows, is searched, filtered, and linked to by lines",
      async () => {
        const { id } = await site.engine.trigger("chatty");
        const where = `${site.url}/dags/chatty/grid?run=${id}&task=talk`;
        await using view = await look(browser, where);
        const { page } = view;
        const log = page.getByRole("log");
        // Its end is in sight, and of 2,000 lines only those are there that are.
        await log.getByText("line 2000", { exact: true }).waitFor();
        await page.getByText("following").waitFor();
        assert.ok(await log.locator("li").count() < 200);
        site.hush();
        await log.getByText("in two lines").waitFor();
        await page.getByText("following").waitFor({ state: "detached" });
        await page.getByText("2,004 lines").waitFor();

        await page.getByLabel("Search the log").fill("red");
        const red = log.getByText("red", { exact: true }).first();
        await red.waitFor();
        assert.match(await log.innerText(), /<img src=x onerror=/);
        await page.getByText("1 of 2,004 lines").waitFor();
        const ink = await log.locator(".ink-1").evaluate((element) =>
          getComputedStyle(element).color
        );
        assert.notEqual(ink, await log.evaluate((element) => getComputedStyle(element).color));
        await page.getByLabel("Search the log").fill("");
        await page.getByRole("button", { name: "info" }).click();
        await page.getByText("3 of 2,004 lines").waitFor();
        await log.getByText(/a warning\s+of=nothing/).waitFor();
        await page.getByRole("button", { name: "info" }).click();
        await checkNothingRan(page);

        await using linked = await look(browser, `${where}&line=1002`);
        const marked = linked.page.locator(".log-rows li[data-marked]");
        await marked.getByText("line 1000", { exact: true }).waitFor();
        assert.ok(await marked.isVisible());
      },
    );

    await t.step(
      "a failing task tells of its retry, why it failed, and what that stops",
      async () => {
        const id = await site.run("flaky");
        await using view = await look(browser, `${site.url}/dags/flaky/grid?run=${id}&task=often`);
        const { page } = view;
        const panel = page.locator(".panel");
        await panel.getByText("attempt 2 begins").waitFor();
        await panel.getByLabel("Attempt").selectOption("1");
        await panel.getByRole("alert").getByText("Cannot reach the warehouse").waitFor();
        await panel.getByText("attempt 1 begins").waitFor();
        await page.goto(`${site.url}/dags/flaky/grid?run=${id}&task=behind`);
        await panel.getByRole("region", { name: "Why" }).waitFor();
        await panel.getByText("It has not begun").waitFor();
        await page.goto(`${site.url}/dags/flaky/grid?run=${id}&task=broken`);
        await panel.getByRole("button", { name: "Mark", exact: true }).click();
        const dialog = page.getByRole("dialog", { name: "Mark broken" });
        await dialog.getByText("1 task of 1 run is marked").waitFor();
        await dialog.getByRole("button", { name: "Mark as success" }).click();
        await panel.getByText("success", { exact: true }).first().waitFor();
        assert.equal((await site.engine.get(id))!.tasks["broken"]!.state, "success");
        await checkNothingRan(page);
      },
    );

    await t.step("a backfill lists its runs before they are made", async () => {
      await using view = await look(browser, `${site.url}/dags/months/grid`);
      const { page } = view;
      await page.getByRole("button", { name: "Backfill" }).click();
      const dialog = page.getByRole("dialog", { name: "Backfill months" });
      await dialog.getByLabel("From").fill("2021-01-01");
      await dialog.getByLabel("To").fill("2021-04-01");
      await dialog.getByText("It makes 3 runs, leaves 1 as they are.").waitFor();
      assert.deepEqual(await site.engine.runs({ kind: "backfill" }), []);
      await dialog.getByRole("button", { name: "Start 3 runs" }).click();
      await page.getByRole("status").getByText("3 runs of months").waitFor();
      const runs = await site.engine.runs({ kind: "backfill" });
      assert.equal(runs.length, 3);
      for (const { id } of runs) await site.engine.done(id);
    });

    await t.step("loads tell their columns, whatever those are called", async () => {
      await using view = await look(browser, `${site.url}/loads`);
      const { page } = view;
      const first = page.getByRole("list", { name: "Loads" }).getByRole("button").first();
      assert.match(await first.innerText(), /<img src=x onerror=/);
      await first.click();
      const columns = page.getByRole("list", { name: "Columns" });
      await columns.getByText("<script>owned=1</script>").waitFor();
      await columns.getByText("<b>fare</b>").waitFor();
      await checkNothingRan(page);
      assert.deepEqual(await nameless(page), []);
    });

    await t.step("rejects are shown as they stood, corrected, and replayed", async () => {
      const run = await site.run("fares");
      assert.deepEqual(await site.database.query("SELECT id FROM fares"), [{ id: 2 }]);
      {
        await using view = await look(browser, `${site.url}/dags/fares/grid?run=${run}&task=load`);
        const speed = view.page.getByRole("region", { name: "Speed" });
        await speed.getByText("rejected", { exact: true }).waitFor();
        assert.match(await speed.innerText(), /rejected\s+1\s+kept aside/i);
      }
      await using view = await look(browser, `${site.url}/loads`, { width: 390 });
      const { page } = view;
      const first = page.getByRole("list", { name: "Loads" }).getByRole("button").first();
      await first.getByText("1 rejected").waitFor();
      await page.getByRole("link", { name: "Rejects" }).click();
      await page.getByText("1,<i>two</i>", { exact: true }).waitFor();
      await page.getByRole("button", { name: "Edit" }).click();
      await page.getByLabel("fare", { exact: true }).fill("2");
      await page.getByRole("button", { name: "Replay", exact: true }).click();
      await page.getByRole("status").getByText("1 row replayed.").waitFor();
      await page.getByText("None waits").waitFor();
      assert.deepEqual(await site.database.query("SELECT id, fare FROM fares ORDER BY id"), [
        { id: 1, fare: 2 },
        { id: 2, fare: 3 },
      ]);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
      await checkNothingRan(page);
    });
  },
});
