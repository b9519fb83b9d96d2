import { Malformed } from "./_tokenizer.ts";

/** What files that are no table of text begin with, and what they are. */
const FOREIGN: readonly (readonly [begin: RegExp, what: string])[] = [
  [/^\s*<(!doctype html|html|head|body)\b/i, "a web page and no table; check the address"],
  [/^\s*<\?xml\b/, "XML and no table"],
  [/^PAR1/, "a Parquet file, which is not read"],
  [/^%PDF-/, "a PDF and no table"],
  [/^SQLite format 3\0/, "an SQLite database, which is not read"],
  [/^\s*\[\s*(\{|$)/, "a JSON array; JSON is read one object to a line"],
];

/** @throws {Malformed} for what is plainly no table, by its first bytes */
export function refuseForeign(head: Uint8Array): void {
  const text = new TextDecoder().decode(head);
  const what = FOREIGN.find(([begin]) => begin.test(text))?.[1];
  if (what === undefined) return;
  const line = text.trimStart().split(/[\r\n]/, 1)[0]!.slice(0, 60);
  throw new Malformed(`it begins with ${JSON.stringify(line)}, so it is ${what}`);
}
