import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { Bytes } from "../../engine/mod.ts";
import { copy, type CopyOptions, csv } from "../../operators/mod.ts";
// @ts-types="@types/pg"
import pg from "pg";
import { perform, testContext } from "../_context.ts";
import { freshDatabase, sharedPostgres, type TestDatabase } from "../_postgres.ts";
import { chunked } from "./_read_csv.ts";

await sharedPostgres();

/** Loads CSV into `t`. */
async function load(
  database: TestDatabase,
  bytes: Bytes,
  options: Partial<CopyOptions> = {},
  signal?: AbortSignal,
) {
  const ctx = testContext({
    connection: () => Promise.resolve({ url: database.url }),
    ...signal ? { signal } : {},
  });
  const batches = await perform(csv(), ctx, bytes);
  return await perform(copy({ table: "t", key: crypto.randomUUID(), ...options }), ctx, batches);
}

const MODES = ["replace", "append"] as const;
const LINES = new TextEncoder().encode("12345678,some text or other\n".repeat(9000));

/** A file of 250 KB a chunk; after `chunks` of them, what `then` does. */
function file(
  chunks: number,
  then: (controller: ReadableStreamDefaultController) => void | Promise<void>,
) {
  let pulled = 0;
  let cancelled: unknown;
  const stream: Bytes = new ReadableStream({
    async pull(controller) {
      if (pulled === 0) controller.enqueue(new TextEncoder().encode("a,b\n"));
      await sleep(0); // as sources do, it lets others have their turn
      if (pulled++ < chunks) return controller.enqueue(LINES.slice());
      await then(controller);
    },
    cancel: (reason) => void (cancelled = reason),
  }, { highWaterMark: 0 });
  return { stream, pulled: () => pulled, cancelled: () => cancelled };
}

/** A database whose table `t` has one row, which must still be alone there after each failure. */
async function prepared(): Promise<TestDatabase & { untouched(): Promise<void> }> {
  const database = await freshDatabase();
  await load(database, chunked("a,b\n1,old\n"));
  return {
    ...database,
    async untouched() {
      assert.deepEqual(await database.query("SELECT * FROM t"), [{ a: 1, b: "old" }]);
      const tables = await database.query(
        "SELECT relname FROM pg_class WHERE relname LIKE 'sluice%'",
      );
      assert.deepEqual(tables, []);
      await until(async () => (await sessions(database)).length === 0);
    },
  };
}

function sessions(database: TestDatabase) {
  return database.query<{ pid: number; wait: string; query: string }>(
    `SELECT pid, wait_event_type AS wait, query FROM pg_stat_activity
     WHERE application_name LIKE 'sluice%' AND datname = current_database()`,
  );
}

async function until(true_: () => Promise<boolean> | boolean): Promise<void> {
  for (let tries = 0; tries < 1000; tries++) {
    if (await true_()) return;
    await sleep(20);
  }
  assert.fail(`never: ${true_}`);
}

/** Holds a lock on `t` until disposed of. */
async function lock(database: TestDatabase, mode: string): Promise<AsyncDisposable> {
  const client = new pg.Client(database.url);
  await client.connect();
  await client.query(`BEGIN; LOCK TABLE t IN ${mode} MODE`);
  return { [Symbol.asyncDispose]: () => client.end() };
}

