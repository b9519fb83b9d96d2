import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { CopyOptions } from "../../operators/mod.ts";
import { testPostgres } from "../_postgres.ts";
import { invariants, type State } from "./_invariants.ts";
import { begin, load, Made } from "./_made.ts";
import { KEEPING, Killer } from "./_revive.ts";
import { random, soak } from "./_soak.ts";

const WAYS: readonly Partial<CopyOptions>[] = [
  { mode: "replace" },
  { mode: "append" },
  { mode: "merge", on: ["v", "n"] },
  { mode: "replace", parallel: 2 },
];

for (const [what, kills] of [["backend", soak ? 100 : 6], ["postmaster", soak ? 60 : 4]] as const) {
  Deno.test(`a ${what} that is killed at ${kills} random points of a load: the table is old or new, and the retry exact`, async () => {
    await using server = await testPostgres({ settings: KEEPING });
    await using killer = new Killer(server);
    const dice = random(what.length);
    let lost = 0, kept = 0;
    const old = new Made(1);
    // The shortest that was seen: what was once slow is not to put off all kills until too late.
    let duration = Infinity;
    for (let i = 0; i < kills; i++) {
      const options = WAYS[i % WAYS.length]!;
      await begin(server, old);
      const made = new Made(2, 30_000);
      if (i === 0) {
        const began = performance.now();
        await load(server.url, made, { table: "measured" });
        duration = performance.now() - began;
      }
      const before: State = { table: [old], ledger: [old] };
      const table = options.mode === "replace" ? [made] : [old, made];
      const after: State = { table, ledger: [old, made] };
      const began = performance.now();
      const outcome = load(server.url, made, options).then(() => {
        duration = Math.min(duration, performance.now() - began);
      }, (error: Error) => error);
      await sleep(dice() * duration * 0.8);
      if (what === "postmaster") {
        await killer.kill();
        await sleep(dice() * 300);
        await killer.revive();
      } else {
        const [session] = await server.query<{ pid: number }>(
          "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'sluice%' ORDER BY random() LIMIT 1",
        );
        try {
          if (session) Deno.kill(session.pid, "SIGKILL");
        } catch { /* it has just ended */ }
      }
      const failure = await outcome;
      await sleep(20); // a server that has just lost a backend may not know it yet
      await killer.ready();
      if (failure) {
        lost++;
        assert.match(failure.message, /^Cannot (load into "t"|connect to Postgres at )/);
        assert.ok(failure.cause instanceof Error);
        const unknown = /whether it took effect is not known/.test(failure.message);
        await invariants(server, unknown ? [before, after] : [before], { leftovers: true });
      } else {
        kept++;
      }
      await load(server.url, made, options);
      await invariants(server, [after]);
    }
    console.log(`${kills} kills of a ${what}: ${lost} loads were lost, ${kept} kept`);
    assert.ok(lost > 0);
  });
}
