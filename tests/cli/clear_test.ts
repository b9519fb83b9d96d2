import assert from "node:assert/strict";
import { Shop, WAYS } from "./_by_hand.ts";
import { refusal } from "./_sluice.ts";

const bad = "trigger shop --wait --param fail=true --date 2021-01-02";
const run = "manual__20210102T000000Z";

for (const way of WAYS) {
  Deno.test(`clear lists what it is about, and has that run again: ${way}`, async () => {
    await using shop = await Shop.open(way);
    await shop.says(bad, 1);
    const of = (...tasks: string[]) =>
      tasks.map((name) => {
        const [, task, index] = /^(\w+)(?:\[(\d)\])?$/.exec(name)!;
        return { run_id: run, task, ...index === undefined ? {} : { index: Number(index) } };
      });
    const cases: Readonly<Record<string, ReturnType<typeof of>>> = {
      "": of("list", "load[0]", "load[1]", "report"),
      "--only-failed": of("load[1]", "report"),
      "load": of("load[0]", "load[1]"),
      "load --index 1": of("load[1]"),
      "load[0] load[1] --only-failed": of("load[1]"),
      "load[1] --downstream": of("load[1]", "report"),
      "report --upstream": of("list", "load[0]", "load[1]", "report"),
      // It reads the list.
      "list": of("list", "load[0]", "load[1]"),
      "list --fresh": of("list", "load[0]", "load[1]"),
      "report --past --future": of("report"),
    };
    const some = Object.entries(cases).slice(0, shop.serves ? Infinity : 2);
    for (const [words, instances] of some) {
      const line = ["clear", run, words, "--dry-run"].filter((word) => word).join(" ");
      assert.deepEqual(await shop.look(line), { run_id: run, dry_run: true, instances }, words);
    }
    const { stdout, stderr } = await shop.tells(`clear ${run} load[1] --dry-run`);
    assert.equal(
      stderr,
      "1 task instance behind them (report) stays failed or upstream_failed: --downstream clears it, too\n",
    );
    for (const all of ["load[1] --downstream", "report", "--only-failed"]) {
      assert.equal((await shop.tells(`clear ${run} ${all} --dry-run`)).stderr, "", all);
    }
    assert.equal(stdout, `${run}\n  load[1]\n1 task instance of 1 run\n`);
    const refused = await shop.says(`clear ${run} load[1] --json`, 2);
    assert.match(refused.stderr, /^ {2}load\[1\]$/m);
    assert.match(
      refusal({ ...refused, stderr: refused.stderr.replace(/^[^]*?(?=sluice:)/, "") }, 2),
      /--yes/,
    );
    assert.match((await shop.tells(`why ${run} load[1]`)).stdout, /^It failed in attempt 1/);

    const cleared = await shop.json(`clear ${run} load[1] --yes`);
    assert.deepEqual(cleared, { run_id: run, dry_run: false, instances: of("load[1]") });
    if (!shop.serves) {
      assert.match((await shop.tells(`why ${run} load[1]`)).stdout, /No `serve` runs/);
      await shop.serve();
    }
    assert.equal(await shop.settled(run), "failed");
    assert.match((await shop.tells(`why ${run} load[1]`)).stdout, /^It failed in attempt 2/);
    assert.match((await shop.tells(`why ${run} load[0]`)).stdout, /^It succeeded in attempt 1/);
  });
}

Deno.test("clear refuses what is not there", async () => {
  await using shop = await Shop.open(WAYS[0]);
  await shop.says(bad, 1);
  const cases: readonly [string, RegExp][] = [
    ["clear nope", /nope/],
    [`clear ${run} nope`, /"nope".*"list", "load", "report"/],
    [`clear ${run} list[0]`, /"list": it is not mapped/],
    [`clear ${run} load --index x`, /instances count from 0/],
  ];
  await Promise.all(cases.map(async ([words, sentence]) => {
    assert.match(refusal(await shop.tells(`${words} --yes --json`, 2), 2), sentence, words);
  }));
});

Deno.test("clear asks who sits at a terminal", async () => {
  await using shop = await Shop.open(WAYS[1]);
  await shop.says(bad, 1);
  const words = ["clear", run, "--only-failed"];
  for (const [answer, code, state] of [["n", 1, "failed"], ["y", 0, "queued"]] as const) {
    const command = shop.sluice.startOnTerminal(words, { columns: 80, rows: 24 }, {
      stdin: `${answer}\n`,
    });
    const outcome = await command.ended;
    assert.equal(outcome.code, code, outcome.stdout);
    assert.match(outcome.stdout, /2 task instances of 1 run\r\nClear them\? \[y\/N\] /);
    assert.equal((await shop.look(`why ${run} load`)).state, state);
  }
});
