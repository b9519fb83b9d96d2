/// <reference lib="dom" />
import assert from "node:assert/strict";
import { dag, dataset, fn, param, pipe } from "../../engine/mod.ts";
import { copy, csv, http } from "../../operators/mod.ts";
import { freshDatabase, sharedPostgres } from "../_postgres.ts";
import { serve as serveFiles } from "../cli/_sluice.ts";
import { virtualTime } from "../engine/_time.ts";
import { hasBrowser, look, pageTest, serve } from "./_browser.ts";
import { MONTHS } from "./_months.ts";

if (hasBrowser) await sharedPostgres();

pageTest("a course's story is told from the page alone", async (browser, t) => {
  await using database = await freshDatabase();
  const downloads: string[] = [];
  await using months = serveFiles(({ url }) => {
    const month = url.slice(-7);
    downloads.push(month);
    const text = `month,fare\n${month},2.5\n${month},4\n`;
    return new Response(text, {
      headers: { etag: `"${month}"`, "content-length": `${text.length}` },
    });
  });
  const taxi = dag("yellow_taxi", {
    ...MONTHS,
    params: {
      base: months.url,
      check: param({ enum: ["passes", "stumbles", "fails"], default: "passes" }),
    },
  });
  const file = taxi.task(
    "download",
    http({ url: (run) => `${run.params.base}/${run.strftime("%Y-%m")}` }),
  );
  const table = taxi.task(
    "load",
    pipe(file, csv(), copy({ table: (run) => run.strftime("taxi_%Y_%m") })),
  );
  taxi.task(
    "check",
    fn({ table }, (_, { params: { check }, attempt, log }) => {
      log.info(`attempt ${attempt} looks`);
      if (check === "fails" || check === "stumbles" && attempt === 1) {
        throw new Error(`The fares do not add up in attempt ${attempt}`);
      }
      return "fine";
    }),
    { retries: 1, retryDelay: { minutes: 1 } },
  );
  // It stands still: a task is tried again when everybody has seen that it will be.
  const time = virtualTime(String(Temporal.Now.instant()));
  const { now, clock, sleep } = time;
  await using served = await serve({
    ...{ dags: [taxi], now, clock, sleep },
    startPaused: true,
    connections: { database: () => Promise.resolve({ url: database.url }) },
  });
  const { etl, url } = served;
  await using looked = await look(browser, url);
  const { page } = looked;
  await page.evaluate(() => Object.assign(globalThis, { __same: true }));
  const panel = page.locator(".panel");
  const square = (run: string, task: string, state: string) =>
    page.locator(`.grid-cells .square[data-run="${run}"][data-task=${task}][data-state=${state}]`);
  /** What the server says of a run's tasks. */
  const told = async (run: string): Promise<Record<string, [string, number]>> => {
    const { tasks } = await (await fetch(`${url}/api/runs/${run}`)).json();
    return Object.fromEntries(
      tasks.map((task: { id: string; state: string; attempts: number }) => [
        task.id,
        [task.state, task.attempts],
      ]),
    );
  };
  /** Fills in the form of a trigger; gives the run it made. */
  const trigger = async (check: string, date: string): Promise<string> => {
    const known = (await etl.runs()).map(({ id }) => id);
    await page.getByRole("button", { name: "Trigger" }).click();
    const dialog = page.getByRole("dialog", { name: "Trigger yellow_taxi" });
    await dialog.getByText("A date", { exact: true }).click();
    await dialog.getByLabel("Logical date").fill(date);
    await dialog.getByLabel("check").selectOption(check);
    await dialog.getByRole("region", { name: "What it would do" })
      .getByText(`taxi_${date.slice(0, 7).replace("-", "_")}`).waitFor();
    await dialog.getByRole("button", { name: "Trigger" }).click();
    await dialog.waitFor({ state: "detached" });
    const [made] = (await etl.runs()).filter(({ id }) => !known.includes(id));
    assert.deepEqual([made!.kind, made!.params["check"]], ["manual", check]);
    return made!.id;
  };
  /** Lets a task be tried again. */
  const retry = async (run: string): Promise<void> => {
    await square(run, "check", "up_for_retry").waitFor();
    assert.equal((await told(run))["check"]![0], "up_for_retry");
    while ((await told(run))["check"]![0] === "up_for_retry") await time.advance({ minutes: 1 });
  };
  let runs: string[] = [];

  await t.step("the taxi DAG's pause ends, and three squares turn green", async () => {
    const row = page.locator("[data-dag=yellow_taxi]");
    assert.equal(await row.locator("[data-state]").count(), 0);
    assert.ok(etl.status("yellow_taxi").paused);
    await row.getByRole("switch").click();
    await page.getByRole("dialog").getByText("Start 3 runs").click();
    await row.locator("[data-state=success]").nth(2).waitFor();
    assert.ok(!etl.status("yellow_taxi").paused);
    const green = await row.locator("[data-run]").evaluateAll((all) =>
      all.map((one) => [one.dataset.run, one.querySelector(".square")!.getAttribute("data-state")])
    );
    const made = (await etl.runs({ order: "logical_date" })).toReversed();
    assert.deepEqual(green, made.map(({ id, state }) => [id, state]));
    runs = made.map(({ id }) => id);
    assert.deepEqual(downloads.toSorted(), ["2021-01", "2021-02", "2021-03"]);
  });

  await t.step(
    "its grid has a square for each task, and each says what the server does",
    async () => {
      await page.getByRole("link", { name: "yellow_taxi" }).click();
      for (const run of runs) {
        for (const [task, [state]] of Object.entries(await told(run))) {
          await square(run, task, state).waitFor();
        }
      }
    },
  );

  await t.step("a log is opened", async () => {
    await square(runs[1]!, "check", "success").click();
    await panel.getByRole("log").getByText("attempt 1 looks").waitFor();
    assert.equal(new URL(page.url()).searchParams.get("run"), runs[1]);
  });

  await t.step("a load is cleared: it loads again, and downloads nothing again", async () => {
    const before = downloads.length;
    await square(runs[1]!, "load", "success").click();
    await panel.getByRole("button", { name: "Clear", exact: true }).click();
    const dialog = page.getByRole("dialog", { name: "Clear load" });
    await dialog.getByText("2 tasks of 1 run are cleared").waitFor();
    await dialog.getByRole("button", { name: "Clear 2 tasks" }).click();
    await dialog.waitFor({ state: "detached" });
    assert.equal((await etl.done(runs[1]!)).cleared, 1);
    assert.deepEqual(await told(runs[1]!), {
      download: ["success", 1],
      load: ["success", 2],
      check: ["success", 2],
    });
    await panel.getByLabel("Attempt").waitFor();
    await square(runs[1]!, "check", "success").waitFor();
    assert.equal(downloads.length, before);
    await page.keyboard.press("Escape");
  });

  await t.step(
    "a run is triggered by a form; its task fails, and is fine when tried again",
    async () => {
      const run = await trigger("stumbles", "2021-02-02");
      await retry(run);
      await square(run, "check", "success").click();
      assert.deepEqual(await told(run), {
        download: ["success", 1],
        load: ["success", 1],
        check: ["success", 2],
      });
      await panel.getByText("attempt 2 looks").waitFor();
      await panel.getByLabel("Attempt").selectOption("1");
      await panel.getByRole("alert").getByText("do not add up in attempt 1").waitFor();
      assert.deepEqual(await database.query("SELECT month, fare FROM taxi_2021_02"), [
        { month: "2021-02", fare: 2.5 },
        { month: "2021-02", fare: 4 },
      ]);
      await page.keyboard.press("Escape");
    },
  );

  await t.step("one that fails for good is red, says why, and comes first", async () => {
    const run = await trigger("fails", "2021-03-02");
    await retry(run);
    await square(run, "check", "failed").click();
    await panel.getByRole("alert").getByText("do not add up in attempt 2").waitFor();
    const { state } = await etl.done(run);
    assert.deepEqual([state, (await told(run))["check"]], ["failed", ["failed", 2]]);
    await page.getByRole("link", { name: "DAGs", exact: true }).click();
    const last = page.locator("[data-dag=yellow_taxi] [data-run]").last();
    assert.equal(await last.getAttribute("data-run"), run);
    await last.locator("[data-state=failed]").waitFor();
  });

  assert.equal(await page.evaluate(() => "__same" in globalThis), true, "it was never loaded anew");
});

