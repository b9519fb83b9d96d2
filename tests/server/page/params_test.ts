import assert from "node:assert/strict";
import {
  faultOf,
  kindOf,
  type ParamSchema,
  paramsOf,
  textOf,
} from "../../../server/page/params.ts";

const fields: [schema: ParamSchema, kind: string, text: string][] = [
  [{ type: "string", default: "a" }, "text", "a"],
  [{ type: "string" }, "text", ""],
  [{ type: "integer", default: 3 }, "number", "3"],
  [{ type: "number", default: 0.5 }, "number", "0.5"],
  [{ type: "boolean", default: false }, "switch", "false"],
  [{ enum: ["a", 1], default: "a" }, "choice", '"a"'],
  [{ enum: ["a", 1] }, "choice", ""],
  [{ type: "array", default: ["a"] }, "json", '["a"]'],
  [{ type: ["string", "null"], default: "a" }, "json", '"a"'],
  [{}, "json", ""],
];

for (const [schema, kind, text] of fields) {
  Deno.test(`a param of ${JSON.stringify(schema)} is asked for as ${kind}`, () => {
    assert.deepEqual([kindOf(schema), textOf(schema)], [kind, text]);
  });
}

const schema = {
  properties: {
    name: { type: "string", default: "you" },
    secret: { type: "string", default: "***" },
    n: { type: "integer", default: 1 },
    loud: { type: "boolean", default: false },
    color: { enum: ["red", 7], default: "red" },
    list: { type: "array", default: [] },
    any: {},
  },
};

const given: [what: string, texts: Record<string, string>, params: unknown][] = [
  ["nothing", {}, {}],
  ["what was there", { name: "you", secret: "***", n: "1", color: '"red"', list: "[]" }, {}],
  ["text that looks like a number", { name: "7" }, { name: "7" }],
  ["no text where there was some", { name: "" }, { name: "" }],
  ["numbers", { n: "42" }, { n: 42 }],
  ["no number", { n: " " }, { n: undefined }],
  ["a switch", { loud: "true" }, { loud: true }],
  ["a choice that is no text", { color: "7" }, { color: 7 }],
  ["JSON", { list: '["a", {"b": null}]', any: '"x"' }, { list: ["a", { b: null }], any: "x" }],
  ["a secret", { secret: "open" }, { secret: "open" }],
];

for (const [what, texts, params] of given) {
  Deno.test(`a form with ${what} says so`, () => {
    assert.deepEqual(paramsOf(schema, texts), params);
  });
}

Deno.test("what is no JSON is told by its name", () => {
  assert.throws(() => paramsOf(schema, { list: "[a" }), /^SyntaxError: list is no JSON/);
});

const faults: [schema: ParamSchema, text: string, fault: RegExp | undefined][] = [
  [{ type: "integer", minimum: 1, maximum: 100 }, "100", undefined],
  [{ type: "integer", minimum: 1, maximum: 100 }, "500", /^more than 100$/],
  [{ type: "integer", minimum: 1, maximum: 100 }, "0", /^less than 1$/],
  [{ type: "number" }, "x", /^no number$/],
  [{ type: "array" }, "[bad", /^no JSON: /],
  [{ type: "array" }, " ", undefined],
  [{ type: "string" }, "[bad", undefined],
];

Deno.test("a field tells what is wrong with what stands in it, and a form all of that", () => {
  for (const [schema, text, fault] of faults) {
    const told = faultOf(schema, text);
    fault ? assert.match(told ?? "", fault, text) : assert.equal(told, undefined, text);
  }
  assert.throws(
    () => paramsOf(schema, { list: "[", n: "x", name: "y" }),
    /^SyntaxError: n is no number; list is no JSON: /,
  );
});
