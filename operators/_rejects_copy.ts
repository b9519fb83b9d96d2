/** The columns that {@linkcode copyText} writes behind those of its head, in their order. */
export const COPIED =
  `source, run, refused, record, line, from_byte, to_byte, column_name, rule, message, raw, bytes, "row"`;

/** Where in a line stand the table, which is no column, and what is base64 there and bytea here. */
const TABLE = 1, BYTES = 12, KEYS = 14;

const TAB = 9, LF = 10, QUOTE = 34, COMMA = 44, COLON = 58, BACKSLASH = 92, OPEN = 123, CLOSE = 125;
const N = 78, U = 117, LOWER_X = 120, SLASH = 47;

const encoder = new TextEncoder();

/**
 * Lines of a file of rejects as rows of Postgres' COPY in text format (its manual, COPY), each behind a head that is one
 * already. Byte by byte, as the file is of our own making: Postgres takes half as long for it as for the JSON, and no
 * strings are made.
 */
export function copyText(lines: Uint8Array, head: string): Uint8Array<ArrayBuffer> {
  const start = encoder.encode(head);
  let out = new Uint8Array(lines.length * 2), n = 0;
  for (let i = 0, escape = -1; i < lines.length;) {
    const end = lines.indexOf(LF, i);
    const room = n + start.length + (end - i) * 2 + KEYS;
    if (room > out.length) {
      const wider = new Uint8Array(room * 2);
      wider.set(out.subarray(0, n));
      out = wider;
    }
    out.set(start, n);
    n += start.length;
    for (let key = 0; key < KEYS; key++) {
      i = lines.indexOf(COLON, i) + 1;
      const before = n;
      if (lines[i] === OPEN) { // the row, which is the last
        if (escape < i) escape = lines.indexOf(BACKSLASH, i) >>> 0; // as good as never, where there is none
        if (escape > end) {
          out.set(lines.subarray(i, end - 1), n);
          n += end - 1 - i;
        } else {
          for (; i < end - 1; i++) {
            if (lines[i] === BACKSLASH) out[n++] = BACKSLASH;
            out[n++] = lines[i]!;
          }
        }
      } else if (lines[i] === QUOTE) {
        const close = closing(lines, i + 1);
        n = key === BYTES ? hex(lines, i + 1, close, out, n) : text(lines, i + 1, close, out, n);
        i = close + 1;
      } else if (lines[i] === N + 32) { // null
        out[n++] = BACKSLASH;
        out[n++] = N;
        i += 4;
      } else while (lines[i] !== COMMA && lines[i] !== CLOSE) out[n++] = lines[i++]!;
      if (key === TABLE) n = before;
      else out[n++] = TAB;
    }
    out[n - 1] = LF;
    i = end + 1;
  }
  return out.subarray(0, n);
}

/** A value as COPY has it in text format, and what stands behind it. */
export function copied(value: string | null): string {
  const escapes: Record<string, string> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };
  return (value === null ? "\\N" : value.replace(/[\\\n\r\t]/g, (c) => escapes[c]!)) + "\t";
}

/** Where the quote is that ends a text of JSON. */
function closing(bytes: Uint8Array, from: number): number {
  let i = from;
  for (; bytes[i] !== QUOTE; i++) if (bytes[i] === BACKSLASH) i++;
  return i;
}

/** Writes a text of JSON as COPY has it; most of what one escapes the other escapes alike. */
function text(from: Uint8Array, start: number, end: number, to: Uint8Array, n: number): number {
  for (let i = start; i < end; i++) {
    const c = from[i]!;
    if (c !== BACKSLASH) {
      to[n++] = c;
      continue;
    }
    const escaped = from[++i]!;
    if (escaped === U) {
      const code = parseInt(String.fromCharCode(...from.subarray(i + 1, i + 5)), 16);
      // A lone half of a character is none.
      n += encoder.encodeInto(String.fromCharCode(code), to.subarray(n)).written;
      i += 4;
      continue;
    }
    if (escaped !== QUOTE && escaped !== SLASH) to[n++] = BACKSLASH;
    to[n++] = escaped;
  }
  return n;
}

const DIGITS = encoder.encode("0123456789abcdef");

/** Writes base64 as Postgres writes bytes. */
function hex(from: Uint8Array, start: number, end: number, to: Uint8Array, n: number): number {
  to[n++] = BACKSLASH;
  to[n++] = BACKSLASH;
  to[n++] = LOWER_X;
  const bytes = atob(new TextDecoder().decode(from.subarray(start, end)));
  for (let i = 0; i < bytes.length; i++) {
    to[n++] = DIGITS[bytes.charCodeAt(i) >> 4]!;
    to[n++] = DIGITS[bytes.charCodeAt(i) & 15]!;
  }
  return n;
}
