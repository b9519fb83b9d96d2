import zlib from "node:zlib";
import type { ByteReader } from "./_byte_reader.ts";
import { CHUNK, Damaged, Decoder } from "./_decoder.ts";

/** Decodes Zstandard (RFC 8878): one frame after the other, and nothing else. */
export async function* unzstd(bytes: ByteReader): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  bytes.format = "zstd";
  if (typeof zlib.createZstdDecompress !== "function") {
    throw bytes.error(`zstd needs a newer runtime than Deno ${Deno.version.deno}`);
  }
  do {
    const magic = await bytes.take(4);
    if (isSkippable(magic)) await bytes.drop(little(await bytes.take(4)));
    else yield* frame(bytes, magic);
  } while ((await bytes.some()).length > 0);
}

/** Whether these four bytes begin a frame. */
export function isZstd(magic: Uint8Array): boolean {
  return magic.length === 4 && (little(magic) === 0xfd2fb528 || isSkippable(magic));
}

/**
 * Decodes one frame. The runtime's decoder takes a frame that is cut short, and whatever follows, for a good end:
 * so the frame is walked here, block by block (RFC 8878 §3.1.1).
 */
async function* frame(
  bytes: ByteReader,
  magic: Uint8Array,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  if (!isZstd(magic)) {
    throw bytes.error("something that is not zstd follows: the file is damaged; get it again");
  }
  using decoder = new Decoder(zlib.createZstdDecompress({ chunkSize: CHUNK }));
  try {
    yield* decoder.push(magic);
    const [descriptor] = await bytes.peek(1);
    if (descriptor === undefined) throw bytes.cut();
    const single = (descriptor >> 5) & 1;
    const dictionary = [0, 1, 2, 4][descriptor & 3]!;
    const size = [single, 2, 4, 8][descriptor >> 6]!;
    yield* decoder.push(await bytes.take(1 + (1 - single) + dictionary + size));
    for (let last = false; !last;) {
      const block = await bytes.take(3);
      yield* decoder.push(block);
      const head = little(block);
      last = (head & 1) === 1;
      const isRun = ((head >> 1) & 3) === 1;
      for await (const piece of bytes.pieces(isRun ? 1 : head >>> 3)) yield* decoder.push(piece);
    }
    if (descriptor & 4) yield* decoder.push(await bytes.take(4));
    yield* decoder.finish();
  } catch (cause) {
    if (!(cause instanceof Damaged)) throw cause;
    throw bytes.error(`the data is damaged (${cause.message}); get it again`, cause);
  }
}

function isSkippable(magic: Uint8Array): boolean {
  return (little(magic) & 0xfffffff0) >>> 0 === 0x184d2a50;
}

function little(bytes: Uint8Array): number {
  return bytes.reduceRight((high, byte) => high * 256 + byte, 0);
}
