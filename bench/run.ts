// Sluice beside what people use: `deno task bench [PAIRS]`. Writes results.md.
import { MONTHS } from "../cli/_demo_data.ts";
import { build } from "../cli/build.ts";
import { testPostgres } from "../tests/_postgres.ts";
import { embedded } from "./_embedded.ts";
import { type Cost, measure, median } from "./_measure.ts";
import { serveFile, writeMonths } from "./_months.ts";

const PAIRS = Number(Deno.args[0] ?? 5);
const ROWS = MONTHS["2021-01"];
const root = new URL("..", import.meta.url).pathname;

/** Debian's, that is, Postgres' own defaults, where the tests have others. */
const DEFAULTS = {
  fsync: "on",
  synchronous_commit: "on",
  full_page_writes: "on",
  wal_level: "replica",
  max_wal_senders: 10,
};
/** Those of the embedded Postgres. */
const EMBEDDED = {
  ...DEFAULTS,
  wal_level: "minimal",
  max_wal_senders: 0,
  max_wal_size: "4GB",
  checkpoint_timeout: "30min",
  shared_buffers: "128MB",
  maintenance_work_mem: "256MB",
  jit: "off",
};

const COLUMNS =
  `"VendorID" integer, "tpep_pickup_datetime" timestamp, "tpep_dropoff_datetime" timestamp,
  "passenger_count" integer, "trip_distance" double precision, "RatecodeID" integer, "store_and_fwd_flag" text,
  "PULocationID" integer, "DOLocationID" integer, "payment_type" integer, "fare_amount" double precision,
  "extra" double precision, "mta_tax" double precision, "tip_amount" double precision,
  "tolls_amount" double precision, "improvement_surcharge" double precision, "total_amount" double precision,
  "congestion_surcharge" double precision`;

const lines: string[] = [];
function say(line: string): void {
  console.log(line);
  lines.push(line);
}

function row(name: string, costs: readonly Cost[], rows: number): string {
  const wall = median(costs.map((cost) => cost.wall));
  const cells = [
    name,
    `${wall.toFixed(2)} s`,
    `${Math.min(...costs.map((cost) => cost.wall)).toFixed(2)}–${
      Math.max(...costs.map((cost) => cost.wall)).toFixed(2)
    }`,
    `${median(costs.map((cost) => cost.client)).toFixed(2)} s`,
    `${median(costs.map((cost) => cost.server)).toFixed(2)} s`,
    `${(median(costs.map((cost) => cost.peak)) / 1024).toFixed(0)} MiB`,
    `${Math.round(rows / wall / 1000)}k`,
  ];
  return `| ${cells.join(" | ")} |`;
}

const HEAD = [
  "| command | wall | min–max | CPU, client | CPU, server | peak memory | rows/s |",
  "| --- | --- | --- | --- | --- | --- | --- |",
];

