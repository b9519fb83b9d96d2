import assert from "node:assert/strict";
import type { CopyOptions } from "../../operators/mod.ts";
import { document, refusal, serve, Sluice } from "../cli/_sluice.ts";
import { smallDisk } from "../engine/_folder.ts";
import { freshDatabase, sharedPostgres, testPostgres } from "../_postgres.ts";
import { invariants, type State } from "./_invariants.ts";
import { begin, load, Made } from "./_made.ts";
import { KEEPING, Killer } from "./_revive.ts";

const postgres = await sharedPostgres();

const old = new Made(1), made = new Made(2, 200_000);
const before: State = { table: [old], ledger: [old] };

/** Fills a disk but for so many bytes; gives the file that does. */
async function fill(path: string, leave: number): Promise<string> {
  const filler = `${path}/filler`;
  using file = await Deno.open(filler, { write: true, create: true });
  const block = new Uint8Array(1 << 20);
  const more = () => file.write(block).catch(() => 0);
  while (await more() === block.length);
  await file.truncate(Math.max(0, (await file.stat()).size - leave));
  return filler;
}

Deno.test("a disk of the database that is full fails a load at once, and it goes on once there is room", async () => {
  await using disk = await smallDisk(80_000_000);
  if (!disk) return;
  const { uid, gid } = await Deno.stat(postgres.folder);
  const site = `${disk.path}/tablespace`;
  await Deno.chmod(disk.path, 0o755);
  await Deno.mkdir(site);
  await Deno.chown(site, uid, gid);
  const space = `small_${crypto.randomUUID().slice(0, 8)}`;
  await postgres.query(`CREATE TABLESPACE ${space} LOCATION '${site}'`);
  try {
    await using database = await freshDatabase();
    const name = new URL(database.url).pathname.slice(1);
    await database.query(`ALTER DATABASE ${name} SET default_tablespace = ${space}`);
    const ways: readonly Partial<CopyOptions>[] = [
      { mode: "replace" },
      { mode: "append" },
      { mode: "merge", on: ["v", "n"], duplicates: "fail" },
      { mode: "replace", parallel: 2 },
    ];
    for (const options of ways) {
      await begin(database, old);
      const filler = await fill(disk.path, 2_000_000);
      const said: string[] = [];
      await assert.rejects(
        load(database.url, made, options, said),
        /^Error: Cannot load into "t": Postgres says: could not extend file ".*": .* \(53100\)\. .*All was rolled back: the table is as it was/,
      );
      assert.deepEqual(said.filter((line) => /again|waiting/.test(line)), [], "it was tried once");
      await invariants(database, [before]);
      await Deno.remove(filler);
      await load(database.url, made, options);
      const table = options.mode === "replace" ? [made] : [old, made];
      await invariants(database, [{ table, ledger: [old, made] }]);
    }
  } finally {
    await postgres.query(`DROP TABLESPACE ${space}`);
  }
});

Deno.test("a disk for the write-ahead log that is full stops the server, and once it is up again all is as it was", async () => {
  await using disk = await smallDisk(80_000_000);
  if (!disk) return;
  // Segments take the room that is written, and no more.
  const sparse = { wal_init_zero: "off", wal_recycle: "off" };
  const settings = { ...KEEPING, ...sparse };
  await using server = await testPostgres({ settings });
  await using killer = new Killer(server);
  await begin(server, old);
  // The log moves to the small disk while the server is down.
  await killer.kill();
  const log = `${disk.path}/pg_wal`;
  await Deno.chmod(disk.path, 0o755);
  await new Deno.Command("cp", { args: ["-a", "--sparse=always", `${server.folder}/pg_wal`, log] })
    .output();
  await Deno.remove(`${server.folder}/pg_wal`, { recursive: true });
  await Deno.symlink(log, `${server.folder}/pg_wal`);
  await killer.revive();
  const filler = await fill(disk.path, 1_000_000);
  await assert.rejects(
    load(server.url, made, { mode: "append" }),
    /^Error: Cannot load into "t": /,
  );
  await Deno.remove(filler);
  await killer.kill();
  await killer.revive();
  await invariants(server, [before]);
  await load(server.url, made, { mode: "append" });
  await invariants(server, [{ table: [old, made], ledger: [old, made] }]);
});

Deno.test("a home folder on a disk that is full fails the download, says so, and goes on once there is room", async () => {
  await using disk = await smallDisk(30_000_000);
  if (!disk) return;
  await using sluice = new Sluice();
  await using database = await freshDatabase();
  await begin(database, old);
  await using server = serve(() => new Response(made.bytes, { headers: { etag: '"2"' } }));
  sluice.file(
    "dags/kept.ts",
    `import { copy, csv, dag, http, pipe } from "sluice";
    const d = dag("kept");
    const file = d.task("download", http({ url: "${server.url}/data.csv" }));
    d.task("load", pipe(file, csv(), copy({ table: "t", key: "${made.key}" })));
    export default d;`,
  );
  const run = ["run", "kept", "--json", "--home", `${disk.path}/home`, "--database", database.url];
  const filler = await fill(disk.path, 2_000_000);
  const failed = await sluice.run(run);
  assert.equal(failed.code, 1, failed.stderr);
  assert.match(
    document(failed).runs[0].tasks[0].error,
    /^Cannot keep "http:.*\/data\.csv": it needs .* on the disk of ".*spool" there is room for/,
  );
  await invariants(database, [before]);
  await Deno.remove(filler);
  const done = await sluice.run(run);
  assert.equal(document(done).state, "success", done.stderr);
  await invariants(database, [{ table: [made], ledger: [old, made] }]);
});

Deno.test("a home folder that cannot be written is told of by its name", async () => {
  await using disk = await smallDisk(1_000_000);
  if (!disk) return;
  const { success } = await new Deno.Command("mount", {
    args: ["-o", "remount,ro", disk.path],
    stderr: "null",
  }).output();
  assert.ok(success);
  await using sluice = new Sluice();
  const file = sluice.file("x.csv", "a\n1\n");
  const home = `${disk.path}/home`;
  for (const args of [["run", "hello"], ["load", file, "--into", "t"]]) {
    const outcome = await sluice.run([...args, "--home", home, "--json"]);
    assert.match(
      refusal(outcome, 1),
      /^Cannot use ".*\/home" as home folder: Read-only file system.*Choose another$/,
    );
  }
});
