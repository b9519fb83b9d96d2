/**
 * Takes the pictures of the page that README shows: `deno task screenshots`.
 *
 * They are of a real server and a real Postgres; only the past of some DAGs is made up.
 */
import { dag, pipe, type TaskState } from "../../engine/mod.ts";
import { copy, csv, decompress, http } from "../../operators/mod.ts";
import { demoServer } from "../../cli/_demo_server.ts";
import { freshDatabase, sharedPostgres } from "../_postgres.ts";
import { look, openBrowser, serve } from "./_browser.ts";
import { MONTHS } from "./_months.ts";
import { past } from "./_past.ts";

const FOLDER = new URL("../../docs/screenshots/", import.meta.url);
const DAY = 86_400_000;

await sharedPostgres();
await using database = await freshDatabase();
await using months = await demoServer();
/** Passes the months on at a pace at which they can be looked at, on whatever machine. */
await using slow = Deno.serve(
  { port: 0, hostname: "127.0.0.1", onListen() {} },
  async ({ url, headers: asked }) => {
    const { body, status, headers } = await fetch(months.url + new URL(url).pathname, {
      headers: asked,
    });
    const pace = new TransformStream<Uint8Array, Uint8Array>({
      async transform(chunk, controller) {
        await new Promise((resolve) => setTimeout(resolve, chunk.length / 1500));
        controller.enqueue(chunk);
      },
    });
    return new Response(body!.pipeThrough(pace), { status, headers });
  },
);
await using browser = await openBrowser();

const taxi = dag("yellow_taxi", {
  description: "The months of New York's yellow taxis: downloaded and loaded at the same time",
  ...MONTHS,
  tags: ["taxi"],
  params: { base: `http://127.0.0.1:${slow.addr.port}` },
});
const file = taxi.task(
  "download",
  http({ url: (run) => `${run.params.base}/yellow_tripdata_${run.strftime("%Y-%m")}.csv.gz` }),
);
taxi.task(
  "load",
  pipe(file, decompress(), csv(), copy({ table: (run) => run.strftime("yellow_taxi_%Y_%m") })),
);

const nothing = () => null;
const shop = dag("shop_warehouse", {
  description: "Orders, customers and stock of the shop, checked and put in order each day",
  schedule: "0 4 * * *",
  start: "2021-01-01",
  catchup: false,
  tags: ["critical", "shop"],
});
const begin = shop.task("begin", nothing);
const ends = ["orders", "customers", "stock"].map((name) => {
  const group = shop.group(name, (group) => {
    const extract = group.task("extract", nothing, { after: begin });
    const clean = group.task("clean", nothing, { after: extract });
    group.task("load", nothing, { after: clean });
  });
  return group;
});
const check = shop.task("check", nothing, { after: ends });
shop.task("report", nothing, { after: check });

const others = ([
  ["fx_rates", "0 * * * *", "Rates of the ECB, each hour"],
  ["weather", "*/15 * * * *", "Stations of the weather service"],
  ["invoices", "0 6 * * 1-5", "Invoices out of the books"],
  ["sessions", "@daily", "Clicks, made sessions of"],
  ["inventory", "@daily", "What lies in the stores"],
  ["newsletter", undefined, "Sent when somebody says so"],
] as const).map(([id, schedule, description], i) => {
  const tags = [["finance", "product"][i % 2]!];
  const options = { description, tags, start: "2021-01-01", catchup: false };
  const one = dag(id, schedule === undefined ? options : { ...options, schedule });
  const extract = one.task("extract", nothing);
  one.task("publish", nothing, { after: extract });
  return one;
});

await using served = await serve({
  dags: [taxi, shop, ...others],
  connections: { database: () => Promise.resolve({ url: database.url }) },
  startPaused: true,
});
const { etl, store, url } = served;
const today = Math.floor(Date.now() / DAY) * DAY;
const dates = (count: number): Date[] =>
  Array.from({ length: count }, (_, n) => new Date(today - (count - n) * DAY));

/** The stock fails now and then, and what comes after it with it. */
function shopState(run: number, task: number): TaskState {
  if (run % 17 !== 6 || task < 8) return "success";
  return task === 8 ? "failed" : "upstream_failed";
}
const secondsOf = (n: number): number => 140 + 60 * Math.sin(n / 6) + (n * 7919) % 40;
const nameOf = (id: string) => (n: number) => `scheduled__${id}_${n}`;
await past(store, shop, {
  dates: dates(56),
  days: 1,
  nameOf: nameOf("shop"),
  stateOf: shopState,
  secondsOf,
});
for (const [i, one] of others.entries()) {
  await past(store, one, {
    dates: dates(14 - i),
    days: 1,
    nameOf: nameOf(one.id),
    stateOf: (run, task) => i === 2 && run === 11 && task === 1 ? "failed" : "success",
    secondsOf: () => 20 + i,
  });
}
for (const id of ["shop_warehouse", "fx_rates", "weather", "sessions"]) await etl.unpause(id);

await Deno.mkdir(FOLDER, { recursive: true });

/** Takes a picture of a place in both themes. */
async function shoot(name: string, path: string, ready: string): Promise<void> {
  await using looked = await look(browser, url + path, { width: 1280, height: 720 });
  const { page } = looked;
  for (const theme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme: theme });
    await page.locator(ready).first().waitFor({ timeout: 30_000 });
    // Until fonts and figures stand still.
    await page.waitForTimeout(700);
    await page.screenshot({ path: new URL(`${name}-${theme}.png`, FOLDER).pathname });
  }
}

await etl.unpause("yellow_taxi");
await shoot("graph", "/dags/yellow_taxi/graph", ".channel[data-flows] .rate");
await shoot("home", "/", ".flowing");
await shoot("running", "/dags/yellow_taxi/grid", ".grid-speed");
for (const run of await etl.runs({ dag: "yellow_taxi" })) await etl.done(run.id);
const [run] = await etl.runs({ dag: "yellow_taxi", state: "success" });
await shoot("gantt", `/dags/yellow_taxi/gantt?run=${run!.id}&task=load`, ".overlap");
await shoot("grid", "/dags/shop_warehouse", ".grid-cells .square");
for await (const { name } of Deno.readDir(FOLDER)) {
  const { size } = await Deno.stat(new URL(name, FOLDER));
  console.log(`docs/screenshots/${name}  ${Math.round(size / 1000)} kB`);
}
