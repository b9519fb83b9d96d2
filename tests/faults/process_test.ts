import assert from "node:assert/strict";
import { document, type Outcome, serve, Sluice } from "../cli/_sluice.ts";
import { freshDatabase, sharedPostgres } from "../_postgres.ts";
import { invariants, type State } from "./_invariants.ts";
import { begin, Made } from "./_made.ts";

await sharedPostgres();

const old = new Made(1), made = new Made(2, 20_000);
const before: State = { table: [old], ledger: [old] };
const loaded: State = { table: [made], ledger: [old, made] };

/** Whether a program does here what it does elsewhere; says what is not tested where it does not. */
async function can(program: string, args: string[], what: string): Promise<boolean> {
  const works = await new Deno.Command(program, { args, stdout: "null", stderr: "null" }).output()
    .then(({ success }) => success, () => false);
  if (!works) console.log(`Not tested, for ${program} cannot be used here: ${what}`);
  return works;
}

Deno.test("with too few file descriptors a load says so, or does with those there are", async () => {
  if (!await can("prlimit", ["--nofile=64", "true"], "file descriptors that run out")) return;
  await using sluice = new Sluice();
  await using database = await freshDatabase();
  await begin(database, old);
  const file = sluice.file("x.csv", made.text);
  const args = ["load", file, "--into", "t", "--key", made.key, "--parallel", "8"];
  const outcomes: Outcome[] = [];
  // With fewer than these the runtime itself does not start.
  for (const limit of [18, 24, 32, 64, 128]) {
    const outcome = await sluice.run([...args, "--database", database.url], {
      under: ["prlimit", `--nofile=${limit}`],
    });
    outcomes.push(outcome);
    const which = await invariants(database, [before, loaded]);
    if (which === 1) break;
    assert.match(outcome.stderr, /Too many open files|EMFILE/, `${limit}: ${outcome.stderr}`);
  }
  assert.deepEqual([outcomes[0]!.code === 0, outcomes.at(-1)!.code], [false, 0]);
});

/** Syncs that fail: those of the state, those of what is kept, and some of these, which are tried again. */
const SYNCS: readonly (readonly [
  inject: string,
  code: number,
  said: RegExp,
])[] = [
  ["fsync:error=EIO:when=1+", 1, /Cannot open .*state\.db.*: disk I\/O error/],
  [
    "fdatasync:error=EIO:when=1+",
    1,
    /Cannot keep .*\/data\.csv.*: the disk of .* fails \(Input\/output error \(os error 5\)\)/,
  ],
  // Of each thread the first.
  ["fdatasync:error=EIO:when=1", 0, /"id":"download","state":"success","attempts":(?!1,)/],
];

Deno.test("a sync that the disk fails is told of, not trusted, and the next run is whole", async () => {
  if (!await can("strace", ["-o", "/dev/null", "true"], "a disk that fails to sync")) return;
  await using sluice = new Sluice();
  await using database = await freshDatabase();
  await using server = serve(() => new Response(made.bytes, { headers: { etag: '"2"' } }));
  sluice.file(
    "dags/kept.ts",
    `import { copy, csv, dag, http, pipe } from "sluice";
    const d = dag("kept", { defaults: { retryDelay: { milliseconds: 1 } } });
    const file = d.task("download", http({ url: "${server.url}/data.csv" }), { retries: 99 });
    d.task("load", pipe(file, csv(), copy({ table: "t", key: "${made.key}" })));
    export default d;`,
  );
  for (const [i, [inject, code, said]] of SYNCS.entries()) {
    await begin(database, old);
    // With a home of its own each time, for what was kept would not be kept anew.
    const home = `${sluice.folder}/home${i}`;
    const run = ["run", "kept", "--json", "--home", home, "--database", database.url];
    const trace = ["-e", `trace=${inject.split(":")[0]}`, "-e", `inject=${inject}`];
    const outcome = await sluice.run(run, {
      under: ["strace", "-f", "-qq", "-o", "/dev/null", ...trace],
      patience: 60_000,
    });
    assert.equal(outcome.code, code, outcome.stdout + outcome.stderr);
    assert.match(outcome.stdout, said);
    await invariants(database, [code === 0 ? loaded : before]);
    if (code === 0) continue;
    const done = await sluice.run(run);
    assert.equal(document(done).state, "success", done.stderr);
    await invariants(database, [loaded]);
  }
});
