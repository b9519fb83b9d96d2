import { option } from "./_option.ts";
import { Malformed } from "./_tokenizer.ts";
import { type Chunks, joined, type Span } from "./_window.ts";

/** What a byte order mark says (Unicode 16, section 23.8), the longer before those they begin with. */
const MARKS: readonly (readonly [encoding: string, mark: readonly number[]])[] = [
  ["utf-8", [0xef, 0xbb, 0xbf]],
  ["utf-32le", [0xff, 0xfe, 0, 0]],
  ["utf-32be", [0, 0, 0xfe, 0xff]],
  ["utf-16le", [0xff, 0xfe]],
  ["utf-16be", [0xfe, 0xff]],
];

/** Reads the name of an encoding, or what others call it. @throws {TypeError} for one that is not known */
export function parseEncoding(name: string): string {
  const plain = name.trim().toLowerCase().replaceAll("_", "-");
  // The web calls windows-1252 latin1, too, which differs from 0x80 to 0x9f.
  if (/^(latin-?1|l1|iso-?8859-1)$/.test(plain)) return "latin1";
  if (/^cp-?1252$/.test(plain)) return "windows-1252";
  if (/^utf-?(16|32)$/.test(plain)) return plain.replace(/-?(?=\d)/, "-");
  if (/^utf-?32(le|be)$/.test(plain)) return plain.replace(/-?(?=3)/, "-");
  try {
    return new TextDecoder(plain).encoding;
  } catch (cause) {
    throw new TypeError(
      `Cannot use ${JSON.stringify(name)} as an encoding: name one such as utf-8, utf-16le, ` +
        `utf-16be, utf-32le, latin1 or windows-1252`,
      { cause },
    );
  }
}

/** Which encoding the first bytes show, by a mark or else as told, and how long the mark is. @throws {Malformed} */
export function encodingOf(
  head: Uint8Array,
  told: string | undefined,
): { encoding: string; mark: number } {
  const [marked, mark = []] = MARKS.find(([, mark]) => mark.every((c, i) => head[i] === c)) ?? [];
  const wanted = told === undefined ? undefined : parseEncoding(told);
  if (marked === undefined) {
    if (wanted === "utf-16" || wanted === "utf-32") {
      throw new Malformed(
        `it begins without a byte order mark; name its encoding in full, ${wanted}le or ${wanted}be`,
      );
    }
    return { encoding: wanted ?? guarded(head), mark: 0 };
  }
  if (wanted !== undefined && marked !== wanted && marked.slice(0, -2) !== wanted) {
    throw new Malformed(
      `its byte order mark says that it is in ${marked}, but the encoding ${wanted} was given`,
    );
  }
  return { encoding: marked, mark: mark.length };
}

/** UTF-8, unless every other byte is zero, as those of no text in UTF-8 are. */
function guarded(head: Uint8Array): string {
  if (head.length >= 4) {
    const zeros = [0, 1, 2, 3].map((i) => head[i] === 0);
    const looks = !zeros[0] && zeros[1] && !zeros[2] && zeros[3]
      ? "utf-16le"
      : zeros[0] && !zeros[1] && zeros[2] && !zeros[3]
      ? "utf-16be"
      : undefined;
    if (looks) {
      throw new Malformed(
        `it looks like ${looks} without a byte order mark; if it is, say so: ${
          option("encoding", looks)
        }`,
      );
    }
  }
  return "utf-8";
}

/**
 * Turns bytes of an encoding, from an offset in their file on, into UTF-8, wherever they are split.
 *
 * @throws {Malformed} for what is none of it; with `lenient` that becomes a byte that is none of UTF-8
 */
export function toUtf8(chunks: Chunks, encoding: string, offset = 0, lenient = false): Chunks {
  const source: Source = { chunks, encoding, offset, lenient };
  switch (encoding) {
    case "utf-16le":
      return units(source, 2, (b, i) => b[i]! | (b[i + 1]! << 8));
    case "utf-16be":
      return units(source, 2, (b, i) => (b[i]! << 8) | b[i + 1]!);
    case "utf-32le":
      return units(
        source,
        4,
        (b, i) => (b[i]! | (b[i + 1]! << 8) | (b[i + 2]! << 16) | (b[i + 3]! << 24)) >>> 0,
      );
    case "utf-32be":
      return units(
        source,
        4,
        (b, i) => ((b[i]! << 24) | (b[i + 1]! << 16) | (b[i + 2]! << 8) | b[i + 3]!) >>> 0,
      );
    case "latin1":
      return units(source, 1, (b, i) => b[i]!);
    case "windows-1252": {
      const table = Uint16Array.from({ length: 256 }, (_, c) => {
        const code = new TextDecoder(encoding).decode(Uint8Array.of(c)).charCodeAt(0);
        // The five bytes it does not define; the web reads them as control characters.
        return c > 0x7f && code === c && c < 0xa0 ? NONE : code;
      });
      return units(source, 1, (b, i) => table[b[i]!]!);
    }
    default:
      return decoded(source);
  }
}

/** Those with characters of several bytes each of which UTF-8 does not tell how many (WHATWG Encoding, sections 10 to 13). */
const UNEVEN = ["gbk", "gb18030", "big5", "euc-jp", "iso-2022-jp", "shift_jis", "euc-kr"];

