import zlib from "node:zlib";
import type { ByteReader } from "./_byte_reader.ts";
import { inflate, knowsEnds, type Sum } from "./_inflate.ts";

/** Signatures of APPNOTE.TXT 6.3, little-endian. */
const MEMBER = 0x04034b50, DESCRIPTOR = 0x08074b50, ENTRY = 0x02014b50;
const END = 0x06054b50, END_64 = 0x06064b50, LOCATOR_64 = 0x07064b50;

const STORED = 0, DEFLATED = 8;
const ENCRYPTED = 1, DESCRIBED = 8;

/** Whether these bytes begin an archive, an empty one too. */
export function isZip(magic: Uint8Array): boolean {
  return magic.length >= 4 && [MEMBER, END].includes(view(magic).getUint32(0, true));
}

/** What the documents of office programs, archives themselves, begin with. */
const OFFICE: readonly string[] = ["[Content_Types].xml", "mimetype"];

interface Member {
  readonly name: string;
  readonly method: number;
  readonly flags: number;
  readonly crc: number;
  readonly compressed: number;
  readonly bytes: number;
}

/** Decodes the one file in a zip archive; folders do not count. */
export async function* unzip(bytes: ByteReader): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  bytes.format = "zip";
  if (!knowsEnds()) throw bytes.error(`zip needs a newer runtime than Deno ${Deno.version.deno}`);
  let found: string | undefined;
  while (await signature(bytes) === MEMBER) {
    const member = await header(bytes);
    const isFolder = member.name.endsWith("/");
    if (!isFolder && found !== undefined) {
      if (OFFICE.includes(found)) {
        throw bytes.error("it is a workbook of Excel or the like; save its sheet as CSV");
      }
      throw bytes.error(
        `"${member.name}" follows "${found}": only archives of one file can be loaded; ` +
          `unpack it and take one of them`,
      );
    }
    if (!isFolder) found = member.name;
    const sum = yield* content(bytes, member);
    const described = member.flags & DESCRIBED ? await descriptor(bytes) : member;
    if (described.crc !== sum.crc || described.bytes !== sum.bytes) {
      throw bytes.error(`the checksum or length of "${member.name}" is wrong: get the file again`);
    }
  }
  await directory(bytes);
  if (found === undefined) throw bytes.error("the archive holds no file");
}

async function header(bytes: ByteReader): Promise<Member> {
  const head = await bytes.view(30);
  const name = new TextDecoder().decode(await bytes.take(head.getUint16(26, true)));
  const extra = await bytes.view(head.getUint16(28, true));
  let compressed = head.getUint32(18, true);
  let size = head.getUint32(22, true);
  // Sizes that do not fit stand in the extra field 1: first the size, then the compressed one.
  for (let at = 0; at + 4 <= extra.byteLength; at += 4 + extra.getUint16(at + 2, true)) {
    if (extra.getUint16(at, true) !== 1 || at + 20 > extra.byteLength) continue;
    if (size === 0xffffffff) size = Number(extra.getBigUint64(at + 4, true));
    if (compressed === 0xffffffff) compressed = Number(extra.getBigUint64(at + 12, true));
  }
  return {
    name,
    flags: head.getUint16(6, true),
    method: head.getUint16(8, true),
    crc: head.getUint32(14, true),
    compressed,
    bytes: size,
  };
}

async function* content(
  bytes: ByteReader,
  { name, method, flags, compressed }: Member,
): AsyncGenerator<Uint8Array<ArrayBuffer>, Sum> {
  if (flags & ENCRYPTED) throw bytes.error(`"${name}" is encrypted: unpack it first`);
  if (method === DEFLATED) return yield* inflate(bytes);
  if (method !== STORED) throw bytes.error(`"${name}" uses method ${method}: unpack it first`);
  if (flags & DESCRIBED) {
    throw bytes.error(`the archive does not say how long "${name}" is: unpack it first`);
  }
  let crc = 0;
  for await (const piece of bytes.pieces(compressed)) {
    crc = zlib.crc32(piece, crc);
    yield piece;
  }
  return { crc, bytes: compressed };
}

/** Reads what a data descriptor says; it may have a signature or none, and sizes of 4 bytes or of 8. */
async function descriptor(bytes: ByteReader): Promise<Sum> {
  const start = await bytes.peek(4);
  if (start.length < 4) throw bytes.cut();
  if (view(start).getUint32(0, true) === DESCRIPTOR) bytes.skip(4);
  const crc = (await bytes.view(4)).getUint32(0, true);
  const sizes = view(await bytes.peek(20));
  if (sizes.byteLength < 12) throw bytes.cut();
  const next = sizes.getUint32(8, true);
  const isShort = next === ENTRY || next === MEMBER;
  const size = isShort ? sizes.getUint32(4, true) : Number(sizes.getBigUint64(8, true));
  await bytes.drop(isShort ? 8 : 16);
  return { crc, bytes: size };
}

/** Reads the directory at the end, only to know that it is all there and that nothing follows. */
async function directory(bytes: ByteReader): Promise<void> {
  while (true) {
    const kind = await signature(bytes);
    if (kind === ENTRY) {
      const head = await bytes.view(46);
      await bytes.drop([28, 30, 32].reduce((sum, at) => sum + head.getUint16(at, true), 0));
    } else if (kind === END_64) {
      await bytes.drop(Number((await bytes.view(12)).getBigUint64(4, true)));
    } else if (kind === LOCATOR_64) {
      await bytes.drop(20);
    } else if (kind === END) {
      await bytes.drop((await bytes.view(22)).getUint16(20, true));
      if ((await bytes.some()).length === 0) return;
      throw bytes.error("something follows the archive: the file is damaged; get it again");
    } else {
      throw bytes.error("the archive is damaged; get it again");
    }
  }
}

async function signature(bytes: ByteReader): Promise<number> {
  const start = await bytes.peek(4);
  if (start.length < 4) throw bytes.cut();
  return view(start).getUint32(0, true);
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
