import assert from "node:assert/strict";
import { Shop, WAYS } from "./_by_hand.ts";
import { refusal } from "./_sluice.ts";

const bad = "trigger shop --wait --param fail=true --date 2021-01-02";
const run = "manual__20210102T000000Z";

for (const way of WAYS) {
  Deno.test(`mark says what became of tasks and runs: ${way}`, async () => {
    await using shop = await Shop.open(way);
    await shop.says(bad, 1);
    const instances = [{ run_id: run, task: "load", index: 1 }];
    const dry = await shop.look(`mark ${run} load[1] success --dry-run`);
    assert.deepEqual(dry, {
      run_id: run,
      to: "success",
      dry_run: true,
      state: "failed",
      instances,
    });
    const { state, ...marked } = await shop.json(`mark ${run} load[1] success`);
    assert.deepEqual(marked, { run_id: run, to: "success", dry_run: false, instances });
    if (!shop.serves) {
      assert.equal(state, "queued");
      await shop.serve();
    }
    // What came behind it could not run for it.
    assert.equal(await shop.settled(run), "success");
    assert.match((await shop.tells(`why ${run} load[1]`)).stdout, /^It succeeded .*\(marked\)/);
    assert.match(
      (await shop.tells(`why ${run} report`)).stdout,
      /^It succeeded in attempt 1 at [^(]+$/,
    );
    assert.equal((await shop.says(`mark ${run} failed`)).stdout, `${run} is marked as failed\n`);
    assert.equal(await shop.settled(run), "failed");
    const cases: readonly [string, RegExp][] = [
      ["mark nope failed", /nope/],
      [`mark ${run} nope failed`, /"nope".*load\[0\] to load\[1\]/],
      [`mark ${run} load`, /the last word is success or failed, not "load"/],
      [`mark ${run}`, /RUN/],
    ];
    await Promise.all(cases.map(async ([words, sentence]) => {
      assert.match(refusal(await shop.tells(`${words} --json`, 2), 2), sentence, words);
    }));
  });
}

Deno.test("a run that waits is over as soon as it is marked, also while nobody serves", async () => {
  await using shop = await Shop.open(WAYS[1]);
  for (const to of ["success", "failed"]) {
    const { run_id } = await shop.json("trigger slow");
    assert.equal((await shop.json(`mark ${run_id} ${to}`)).state, to);
  }
});
