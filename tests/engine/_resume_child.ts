// A download and the load of it into a committed staging table, until they are done or this process is killed.
import { copy, csv, dag, decompress, engine, file, http, pipe } from "../../mod.ts";

const { SLUICE_HOME: home = "", SOURCE: url = "", DATABASE: database = "" } = Deno.env.toObject();

const once = dag("once");
const source = once.task("download", http({ url }));
const loading = pipe(source, decompress(), csv(), copy({ table: "t", staging: "committed" }));
once.task("load", loading);

await using store = await file(home);
await using etl = await engine({
  dags: [once],
  home,
  store,
  connections: { database: () => Promise.resolve({ url: database }) },
  log: ({ task, message }) => console.error(`${task}: ${message}`),
});
const [left] = await etl.runs();
const run = left ? await etl.done(left.id) : await (await etl.trigger(once)).done;
console.log(JSON.stringify({ state: run.state, loaded: run.tasks["load"]?.output }));
