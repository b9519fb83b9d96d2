// Writes so many rows to a Parquet file, and tells the most memory it took until a quarter of them was written, and in all.

import { csv, parquet } from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";
import { made } from "./_made_csv.ts";

const [path, count] = [Deno.args[0]!, Number(Deno.args[1])];
const ctx = testContext();
const batches = await perform(csv(), ctx, made(count));
let quarter = 0, whole = 0;
const timer = setInterval(() => {
  const { rows } = ctx.meters.read().find(({ stage }) => stage === "parquet") ?? { rows: 0 };
  whole = Math.max(whole, Deno.memoryUsage().rss);
  if (rows < count / 4) quarter = whole;
}, 20);
const { rows } = await perform(parquet({ path }), ctx, batches);
clearInterval(timer);
console.log(JSON.stringify({ rows, quarter, whole }));
