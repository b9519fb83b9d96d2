// What refused records cost, and what several connections bring: `deno task bench:rejects [PAIRS]`. Prints tables.
import { demoMonth, MONTHS } from "../cli/_demo_data.ts";
import { build } from "../cli/build.ts";
import { testPostgres } from "../tests/_postgres.ts";
import { type Cost, measure, median } from "./_measure.ts";

const PAIRS = Number(Deno.args[0] ?? 7);

/** The columns whose types are declared: values of others are never refused. */
const TYPES = {
  "VendorID": "integer",
  "tpep_pickup_datetime": "timestamp",
  "passenger_count": "integer",
  "trip_distance": "double precision",
  "total_amount": "double precision",
};

/** What becomes of each hundredth record, in turn: five kinds of what is refused when it is read. */
const SPOIL: readonly ((record: string) => string)[] = [
  (record) => record.replace(/^[^,]*/, "N/A"),
  (record) => record.replace(/^([^,]*),[^,]*/, "$1,2021-02-30 00:00:00"),
  (record) => `${record},more`,
  (record) => record.slice(0, record.lastIndexOf(",")),
  (record) => record.replace(/^([^,]*)/, '"$1"?'),
];

/** Of a load that is longer, in which what the start costs is of less weight. */
const MONTHS_LONG = 3;

/** Writes a month, so many times, of which each hundredth record is changed. */
async function writeMonths(
  path: string,
  change: (record: string, n: number) => string,
  months: number,
): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true, truncate: true });
  const decoder = new TextDecoder(), encoder = new TextEncoder();
  for (let month = 0; month < months; month++) {
    let rest = "", line = 0;
    for (const chunk of demoMonth("2021-01")) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop()!;
      const changed = lines.map((text) => line++ % 100 === 50 ? change(text, line) : text);
      if (month > 0 && line === lines.length) changed.shift(); // the header
      const bytes = encoder.encode(changed.map((text) => `${text}\n`).join(""));
      for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
    }
  }
}

/** One way to load, and what it cost so far. */
interface Way {
  readonly name: string;
  readonly file: string;
  readonly flags: readonly string[];
  readonly costs: Cost[];
}

const folder = await Deno.makeTempDir({ prefix: "sluice-bench-" });
await build(`${folder}/dist`);
/** Writes a file of each kind, of so many months. */
async function files(
  months: number,
): Promise<{ clean: string; spoilt: string; forbidden: string }> {
  const path = (name: string) => `${folder}/${name}_${months}.csv`;
  const [clean, spoilt, forbidden] = [path("clean"), path("spoilt"), path("forbidden")];
  await writeMonths(clean, (record) => record, months);
  await writeMonths(
    spoilt,
    (record, n) => SPOIL[Math.floor(n / 100) % SPOIL.length]!(record),
    months,
  );
  await writeMonths(forbidden, (record) => record.replace(/[^,]*$/, "-100"), months);
  return { clean, spoilt, forbidden };
}
const month = await files(1), long = await files(MONTHS_LONG);
// What it does by itself would count for the load that is under way.
await using db = await testPostgres({ settings: { autovacuum: "off" } });
const kept = ["--max-rejects", "2%", "--rejects", `${folder}/rejects.jsonl`];
const way = (name: string, file: string, ...flags: string[]): Way => ({
  name,
  file,
  flags,
  costs: [],
});

/** Two ways, the second to be told in shares of the first. */
interface Comparison {
  readonly title: string;
  readonly before?: string;
  readonly pair: readonly [Way, Way];
}

/** What refused records cost in files of a size. */
const refused = ({ clean, spoilt, forbidden }: typeof month, size: string): Comparison[] => [
  {
    title: `${size}: one record in a hundred refused when it is read`,
    pair: [way("none is", clean), way("1 % are", spoilt, ...kept)],
  },
  {
    title: `${size}: one record in a hundred refused by a check of the table`,
    before: `TRUNCATE checked`,
    pair: [
      way("none is", clean, "--mode", "append", ...kept),
      way("1 % are", forbidden, "--mode", "append", ...kept),
    ],
  },
];
const COMPARED: readonly Comparison[] = [
  ...refused(month, "A month"),
  ...refused(long, `${MONTHS_LONG} months in one file`),
  {
    title: "A month over two connections",
    pair: [way("one", month.clean), way("two", month.clean, "--parallel", "2")],
  },
];

async function load({ file, flags }: Way, before?: string): Promise<Cost> {
  if (before) await db.query(before);
  const into = before ? "checked" : "bench";
  const types = Object.entries(TYPES).flatMap(([name, type]) => ["--type", `${name}=${type}`]);
  const args = [
    "load",
    file,
    "--into",
    into,
    "--database",
    db.url,
    "--home",
    `${folder}/home`,
    "--json",
    ...types,
  ];
  return await measure([`${folder}/dist/sluice`, ...args, ...flags], db.pid());
}

/** What two loads cost on average. */
function mean(one: Cost, other: Cost): Cost {
  const of = (what: keyof Cost) => (one[what] + other[what]) / 2;
  return { wall: of("wall"), client: of("client"), server: of("server"), peak: of("peak") };
}

try {
  await load(COMPARED[0]!.pair[0]);
  await db.query(
    `CREATE TABLE checked (LIKE bench); ALTER TABLE checked ADD CHECK (congestion_surcharge > -100)`,
  );
  console.log(
    `${
      MONTHS["2021-01"].toLocaleString("en-US")
    } records × 18 columns of plain CSV; ${PAIRS} pairs of two loads each, the first not ` +
      `counted; medians.`,
  );
  for (const { title, before, pair } of COMPARED) {
    for (let n = -1; n < PAIRS; n++) {
      // One before and one behind the two of the other, so that a machine whose speed changes is fair to both.
      const [outer, inner] = n % 2 ? pair : pair.toReversed() as [Way, Way];
      const first = await load(outer, before), second = await load(inner, before);
      const costs = [
        mean(second, await load(inner, before)),
        mean(first, await load(outer, before)),
      ];
      if (n >= 0) [inner, outer].forEach((way, i) => way.costs.push(costs[i]!));
    }
    console.log(
      `\n## ${title}\n\n|  | wall | CPU, client | CPU, server |\n| --- | --- | --- | --- |`,
    );
    for (const { name, costs } of pair) {
      const cells = (["wall", "client", "server"] as const).map((what) =>
        `${median(costs.map((cost) => cost[what])).toFixed(2)} s`
      );
      console.log(`| ${[name, ...cells].join(" | ")} |`);
    }
    const cpu = ({ client, server }: Cost) => client + server;
    const ratio = (of: (cost: Cost) => number) =>
      median(pair[1].costs.map((cost, i) => of(cost) / of(pair[0].costs[i]!))).toFixed(3);
    console.log(
      `\nThe second in shares of the first: CPU ${ratio(cpu)}, wall ${ratio(({ wall }) => wall)}.`,
    );
  }
} finally {
  await Deno.remove(folder, { recursive: true });
}
