import assert from "node:assert/strict";
import type { CopyOptions } from "../../operators/mod.ts";
import { freshDatabase, sharedPostgres } from "../_postgres.ts";
import { invariants, type State } from "./_invariants.ts";
import { load, Made } from "./_made.ts";
import { type Place, Session } from "./_messages.ts";
import { Proxy } from "./_proxy.ts";
import { soak } from "./_soak.ts";

const postgres = await sharedPostgres();

const WAYS: readonly Partial<CopyOptions>[] = [
  { mode: "replace" },
  { mode: "append" },
  { mode: "merge", on: ["v", "n"] },
  { mode: "partition", slice: { column: "v", from: 2, to: 3 } },
  { mode: "replace", parallel: 2 },
];
/** Where time is short, one in so many places is tried, beside all those around COMMIT. */
const STRIDE = soak ? 1 : 12;

for (const options of WAYS) {
  const way = `${options.mode}${options.parallel ? ", in parallel" : ""}`;

  Deno.test(`a session that is cut before and behind each message from the end of the rows on: ${way}`, async () => {
    await using database = await freshDatabase();
    const old = new Made(1), made = new Made(2);
    const reset = async (): Promise<void> => {
      await load(database.url, old);
      await database.query(`DELETE FROM sluice.loads WHERE load_key <> '${old.key}'`);
    };
    const before: State = { table: [old], ledger: [old] };
    const after: State = {
      table: options.mode === "replace" ? [made] : [old, made],
      ledger: [old, made],
    };
    await reset();
    const whole = new Session();
    {
      await using proxy = new Proxy(postgres.port, (connection) => connection === 0 ? whole : {});
      await load(proxy.of(database.url), made, options);
    }
    await invariants(database, [after]);
    let told = 0, lost = 0, kept = 0;
    for (const place of placesOf(whole)) {
      await reset();
      const session = new Session(place);
      const said: string[] = [];
      await using proxy = new Proxy(
        postgres.port,
        (connection) => connection === 0 ? session : {},
      );
      const at = `${JSON.stringify(place)} ${whole[place.side].join("")}`;
      const failure = await load(proxy.of(database.url), made, options, said)
        .then(() => undefined, (error: Error) => error);
      if (failure) {
        assert.match(failure.message, /^Cannot load into "t": the connection with Postgres/, at);
        await invariants(database, [before], { leftovers: options.parallel !== undefined });
        lost++;
      } else {
        kept++;
        if (said.some((line) => line.startsWith("the answer to COMMIT was lost"))) told++;
      }
      // A load that is done again, whatever became of it, is there once.
      const again = await load(database.url, made, options);
      if (!failure && options.mode === "append") assert.equal(again.unchanged, true, at);
      await invariants(database, [after]);
    }
    // Both have to have happened, or else nothing was tried.
    console.log(`cut at ${lost + kept} places: ${lost} loads were lost, ${kept} kept`);
    assert.ok(lost > 2 && told > 0, `${lost} were lost, ${told} were told of by the ledger`);
  });
}

/** The places to try, from the end of the rows on; where they went over other sessions, from the transaction after them. */
function placesOf({ client, server }: Session): Place[] {
  // What ends is BEGIN, the turn, the steps, COMMIT, and the session.
  const rows = client.indexOf("c");
  const first = rows < 0 ? client.length - 6 : rows;
  const commit = client.length - 2;
  // Each question is answered by messages up to a Z.
  const answers = server.flatMap((type, i) => type === "Z" ? [i + 1] : []);
  const all: (Place & { near: boolean })[] = [];
  for (const when of ["before", "behind"] as const) {
    for (let index = first; index < client.length; index++) {
      all.push({ side: "client", index, when, near: index >= commit });
    }
    for (let index = answers.at(first - client.length)!; index < server.length; index++) {
      all.push({ side: "server", index, when, near: index >= answers.at(-2)! });
    }
  }
  return all.filter(({ near }, i) => near || i % STRIDE === 0);
}
