import assert from "node:assert/strict";
import { differences, nameOf } from "../../../server/page/columns.ts";

Deno.test("columns that are new, gone or of another type are told, and none when it is the first load", () => {
  const before = [{ name: "a", type: "integer" }, { name: "b", type: "text" }, {
    name: "c",
    type: "date",
  }];
  const now = [{ name: "a", type: "bigint" }, { name: "b", type: "text" }, {
    name: "d",
    type: "text",
  }];
  assert.deepEqual(differences(now, before), [
    { name: "a", was: "integer" },
    { name: "d" },
    { name: "c", was: "date", gone: true },
  ]);
  assert.deepEqual(differences(now, now), []);
  assert.deepEqual(differences(now), []);
});

Deno.test("a table's name is told as people write it", () => {
  const names: [target: string, name: string][] = [
    ['"public"."trips"', "trips"],
    ['"other"."trips"', "other.trips"],
    ['"public"."odd ""one"""', 'odd "one"'],
    ['"a.b"."c"', "a.b.c"],
    ["trips", "trips"],
  ];
  for (const [target, name] of names) assert.equal(nameOf(target), name);
});
