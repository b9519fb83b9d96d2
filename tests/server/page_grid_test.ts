import assert from "node:assert/strict";
import { dag, type TaskState } from "../../engine/mod.ts";
import { look, pageTest, serve } from "./_browser.ts";
import { past } from "./_past.ts";

const TASKS = 1000, RUNS = 100;

const big = dag("big", { schedule: "@daily", start: "2021-01-01", catchup: false });
for (let g = 0; g < 20; g++) {
  big.group(`group_${g}`, (group) => {
    for (let i = 0; i < TASKS / 20; i++) group.task(`task_${i}`, () => null);
  });
}

const places = new Map([...big.tasks.keys()].map((id, i) => [id, i]));

/** What is to become of a task. */
function stateOf(run: number, task: number): TaskState {
  if (run % 9 === 4 && task === 100 + run) return "failed";
  return (run + task) % 31 === 0 ? "skipped" : "success";
}

pageTest("a thousand tasks in a hundred runs are seen at once", async (browser, t) => {
  await using served = await serve({ dags: [big], startPaused: true });
  await past(served.store, big, {
    dates: Array.from({ length: RUNS }, (_, n) => new Date(Date.UTC(2021, 0, 1 + n))),
    days: 1,
    nameOf: (n) => `run_${n}`,
    stateOf,
    secondsOf: () => 60,
  });
  const { url } = served;
  await using looked = await look(browser, url);
  const { page } = looked;
  await page.locator("[data-dag=big]").waitFor();

  /** How long it takes from a click until 800 of something are there, in milliseconds. */
  const timed = (click: string, squares: string): Promise<number> =>
    page.evaluate(async ([click, squares]) => {
      const start = performance.now();
      document.querySelector<HTMLElement>(click)!.click();
      const count = () => document.querySelectorAll(squares).length;
      while (count() < 800) await new Promise((resolve) => requestAnimationFrame(resolve));
      return Math.round(performance.now() - start);
    }, [click, squares] as const);

  await t.step("the grid opens", async () => {
    const cold = await timed("[data-dag=big] .cover", ".square[data-group]");
    await page.keyboard.press("g");
    await page.keyboard.press("h");
    await page.locator("[data-dag=big]").waitFor();
    const warm = await timed("[data-dag=big] .cover", ".square[data-group]");
    const unfolded = await timed(".tools .button", ".square:not([data-group])");
    console.log(
      `the grid opened in ${cold} ms, again in ${warm} ms; it unfolded in ${unfolded} ms`,
    );
    // The machine may have much else to do.
    assert.ok(Math.min(cold, warm) < 10_000 && unfolded < 10_000);
  });

  await t.step("only what is in sight is in the document, wherever that is", async () => {
    for (const top of [0, 10_000, 23_000]) {
      await page.locator(".grid").evaluate((grid, top) => grid.scrollTop = top, top);
      // The rows in sight are drawn, from the first to the last.
      await page.waitForFunction(() => {
        const { left, top, bottom } = document.querySelector(".grid")!.getBoundingClientRect();
        const isThere = (y: number): boolean =>
          document.elementFromPoint(left + 40, y)?.closest(".grid-row") != null;
        return isThere(top + 100) && isThere(bottom - 40);
      });
      const seen = await page.locator(".grid-cells .square").evaluateAll((all) => {
        const box = document.querySelector(".grid")!.getBoundingClientRect();
        // As one text: so many objects take seconds to come.
        const cells = all.map((one) => {
          const { run, task, state, group } = (one as HTMLElement).dataset;
          return group === undefined ? `${run} ${task} ${state}` : "";
        }).join("\n");
        const at = document.elementFromPoint(box.right - 60, box.top + box.height / 2);
        return { count: all.length, cells, row: at?.closest(".grid-row") != null };
      });
      assert.ok(seen.count < 6000, `${seen.count} squares`);
      assert.ok(seen.row, `there is nothing at ${top}`);
      for (const cell of seen.cells.split("\n")) {
        if (cell === "") continue;
        const [run, task, state] = cell.split(" ");
        assert.equal(state, stateOf(Number(run!.slice(4)), places.get(task!)!), cell);
      }
    }
  });

  await t.step("scrolling keeps up", async () => {
    const frames = await page.evaluate(async () => {
      const grid = document.querySelector(".grid")!;
      const long: number[] = [];
      let last = performance.now();
      for (let n = 0; n < 30; n++) {
        grid.scrollTop = n * 60;
        await new Promise((resolve) => requestAnimationFrame(resolve));
        const time = performance.now();
        long.push(Math.round(time - last));
        last = time;
      }
      return long.sort((a, b) => a - b);
    });
    console.log(`frames while scrolling: median ${frames[15]} ms, worst ${frames.at(-1)} ms`);
    assert.ok(frames[15]! < 2000);
  });

  await t.step("a task that is looked for is found, in whatever group", async () => {
    await page.getByLabel("Find a task").fill("group_17.task_3");
    await page.waitForFunction(() => document.querySelectorAll(".grid-row").length === 12);
    await page.locator('.grid-cells .square[data-task="group_17.task_3"]').last().click();
    await page.waitForURL(/task=group_17\.task_3/);
    await page.locator(".panel h2", { hasText: "group_17.task_3" }).waitFor();
    await page.keyboard.press("Escape");
    await page.locator(".panel").waitFor({ state: "detached" });
  });
});
