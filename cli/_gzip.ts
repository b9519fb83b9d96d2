import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";

/** Compresses chunks as they are asked for: what makes them never runs ahead by more than a few. */
export function gzip(chunks: Iterable<Uint8Array>): ReadableStream<Uint8Array<ArrayBuffer>> {
  const zip = createGzip({ level: 1, chunkSize: 128 * 1024 });
  const source = Readable.from(chunks, { highWaterMark: 1 });
  // Errors and an early end show on `zip` as well, which is read below.
  pipeline(source, zip).catch(() => {});
  const compressed = zip[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await compressed.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await compressed.return?.();
      source.destroy();
    },
  }, { highWaterMark: 0 });
}
