import assert from "node:assert/strict";
import { Shop, WAYS } from "./_by_hand.ts";
import { refusal } from "./_sluice.ts";

for (const way of WAYS) {
  Deno.test(`why gives the scheduler's reasons, and only looks: ${way}`, async () => {
    await using shop = await Shop.open(way);
    if (!shop.serves) {
      const nothing = await shop.tells("why manual__20210102T000000Z list --json", 2);
      assert.match(refusal(nothing, 2), /Nothing has run in this home folder yet/);
    }
    await shop.says("pause slow");
    const { run_id } = await shop.json("trigger slow");
    const paused = `Its DAG "slow" is paused: nothing of it starts until it is unpaused.`;
    const nobody =
      "No `serve` runs in this home folder: what no process is at goes on with the next " +
      "`deno task serve`.";
    const reasons = [paused, ...shop.serves ? [] : [nobody]];
    const { stdout } = await shop.tells(`why ${run_id} wait`);
    assert.equal(stdout, `${reasons.join("\n")}\n`);
    assert.deepEqual(await shop.look(`why ${run_id} wait`), {
      run_id,
      state: "queued",
      task: "wait",
      reasons,
    });
    const unknown = await shop.tells(`why ${run_id} nope --json`, 2);
    assert.match(refusal(unknown, 2), /"nope" in run .*: it has setup, wait, tidy/);
    assert.match(refusal(await shop.tells("why nope wait --json", 2), 2), /"nope"/);
  });
}

Deno.test("why tells of a run that a living `run` is at", async () => {
  await using shop = await Shop.open(WAYS[1]);
  const running = shop.sluice.start(["run", "slow"]);
  for (let reason = ""; !/^It runs: attempt 1 began/.test(reason);) {
    const outcome = await shop.sluice.run(["logs", "x"]);
    const run = /the last ones are: "(manual__\w+)"/.exec(outcome.stderr)?.[1];
    if (run) ({ stdout: reason } = await shop.sluice.run(["why", run, "wait"]));
  }
  running.kill("SIGINT");
  assert.equal((await running.ended).code, 130);
});
