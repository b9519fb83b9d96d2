import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { copy, type CopyOptions } from "../../operators/mod.ts";
// @ts-types="@types/pg"
import pg from "pg";
import { perform, testContext } from "../_context.ts";
import { freshDatabase, sharedPostgres, type TestDatabase } from "../_postgres.ts";
import { load, nothingLeft, rows } from "./_load.ts";
import { chunked } from "./_read_csv.ts";

await sharedPostgres();

/** When a proxy cuts the first connection: before COMMIT is passed on, just after, or when it was answered. */
type Cut = "before" | "after" | "answered";

/** Passes connections on to a server; the first one it cuts at its COMMIT, and then `meanwhile` happens. */
function proxy(database: TestDatabase, cut: Cut, meanwhile = async () => {}) {
  const target = new URL(database.url), port = Number(target.port);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const ends: Deno.Conn[] = [];
  let connections = 0;
  const close = (...all: Deno.Conn[]) => {
    for (const end of all) {
      try {
        end.close();
      } catch { /* it is */ }
    }
  };
  async function write(to: Deno.Conn, bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
  }
  async function serve(front: Deno.Conn, first: boolean): Promise<void> {
    const back = await Deno.connect({ hostname: "127.0.0.1", port });
    ends.push(front, back);
    let committing = false;
    const answered = Promise.withResolvers<void>();
    const up = async () => {
      const buffer = new Uint8Array(1 << 16);
      for (let n; (n = await front.read(buffer)) !== null;) {
        const bytes = buffer.subarray(0, n);
        // A query of its own: Q, its length, the text, a zero.
        committing ||= first && new TextDecoder().decode(bytes).endsWith("Q\0\0\0\x0bCOMMIT\0");
        if (committing && cut === "before") break;
        await write(back, bytes);
        if (!committing) continue;
        if (cut === "answered") await answered.promise;
        break;
      }
      close(front);
      if (committing) await meanwhile();
      close(back);
    };
    const down = async () => {
      const buffer = new Uint8Array(1 << 16);
      for (let n; (n = await back.read(buffer)) !== null;) {
        if (committing) answered.resolve();
        else await write(front, buffer.subarray(0, n));
      }
      if (!committing) close(front);
    };
    await Promise.allSettled([up(), down()]);
  }
  const served = (async () => {
    const all: Promise<void>[] = [];
    for await (const front of listener) all.push(serve(front, connections++ === 0));
    await Promise.all(all);
  })();
  target.port = String(listener.addr.port);
  target.searchParams.set("sslmode", "disable");
  return {
    url: target.href,
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      listener.close();
      close(...ends);
      await served;
    },
  };
}

async function run(
  url: string,
  text: string,
  options: Partial<CopyOptions> = {},
): Promise<{ rows: number; said: string[] }> {
  const said: string[] = [];
  const say = (message: string): void => void said.push(message);
  const ctx = testContext({
    connection: () => Promise.resolve({ url }),
    log: { info: say, warn: say, error: say },
  });
  const { rows } = await perform(copy({ table: "t", ...options }), ctx, chunked(text));
  return { rows, said };
}

/** Waits until somebody waits for a lock. */
async function someoneWaits(database: TestDatabase): Promise<void> {
  const waiting = `SELECT FROM pg_stat_activity
    WHERE wait_event_type = 'Lock' AND datname = current_database()`;
  for (let tries = 0; tries < 1000; tries++) {
    if ((await database.query(waiting)).length > 0) return;
    await sleep(20);
  }
  assert.fail("nobody waits for a lock");
}

const MODES: readonly Partial<CopyOptions>[] = [
  { mode: "replace" },
  { mode: "append" },
  { mode: "merge", on: ["a"] },
  { mode: "partition", slice: { column: "a", from: 2, to: 3 } },
  { mode: "append", parallel: 2 },
];

