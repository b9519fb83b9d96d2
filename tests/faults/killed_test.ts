import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { CopyOptions } from "../../operators/mod.ts";
import { serve, Sluice } from "../cli/_sluice.ts";
import { freshDatabase, sharedPostgres } from "../_postgres.ts";
import { invariants, type State } from "./_invariants.ts";
import { begin, load, Made } from "./_made.ts";
import { random, soak } from "./_soak.ts";

await sharedPostgres();

/** How rows are loaded, and whether there is a table before. */
const WAYS: readonly (readonly [there: boolean, options: Partial<CopyOptions>])[] = [
  [true, { mode: "replace" }],
  [true, { mode: "append" }],
  [true, { mode: "merge", on: ["v", "n"] }],
  [true, { mode: "replace", parallel: 2 }],
  [false, { mode: "append", parallel: 2 }],
  [false, { mode: "replace", staging: "committed" }],
  [false, { mode: "merge", on: ["v", "n"], duplicates: "fail", staging: "committed" }],
  [false, { mode: "append", staging: "committed" }],
];

function flags(
  { key }: Made,
  { mode, on = [], duplicates, parallel, staging }: Partial<CopyOptions>,
): string[] {
  return [
    ...["--key", key, "--mode", mode!, ...on.flatMap((column) => ["--on", column])],
    ...duplicates ? ["--duplicates", duplicates] : [],
    ...parallel ? ["--parallel", String(parallel)] : [],
    ...staging ? ["--staging", staging] : [],
  ];
}

const KILLS = soak ? 200 : 24;

Deno.test(`a load that is killed at ${KILLS} random points: the table is old or new, and the retry exact`, async () => {
  await using sluice = new Sluice();
  const old = new Made(1), made = new Made(2, 40_000);
  await using server = serve(() => new Response(made.bytes));
  let next = 0;
  const count = { before: 0, after: 0, leftovers: 0 };

  /** Kills loads one after the other, in a database of its own. */
  async function kill(seed: number): Promise<void> {
    const dice = random(seed);
    await using database = await freshDatabase();
    // The shortest that was seen: what was once slow is not to put off all kills until too late.
    let duration = Infinity;
    while (next < KILLS) {
      const [there, options] = WAYS[next++ % WAYS.length]!;
      await begin(database, old);
      if (!there) await database.query("DROP TABLE t; TRUNCATE sluice.loads");
      const first = there ? [old] : [];
      const before: State = { table: there ? first : undefined, ledger: first };
      const table = options.mode === "replace" ? [made] : [...first, made];
      const after: State = { table, ledger: [...first, made] };
      const command = sluice.start(
        ["load", server.url, "--into", "t", "--database", database.url, ...flags(made, options)],
        { patience: 120_000 },
      );
      let ended = false, began = Infinity, killed = false;
      command.ended.catch(() => {}).then(() => {
        ended = true;
        if (!killed && began < Infinity) duration = Math.min(duration, performance.now() - began);
      });
      // From its first word with the database on.
      while (!ended && !await atWork(database)) await sleep(5);
      began = performance.now();
      if (duration < Infinity) {
        await sleep(dice() * duration * 1.1);
        killed = !ended;
        command.kill("SIGKILL");
      }
      await command.ended;
      const which = await invariants(database, [before, after], { leftovers: true });
      count[which === 0 ? "before" : "after"]++;
      const [row] = await database.query("SELECT count(*)::int AS n FROM sluice.staging");
      if (row!["n"] !== 0) count.leftovers++;
      await load(database.url, made, options);
      await invariants(database, [after]);
    }
  }

  await Promise.all([kill(1), kill(2)]);
  console.log(
    `${KILLS} kills: the table was old ${count.before} times, new ${count.after} times; ` +
      `${count.leftovers} times a staging table was left to the next load`,
  );
  assert.ok(count.before > 0);
});

async function atWork(database: { query(sql: string): Promise<unknown[]> }): Promise<boolean> {
  const sessions = await database.query(
    "SELECT FROM pg_stat_activity WHERE application_name LIKE 'sluice%' AND datname = current_database()",
  );
  return sessions.length > 0;
}
