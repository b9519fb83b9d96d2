import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
// @ts-types="@types/pg"
import pg from "pg";
import { copy, csv } from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";
import { freshDatabase, sharedPostgres, type TestDatabase, testPostgres } from "../_postgres.ts";
import { invariants, type State } from "./_invariants.ts";
import { begin, load, Made } from "./_made.ts";
import { Session } from "./_messages.ts";
import { after, type Chaos, Proxy } from "./_proxy.ts";
import { KEEPING, Killer } from "./_revive.ts";
import { soak } from "./_soak.ts";

const postgres = await sharedPostgres();

const old = new Made(1), made = new Made(2, 20_000), next = new Made(3);
const before: State = { table: [old], ledger: [old] };
const loaded: State = { table: [made], ledger: [old, made] };

Deno.test("a load that begins while the server is down and starts up waits for it", async () => {
  await using server = await testPostgres({ settings: KEEPING });
  await using killer = new Killer(server);
  await begin(server, old);
  await killer.kill();
  const [copied] = await Promise.all([load(server.url, made), killer.revive()]);
  assert.equal(copied.rows, made.rows);
  await invariants(server, [loaded]);
});

Deno.test("a load for which there is no connection free waits for one", async () => {
  await using database = await freshDatabase();
  const role = `crowded_${crypto.randomUUID().slice(0, 8)}`;
  await begin(database, old);
  await database.query(
    `CREATE ROLE ${role} LOGIN CONNECTION LIMIT 1; ALTER TABLE t OWNER TO ${role};
     GRANT ALL ON SCHEMA public, sluice TO ${role}; GRANT ALL ON ALL TABLES IN SCHEMA sluice TO ${role};
     GRANT ALL ON ALL SEQUENCES IN SCHEMA sluice TO ${role}`,
  );
  try {
    const url = database.url.replace("tester@", `${role}@`);
    const other = new pg.Client(url);
    await other.connect();
    const loading = load(url, made);
    loading.catch(() => {});
    await sleep(300);
    await other.end();
    assert.equal((await loading).rows, made.rows);
    await invariants(database, [loaded]);
  } finally {
    await database.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  }
});

/** Ways between us and the server that are bad, and not so bad that a load could not be done. */
const WAYS: Record<string, (connection: number) => Chaos> = {
  "in slices of a byte": () => ({ slice: 1 }),
  "slowly": () => ({ delay: 2 }),
  "cut before the server is reached": (n) => n < 2 ? { up: after(0, "cut") } : {},
  "cut before the server has let us in": (n) => n < 2 ? { down: after(9, "cut") } : {},
};

for (const [what, chaos] of Object.entries(WAYS)) {
  Deno.test(`a way to Postgres ${what}: all is loaded`, async () => {
    await using database = await freshDatabase();
    await begin(database, old);
    await using proxy = new Proxy(postgres.port, chaos);
    await load(proxy.of(database.url), next);
    await invariants(database, [{ table: [next], ledger: [old, next] }]);
  });
}

/** Loads by way of a proxy that swallows all from somewhere on, gives up, and leaves the server in the belief that we live. */
async function vanish(database: TestDatabase, proxy: Proxy, gone: () => boolean): Promise<void> {
  const abort = new AbortController();
  const ctx = testContext({
    connection: () => Promise.resolve({ url: proxy.of(database.url) }),
    signal: abort.signal,
  });
  const loading = perform(csv(), ctx, made.stream())
    .then((batches) => perform(copy({ table: "t", key: made.key }), ctx, batches));
  loading.catch(() => {});
  while (!gone()) await sleep(10);
  await sleep(50);
  abort.abort(new Error("gone"));
  await assert.rejects(loading, new Error("gone"));
}

Deno.test("a client that is lost without a word while it copies holds up neither readers nor the next load", async () => {
  await using database = await freshDatabase();
  await begin(database, old);
  const swallow = after(200_000, "hole");
  let swallowed = false;
  const up = (bytes: Uint8Array) => {
    const then = swallow(bytes);
    swallowed ||= then !== undefined;
    return then;
  };
  {
    await using proxy = new Proxy(postgres.port, () => ({ up }));
    await vanish(database, proxy, () => swallowed);
    const [held] = await database.query(
      "SELECT FROM pg_stat_activity WHERE query LIKE 'COPY%' AND state = 'active' AND datname = current_database()",
    );
    assert.ok(held, "the server does not know yet");
    const began = performance.now();
    assert.equal((await database.query("SELECT FROM t")).length, old.rows);
    await load(database.url, next);
    assert.equal((await database.query("SELECT FROM t")).length, next.rows);
    assert.ok(performance.now() - began < 15_000);
  }
  await invariants(database, [{ table: [next], ledger: [old, next] }]);
});

Deno.test({
  name:
    "a client that is lost without a word while it holds the table loses it within half a minute",
  ignore: !soak,
  async fn() {
    await using database = await freshDatabase();
    await begin(database, old);
    const whole = new Session();
    {
      await using proxy = new Proxy(postgres.port, () => whole);
      await load(proxy.of(database.url), made);
    }
    await begin(database, old);
    // Its lock is taken, and the next thing it says does not come.
    const index = whole.client.length - 3;
    const session = new Session({ side: "client", index, when: "before" }, "hole");
    await using proxy = new Proxy(postgres.port, () => session);
    await vanish(database, proxy, () => session.client.length > index);
    const began = performance.now();
    assert.equal((await database.query("SELECT FROM t")).length, old.rows);
    const waited = performance.now() - began;
    assert.ok(waited > 1000 && waited < 35_000, `a reader waited for ${waited} ms`);
    await invariants(database, [before]);
  },
});

Deno.test("what a server says that is none is an error, and nothing is left", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const served = (async () => {
    for await (const connection of listener) {
      await connection.read(new Uint8Array(1000));
      await connection.write(new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n"));
      connection.close();
    }
  })();
  await assert.rejects(
    load(`postgres://tester@127.0.0.1:${listener.addr.port}/x?sslmode=disable`, old),
    /^Error: Cannot connect to Postgres at 127\.0\.0\.1:\d+ as "tester"/,
  );
  listener.close();
  await served;
});
