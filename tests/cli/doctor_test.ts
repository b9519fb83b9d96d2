import assert from "node:assert/strict";
import { file } from "../../engine/mod.ts";
import { freshDatabase, sharedPostgres } from "../_postgres.ts";
import { document, Sluice } from "./_sluice.ts";

await sharedPostgres();

interface Check {
  readonly name: string;
  readonly state: string;
  readonly message: string;
  readonly advice?: string;
}

/** What the doctor says of one thing. */
function about(checks: readonly Check[], name: string): string {
  return checks.filter((check) => check.name === name)
    .map(({ state, message, advice = "" }) => `${state}: ${message}; ${advice}`).join("\n");
}

Deno.test("doctor finds a machine well, and changes nothing", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  const outcome = await sluice.run(["doctor", "--json", "--database", db.url]);
  const { ok, checks } = document(outcome);
  assert.equal(outcome.code, 0, outcome.stdout);
  assert.equal(ok, true);
  const names = ["runtime", "home", "disk", "state", "database", "psql", "dags"];
  assert.deepEqual(checks.map(({ name }: Check) => name), names);
  assert.match(about(checks, "runtime"), new RegExp(`Deno ${Deno.version.deno}`));
  assert.match(about(checks, "home"), /^ok: .*home, to be made/);
  assert.match(about(checks, "disk"), /B of \d.* are free/);
  assert.match(about(checks, "database"), /^ok: Postgres \d+.* at postgres:/);
  assert.match(about(checks, "dags"), /^ok: 2 DAGs in Sluice itself/);
  assert.deepEqual([...Deno.readDirSync(sluice.folder)], []);

  await using _ = await file(sluice.home);
  const { stdout } = await sluice.run(["doctor"]);
  assert.match(stdout, /^ok +home +\S+home$/m);
  assert.match(stdout, new RegExp(`^ok +state +sound; process ${Deno.pid} writes to it$`, "m"));
  assert.match(stdout, /^ok +database +our own Postgres comes along/m);
});

Deno.test("doctor says what will not work, and what to do", async () => {
  await using sluice = new Sluice();
  sluice.file("home/state.db", "rubbish".repeat(1000));
  sluice.file("dags/broken.ts", "\nthrow new Error('not today');");
  // A port that was free a moment ago.
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const dsn = `postgres://me:hidden@127.0.0.1:${port}/x`;
  const outcome = await sluice.run(["doctor", "--json", "--database", dsn]);
  const { ok, checks } = document(outcome);
  assert.deepEqual([outcome.code, ok], [1, false]);
  assert.match(about(checks, "state"), /^fail: .*damaged.*state check/);
  assert.match(about(checks, "database"), /^fail: .*cannot be reached.*; Start it/);
  assert.match(
    about(checks, "dags"),
    /^warn: there are none; .*init.*\nfail: .*broken\.ts:2: not today/,
  );
  assert.doesNotMatch(outcome.stdout + outcome.stderr, /hidden/);

  sluice.file("taken", "a file");
  const { stdout, code } = await sluice.run([
    "doctor",
    "--home",
    "taken/home",
    "--dags",
    "nowhere",
  ]);
  assert.equal(code, 1);
  assert.match(stdout, /^fail +home +\S+taken\/home cannot be written to: .*\n +Choose another/m);
  assert.match(stdout, /^fail +dags +.*"nowhere": there is no such folder$/m);
});

Deno.test("doctor looks at each connection that the environment names, and hides their passwords", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  await using warehouse = await freshDatabase();
  const env = {
    SLUICE_CONN_WAREHOUSE: warehouse.url,
    SLUICE_CONN_GONE: "postgres://me:hidden@127.0.0.1:1/x",
    SLUICE_CONN_UNSET: "",
  };
  const given = ["doctor", "--json", "--database", db.url];
  const outcome = await sluice.run(given, { env });
  assert.equal(outcome.code, 1);
  const [own, gone, there, ...none] = about(document(outcome).checks, "database").split("\n");
  assert.match(own!, /^ok: Postgres \d/);
  assert.match(
    gone!,
    /^fail: connection "gone": postgres:.*cannot be reached: .*; Start it, or correct SLUICE_CONN_GONE$/,
  );
  assert.match(there!, /^ok: connection "warehouse": Postgres \d+.* at postgres:/);
  assert.deepEqual(none, []);
  assert.doesNotMatch(outcome.stdout + outcome.stderr, /hidden/);

  for (
    const [variable, dsn, why] of [
      ["SLUICE_CONN_GONE", "nonsense:hidden", /In SLUICE_CONN_GONE: Cannot read the address/],
      ["SLUICE_CONN_DATABASE", db.url, /In SLUICE_CONN_DATABASE: that one is given by --database/],
      ["SLUICE_CONN_Warehouse", db.url, /: another variable names the connection "warehouse", too/],
    ] as const
  ) {
    const refused = await sluice.run(given, { env: { ...env, [variable]: dsn } });
    assert.match(about(document(refused).checks, "database"), why);
    assert.doesNotMatch(refused.stdout + refused.stderr, /hidden/);
  }
});

Deno.test("each of these verbs teaches by example", async (t) => {
  await using sluice = new Sluice();
  const verbs = ["list", "show", "logs", "state", "state check", "state repair", "init", "doctor"];
  for (const verb of verbs) {
    await t.step(verb, async () => {
      const { code, stdout } = await sluice.here([...verb.split(" "), "--help"]);
      assert.equal(code, 0);
      assert.match(stdout, new RegExp(`Examples:\\n +sluice .*${verb.split(" ")[0]}`));
    });
  }
});
