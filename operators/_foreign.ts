import { Malformed } from "./_tokenizer.ts";
import type { Window } from "./_window.ts";

/** How many bytes tell what a file is. */
export const HEAD_BYTES = 512;

/** A tag that is no name of a column, as those of `<TICKER>,<PER>` and the like are. */
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
  [/^PAR1/, "a Parquet file, which is not read: save it as CSV or Arrow IPC"],
  [/^%PDF-/, "a PDF and no table: save it as CSV"],
  [/^SQLite format 3\0/, "an SQLite database, which is not read: save its table as CSV"],
  [
    /^\s*\[\s*(\{|$)/,
    "a JSON array; JSON is read one object to a line, as `jq -c '.[]'` writes it",
  ],
];

/** @throws {Malformed} for what is plainly no table, by the first of the bytes that wait in a window */
export function refuseForeign({ bytes, from, to }: Pick<Window, "bytes" | "from" | "to">): void {
  const text = new TextDecoder().decode(bytes.subarray(from, Math.min(to, from + HEAD_BYTES)));
  const what = FOREIGN.find(([begin]) => begin.test(text))?.[1];
  if (what === undefined) return;
  // deno-lint-ignore no-control-regex -- of what is binary, only how it begins is text
  const line = text.trimStart().split(/[\r\n\0-\x08]/, 1)[0]!.slice(0, 60);
  throw new Malformed(`it begins with ${JSON.stringify(line)}, so it is ${what}`);
}
