import assert from "node:assert/strict";
import { BUGS } from "./_simulation_bugs.ts";
import { Broken, simulate, type Summary } from "./_simulation.ts";

/** All seeds there are, of which a tenth is enough from day to day. */
const SEEDS = 2000;
const STEP = Deno.env.get("SLUICE_SOAK") === "1" ? 1 : 10;
/** With how many seeds a bug must show. */
const ENOUGH = 60;

/** Lets an engine live through a seed, and says which it was that it did not survive. */
async function live(seed: number): Promise<Summary> {
  try {
    return await simulate(seed);
  } catch (cause) {
    throw new Error(`Seed ${seed}: ${(cause as Error).message}`, { cause });
  }
}

Deno.test(`no rule is broken in any of ${SEEDS / STEP} simulated lives`, async () => {
  const lives: Summary[] = [];
  for (let seed = STEP; seed <= SEEDS; seed += STEP) lives.push(await live(seed));
  const sum = (of: keyof Summary): number => lives.reduce((sum, one) => sum + one[of], 0);
  const [tasks, runs, attempts] = [sum("tasks"), sum("runs"), sum("attempts")];
  const [crashes, jumps, pauses, clears] = [
    sum("crashes"),
    sum("jumps"),
    sum("pauses"),
    sum("clears"),
  ];
  console.log(
    `${lives.length} seeds: ${tasks} tasks, ${runs} runs, ${attempts} attempts, ${crashes} crashes, ` +
      `${jumps} clock jumps, ${pauses} pauses, ${clears} clears`,
  );
  assert.ok(lives.every(({ tasks }) => tasks >= 10), "each has ten tasks at least");
  for (const many of [crashes, jumps, pauses, clears]) assert.ok(many >= lives.length / 2);
});

Deno.test("seeds that have found a bug of the engine once find none", async () => {
  for (const seed of [1118, 1471, 1472, 1502, 1532]) await live(seed);
});

for (const bug of BUGS) {
  Deno.test(`a bug is found: ${bug}`, async () => {
    for (let seed = 1; seed <= ENOUGH; seed++) {
      const found = await simulate(seed, { bug }).then(() => undefined, (error) => error);
      if (found === undefined) continue;
      assert.ok(found instanceof Broken || found instanceof assert.AssertionError, found);
      return;
    }
    assert.fail(`${ENOUGH} seeds have not shown it`);
  });
}

Deno.test("a seed always makes the same life", async () => {
  const trace = async (): Promise<string[]> => {
    const lines: string[] = [];
    await simulate(3, { trace: (line) => void lines.push(line) });
    return lines;
  };
  assert.deepEqual(await trace(), await trace());
});
