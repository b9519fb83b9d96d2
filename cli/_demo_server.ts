import { extname } from "node:path";

/** Options for {@linkcode demoServer}. */
export interface DemoServerOptions {
  /** Makes every month that small. @default as many rows as the real files have */
  rows?: number;
  /** Stops the server. */
  signal?: AbortSignal;
}

/** A server that runs until it is disposed of. */
export interface DemoServer extends AsyncDisposable {
  /** Without a slash at the end. */
  readonly url: string;
}

/**
 * Serves `/yellow_tripdata_2021-01.csv.gz`, `-02` and `-03` on a port of 127.0.0.1, made up as they are read.
 *
 * It runs in a thread of its own. The bytes are the same each time, their strong ETag names month, rows and version; HEAD,
 * If-None-Match, Range and If-Range are answered.
 */
export async function demoServer(options: DemoServerOptions = {}): Promise<DemoServer> {
  const { rows, signal } = options;
  if (rows !== undefined && (!Number.isSafeInteger(rows) || rows < 0)) {
    throw new RangeError(`Cannot make months of ${rows} rows: give a whole number, 0 or more`);
  }
  signal?.throwIfAborted();
  const worker = new Worker(
    // Built, it is JavaScript like this.
    new URL(`./_demo_worker${extname(import.meta.url)}`, import.meta.url),
    { type: "module" },
  );
  const ready = Promise.withResolvers<number>();
  const stop = (): void => {
    signal?.removeEventListener("abort", stop);
    worker.terminate();
    ready.reject(signal?.reason);
  };
  signal?.addEventListener("abort", stop);
  worker.onmessage = ({ data }: MessageEvent<{ port: number }>) => ready.resolve(data.port);
  worker.onerror = (event) => {
    event.preventDefault();
    ready.reject(
      new Error(`Cannot start the demo's server: ${event.message}`, { cause: event.error }),
    );
  };
  worker.postMessage({ rows });
  try {
    const port = await ready.promise;
    return {
      url: `http://127.0.0.1:${port}`,
      [Symbol.asyncDispose]: () => Promise.resolve(stop()),
    };
  } catch (error) {
    stop();
    throw error;
  }
}
