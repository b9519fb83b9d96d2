import assert from "node:assert/strict";
import { Shop, WAYS } from "./_by_hand.ts";
import { refusal } from "./_sluice.ts";

const range = "--from 2021-01-02 --to 2021-01-05";
const days = [1, 2, 3, 4].map((day) => `backfill__2021010${day}T230000Z`);

for (const way of WAYS) {
  Deno.test(`backfill makes what is missing, and runs again what it is told to: ${way}`, async () => {
    await using shop = await Shop.open(way);
    await shop.says("pause daily");
    const dry = await shop.tells(`backfill daily ${range} --dry-run`);
    assert.equal(
      dry.stdout,
      `  make  Sat 2021-01-02 00:00  until Sun 2021-01-03 00:00
  make  Sun 2021-01-03 00:00  until Mon 2021-01-04 00:00
  make  Mon 2021-01-04 00:00  until Tue 2021-01-05 00:00
  make  Tue 2021-01-05 00:00  until Wed 2021-01-06 00:00
4 runs of daily to make, 0 to run again; times are those of Europe/Berlin
`,
    );
    assert.match((await shop.says(`backfill daily ${range}`, 2)).stderr, /say --yes to do it/);
    const made = await shop.json(`backfill daily ${range} --reverse --max-active-runs 1 --yes`);
    assert.deepEqual(made.runs, days.toReversed());
    assert.deepEqual([made.dag, made.dry_run, made.clear, made.skip], ["daily", false, [], []]);
    assert.match(made.id, /^[0-9a-f-]{36}$/);
    const { reasons } = await shop.look(`why ${days[0]} work`);
    assert.match(reasons[0], /^Its DAG "daily" is paused/);
    const again = await shop.json(`backfill daily ${range} --yes`);
    assert.deepEqual([again.id, again.create, again.runs, again.skip.length], [null, [], [], 4]);
    const { stdout } = await shop.says("unpause daily");
    assert.match(stdout, /: 3 runs start /, "what the backfill made is not made again");
    if (!shop.serves) await shop.serve();
    for (const day of days) assert.equal(await shop.settled(day), "success");
  });

  Deno.test(`backfill --wait ends as its runs do: ${way}`, async () => {
    await using shop = await Shop.open(way);
    if (shop.serves) {
      await shop.says("unpause daily");
      // Those that the schedule makes by itself would be in the way.
      await shop.settled("scheduled__20210106T230000Z");
      for (const day of days) await shop.settled(day.replace("backfill", "scheduled"));
    }
    const again = shop.serves ? "--reprocess completed" : "";
    const words = `backfill daily ${range} ${again} --yes --wait`.replace("  ", " ");
    const { state, ended } = await shop.json(
      `${words} --param fail=2021-01-03`,
      shop.serves ? 0 : 1,
    );
    assert.equal(ended.length, 4);
    if (shop.serves) return assert.equal(state, "success", "runs that are there keep their params");
    assert.equal(state, "failed");
    const states = ended.map((run: { state: string }) => run.state);
    assert.deepEqual(states, ["success", "failed", "success", "success"]);
    const failed = await shop.look(`backfill daily ${range} --reprocess failed --dry-run`);
    assert.deepEqual(failed.clear, ["backfill__20210102T230000Z"]);
    const { stdout, stderr } = await shop.says(
      `backfill daily ${range} --reprocess failed --yes --wait`,
      1,
    );
    assert.equal(stdout, "daily: failed, 1 run of which 1 failed\n");
    assert.match(
      stderr,
      /^backfill__20210102T230000Z {2}failed\n {2}work {2}failed .* 2 attempts {2}bad day$/m,
    );
  });
}

Deno.test("backfill refuses what has no intervals, and words it does not know", async () => {
  await using shop = await Shop.open(WAYS[1]);
  const cases: readonly [string, RegExp][] = [
    [`backfill nope ${range}`, /"nope"/],
    [`backfill shop ${range}`, /no schedule that says which intervals there are/],
    [`backfill daily --from 2021-01-03 --to 2021-01-02`, /2021-01-02/],
    [`backfill daily --from 2021-01-03`, /--to is missing/],
    [`backfill daily ${range} --reprocess some`, /one of none, failed, completed, missing/],
    [`backfill daily ${range} --max-active-runs 0`, /1 or more/],
  ];
  for (const [words, sentence] of cases) {
    assert.match(refusal(await shop.tells(`${words} --json`, 2), 2), sentence, words);
  }
});
