import assert from "node:assert/strict";
import { Shop, WAYS } from "./_by_hand.ts";
import { document, refusal, Sluice } from "./_sluice.ts";

for (const way of WAYS) {
  Deno.test(`trigger makes a run, and says when it waits: ${way}`, async () => {
    await using shop = await Shop.open(way);
    const { run_id, note, ...rest } = await shop.json("trigger shop --param n=2");
    assert.match(run_id, /^manual__\d{8}T\d{6}Z$/);
    assert.equal(rest.dag, "shop");
    if (shop.serves) assert.equal(note, null);
    else {
      assert.equal(rest.state, "queued");
      assert.match(note, /^No `serve` runs .* starts with the next `deno task serve`$/);
      const { reasons } = await shop.look(`why ${run_id} list`);
      assert.match(reasons.at(-1), /No `serve` runs/);
      await shop.serve();
    }
    assert.equal(await shop.settled(run_id), "success");
  });

  Deno.test(`trigger --wait ends as the run does: ${way}`, async () => {
    await using shop = await Shop.open(way);
    const good = await shop.json(
      "trigger shop --wait --param n=3 --param label=7 --param many=[2,3] --param size=12 --date 2021-01-02",
    );
    assert.deepEqual([good.state, good.logical_date], ["success", "2021-01-02T00:00:00Z"]);
    const report = good.tasks.find(({ id }: { id: string }) => id === "report");
    const params = { fail: false, n: 3, label: "7", many: [2, 3], size: 12 };
    assert.deepEqual([good.params, report.output], [params, params]);
    const bad = await shop.says("trigger shop --wait --param fail=true", 1);
    assert.match(bad.stdout, /^manual__\w+ {2}failed\n {2}list +success .*\n {2}load +failed /);
    const slice = await shop.json("trigger daily --from 2021-01-02 --to 2021-01-04T12:00");
    assert.deepEqual(slice.interval, {
      start: "2021-01-01T23:00:00Z",
      end: "2021-01-04T11:00:00Z",
    });
    assert.match(slice.note, /^"daily" is paused: .* until `deno task unpause daily`/);
  });

  Deno.test(`what does not fit is refused before anything starts: ${way}`, async () => {
    await using shop = await Shop.open(way);
    const cases: readonly [string, RegExp][] = [
      ["trigger nope", /there is no (such )?DAG/],
      ["trigger shop --param nope=1", /Cannot set param "nope" .* "fail", "n", "label", "many"/],
      ["trigger shop --param n=many", /Cannot read param n=many: it is to be of type number/],
      ["trigger shop --param size=7", /param "size" .* one of 6, 12/],
      ["trigger needy", /needs the params "month", "limit"/],
      ["trigger needy --param month=2022-01 --param limit=1", /param "month" .* match \^2021-/],
      ["trigger daily --date 2020-01-01", /2020-01-01/],
      ["trigger shop --from 2021-01-02", /--to is missing/],
      ["trigger shop --date 2021-01-02 --to 2021-01-02", /either --date or --from and --to/],
      ["trigger shop --from 2021-01-02 --to 2021-01-01", /before it starts/],
      ["cancel nope", /nope/],
    ];
    await Promise.all(cases.map(async ([words, sentence]) => {
      // Only one at a time can open the folder.
      const outcome = await shop.sluice.here(
        [...words.split(" "), "--json"],
        shop.serves ? {} : { SLUICE_HOME: shop.sluice.file(`${words}/x`, "").slice(0, -2) },
      );
      assert.match(refusal(outcome, 2), sentence, words);
    }));
  });

  Deno.test(`cancel ends a run with its teardowns: ${way}`, async () => {
    await using shop = await Shop.open(way);
    const { run_id } = await shop.json("trigger slow");
    if (shop.serves) {
      for (let reasons = ""; !/^It runs/.test(reasons);) {
        ({ reasons: [reasons] } = await shop.look(`why ${run_id} wait`));
      }
    }
    const cancelled = await shop.json(`cancel ${run_id}`);
    assert.deepEqual(cancelled, { run_id, dag: "slow", state: "failed", cancelled: true });
    const { reasons: [tidied] } = await shop.look(`why ${run_id} tidy`);
    assert.match(tidied, shop.serves ? /^It succeeded/ : /^It was skipped/);
    const again = await shop.says(`cancel ${run_id}`);
    assert.equal(again.stdout, `${run_id} was over already: failed\n`);
  });
}

