import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { openState } from "../../engine/_state_database.ts";
import { file, type Run, type Store } from "../../engine/mod.ts";
import { folder, smallDisk } from "./_folder.ts";
import { attempted, created, moved, storeConformance, take } from "./_store_conformance.ts";

const APPENDER = new URL("_appender.ts", import.meta.url).pathname;

storeConformance("file", async () => {
  const home = await folder();
  const store = await file(home.path);
  let disposed: Promise<void> | undefined;
  const dispose = async (): Promise<void> => {
    await store[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  };
  return { ...store, [Symbol.asyncDispose]: () => disposed ??= dispose() };
});

/** Starts a process that appends, and waits until it has the folder. */
async function startAppender(home: string): Promise<Deno.ChildProcess> {
  const args = ["run", "-A", "--no-check", APPENDER, home, "other", "1", "100000"];
  const child = new Deno.Command(Deno.execPath(), { args, stdout: "piped" }).spawn();
  const said = child.stdout.getReader();
  await said.read();
  said.releaseLock();
  return child;
}

async function kill(child: Deno.ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  await child.stdout.cancel();
  await child.status;
}

/** The files of a folder and their SHA-256, but for what SQLite leaves when it has only read. */
async function contents(path: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const { name } of Deno.readDirSync(path)) {
    const bytes = await Deno.readFile(join(path, name));
    if (name.endsWith("-shm") || name.endsWith("-wal") && bytes.length === 0) continue;
    files[name] = createHash("sha256").update(bytes).digest("hex");
  }
  return files;
}

Deno.test("what was kept is there when the store is opened again", async () => {
  await using home = await folder();
  const parts: [Run | undefined, unknown][] = [];
  for (let n = 0; n < 3; n++) {
    await using store = await file(n % 2 ? pathToFileURL(home.path) : home.path);
    if (n === 0) {
      await store.append("a", 0, [created("a"), moved("a", "running"), attempted("a", "load", 1)]);
      await store.setDag({ id: "taxi", version: 0, paused: true });
    }
    parts.push([await store.get("a"), [await store.dags(), await take(store, 3, 0)]]);
  }
  assert.equal(parts[0]![0]?.version, 3);
  assert.deepEqual(parts[1], parts[0]);
  assert.deepEqual(parts[2], parts[0]);
});

Deno.test("a home folder and its state are their owner's alone", async () => {
  await using parent = await folder();
  const home = join(parent.path, "new", "home");
  await using store = await file(home);
  await store.append("a", 0, [created("a")]);
  const mode = (path: string): string => (Deno.statSync(path).mode! & 0o777).toString(8);
  assert.equal(mode(home), "700");
  for (const name of ["state.db", "state.db-wal", "state.db-shm", "engine.json"]) {
    assert.equal(mode(join(home, name)), "600", name);
  }
});

Deno.test("what comes together is committed together", async () => {
  await using home = await folder();
  await using store = await file(home.path);
  const written = async (append: () => Promise<unknown>): Promise<number> => {
    const size = (): number => Deno.statSync(join(home.path, "state.db-wal")).size;
    const before = size();
    await append();
    return size() - before;
  };
  const one = await written(() => store.append("a", 0, [created("a")]));
  const all = await written(() =>
    Promise.all(Array.from({ length: 50 }, (_, i) => store.append(`b${i}`, 0, [created(`b${i}`)])))
  );
  assert.ok(all < 10 * one, `50 appends wrote ${all} bytes, one ${one}`);
});

Deno.test("what was handed in before the store is disposed of is kept", async () => {
  await using home = await folder();
  const store = await file(home.path);
  const appended = store.append("a", 0, [created("a")]);
  await store[Symbol.asyncDispose]();
  await store[Symbol.asyncDispose]();
  assert.equal(await appended, true);
  await assert.rejects(store.append("b", 0, [created("b")]));
  await using again = await file(home.path);
  assert.equal((await again.get("a"))?.version, 1);
  assert.equal(await again.get("b"), undefined);
});