for (const mode of MODES) {
  Deno.test(`a source that fails in the middle leaves the table as it was: ${mode}`, async () => {
    await using database = await prepared();
    const { stream } = file(20, (controller) => controller.error(new Error("the line was cut")));
    await assert.rejects(load(database, stream, { mode }), new Error("the line was cut"));
    await database.untouched();
  });

  Deno.test(`a bad record late in the file leaves the table as it was: ${mode}`, async () => {
    await using database = await prepared();
    const { stream, cancelled } = file(20, (controller) => {
      controller.enqueue(new TextEncoder().encode("x,y,z\n"));
      controller.close();
    });
    await assert.rejects(load(database, stream, { mode }), {
      name: "GiveUp",
      message: /^Cannot read CSV: line 180002 has 3 fields, expected 2; --ragged pad/,
    });
    await database.untouched();
    assert.equal(cancelled(), undefined, "it had ended by itself");
  });

  Deno.test(`an abort ends a load at once: ${mode}`, async () => {
    await using database = await prepared();
    const reason = new Error("enough");
    // While it copies; while the source says nothing more; before it begins.
    for (const chunks of [Infinity, 20, 0]) {
      const abort = new AbortController();
      const silence = Promise.withResolvers<void>();
      const { stream, pulled, cancelled } = file(chunks, () => silence.promise);
      const loading = load(database, stream, { mode }, abort.signal);
      loading.catch(() => {});
      await until(() => pulled() > Math.min(chunks, 20));
      const from = performance.now();
      abort.abort(reason);
      await assert.rejects(loading, reason);
      assert.ok(performance.now() - from < 10_000);
      silence.resolve();
      await until(() => cancelled() !== undefined);
      await database.untouched();
    }
    const { stream, cancelled } = file(1, () => {});
    await assert.rejects(load(database, stream, { mode }, AbortSignal.abort(reason)), reason);
    await until(() => cancelled() === reason);
    await database.untouched();
  });

  Deno.test(`a backend that is lost fails the load and nothing else: ${mode}`, async () => {
    await using database = await prepared();
    const { stream, cancelled } = file(Infinity, () => {});
    const loading = load(database, stream, { mode });
    loading.catch(() => {});
    let pid: number | undefined;
    await until(async () => {
      pid = (await sessions(database)).find(({ query }) => query.startsWith("COPY"))?.pid;
      return pid !== undefined;
    });
    await database.query("SELECT pg_terminate_backend($1)", [pid]);
    await assert.rejects(loading, (error: Error) => {
      assert.match(error.message, /^Cannot load into "t": /);
      assert.ok(error.cause instanceof Error);
      return true;
    });
    await until(() => cancelled() !== undefined);
    await database.untouched();
  });

  Deno.test(`a connection that is cut fails the load and nothing else: ${mode}`, async () => {
    await using database = await prepared();
    const url = new URL(database.url), port = Number(url.port);
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const ends: Deno.Conn[] = [];
    const relay = (async () => {
      const front = await listener.accept();
      const back = await Deno.connect({ hostname: "127.0.0.1", port });
      ends.push(front, back);
      const pass = (from: Deno.Conn, to: Deno.Conn) =>
        from.readable.pipeTo(to.writable).catch(() => {});
      await Promise.all([pass(front, back), pass(back, front)]);
    })();
    url.port = String(listener.addr.port);
    url.searchParams.set("sslmode", "disable");
    const { stream, pulled, cancelled } = file(Infinity, () => {});
    const loading = load({ ...database, url: url.href }, stream, { mode });
    loading.catch(() => {});
    await until(() => pulled() > 20);
    for (const end of ends) end.close();
    await assert.rejects(
      loading,
      /^Error: Cannot load into "t": the connection with Postgres was lost \(.+\)\. The server rolls back/,
    );
    await relay;
    await until(() => cancelled() !== undefined);
    await database.untouched();
  });

  Deno.test(`a load waits for who holds the table, and goes on when it is free: ${mode}`, async () => {
    await using database = await prepared();
    let loading: Promise<unknown>;
    {
      await using _lock = await lock(database, mode === "append" ? "SHARE" : "ACCESS SHARE");
      loading = load(database, chunked("a,b\n2,new\n"), { mode });
      await until(async () => (await sessions(database)).some(({ wait }) => wait === "Lock"));
      await sleep(mode === "replace" ? 2500 : 100); // beyond the first try
      assert.deepEqual(await database.query("SELECT * FROM t"), [{ a: 1, b: "old" }]);
    }
    await loading;
    const now = await database.query("SELECT a FROM t");
    assert.deepEqual(now, mode === "append" ? [{ a: 1 }, { a: 2 }] : [{ a: 2 }]);
  });

  Deno.test(`an abort ends the wait for a lock: ${mode}`, async () => {
    await using database = await prepared();
    const abort = new AbortController();
    {
      await using _lock = await lock(database, "ACCESS EXCLUSIVE");
      const loading = load(database, chunked("a,b\n2,new\n"), { mode }, abort.signal);
      loading.catch(() => {});
      await until(async () => (await sessions(database)).some(({ wait }) => wait === "Lock"));
      const from = performance.now();
      abort.abort(new Error("enough"));
      await assert.rejects(loading, new Error("enough"));
      assert.ok(performance.now() - from < 10_000);
    }
    await database.untouched();
  });

  Deno.test(`two loads of a new table at once both succeed: ${mode}`, async () => {
    await using database = await freshDatabase();
    for (let i = 0; i < 5; i++) {
      await database.query("DROP TABLE IF EXISTS t");
      await Promise.all([1, 2, 3].map((n) => load(database, chunked(`a\n${n}\n`), { mode })));
      const now = await database.query<{ a: number }>("SELECT a FROM t ORDER BY a");
      if (mode === "append") assert.deepEqual(now.map(({ a }) => a), [1, 2, 3]);
      else assert.equal(now.length, 1);
      await Promise.all([4, 5].map((n) => load(database, chunked(`a\n${n}\n`), { mode })));
      const [row] = await database.query("SELECT count(*)::int AS count, max(a) > 3 AS new FROM t");
      assert.deepEqual(row, { count: mode === "append" ? 5 : 1, new: true });
    }
  });
}