pageTest("a run that a dataset made says who wrote it, and leads there", async (browser) => {
  const trips = dataset("trips");
  const writer = dag("writer");
  writer.task("load", () => "loaded", { writes: [trips] });
  const reader = dag("reader", { schedule: trips });
  reader.task("report", () => "reported");
  await using served = await serve({ dags: [writer, reader] });
  const { etl, url } = served;
  await using looked = await look(browser, `${url}/dags/reader`);
  const { page } = looked;
  await page.locator("[data-connection=live]").waitFor();
  const { id } = await etl.trigger("writer");
  await page.locator(".grid-cells .square[data-state=success]").waitFor();
  const [made] = await etl.runs({ dag: "reader" });
  const { causes } = await (await fetch(`${url}/api/runs/${made!.id}?full=1`)).json();
  assert.deepEqual(causes, [{
    dataset: "trips",
    dag: "writer",
    run_id: id,
    task: "load",
    at: made!.causes![0]!.at,
    interval: made!.causes![0]!.interval,
  }]);
  await page.locator(`.grid-head [href*="${made!.id}"]`).click();
  const facts = page.locator(".panel .facts");
  await facts.getByText("trips", { exact: true }).waitFor();
  await facts.getByRole("link", { name: "writer / load" }).click();
  await page.getByRole("heading", { name: "writer" }).waitFor();
  const { searchParams } = new URL(page.url());
  assert.deepEqual([searchParams.get("run"), searchParams.get("task")], [id, "load"]);
});