async function isThere(command: string): Promise<boolean> {
  try {
    const { success } = await new Deno.Command(command, { args: ["--version"] }).output();
    return success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function pgloaderScript(dsn: string): string {
  const names = [...COLUMNS.matchAll(/"(\w+)"/g)].map(([, name]) => `"${name}"`);
  return `LOAD CSV FROM stdin (${names.map((name) => `${name} [null if blanks]`).join(", ")})
    INTO ${dsn}?tablename=bench_pgloader (${names.join(", ")})
    WITH skip header = 1, fields terminated by ',', fields optionally enclosed by '"';`;
}

const folder = await Deno.makeTempDir({ prefix: "sluice-bench-" });
try {
  await build(`${folder}/dist`);
  const month = `${folder}/month.csv.gz`;
  await writeMonths(month, 1);
  const { size } = await Deno.stat(month);
  const one = await serveFile(month);
  say("# Bench");
  say("");
  say(
    `${
      new Date().toISOString().slice(0, 10)
    }, ${navigator.hardwareConcurrency} cores, Deno ${Deno.version.deno}. ` +
      `A January of ${ROWS.toLocaleString("en-US")} rows × 18 columns, ${
        (size / 1e6).toFixed(0)
      } MB of gzip over ` +
      `loopback HTTP; ${PAIRS} pairs, one after the other in turn, the start of each process counted; medians. Written by ` +
      "`deno task bench`.",
  );

  const sluice = (
    url: string,
    dsn: string,
  ) => [
    `${folder}/dist/sluice`,
    "load",
    url,
    "--into",
    "bench_sluice",
    "--database",
    dsn,
    "--json",
  ];
  const psql = (url: string, dsn: string) => [
    "bash",
    "-c",
    `set -o pipefail; curl -sf '${url}' | gunzip | psql -q '${dsn}' -c '\\copy bench_psql from stdin with (format csv, header)'`,
  ];
  /** What the server alone takes for it, as far as a client of one connection can have it. */
  const ready = `${folder}/ready.bin`;
  const copyReady = (dsn: string) => [
    "psql",
    "-q",
    "-v",
    "ON_ERROR_STOP=1",
    dsn,
    "-c",
    "BEGIN; CREATE TABLE bench_ready (LIKE bench_psql)",
    "-c",
    `\\copy bench_ready from '${ready}' (format binary, freeze)`,
    "-c",
    "COMMIT",
  ];

  const servers = [
    ["Postgres' defaults", () => testPostgres({ settings: DEFAULTS })],
    ["the embedded server's settings", () => testPostgres({ settings: EMBEDDED })],
    ["the embedded server", () => embedded(`${folder}/home`)],
  ] as const;
  for (const [name, open] of servers) {
    await using db = await open();
    const [version] = await db.query<{ server_version: string }>("SHOW server_version");
    const ours: Cost[] = [], theirs: Cost[] = [], least: Cost[] = [];
    for (let pair = -1; pair < PAIRS; pair++) {
      const steps = [
        async () => {
          await db.query("DROP TABLE IF EXISTS bench_sluice");
          await db.query("CHECKPOINT");
          const cost = await measure(sluice(one.url, db.url), db.pid());
          if (pair >= 0) ours.push(cost);
        },
        async () => {
          await db.query("DROP TABLE IF EXISTS bench_psql");
          await db.query(`CREATE TABLE bench_psql (${COLUMNS})`);
          await db.query("CHECKPOINT");
          const cost = await measure(psql(one.url, db.url), db.pid());
          if (pair >= 0) theirs.push(cost);
        },
      ];
      // Who goes first changes, so that neither always finds the caches warm. The first pair is not counted.
      for (const step of pair % 2 ? steps : steps.reverse()) await step();
      if (pair < 0) {
        const sql = `\\copy bench_sluice to '${ready}' (format binary)`;
        await measure(["psql", "-q", db.url, "-c", sql], db.pid());
      }
      await db.query("DROP TABLE IF EXISTS bench_ready");
      await db.query("CHECKPOINT");
      const cost = await measure(copyReady(db.url), db.pid());
      if (pair >= 0) least.push(cost);
    }
    const [{ same }] = await db.query<{ same: boolean }>(`SELECT NOT EXISTS
      (SELECT * FROM bench_sluice EXCEPT ALL SELECT * FROM bench_psql) AS same`) as [
      { same: boolean },
    ];
    if (!same) throw new Error("the two tables differ");
    const ratios = ours.map((cost, i) => theirs[i]!.wall / cost.wall);
    say("");
    say(`## With ${name} (Postgres ${version!.server_version.split(" ")[0]})`);
    say("");
    for (const line of HEAD) say(line);
    say(row("`sluice load`", ours, ROWS));
    say(row("`curl \\| gunzip \\| psql \\copy`", theirs, ROWS));
    say(row("`psql \\copy` of a file that is ready in binary, frozen", least, ROWS));
    say("");
    say(
      `Sluice is **${median(ratios).toFixed(2)}×** as fast (pairs: ${
        ratios.map((ratio) => ratio.toFixed(2)).join(", ")
      }). Both tables hold the same rows. A client to whom they cost nothing would be ${
        median(least.map((cost, i) => theirs[i]!.wall / cost.wall)).toFixed(2)
      }× as fast.`,
    );
  }

  const large = `${folder}/large.csv.gz`;
  await writeMonths(large, 10);
  const ten = await serveFile(large);
  await using db = await testPostgres({ settings: EMBEDDED });
  const small: Cost[] = [], big: Cost[] = [];
  for (let i = 0; i < 3; i++) {
    small.push(await measure(sluice(one.url, db.url), db.pid()));
    big.push(await measure(sluice(ten.url, db.url), db.pid()));
  }
  say("");
  say("## Memory, at ten times the file");
  say("");
  for (const line of HEAD) say(line);
  say(row("`sluice load`, 1 month", small, ROWS));
  say(row("`sluice load`, 10 months", big, ROWS * 10));
  say("");
  if (await isThere("pgloader")) {
    await db.query("DROP TABLE IF EXISTS bench_pgloader");
    await db.query(`CREATE TABLE bench_pgloader (${COLUMNS})`);
    const script = `${folder}/bench.load`;
    await Deno.writeTextFile(script, pgloaderScript(db.url));
    const command = `set -o pipefail; curl -sf '${one.url}' | gunzip | pgloader '${script}'`;
    const cost = await measure(["bash", "-c", command], db.pid());
    const [{ count }] = await db.query("SELECT count(*)::int FROM bench_pgloader") as [
      { count: number },
    ];
    say(`pgloader, once: ${cost.wall.toFixed(1)} s for ${count.toLocaleString("en-US")} rows.`);
  } else say("pgloader is not on this machine, so it is left out.");
  await Deno.writeTextFile(`${root}bench/results.md`, `${lines.join("\n")}\n`);
  one.worker.terminate();
  ten.worker.terminate();
} finally {
  await Deno.remove(folder, { recursive: true });
}
Deno.exit(0);