Deno.test("a database that takes nothing stops the source, and it goes on when that is over", async () => {
  await using database = await prepared();
  const chunks = 80; // 20 MB
  const { stream, pulled } = file(chunks, (controller) => controller.close());
  let loading: Promise<{ rows: number }>;
  {
    await using _lock = await lock(database, "SHARE");
    loading = load(database, stream, { mode: "append" });
    await until(async () => (await sessions(database)).some(({ wait }) => wait === "Lock"));
    for (let before = -1; before !== pulled(); await sleep(300)) before = pulled();
    assert.ok(pulled() * LINES.length < 8_000_000, `${pulled() * LINES.length} bytes were pulled`);
  }
  assert.equal((await loading).rows, chunks * 9000);
  const [row] = await database.query(
    "SELECT count(*)::int AS n, count(DISTINCT b)::int AS texts FROM t",
  );
  assert.deepEqual(row, { n: chunks * 9000 + 1, texts: 2 });
});

Deno.test("what the server refuses at the end leaves the table as it was", async () => {
  await using database = await prepared();
  await database.query("ALTER TABLE t ADD UNIQUE (a)");
  for (const mode of MODES) {
    await assert.rejects(load(database, chunked("a,b\n7,x\n7,y\n"), { mode }), {
      message:
        'Cannot load into "t": Postgres says: duplicate key value violates unique constraint "t_a_key" (23505). ' +
        "Key (a)=(7) already exists. All was rolled back: the table is as it was",
    });
    await database.untouched();
  }
});

Deno.test("a connection that cannot be had cancels the source", async () => {
  const { stream, cancelled } = file(Infinity, () => {});
  const ctx = testContext({ connection: () => Promise.reject(new Error("there is none")) });
  const batches = await perform(csv(), ctx, stream);
  await assert.rejects(perform(copy({ table: "t" }), ctx, batches), new Error("there is none"));
  await until(() => cancelled() !== undefined);
});

Deno.test("a type of the table's name is no table, and is told at once", async () => {
  await using database = await freshDatabase();
  await database.query("CREATE TYPE t AS ENUM ('x')");
  for (const mode of MODES) {
    await assert.rejects(
      load(database, chunked("a\n1\n"), { mode }),
      /^Error: Cannot load into "t": Postgres says: type "t" already exists/,
    );
  }
});