/** Of how many bytes of an encoding {@linkcode toUtf8} makes what it makes; undefined where its characters do not tell. */
export function spanOf(encoding: string): Span | undefined {
  if (UNEVEN.includes(encoding)) return undefined;
  const size = Number(/^utf-(16|32)/.exec(encoding)?.[1] ?? 8) / 8;
  return (bytes, from, to) => {
    let units = 0;
    for (let i = from; i < to; i++) {
      const byte = bytes[i]!;
      if ((byte & 0xc0) !== 0x80) units++;
      // Of four bytes are the characters that UTF-16 writes as two halves.
      if (size === 2 && byte >= 0xf0 && byte !== BAD) units++;
    }
    return units * size;
  };
}

/** What is to be read. */
interface Source {
  readonly chunks: Chunks;
  readonly encoding: string;
  /** Where it begins in its file. */
  readonly offset: number;
  readonly lenient: boolean;
}

/** A byte that is nowhere in UTF-8. */
const BAD = 0xff;

/** No character, and no half of one. */
const NONE = 0xffff;

/** Reads characters of `size` bytes, or of two such halves (UTF-16). */
async function* units(
  { chunks, encoding, offset, lenient }: Source,
  size: 1 | 2 | 4,
  read: (bytes: Uint8Array, at: number) => number,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  let rest: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  let high = 0, line = 1, before = 0;
  const fail = (at: number, count: number): number => {
    if (lenient) return BAD;
    throw new Malformed(
      `line ${line} is not valid ${encoding}: at byte ${at} (of the file from 0) ` +
        `${count < size ? "it ends within a character" : "is no character"}`,
    );
  };
  for await (const chunk of chunks) {
    const bytes = joined(rest, chunk);
    const whole = bytes.length - bytes.length % size;
    // Three bytes for each of up to two, four for four.
    const out = new Uint8Array((whole / size) * (size === 4 ? 4 : 3) + 4);
    let n = 0;
    for (let i = 0; i < whole; i += size) {
      let code = read(bytes, i);
      if (code === 10 ? before !== 13 : code === 13) line++;
      before = code;
      if (code < 0x80 && high === 0) {
        out[n++] = code;
        continue;
      }
      const at = offset + i;
      if (size === 2 && code >= 0xd800 && code <= 0xdfff) {
        if (code < 0xdc00) {
          if (high) out[n++] = fail(at - 2, size);
          high = code;
          continue;
        }
        if (!high) {
          out[n++] = fail(at, size);
          continue;
        }
        code = 0x10000 + ((high - 0xd800) << 10) + (code - 0xdc00);
        high = 0;
      } else if (high) {
        out[n++] = fail(at - 2, size);
        high = 0;
      }
      if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) || (size === 1 && code === NONE)) {
        out[n++] = fail(at, size);
        continue;
      }
      if (code < 0x80) out[n++] = code;
      else if (code < 0x800) {
        out[n++] = 0xc0 | (code >> 6);
        out[n++] = 0x80 | (code & 0x3f);
      } else {
        if (code < 0x10000) out[n++] = 0xe0 | (code >> 12);
        else {
          out[n++] = 0xf0 | (code >> 18);
          out[n++] = 0x80 | ((code >> 12) & 0x3f);
        }
        out[n++] = 0x80 | ((code >> 6) & 0x3f);
        out[n++] = 0x80 | (code & 0x3f);
      }
    }
    rest = bytes.slice(whole);
    offset += whole;
    if (n > 0) yield out.subarray(0, n);
  }
  if (rest.length > 0 || high) yield Uint8Array.of(fail(high ? offset - 2 : offset, 0));
}

/** How many bytes are decoded at once, so that an error can say where it is. */
const PIECE = 4096;

/** Reads any other encoding that the runtime knows. */
async function* decoded(
  { chunks, encoding, offset, lenient }: Source,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  const decoder = new TextDecoder(encoding, { fatal: !lenient, ignoreBOM: true });
  const encoder = new TextEncoder();
  let line = 1, text = "";
  const decode = (piece?: Uint8Array): Uint8Array<ArrayBuffer> => {
    const before = text.endsWith("\r");
    try {
      text = decoder.decode(piece, { stream: piece !== undefined });
    } catch (cause) {
      throw new Malformed(
        `it is not valid ${encoding}: on line ${line} or behind it, from byte ${offset} (of the ` +
          `file from 0) to ${offset + (piece?.length ?? 0)}`,
        { cause },
      );
    }
    line += text.match(/\r\n?|\n/g)?.length ?? 0;
    if (before && text.startsWith("\n")) line--;
    return lenient ? withoutReplacements(encoder.encode(text)) : encoder.encode(text);
  };
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += PIECE) {
      const piece = chunk.subarray(at, at + PIECE);
      const out = decode(piece);
      offset += piece.length;
      if (out.length > 0) yield out;
    }
  }
  const out = decode();
  if (out.length > 0) yield out;
}

/** Puts a byte that is no UTF-8 where the decoder put U+FFFD for what it could not read. */
function withoutReplacements(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  let n = 0;
  for (let i = 0; i < bytes.length; i++) {
    const bad = bytes[i] === 0xef && bytes[i + 1] === 0xbf && bytes[i + 2] === 0xbd;
    bytes[n++] = bad ? BAD : bytes[i]!;
    if (bad) i += 2;
  }
  return bytes.subarray(0, n);
}
