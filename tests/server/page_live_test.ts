import assert from "node:assert/strict";
import { dag, pipe } from "../../engine/mod.ts";
import { copy, csv, decompress, http } from "../../operators/mod.ts";
import { freshDatabase, sharedPostgres } from "../_postgres.ts";
import { type Look, look, pageTest, serve } from "./_browser.ts";
import { MONTHS } from "./_months.ts";

await sharedPostgres();

/** Serves months. */
interface Months extends AsyncDisposable {
  readonly url: string;
  /** Ends those that come; `all`: and those to come. */
  readonly end: (which?: { all?: boolean }) => void;
}

/** Serves months that come piece by piece until they are told to end; then the rest comes at once. */
function slowMonths(): Months {
  const line = "1,2021-01-02 03:04:05,2.5,Some words that make the line longer\n";
  const head = new TextEncoder().encode("id,at,fare,words\n");
  const piece = new TextEncoder().encode(line.repeat(200));
  const pieces = 200;
  const flowing = new Set<AbortController>();
  let allEnd = false;
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, () => {
    const end = new AbortController();
    const ended = new Promise((resolve) => end.signal.addEventListener("abort", resolve));
    flowing.add(end);
    if (allEnd) end.abort();
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(head),
      async pull(controller) {
        if (sent === pieces) return controller.close();
        const isLast = ++sent === pieces;
        const moment = new Promise((resolve) => setTimeout(resolve, 40));
        await (isLast ? ended : Promise.race([moment, ended]));
        controller.enqueue(piece);
      },
    });
    const length = String(head.length + pieces * piece.length);
    return new Response(body, { headers: { "content-length": length, etag: '"1"' } });
  });
  const end: Months["end"] = ({ all = false } = {}) => {
    allEnd ||= all;
    for (const one of flowing) one.abort();
    flowing.clear();
  };
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    end,
    async [Symbol.asyncDispose]() {
      end({ all: true });
      await server.shutdown();
    },
  };
}

pageTest("the months of the taxis are loaded from the page alone", async (browser, t) => {
  await using database = await freshDatabase();
  await using months = slowMonths();
  const taxi = dag("yellow_taxi", {
    ...MONTHS,
    params: { base: months.url },
  });
  const file = taxi.task(
    "download",
    http({ url: (run) => `${run.params.base}/${run.strftime("%Y-%m")}` }),
  );
  taxi.task(
    "load",
    pipe(file, decompress(), csv(), copy({ table: (run) => run.strftime("taxi_%Y_%m") })),
  );
  await using served = await serve({
    dags: [taxi],
    startPaused: true,
    connections: { database: () => Promise.resolve({ url: database.url }) },
  });
  const { etl, url } = served;
  await using looked = await look(browser, `${url}/dags/yellow_taxi/graph`);
  const { page } = looked;

  await t.step("its pause ends, and bytes on the edge grow", async () => {
    await page.getByRole("switch").click();
    await page.getByRole("dialog").getByText("Start 3 runs").click();
    await page.locator(".channel[data-flows]").waitFor();
    let seen = 0;
    for (let n = 0; n < 3; n++) {
      const grown = await page.waitForFunction((seen) => {
        const edge = document.querySelector<SVGElement>(".channel[data-from=download]");
        const told = Number(edge?.dataset["bytes"]);
        return told > seen && told;
      }, seen);
      seen = Number(await grown.jsonValue());
    }
    const [first] = await etl.runs({ dag: "yellow_taxi", state: "running" });
    months.end();
    const { tasks } = await etl.done(first!.id);
    assert.ok(seen > 0 && seen <= tasks["download"]!.stream!.bytes);
  });

  await t.step("a task that runs tells in the grid how fast it is", async () => {
    await page.keyboard.press("1");
    await page.locator(".grid-speed", { hasText: /B\/s/ }).first().waitFor();
    await page.locator(".square[data-state=running][data-metered]").first().waitFor();
    months.end({ all: true });
  });

  await t.step("squares turn green, each the colour of what the API says", async () => {
    await page.waitForFunction(
      () => document.querySelectorAll(".grid-cells .square[data-state=success]").length === 6,
      undefined,
      { timeout: 30_000 },
    );
    const squares = await page.locator(".grid-cells .square").evaluateAll((all) =>
      all.map((
        one,
      ) => [
        one.getAttribute("data-run"),
        one.getAttribute("data-task"),
        one.getAttribute("data-state"),
      ])
    );
    for (const [run, task, state] of squares) {
      const answer = await (await fetch(`${url}/api/runs/${run}`)).json();
      const told = answer.tasks.find(({ id }: { id: string }) => id === task);
      assert.equal(told.state, state, `${task} of ${run}`);
    }
    const tables = await database.query<{ n: number }>(
      "SELECT count(*)::int AS n FROM pg_tables WHERE tablename LIKE 'taxi_2021_%'",
    );
    assert.deepEqual(tables, [{ n: 3 }]);
  });

  await t.step("the gantt shows that both ran at once", async () => {
    await page.keyboard.press("3");
    await page.locator(".overlap[data-from=download][data-to=load]").waitFor();
    const [from, to] = await Promise.all(["download", "load"].map(async (task) => {
      const bar = page.locator(`.gantt-bar[data-task=${task}]`);
      return {
        from: Number(await bar.getAttribute("data-from")),
        to: Number(await bar.getAttribute("data-to")),
      };
    }));
    assert.ok(to!.from < from!.to, "load began while download still ran");
  });
});

