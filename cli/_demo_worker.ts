import { demoMonth, MONTHS, VERSION } from "./_demo_data.ts";
import { gzip } from "./_gzip.ts";

type Month = keyof typeof MONTHS;

/** What a worker sees of itself; the program is checked as a whole, with the names of a window. */
declare const self: {
  onmessage: (event: MessageEvent<{ rows?: number }>) => void;
  postMessage(message: { port: number }): void;
};

self.onmessage = ({ data }) => {
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen: ({ port }) => self.postMessage({ port }),
  }, (request) => serve(request, data.rows));
  server.finished.catch(() => {});
};

/** The bytes of each month, once somebody asked for a part and so had them counted. */
const lengths = new Map<Month, Promise<number>>();

async function serve(request: Request, rows: number | undefined): Promise<Response> {
  const path = new URL(request.url).pathname;
  const month = /^\/yellow_tripdata_(.+)\.csv\.gz$/.exec(path)?.[1] as Month;
  if (!Object.hasOwn(MONTHS, month)) {
    await request.body?.cancel();
    return new Response(`There is no ${path}; months are ${Object.keys(MONTHS).join(", ")}\n`, {
      status: 404,
    });
  }
  if (request.method !== "GET" && request.method !== "HEAD") {
    await request.body?.cancel();
    return new Response(null, { status: 405, headers: { allow: "GET, HEAD" } });
  }
  const file = (): ReadableStream<Uint8Array<ArrayBuffer>> => gzip(demoMonth(month, rows));
  const etag = `"demo-${VERSION}-${month}-${rows ?? MONTHS[month]}"`;
  const headers = new Headers({
    etag,
    "accept-ranges": "bytes",
    "content-type": "application/gzip",
  });
  const asked = request.headers.get("if-none-match");
  if (asked === "*" || asked?.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag)) {
    return new Response(null, { status: 304, headers });
  }
  if (request.method === "HEAD") return new Response(null, { headers });

  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.get("range") ?? "");
  const same = (request.headers.get("if-range") ?? etag) === etag;
  if (!range || !same) return new Response(file(), { headers });
  const counted = lengths.get(month) ?? count(file());
  lengths.set(month, counted);
  const length = await counted;
  const first = Number(range[1]);
  const last = Math.min(range[2] ? Number(range[2]) : Infinity, length - 1);
  if (first >= length || last < first) {
    headers.set("content-range", `bytes */${length}`);
    return new Response(null, { status: 416, headers });
  }
  headers.set("content-range", `bytes ${first}-${last}/${length}`);
  headers.set("content-length", String(last - first + 1));
  return new Response(file().pipeThrough(part(first, last)), { status: 206, headers });
}

async function count(stream: ReadableStream<Uint8Array>): Promise<number> {
  let bytes = 0;
  for await (const chunk of stream) bytes += chunk.length;
  return bytes;
}

/** Lets the bytes from `first` to `last` through. */
function part(
  first: number,
  last: number,
): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
  let at = 0;
  return new TransformStream({
    transform(chunk, controller): void {
      const piece = chunk.subarray(Math.max(0, first - at), Math.max(0, last + 1 - at));
      if (piece.length > 0) controller.enqueue(piece);
      at += chunk.length;
      if (at > last) controller.terminate();
    },
  });
}
