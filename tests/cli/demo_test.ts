import assert from "node:assert/strict";
import { freshDatabase, sharedPostgres } from "../_postgres.ts";
import { document, refusal, Sluice } from "./_sluice.ts";

await sharedPostgres();

Deno.test("the demonstration and the Postgres that comes along", async (t) => {
  await using sluice = new Sluice();
  // It must not be taken: nobody is there.
  const env = { DATABASE_URL: "postgres://nobody@127.0.0.1:1/nowhere" };
  const start = (args: string[]) => sluice.run(args, { env, patience: 60_000 });

  await t.step("shows three tables, their columns, the rate, and how to open psql", async () => {
    const { code, stdout, stderr } = await start(["demo", "--rows", "2000"]);
    assert.equal(code, 0, stderr);
    const lines = stdout.trimEnd().split("\n");
    assert.match(
      lines[0]!,
      /^yellow_taxi: success, 3 runs, 6,000 rows in \d[^(]* s \([\d,]+ rows\/s\)$/,
    );
    assert.deepEqual(lines.slice(1, 4), [
      "  yellow_taxi_2021_01  2,000 rows",
      "  yellow_taxi_2021_02  2,000 rows",
      "  yellow_taxi_2021_03  2,000 rows",
    ]);
    assert.equal(lines[4], "each with 18 columns:");
    assert.equal(lines.length, 5 + 18);
    assert.equal(lines[6], "  tpep_pickup_datetime   timestamp");
    assert.match(stderr, /^Making a Postgres in /m);
    assert.match(
      stderr,
      /\n {2}deno task db start\n {2}PGPASSWORD=.* psql -h 127\.0\.0\.1 -p \d+ /,
    );
    assert.equal((await start(["db", "url"])).code, 2);
  });

  await t.step("gives the document of run with --json", async () => {
    const outcome = await start(["demo", "--rows", "2000", "--json"]);
    const { dag, state, runs } = document(outcome);
    assert.deepEqual([dag, state], ["yellow_taxi", "success"]);
    assert.deepEqual(
      runs.map(({ tasks }: { tasks: { output: { rows: number } }[] }) => tasks[1]!.output.rows),
      [2000, 2000, 2000],
    );
  });

  await t.step("leaves what is there to others: db start, url, stop", async () => {
    const url = refusal(await start(["db", "url"]), 2);
    assert.match(url, /does not run.*deno task db start/);
    const told = await start(["db", "start"]);
    assert.equal(told.code, 0, told.stderr);
    assert.match(told.stdout, /deno task db stop/);
    const psql = /PGPASSWORD.*psql .*/.exec(told.stdout)![0];
    const { url: where } = document(await start(["db", "url", "--json"]));
    assert.equal((await start(["db", "url"])).stdout, `${where}\n`);
    const file = sluice.file("x.csv", "a\n1\n2\n");
    const loaded = await sluice.run(["load", file, "--into", "two", "--json"]);
    assert.equal(document(loaded).rows, 2, loaded.stderr);
    // What the demonstration loaded is there, and what was loaded now, beside it.
    const sql = "SELECT count(*) + (SELECT count(*) FROM two) FROM yellow_taxi_2021_03";
    if (await hasPsql()) {
      const { stdout } = await new Deno.Command("sh", { args: ["-c", `${psql} -Atc '${sql}'`] })
        .output();
      assert.equal(new TextDecoder().decode(stdout), "2002\n");
    }
    assert.match((await start(["db", "stop"])).stdout, /stopped/);
    assert.deepEqual(document(await start(["db", "stop", "--json"])), { stopped: false });
    assert.equal((await start(["db", "url"])).code, 2);
  });

  await t.step("names commands that a shell takes, whatever the home is called", async () => {
    const home = `${sluice.folder}/it's a home`;
    const { stderr } = await sluice.run(["load", "x.csv", "--into", "two", "--home", home]);
    const [, words] = /^ {2}deno task (db start .*)$/m.exec(stderr)!;
    const args = ["-c", `printf '%s\n' ${words}`];
    const { stdout } = await new Deno.Command("sh", { args }).output();
    assert.equal(new TextDecoder().decode(stdout), `db\nstart\n--home\n${home}\n`);
  });

  await t.step("takes a table for its own only where it was told to", async () => {
    const { code, stdout, stderr } = await sluice.run(["load", "x.csv", "--into", "two"]);
    assert.equal(code, 0);
    assert.match(stdout, /^two: 2 rows/);
    assert.match(
      stderr,
      /^Look at it in the Postgres that Sluice brought along:\n {2}deno task db start\n/m,
    );
  });
});

Deno.test("the demonstration loads into the Postgres it is given", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  const { code, stdout, stderr } = await sluice.run(["demo", "--rows", "10", "--database", db.url]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /yellow_taxi_2021_01 {2}10 rows/);
  assert.ok(stderr.includes(`psql '${db.url}`), stderr);
  const [row] = await db.query("SELECT count(*)::int AS n FROM yellow_taxi_2021_02");
  assert.deepEqual(row, { n: 10 });
});

async function hasPsql(): Promise<boolean> {
  return await new Deno.Command("psql", { args: ["--version"], stdout: "null" }).output()
    .then(({ success }) => success, () => false);
}
