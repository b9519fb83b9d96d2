import { Malformed } from "./_tokenizer.ts";

/** What files that are no table of text begin with, and what they are. */
const FOREIGN: readonly (readonly [begin: RegExp, what: string])[] = [
  [/^\s*<(!doctype html|html|head|body)\b/i, "a web page and no table; check the address"],
  [/^\s*<\?xml\b/, "XML and no table: save it as CSV"],
  [/^PAR1/, "a Parquet file, which is not read: save it as CSV or Arrow IPC"],
  [/^%PDF-/, "a PDF and no table: save it as CSV"],
  [/^SQLite format 3\0/, "an SQLite database, which is not read: save its table as CSV"],
  [
    /^\s*\[\s*(\{|$)/,
    "a JSON array; JSON is read one object to a line, as `jq -c '.[]'` writes it",
  ],
];

/** @throws {Malformed} for what is plainly no table, by its first bytes */
export function refuseForeign(head: Uint8Array): void {
  const text = new TextDecoder().decode(head);
  const what = FOREIGN.find(([begin]) => begin.test(text))?.[1];
  if (what === undefined) return;
  // deno-lint-ignore no-control-regex -- of what is binary, only how it begins is text
  const line = text.trimStart().split(/[\r\n\0-\x08]/, 1)[0]!.slice(0, 60);
  throw new Malformed(`it begins with ${JSON.stringify(line)}, so it is ${what}`);
}
