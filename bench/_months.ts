import zlib from "node:zlib";
import { demoMonth } from "../cli/_demo_data.ts";

/** Writes months one behind the other, with one header, as a gzip file. */
export async function writeMonths(path: string, times: number): Promise<void> {
  const gzip = zlib.createGzip({ level: 6 });
  const file = await Deno.open(path, { write: true, create: true, truncate: true });
  const done = (async () => {
    for await (const chunk of gzip) {
      for (let at = 0; at < chunk.length;) at += await file.write(chunk.subarray(at));
    }
  })();
  for (let i = 0; i < times; i++) {
    let first = i > 0;
    for (let chunk of demoMonth("2021-01")) {
      if (first) chunk = chunk.subarray(chunk.indexOf(10) + 1);
      first = false;
      // A copy: the generator fills its buffer anew.
      if (!gzip.write(chunk.slice())) await new Promise((resolve) => gzip.once("drain", resolve));
    }
  }
  gzip.end();
  await done;
  file.close();
}

/** Serves a file over loopback HTTP from a thread of its own, at most so many bytes per second. */
export async function serveFile(
  path: string,
  rate?: number,
): Promise<{ url: string; worker: Worker }> {
  const worker = new Worker(new URL("./_month_server.ts", import.meta.url), { type: "module" });
  const port = await new Promise<number>((resolve) => {
    worker.onmessage = ({ data }: MessageEvent) => resolve(data.port);
    worker.postMessage({ path, rate });
  });
  return { url: `http://127.0.0.1:${port}/yellow_tripdata_2021-01.csv.gz`, worker };
}