/** A DAG whose task ends when it is told to, once it has begun. */
function waiter(): { readonly dag: ReturnType<typeof dag>; readonly go: () => Promise<void> } {
  let begun = Promise.withResolvers<() => void>();
  const waits = dag("waits");
  waits.task("one", () => new Promise<void>((resolve) => begun.resolve(resolve)));
  waits.task("two", () => 2, { after: waits.tasks.get("one")! });
  const go = async () => {
    const end = await begun.promise;
    begun = Promise.withResolvers();
    end();
  };
  return { dag: waits, go };
}

/** Has the page keep when each square got its state. */
async function watchSquares({ page }: Look): Promise<void> {
  await page.evaluate(() => {
    const seen: Record<string, number> = {};
    Object.assign(globalThis, { __seen: seen });
    new MutationObserver(() => {
      for (const square of document.querySelectorAll<HTMLElement>(".grid-cells .square")) {
        const { run, task, state } = square.dataset;
        seen[`${run} ${task} ${state}`] ??= Date.now();
      }
    }).observe(document.body, { subtree: true, childList: true, attributes: true });
  });
}

pageTest("what happens is on screen within a moment, without a reload", async (browser) => {
  const { dag: waits, go } = waiter();
  await using served = await serve({ dags: [waits] });
  const { etl, url } = served;
  const { done } = await etl.trigger("waits");
  await go();
  await done;
  await using looked = await look(browser, `${url}/dags/waits`);
  const { page } = looked;
  await page.locator("[data-connection=live]").waitFor();
  await page.locator(".grid-cells .square").first().waitFor();
  await watchSquares(looked);
  const late: number[] = [];
  for (let n = 0; n < 5; n++) {
    const { id, done } = await etl.trigger("waits");
    await page.locator(`.square[data-run="${id}"][data-task=one][data-state=running]`).waitFor();
    await go();
    const run = await done;
    await page.locator(`.square[data-run="${id}"][data-task=two][data-state=success]`).waitFor();
    const seen = await page.evaluate(() =>
      (globalThis as never as { __seen: Record<string, number> }).__seen
    );
    late.push(seen[`${id} two success`]! - Date.parse(run.tasks["two"]!.ended!));
  }
  late.sort((a, b) => a - b);
  console.log(`from the end of a task to its square: ${late.join(", ")} ms`);
  // The machine may have much else to do.
  assert.ok(late[2]! < 1000, `it took ${late} ms`);
});

