import assert from "node:assert/strict";
import { type Bytes, operator } from "../../engine/mod.ts";
import { chunked, every } from "./_read_csv.ts";

/** Opens a text once; a second time is the pipe's affair. */
export const once = (text: string) => {
  let opened = 0;
  return operator("once", (): Bytes => {
    assert.equal(opened++, 0, "it can be opened only once");
    return chunked(text, every(100_000, text.length));
  })();
};
