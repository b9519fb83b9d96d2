// Loads one download into Postgres and into a Parquet file at once, and tells what came of it, and the most memory it took
// until a quarter of the rows was written, and in all.

import { dag, engine, pipe } from "../../engine/mod.ts";
import { copy, csv, http, parquet } from "../../operators/mod.ts";

const [url, database, folder, count] = Deno.args as [string, string, string, string];
const d = dag("share");
const file = d.task("download", http({ url }));
d.task("load", pipe(file, csv(), copy({ table: "shared" })));
d.task("lake", pipe(file, csv(), parquet({ path: `${folder}/shared.parquet` })));
await using etl = await engine({
  dags: [d],
  home: `${folder}/home`,
  connections: { database: () => Promise.resolve({ url: database }) },
});
const { id, done } = await etl.trigger(d);
let quarter = 0, whole = 0;
const timer = setInterval(() => {
  whole = Math.max(whole, Deno.memoryUsage().rss);
  const readings = Object.values(etl.readings(id)).flat();
  const rows = Math.max(0, ...readings.map(({ rows }) => rows));
  if (rows < Number(count) / 4) quarter = whole;
}, 20);
const { state, tasks } = await done;
clearInterval(timer);
console.log(JSON.stringify({ state, tasks, quarter, whole }));