pageTest(
  "what others change of a DAG is on screen at once, wherever it is shown",
  async (browser) => {
    const daily = (...tasks: string[]) => {
      const made = dag("daily", { schedule: "@daily", start: "2021-01-01", catchup: false });
      for (const task of tasks) made.task(task, () => task);
      return made;
    };
    const faults: string[] = [];
    const options = { faults: () => [...faults] };
    await using served = await serve({ dags: [daily("one")], server: options });
    const { etl, url } = served;
    await using home = await look(browser, url);
    await using one = await look(browser, `${url}/dags/daily`);
    const late: number[] = [];
    for (const { page } of [home, one]) {
      await page.locator("[data-connection=live]").waitFor();
      await page.locator(".switch[aria-checked=true]").waitFor();
      await page.evaluate(() => {
        const times: number[] = [];
        Object.assign(globalThis, { __switched: times });
        const found = document.querySelector(".switch")!;
        new MutationObserver(() => times.push(Date.now())).observe(found, { attributes: true });
      });
    }
    for (const isOn of [false, true, false]) {
      const began = Date.now();
      await (isOn ? etl.unpause("daily", { all: true }) : etl.pause("daily"));
      for (const { page } of [home, one]) {
        await page.locator(`.switch[aria-checked=${isOn}]`).waitFor();
        const times = await page.evaluate(() =>
          (globalThis as never as { __switched: number[] }).__switched.splice(0)
        );
        late.push(times[0]! - began);
      }
    }
    late.sort((a, b) => a - b);
    console.log(`from a pause elsewhere to its switch: ${late.join(", ")} ms`);
    assert.ok(late[2]! < 1000, `it took ${late} ms`);

    faults.push("Cannot load broken.ts");
    await etl.replace([daily("one", "two")]);
    await one.page.locator(".square[data-task=two]").first().waitFor();
    await home.page.getByText("Cannot load broken.ts").waitFor();
    await one.page.keyboard.press("4");
    await etl.unpause("daily");
    const { id, done } = await etl.trigger("daily", { date: "2021-03-05" });
    assert.equal((await done).state, "success", id);
    await one.page.locator(".calendar [data-day='2021-03-05'][data-state=success]").waitFor();
    await etl.replace([]);
    await home.page.getByText("daily", { exact: true }).waitFor({ state: "detached" });
  },
);

pageTest("a server that comes back is followed again, and nothing was missed", async (browser) => {
  const home = await Deno.makeTempDir({ prefix: "sluice-page-" });
  const { dag: waits, go } = waiter();
  const { port, url } = await (async () => {
    await using served = await serve({ dags: [waits], home });
    await using looked = await look(browser, `${served.url}/dags/waits`);
    await looked.page.locator("[data-connection=live]").waitFor();
    return served;
  })();
  let first = await serve({ dags: [waits], home, port });
  await using looked = await look(browser, `${url}/dags/waits`);
  const { page } = looked;
  await page.locator("[data-connection=live]").waitFor();
  await page.evaluate(() => Object.assign(globalThis, { __same: true }));
  await first[Symbol.asyncDispose]();
  await page.locator("[data-connection=lost]").waitFor();
  await page.getByText("The server does not answer").waitFor();
  first = await serve({ dags: [waits], home, port });
  const { id, done } = await first.etl.trigger("waits");
  await page.locator("[data-connection=live]").waitFor();
  await page.locator(`.square[data-run="${id}"][data-task=one][data-state=running]`).waitFor();
  await go();
  await done;
  await page.locator(`.square[data-run="${id}"][data-task=two][data-state=success]`).waitFor();
  assert.equal(await page.evaluate(() => "__same" in globalThis), true);
  await first[Symbol.asyncDispose]();
  await Deno.remove(home, { recursive: true });
});

pageTest("what happens while a page is being read is not missed", async (browser) => {
  const { dag: waits, go } = waiter();
  await using served = await serve({ dags: [waits] });
  const { etl, url } = served;
  await using looked = await look(browser, `${url}/datasets`);
  const { page } = looked;
  const places: [path: string, asks: RegExp, shows: string][] = [
    ["/", /\/api\/dags\?/, "[data-dag=waits] [data-run=RUN] [data-state=success]"],
    ["/dags/waits", /\/grid\?/, ".square[data-run=RUN][data-task=two][data-state=success]"],
    ["/dags/waits?run=RUN", /\/tasks$/, ".panel [data-task=two] [data-state=success]"],
  ];
  for (const [path, asks, shows] of places) {
    // What is read comes late, or what tells of what happens does.
    for (const late of path === "/" ? [asks, /\/api\/events/] : [asks]) {
      const { id, done } = await etl.trigger("waits");
      const over = Promise.withResolvers<void>();
      const read = page.waitForRequest(asks).then((request) => request.response());
      await page.route(late, async (route) => {
        if (late !== asks) {
          await over.promise;
          return await route.continue();
        }
        const response = await route.fetch();
        await over.promise;
        await route.fulfill({ response });
      }, { times: 1 });
      const told = late === asks ? page.waitForResponse(/\/api\/events/) : read;
      const named = (text: string) => text.replace("RUN", id);
      await page.goto(url + named(path));
      await told;
      if (late === asks) await page.waitForTimeout(100);
      await go();
      await done;
      // So that it is told, or would be, before the rest comes.
      await page.waitForTimeout(100);
      over.resolve();
      await page.locator(named(shows).replace(id, `"${id}"`)).waitFor();
    }
  }
});