Deno.test("a folder has one writer; when that dies, the next begins at once", async () => {
  await using home = await folder();
  const child = await startAppender(home.path);
  await assert.rejects(
    file(home.path),
    new RegExp(`Cannot write to ".*": process ${child.pid} does`),
  );
  const info = join(home.path, "engine.json");
  await Deno.writeTextFile(info, `{"pid":${child.pid},"address":"http://127.0.0.1:8080"}`);
  await assert.rejects(file(home.path), /process \d+ \(http:\/\/127\.0\.0\.1:8080\) does/);
  await kill(child);
  {
    await using _store = await file(home.path);
    await assert.rejects(file(home.path), new RegExp(`process ${Deno.pid} does`));
  }
  await assert.rejects(Deno.stat(info), Deno.errors.NotFound);
});

Deno.test("a reader looks while another process writes, and cannot write itself", async () => {
  await using home = await folder();
  const child = await startAppender(home.path);
  try {
    await using store = await file(home.path, { mode: "read" });
    const events = await take(store, 20, 0);
    const attempts = events.flatMap((event) =>
      event.type === "task_changed" ? [event.to.attempt] : []
    );
    assert.deepEqual(attempts, Array.from({ length: 19 }, (_, i) => i + 2));
    const more = await take(store, 3);
    assert.ok(more[0]!.seq > events.at(-1)!.seq);
    for (let i = 0; i < 200; i++) {
      // A run and its tasks are of one moment.
      const { version, tasks } = (await store.list({ dag: "taxi" }))[0]!;
      assert.equal(Math.max(tasks.a!.attempt, tasks.b!.attempt), version);
    }
    for (
      const write of [
        () => store.append("a", 0, [created("a")]),
        () => store.setDag({ id: "a", version: 0, paused: true }),
        () => store.forget("2100-01-01T00:00:00Z"),
      ]
    ) await assert.rejects(write, /Cannot write to ".*": it was opened for reading/);
  } finally {
    await kill(child);
  }
  await using store = await file(home.path, { mode: "read" });
  assert.ok((await store.get("other_0"))!.version > 20);
});

Deno.test("a reader of a folder without state is told so, and makes none", async () => {
  await using home = await folder();
  await assert.rejects(file(home.path, { mode: "read" }), /nothing was written to it yet/);
  assert.deepEqual(await contents(home.path), {});
});

/** Fills a store with a few pages of everything. */
async function fill(home: string): Promise<string> {
  await using store = await file(home);
  for (let i = 0; i < 60; i++) {
    const params = { text: "x".repeat(i * 50) };
    await store.append(`r${i}`, 0, [created(`r${i}`, { params }), moved(`r${i}`, "running")]);
  }
  return join(home, "state.db");
}

Deno.test("a state that a newer version wrote is refused, and stays as it is", async () => {
  await using home = await folder();
  const path = await fill(home.path);
  const database = new DatabaseSync(path);
  database.exec("PRAGMA user_version = 99");
  database.close();
  const before = await contents(home.path);
  for (const mode of ["write", "read"] as const) {
    await assert.rejects(
      file(home.path, { mode }),
      /a newer version of Sluice wrote it, in format 99, and this one knows 1 at most/,
    );
  }
  assert.deepEqual(await contents(home.path), before);
});

for (
  const [what, damage] of [
    ["is no database", (bytes) => bytes.fill(120)],
    ["was cut off", (bytes) => bytes.subarray(0, bytes.length - 4096 * 3)],
    ["has a page of zeros", (bytes) => bytes.fill(0, 4096 * 2, 4096 * 3)],
    ["has a page of noise", (bytes) => crypto.getRandomValues(bytes.subarray(4096, 8192)) && bytes],
    ["has lost its header", (bytes) => bytes.fill(0, 0, 100)],
  ] satisfies [string, (bytes: Uint8Array<ArrayBuffer>) => Uint8Array][]
) {
  Deno.test(`a state that ${what} is refused, and stays as it is`, async () => {
    await using home = await folder();
    const path = await fill(home.path);
    await Deno.writeFile(path, damage(await Deno.readFile(path)));
    const before = await contents(home.path);
    for (const mode of ["write", "read"] as const) {
      await assert.rejects(file(home.path, { mode }), (error: Error) => {
        assert.match(error.message, /Cannot open ".*state\.db": it is damaged \(.+\)\. Nothing/);
        assert.match(error.message, /`sluice state check`/);
        return true;
      });
    }
    assert.deepEqual(await contents(home.path), before);
  });
}

