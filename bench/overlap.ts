// What it saves that a reader begins at the first byte: `deno task bench:overlap [TIMES]`. Writes overlap.md.
import { copy, csv, dag, decompress, engine, http, pipe } from "../mod.ts";
import { testPostgres } from "../tests/_postgres.ts";
import { median } from "./_measure.ts";
import { serveFile, writeMonths } from "./_months.ts";

const TIMES = Number(Deno.args[0] ?? 3);

const d = dag("overlap", { params: { url: "" } });
const file = d.task("download", http({ url: (run) => run.params.url }));
d.task("load", pipe(file, decompress(), csv(), copy({ table: "overlap" })));
const alone = dag("download_alone", { params: { url: "" } });
alone.task("download", http({ url: (run) => run.params.url }));

const folder = await Deno.makeTempDir({ prefix: "sluice-bench-" });
await using db = await testPostgres();
await using etl = await engine({
  dags: [d, alone],
  home: `${folder}/home`,
  connections: { database: () => Promise.resolve({ url: db.url }) },
});
let files = 0;

/** Seconds that a run takes, of a file that was not downloaded before unless the URL says which. */
async function seconds(target: typeof d, url: string): Promise<number> {
  const began = performance.now();
  const run = await (await etl.trigger(target, { params: { url } })).done;
  if (run.state !== "success") throw new Error(`run ${run.id} ended as ${run.state}`);
  return (performance.now() - began) / 1000;
}

/** The URL of the same file, which nothing knows yet. */
const another = (url: string): string => `${url}?${files++}`;

const path = `${folder}/month.csv.gz`;
await writeMonths(path, 1);
const { size } = await Deno.stat(path);
const fast = await serveFile(path);
const loads: number[] = [], downloads: number[] = [], both: number[] = [], ratios: number[] = [];
const kept = another(fast.url);
await seconds(d, kept);
for (let i = 0; i < TIMES; i++) {
  // The file is in the spool: its server is only asked whether it is still the same.
  const load = await seconds(d, kept);
  const slow = await serveFile(path, size / load);
  const download = await seconds(alone, another(slow.url));
  const together = await seconds(d, another(slow.url));
  slow.worker.terminate();
  loads.push(load);
  downloads.push(download);
  both.push(together);
  ratios.push(together / Math.max(load, download));
}
const lines = [
  "# Download and load, at once",
  "",
  `${new Date().toISOString().slice(0, 10)}, ${navigator.hardwareConcurrency} cores, Deno ` +
  `${Deno.version.deno}. Two tasks with a stream between them; a January of ${
    (size / 1e6).toFixed(0)
  } MB of gzip from a server slowed down so far that the download alone takes as long as the load alone. Medians of ${TIMES}. Written by ` +
  "`deno task bench:overlap`.",
  "",
  "| the load alone | the download alone | both | both / the slower |",
  "| --- | --- | --- | --- |",
  `| ${median(loads).toFixed(2)} s | ${median(downloads).toFixed(2)} s | ${
    median(both).toFixed(2)
  } s | ${median(ratios).toFixed(2)} |`,
];
console.log(lines.join("\n"));
await Deno.writeTextFile(new URL("overlap.md", import.meta.url), `${lines.join("\n")}\n`);
fast.worker.terminate();
await Deno.remove(folder, { recursive: true }).catch(() => {});
Deno.exit(0);
