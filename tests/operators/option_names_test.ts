import assert from "node:assert/strict";
import * as operators from "../../operators/mod.ts";

/** Each operator, a misspelt option of it, and what it is answered with. */
const cases: Readonly<Record<string, readonly [wrong: string, hint: string]>> = {
  arrowIpc: ["onRejects", "onReject"],
  bash: ["environment", "env"],
  copy: ["mod", "mode"],
  csv: ["delimeter", "delimiter"],
  dagDone: ["state", "states"],
  decompress: ["max_bytes", "maxBytes"],
  fileReady: ["untouchedfor", "untouchedFor"],
  http: ["header", "headers"],
  httpReady: ["versionotherthan", "versionOtherThan"],
  jsonLines: ["unknownKey", "unknownKeys"],
  open: ["files", "file"],
  parquet: ["compresion", "compression"],
  records: ["formt", "format"],
  request: ["jsn", "json"],
  save: ["pth", "path"],
  sql: ["statment", "statement"],
  sqlReady: ["queri", "query"],
  timeReached: ["aftr", "after"],
};

/** What an operator cannot be made without. */
const needed: Readonly<Record<string, object>> = {
  bash: { command: "true" },
  sql: { statement: "SELECT 1" },
  sqlReady: { query: "SELECT 1" },
};

type Make = (options: object) => unknown;
const made = operators as unknown as Record<string, Make>;

for (const [name, [wrong, right]] of Object.entries(cases)) {
  Deno.test(`${name} refuses an option that it has not`, () => {
    assert.throws(() => made[name]!({ ...needed[name], [wrong]: 1 }), {
      name: "TypeError",
      message: `${name} has no option "${wrong}"; did you mean "${right}"?`,
    });
  });
}

Deno.test("empty refuses any option", () => {
  assert.throws(() => made.empty!({ a: 1 }), { message: 'empty has no option "a"; it has none' });
});
