import assert from "node:assert/strict";
import {
  dag,
  param,
  paramsSchema,
  resolveParams,
  type SchemaResult,
  type StandardSchema,
} from "../../engine/mod.ts";

/** A schema as a library makes it: text of digits or a number, as a number. */
function digits(
  options: { preset?: number; slow?: boolean } = {},
): StandardSchema<unknown, number> {
  const check = (value: unknown): SchemaResult<number> => {
    if (value === undefined && options.preset !== undefined) return { value: options.preset };
    const number = Number(value ?? NaN);
    if (Number.isInteger(number)) return { value: number };
    return {
      issues: [{ message: "Expected digits", path: ["a", { key: 0 }] }, { message: "Bad" }],
    };
  };
  return {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: (value) => options.slow ? Promise.resolve(check(value)) : check(value),
      jsonSchema: {
        input: ({ target }) => ({
          $schema: `https://json-schema.org/${target}/schema`,
          type: "integer",
          ...options.preset === undefined ? {} : { default: options.preset },
        }),
      },
    },
  };
}

const taxi = dag("taxi", {
  params: {
    base: "https://x",
    color: param({ enum: ["yellow", "green"], default: "yellow", description: "Which cabs" }),
    year: param({ type: "integer", minimum: 2009, maximum: 2030 }),
    month: param({ type: "string", pattern: "^\\d\\d$", default: "01" }),
    n: digits(),
    limit: digits({ preset: 5, slow: true }),
  },
});

Deno.test("params are those given, and the defaults of the others", async () => {
  assert.deepEqual(await resolveParams(taxi, { year: 2021, n: "7", base: undefined }), {
    base: "https://x",
    color: "yellow",
    year: 2021,
    month: "01",
    n: 7,
    limit: 5,
  });
  const given = { base: "b", color: "green", year: 2022, month: "12", n: 1, limit: "2" };
  assert.deepEqual(await resolveParams(taxi, given), { ...given, limit: 2 });
  assert.deepEqual(await resolveParams(dag("none")), {});
});

const needed = { year: 2021, n: 1 };
const refused: [what: string, given: object, error: RegExp][] = [
  [
    "a required one that is missing",
    { n: 1 },
    /it needs param "year", without a default; its params are "base", "color", "year"/,
  ],
  ["all of the required ones missing", {}, /it needs the params "year", "n", without/],
  ["one it does not have", { ...needed, yeer: 1 }, /it has no param "yeer"; its params are "base"/],
  ["a name of Object's", { ...needed, toString: 1 }, /it has no param "toString"/],
  [
    "another type than the default's",
    { ...needed, base: 1 },
    /"base" is to be of type string, like its default "https:\/\/x", but it is 1/,
  ],
  [
    "another type than declared",
    { ...needed, year: "2021" },
    /param "year" is refused: it is to be of type integer, but it is "2021"/,
  ],
  ["a fraction for an integer", { ...needed, year: 2021.5 }, /of type integer, but it is 2021\.5/],
  ["too little", { ...needed, year: 2008 }, /it is to be 2009 or more, but it is 2008/],
  ["too much", { ...needed, year: 2031 }, /it is to be 2030 or less/],
  [
    "none of its values",
    { ...needed, color: "red" },
    /it is to be one of "yellow", "green", but it is "red"/,
  ],
  [
    "text that does not match",
    { ...needed, month: "1" },
    /it is to match \^\\d\\d\$, but it is "1"/,
  ],
  [
    "what a schema refuses",
    { year: 2021, n: "x" },
    /param "n" is refused: Expected digits \(at a\.0\); Bad$/,
  ],
  ["what a slow schema refuses", { ...needed, limit: "x" }, /param "limit" is refused/],
];

for (const [what, given, error] of refused) {
  Deno.test(`${what} is refused`, async () => {
    await assert.rejects(resolveParams(taxi, given), (thrown) => {
      assert.ok(thrown instanceof TypeError);
      assert.match(thrown.message, error);
      assert.ok(thrown.message.startsWith('Cannot trigger "taxi": '), thrown.message);
      return true;
    });
  });
}

Deno.test("an output of a schema that is not JSON is refused", async () => {
  const validate = () => ({ value: new Date() });
  const date = { "~standard": { version: 1, vendor: "x", validate } } as const;
  await assert.rejects(
    resolveParams(dag("d", { params: { date } }), {}),
    /"params\.date" as JSON: it is of class Date/,
  );
});

Deno.test("declarations that no run could have are refused at once", () => {
  assert.throws(() => dag("d", { params: { at: new Date() } }), /"params\.at" as JSON: .*Date/);
  assert.throws(
    () => dag("d", { params: { fn: () => 1 } }),
    /"params\.fn" as JSON: it is a function/,
  );
  assert.throws(
    () => param({ type: "integer", default: 1.5 }),
    /declare a param with this default: it is to be of type integer, but it is 1\.5/,
  );
  assert.throws(() => param({ enum: ["a"], default: "b" as "a" }), /one of "a", but it is "b"/);
});

Deno.test("a param is of the type of its default, or of any", async () => {
  const params = { note: param({ default: "none" }), any: param() };
  const d = dag("d", { params });
  assert.deepEqual(await resolveParams(d, { any: [1] }), { note: "none", any: [1] });
  await assert.rejects(resolveParams(d, { any: 1, note: 1 }), /"note" is refused: .*type string/);
});

Deno.test("JSON Schema tells what a trigger may give", () => {
  assert.deepEqual(paramsSchema(taxi), {
    type: "object",
    properties: {
      base: { type: "string", default: "https://x" },
      color: {
        type: "string",
        enum: ["yellow", "green"],
        default: "yellow",
        description: "Which cabs",
      },
      year: { type: "integer", minimum: 2009, maximum: 2030 },
      month: { type: "string", pattern: "^\\d\\d$", default: "01" },
      n: { type: "integer" },
      limit: { type: "integer", default: 5 },
    },
    required: ["year", "n"],
    additionalProperties: false,
  });
  const loose = { list: ["a"], object: { a: 1 }, none: null, on: true };
  assert.deepEqual(paramsSchema(dag("d", { params: loose })).properties, {
    list: { type: "array", default: ["a"] },
    object: { type: "object", default: { a: 1 } },
    none: { default: null },
    on: { type: "boolean", default: true },
  });
  assert.deepEqual(paramsSchema(dag("d")).properties, {});
  const mute = digits()["~standard"];
  const input = () => {
    throw new Error("Date cannot be represented in JSON Schema");
  };
  const params = {
    mute: { "~standard": { ...mute, jsonSchema: { input } } },
    old: { "~standard": { version: 1, vendor: "old", validate: mute.validate } },
  } as const;
  assert.deepEqual(paramsSchema(dag("d", { params })), {
    type: "object",
    properties: { mute: {}, old: {} },
    required: ["mute", "old"],
    additionalProperties: false,
  });
});
