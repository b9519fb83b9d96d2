import zlib from "node:zlib";
import type { ByteReader } from "./_byte_reader.ts";
import { CHUNK, Damaged, Decoder } from "./_decoder.ts";
import { inflate, knowsEnds, PIECE } from "./_inflate.ts";

const HEADER_CRC = 2, EXTRA = 4, NAME = 8, COMMENT = 16, RESERVED = 0xe0;

/** Decodes gzip (RFC 1952): one member after the other, checked by length and CRC, then nothing but zeros. */
export async function* gunzip(bytes: ByteReader): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  bytes.format = "gzip";
  if (!knowsEnds()) return yield* gunzipWhole(bytes);
  do {
    await header(bytes);
    const sum = yield* inflate(bytes);
    const trailer = await bytes.view(8);
    if (trailer.getUint32(0, true) !== sum.crc) {
      throw bytes.error("the checksum (CRC-32) is wrong: the data is damaged; get it again");
    }
    if (trailer.getUint32(4, true) !== sum.bytes % 2 ** 32) {
      throw bytes.error("the length is wrong: the data is damaged; get it again");
    }
  } while (await another(bytes));
}

async function header(bytes: ByteReader): Promise<void> {
  const [, , method, flags] = await bytes.take(10);
  if (method !== 8 || flags! & RESERVED) throw bytes.error("the header is none that is known");
  if (flags! & EXTRA) {
    const [low, high] = await bytes.take(2);
    await bytes.drop(low! + high! * 256);
  }
  for (const text of [NAME, COMMENT]) {
    if (flags! & text) { while ((await bytes.take(1))[0] !== 0); }
  }
  if (flags! & HEADER_CRC) await bytes.drop(2);
}

/** Whether another member follows. @throws when something else does */
async function another(bytes: ByteReader): Promise<boolean> {
  const magic = await bytes.peek(2);
  if (magic.length === 0) return false;
  if (magic[0] === 0x1f && magic.length === 1) throw bytes.cut();
  if (magic[0] === 0x1f && magic[1] === 0x8b) return true;
  while (true) {
    const padding = await bytes.some();
    if (padding.length === 0) return false;
    const garbage = padding.findIndex((byte) => byte !== 0);
    bytes.skip(garbage < 0 ? padding.length : garbage);
    if (garbage >= 0) {
      throw bytes.error("something that is not gzip follows: the file is damaged; get it again");
    }
  }
}

/** Where one cannot know where a member ends: zlib finds the next one, though not all that is none. */
async function* gunzipWhole(bytes: ByteReader): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  using decoder = new Decoder(zlib.createGunzip({ chunkSize: CHUNK }));
  try {
    while (true) {
      const piece = (await bytes.some()).subarray(0, PIECE);
      if (piece.length === 0) break;
      yield* decoder.push(piece);
      bytes.skip(piece.length);
    }
    yield* decoder.finish();
  } catch (cause) {
    if (!(cause instanceof Damaged)) throw cause;
    throw bytes.error(`the data is damaged or cut short (${cause.message})`, cause);
  }
}
