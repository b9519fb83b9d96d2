import zlib from "node:zlib";
import type { ByteReader } from "./_byte_reader.ts";
import { CHUNK, Damaged, Decoder } from "./_decoder.ts";

/** Bytes handed to the engine at once: what they make may have to be held on old runtimes. */
export const PIECE = 64 * 1024;

/** Whether this runtime tells where compressed data ended (Deno 2.4 does not). */
export function knowsEnds(): boolean {
  using decoder = new Decoder(zlib.createInflateRaw());
  return decoder.consumed !== undefined;
}

/** What was put out, to be held against what the file says. */
export interface Sum {
  readonly crc: number;
  readonly bytes: number;
}

/** Decodes deflate (RFC 1951) up to its end, and leaves the reader there. */
export async function* inflate(bytes: ByteReader): AsyncGenerator<Uint8Array<ArrayBuffer>, Sum> {
  using decoder = new Decoder(zlib.createInflateRaw({ chunkSize: CHUNK }));
  let crc = 0, count = 0;
  while (!decoder.ended) {
    const piece = (await bytes.some()).subarray(0, PIECE);
    if (piece.length === 0) throw bytes.cut();
    const before = decoder.consumed!;
    try {
      for await (const chunk of decoder.push(piece)) {
        crc = zlib.crc32(chunk, crc);
        count += chunk.length;
        yield chunk;
      }
    } catch (cause) {
      if (!(cause instanceof Damaged)) throw cause;
      throw bytes.error(`the data is damaged (${cause.message}); get it again`, cause);
    }
    bytes.skip(decoder.consumed! - before);
  }
  return { crc, bytes: count };
}