for (const options of MODES) {
  const what = `${options.mode}${options.parallel ? ", in parallel" : ""}`;
  const after = options.mode === "replace" ? ["(2)"] : ["(1)", "(2)"];

  Deno.test(`a COMMIT that was cut off before the server had it is a load to do again: ${what}`, async () => {
    await using database = await freshDatabase();
    await load(database, "a\n1\n");
    await using way = proxy(database, "before");
    await assert.rejects(
      run(way.url, "a\n2\n", options),
      /^Error: Cannot load into "t": the connection with Postgres was lost \(.*\)\. The server rolls back what was not committed; try again/,
    );
    assert.deepEqual(await rows(database), ["(1)"]);
    await run(database.url, "a\n2\n", options);
    assert.deepEqual(await rows(database), after);
    await nothingLeft(database);
  });

  for (const cut of ["after", "answered"] as const) {
    Deno.test(`a COMMIT that the server had is a load that is done, whoever heard the answer: ${what}, ${cut}`, async () => {
      await using database = await freshDatabase();
      await load(database, "a\n1\n");
      await using way = proxy(database, cut);
      const { rows: n, said } = await run(way.url, "a\n2\n", options);
      assert.equal(n, 1);
      assert.match(
        said.at(-1)!,
        /^the answer to COMMIT was lost; the ledger has it: committed at 20/,
      );
      assert.deepEqual(await rows(database), after);
      await nothingLeft(database);
    });
  }
}

Deno.test("what the ledger says is not believed before the lost session is over", async () => {
  await using database = await freshDatabase();
  await load(database, "a\n1\n");
  let heard = false;
  // The server does not hear of the cut for a while: it goes on waiting for COMMIT.
  await using way = proxy(database, "before", async () => {
    await sleep(300);
    heard = true;
  });
  await assert.rejects(run(way.url, "a\n2\n"), /was lost/);
  assert.ok(heard);
  assert.deepEqual(await rows(database), ["(1)"]);
});

Deno.test("without a ledger it is said that nobody knows", async () => {
  await using database = await freshDatabase();
  const role = `poor_${crypto.randomUUID().slice(0, 8)}`;
  await database.query(`CREATE ROLE ${role} LOGIN; GRANT CREATE ON SCHEMA public TO ${role}`);
  try {
    await using way = proxy(database, "answered");
    await assert.rejects(
      run(way.url.replace("tester@", `${role}@`), "a\n2\n"),
      /lost at its COMMIT, and whether it took effect is not known, since there is no ledger; look at the table/,
    );
    assert.deepEqual(await rows(database), ["(2)"]);
  } finally {
    await database.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  }
});

Deno.test("a server that cannot be asked again leaves it open, and says where to look", async () => {
  await using database = await freshDatabase();
  await load(database, "a\n1\n");
  await using way = proxy(database, "answered");
  let asked = 0;
  const connection = () => Promise.resolve({ url: asked++ ? `${database.url}x` : way.url });
  await assert.rejects(
    perform(copy({ table: "t" }), testContext({ connection }), chunked("a\n2\n")),
    /whether it took effect is not known: .* does not exist.* It did if sluice\.loads has fence 2 for test\/test\/2021/,
  );
});

Deno.test("others who hold the table are waited for so long and no longer", async () => {
  await using database = await freshDatabase();
  await load(database, "a\n1\n");
  const client = new pg.Client(database.url);
  await client.connect();
  try {
    await client.query("BEGIN; LOCK TABLE t IN ACCESS SHARE MODE");
    const began = performance.now();
    const loading = load(database, "a\n2\n", { patience: { seconds: 1 } });
    loading.catch(() => {});
    // Readers who come while it waits do not wait as long.
    await someoneWaits(database);
    assert.deepEqual(await rows(database), ["(1)"]);
    const error = await loading.then(() => undefined, (error: Error) => error);
    assert.match(
      error?.message ?? "",
      /^Cannot load into "t": others have held the table for 2 s \(pg_locks tells who\), which is all the patience there was/,
    );
    assert.ok(performance.now() - began < 20_000);
  } finally {
    await client.end();
  }
  await nothingLeft(database);
});

Deno.test("a deadlock is tried again", async () => {
  await using database = await freshDatabase();
  await database.query("CREATE TABLE u (a int PRIMARY KEY); INSERT INTO u VALUES (1)");
  await database.query("CREATE TABLE t (a int REFERENCES u)");
  await database.query(
    "ALTER DATABASE " + new URL(database.url).pathname.slice(1) + " SET deadlock_timeout = '50ms'",
  );
  const other = new pg.Client(database.url);
  await other.connect();
  try {
    // It holds t's sister and wants t, as the load holds t and wants its sister.
    await other.query("BEGIN; LOCK TABLE u IN ACCESS EXCLUSIVE MODE");
    const loading = load(database, "a\n1\n");
    loading.catch(() => {});
    await someoneWaits(database);
    // Whoever is told of the deadlock gives way; the load tries again.
    await other.query("LOCK TABLE t IN SHARE MODE").catch(() => {});
    await other.query("ROLLBACK");
    await loading;
  } finally {
    await other.end();
  }
  assert.deepEqual(await rows(database), ["(1)"]);
  await nothingLeft(database);
});