const FORMATS = [
  "CREATE TABLE a (x TEXT)",
  "ALTER TABLE a ADD COLUMN y TEXT; UPDATE a SET y = x || '!'",
  "INSERT INTO a VALUES ('new', 'new')",
];

/** A database of the first format, with something in it. */
function first(path: string): void {
  const database = openState(path, "write", FORMATS.slice(0, 1));
  database.exec("INSERT INTO a VALUES ('old')");
  database.close();
}

function rows(database: DatabaseSync): unknown[] {
  try {
    return database.prepare("SELECT * FROM a").all().map((row) => ({ ...row }));
  } finally {
    database.close();
  }
}

Deno.test("a state of an older format is brought to the newest, after a copy was made", async () => {
  await using home = await folder();
  const path = join(home.path, "state.db");
  first(path);
  assert.throws(() => openState(path, "read", FORMATS), /an older version of Sluice wrote it/);
  // What an earlier try left behind.
  await Deno.writeTextFile(`${path}.v1.bak.new`, "half");
  const expected = [{ x: "old", y: "old!" }, { x: "new", y: "new" }];
  for (const mode of ["write", "write", "read"] as const) {
    assert.deepEqual(rows(openState(path, mode, FORMATS)), expected);
  }
  assert.equal(Deno.statSync(`${path}.v1.bak`).mode! & 0o777, 0o600);
  assert.deepEqual(rows(new DatabaseSync(`${path}.v1.bak`)), [{ x: "old" }]);
  assert.deepEqual(Object.keys(await contents(home.path)).sort(), ["state.db", "state.db.v1.bak"]);
});

Deno.test("a state that cannot be brought to the newest format stays as it was", async () => {
  await using home = await folder();
  const path = join(home.path, "state.db");
  first(path);
  const broken = [...FORMATS.slice(0, 2), "INSERT INTO missing VALUES (1)"];
  assert.throws(() => openState(path, "write", broken), /Cannot open ".*": no such table: missing/);
  assert.deepEqual(rows(openState(path, "write", FORMATS.slice(0, 1))), [{ x: "old" }]);
  assert.equal(rows(openState(path, "write", FORMATS)).length, 2);
});

Deno.test("a full disk refuses appends, and they go on once there is room", async () => {
  await using disk = await smallDisk(1_500_000);
  if (!disk) return;
  const ballast = join(disk.path, "ballast");
  await Deno.writeFile(ballast, new Uint8Array(700_000));
  const kept: string[] = [];
  let refused = 0;
  const fill = async (store: Store, until: number): Promise<void> => {
    for (let i = kept.length; refused < until && i < 1000; i++) {
      const params = { text: "x".repeat(5000) };
      try {
        await store.append(`r${i}`, 0, [created(`r${i}`, { params })]);
        kept.push(`r${i}`);
      } catch (error) {
        refused++;
        assert.match((error as Error).message, /Cannot write to ".*": the disk is full\. Nothing/);
      }
    }
  };
  const ids = async (store: Store): Promise<string[]> =>
    (await store.list()).map(({ id }) => id).sort();
  {
    await using store = await file(disk.path);
    await fill(store, 3);
    assert.equal(refused, 3);
    assert.deepEqual(await ids(store), kept.toSorted());
    await Deno.remove(ballast);
    await store.append("more", 0, [created("more")]);
    assert.equal(refused, 3);
    kept.push("more");
    assert.deepEqual(await ids(store), kept.toSorted());
  }
  await using store = await file(disk.path);
  assert.deepEqual(await ids(store), kept.toSorted());
});
