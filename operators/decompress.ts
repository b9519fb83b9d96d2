import { type Bytes, GiveUp, type Operator, operator } from "../engine/mod.ts";
import { ByteReader } from "./_byte_reader.ts";
import { gunzip } from "./_gzip.ts";
import { isZip, unzip } from "./_zip.ts";
import { isZstd, unzstd } from "./_zstd.ts";

/** Options for {@linkcode decompress}. */
export interface DecompressOptions {
  /** Refuses to put out more bytes than this. @default {Infinity} */
  maxBytes?: number;
  /**
   * Refuses to put out more than this many bytes for each that comes in. gzip makes 1032 at most, and memory stays
   * flat whatever it is.
   *
   * @default {Infinity}
   */
  maxRatio?: number;
}

type Format = (bytes: ByteReader) => AsyncGenerator<Uint8Array<ArrayBuffer>, void>;

/**
 * Decodes gzip, zstd and zip archives of one file, by what the first bytes are and not by any name. Anything else
 * passes through as it is.
 *
 * @throws from the stream, before its end, when data is missing, damaged, or followed by something else
 */
export const decompress: Operator<DecompressOptions, Bytes, Bytes> = operator(
  "decompress",
  (options: DecompressOptions, ctx, input: Bytes): Bytes => {
    const bytes = new ByteReader(input);
    const chunks = decode(bytes, options, () => {
      if (ctx.source) ctx.source.unverified = false;
    });
    return new ReadableStream({
      async pull(controller) {
        const { done, value } = await chunks.next();
        done ? controller.close() : controller.enqueue(value);
      },
      async cancel(reason) {
        await bytes.cancel(reason);
        await chunks.return().catch(() => {});
      },
    }, { highWaterMark: 0 });
  },
  { stream: true, options: { maxBytes: true, maxRatio: true } },
);

async function* decode(
  bytes: ByteReader,
  { maxBytes = Infinity, maxRatio = Infinity }: DecompressOptions,
  verified: () => void,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  let count = 0;
  try {
    const format = await recognize(bytes);
    for await (const chunk of format(bytes)) {
      count += chunk.length;
      const limit = count > maxBytes
        ? `maxBytes (${maxBytes})`
        : count > maxRatio * bytes.received
        ? `maxRatio (${maxRatio}) allows for ${bytes.received} bytes`
        : undefined;
      if (limit !== undefined) {
        throw new GiveUp(
          `Cannot decompress ${bytes.format}: it makes more than ${limit}; raise that if it is right`,
        );
      }
      yield chunk;
    }
    // Each format says itself where it ends.
    if (format !== plain) verified();
  } catch (error) {
    await bytes.cancel(error);
    throw error;
  }
}

/** Formats that are known, but not decoded. */
const FOREIGN = {
  bzip2: [0x42, 0x5a, 0x68, undefined, 0x31, 0x41, 0x59, 0x26, 0x53, 0x59],
  xz: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00],
  "7z": [0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c],
};

async function recognize(bytes: ByteReader): Promise<Format> {
  const head = await bytes.peek(10);
  // No text begins with 1f, so that alone is a gzip of which the rest is missing.
  if (head[0] === 0x1f && (head.length === 1 || head[1] === 0x8b)) return gunzip;
  if (isZstd(head.subarray(0, 4))) return unzstd;
  if (isZip(head)) return unzip;
  for (const [name, magic] of Object.entries(FOREIGN)) {
    if (magic.every((byte, i) => byte === undefined || byte === head[i])) {
      throw new GiveUp(`Cannot decompress ${name}: gzip, zstd and zip are; recompress the file`);
    }
  }
  return plain;
}

async function* plain(bytes: ByteReader): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  while (true) {
    const chunk = await bytes.some();
    if (chunk.length === 0) return;
    bytes.skip(chunk.length);
    yield chunk;
  }
}