Deno.test("a paused DAG's run is not waited for where nobody could start it", async () => {
  await using shop = await Shop.open(WAYS[1]);
  await shop.says("pause shop");
  assert.match(refusal(await shop.says("trigger shop --wait", 2), 2), /it is paused.*unpause shop/);
  // A DAG that nobody has seen is paused under `serve`; here it is wanted.
  assert.equal((await shop.json("trigger daily --date 2021-01-02 --wait")).state, "success");
});

Deno.test("a wait that is interrupted leaves the run to the next serve", async () => {
  await using shop = await Shop.open(WAYS[1]);
  const waiting = shop.sluice.start(["trigger", "slow", "--wait"]);
  const [, run] = await waiting.says(/^(manual__\w+) is made/);
  // While it works it holds the folder; it takes no orders.
  assert.match(refusal(await shop.says("trigger shop", 1), 1), new RegExp(`${waiting.pid}`));
  waiting.kill("SIGINT");
  const { code, stderr } = await waiting.ended;
  assert.equal(code, 130);
  assert.match(stderr, /1 of 1 runs are not over: the next `deno task serve` goes on with them/);
  const { stderr: told } = await shop.says("run shop");
  assert.doesNotMatch(told, /not over/, "that is another DAG");
  await shop.serve();
  for (let reasons = ""; !/^It runs/.test(reasons);) {
    ({ reasons: [reasons] } = await shop.look(`why ${run} wait`));
  }
});

Deno.test("run tells of runs that others left, of warnings, and refuses before it opens anything", async () => {
  await using shop = await Shop.open(WAYS[1]);
  const missing = await shop.says("run needy --param limit=1 --json", 2);
  assert.match(refusal(missing, 2), /needs param "month"/);
  await assert.rejects(Deno.stat(shop.sluice.home), Deno.errors.NotFound);
  const { run_id } = await shop.json("trigger shop --date 2021-01-02");
  const { stderr } = await shop.says("run shop --param fail=false --param n=1");
  assert.match(
    stderr,
    new RegExp(`1 run of "shop" is not over, from before: ${run_id}\\. .*cancel`),
  );
  assert.match((await shop.says("run daily --date 2021-01-03")).stdout, /^daily: success, 1 run/);
  const outcome = await shop.sluice.run([
    "run",
    "needy",
    "--json",
    ..."--param month=2021-07 --param limit=5".split(" "),
  ]);
  assert.deepEqual(document(outcome).runs[0].params, { month: "2021-07", limit: 5 });
});

Deno.test("run's live view is a tree of groups and mapped tasks", async () => {
  await using sluice = new Sluice();
  sluice.file(
    "dags/tree.ts",
    `import { dag } from "sluice";
      const tree = dag("tree");
      const first = tree.group("early", (early) => early.task("one", () => [1, 2, 3]));
      const there = (path) => Deno.stat(path).then(() => true, () => false);
      const list = tree.task("list", () => [0, 1, 2], { after: first });
      tree.group("deep", (deep) => {
        const load = deep.each("load", list, () => async ({ index }) => {
          while (index > 0 && !await there("go")) await new Promise((resolve) => setTimeout(resolve, 20));
        });
        deep.task("last", () => {}, { after: load });
      });
      export default tree;`,
  );
  const size = { columns: 80, rows: 24 };
  const command = sluice.startOnTerminal(["run", "tree"], size);
  await command.says(/▶ load {2}1\/3 done, 2 running/);
  sluice.file("go", "");
  const { code, stdout } = await command.ended;
  assert.equal(code, 0, stdout);
  for (
    const line of ["  ✓ early  1/1 done", "  ▶ deep  0/2 done", "    ▶ load  1/3 done, 2 running"]
  ) {
    assert.ok(stdout.includes(`${line}\u001b[K\r\n`), line);
  }
});
