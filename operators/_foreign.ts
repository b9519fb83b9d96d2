import { Malformed } from "./_tokenizer.ts";
import type { Window } from "./_window.ts";

/** How many bytes tell what a file is. */
export const HEAD_BYTES = 512;

/** What is behind a tag that names no column: `<TICKER>,<PER>` are names. */
const NO_NAME = String.raw`(?! *[,;\t|])`;

/** An element that holds another one or is closed; `<id>` above values is none. */
const ELEMENT = new RegExp(
  String.raw`^\s*<([a-z][\w:.-]*)(?:\s[^<>]*)?(?:\/>${NO_NAME}|>${NO_NAME}` +
    String.raw`(?:\s*[\r\n]\s*<|<|(?:(?!<\/\1\b)[^])*<\/\1\s*>${NO_NAME}))`,
  "i",
);

const MARKUP = "markup (HTML or XML) and no table; check the address";

/** What files that are no table of text begin with, and what they are. */
const FOREIGN: readonly (readonly [begin: RegExp, what: string])[] = [
  [/^\s*<(!doctype html|html|head|body)\b/i, "a web page and no table; check the address"],
  [/^\s*<\?xml\b/, "XML and no table: save it as CSV"],
  [/^\s*<!(--|\[|doctype\b)/i, MARKUP],
  [ELEMENT, MARKUP],
  [
    /^\s*\[\s*(\{|$)/,
    "a JSON array; JSON is read one object to a line, as `jq -c '.[]'` writes it",
  ],
];

const still = (format: string) =>
  `still compressed with ${format}: compressed twice, or read without decompress(); ` +
  "decompress it first";

const TAR = "a tar archive: extract the table from it first";
const IMAGE = "an image and no table; check the address";

/** What files that are no text have at their beginning or behind it, as bytes, and what they are. */
const BINARY: readonly (readonly [magic: string, what: string, at?: number])[] = [
  ["PAR1", "a Parquet file, which is not read: save it as CSV or Arrow IPC"],
  ["%PDF-", "a PDF and no table: save it as CSV"],
  ["SQLite format 3\0", "an SQLite database, which is not read: save its table as CSV"],
  ["ustar\0", TAR, 257],
  ["ustar  \0", TAR, 257],
  ["\x1f\x8b\x08", still("gzip")],
  ["1AY&SY", still("bzip2"), "BZh9".length],
  ["\xfd7zXZ\0", still("xz")],
  ["\x28\xb5\x2f\xfd", still("zstd")],
  ["PK\x03\x04", still("zip")],
  ["\x89PNG\r\n\x1a\n", IMAGE],
  ["\xff\xd8\xff", IMAGE],
  ["GIF87a", IMAGE],
  ["GIF89a", IMAGE],
  ["\x7fELF", "a program and no table; check the address"],
  ["\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel or Word file and no table: save it as CSV"],
];

/** The bytes that wait in a window. */
type Waiting = Pick<Window, "bytes" | "from" | "to">;

/** @throws {Malformed} for what is plainly no text, by its first bytes as they came */
export function refuseBinary(waiting: Waiting): void {
  const head = headOf(waiting), seen = String.fromCharCode(...head);
  refuse(head, BINARY.find(([magic, _, at = 0]) => seen.startsWith(magic, at))?.[1]);
}

/** @throws {Malformed} for what is plainly no table, by its first bytes in UTF-8 */
export function refuseForeign(waiting: Waiting): void {
  const head = headOf(waiting), text = new TextDecoder().decode(head);
  refuse(head, FOREIGN.find(([begin]) => begin.test(text))?.[1]);
}

function headOf({ bytes, from, to }: Waiting): Uint8Array {
  return bytes.subarray(from, Math.min(to, from + HEAD_BYTES));
}

function refuse(head: Uint8Array, what: string | undefined): void {
  if (what === undefined) return;
  const text = new TextDecoder().decode(head).trimStart();
  // deno-lint-ignore no-control-regex -- of what is binary, only how it begins is text
  const line = text.split(/[\r\n\0-\x08]/, 1)[0]!.slice(0, 60);
  throw new Malformed(`it begins with ${JSON.stringify(line)}, so it is ${what}`);
}
