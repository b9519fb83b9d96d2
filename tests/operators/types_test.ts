import assert from "node:assert/strict";
import fc from "fast-check";
import { parseColumnType } from "../../operators/_column_type.ts";
import { readCsv } from "./_read_csv.ts";

const day = (text: string) => Date.parse(`${text}T00:00:00Z`);
const micros = (text: string) => BigInt(Date.parse(text)) * 1000n;

/** The fields of a column, the type inferred, and its values where they are not the fields themselves. */
const INFERRED: readonly (readonly [fields: string[], type: string, values?: unknown[]])[] = [
  [["true", "false"], "boolean", [true, false]],
  [["t", "f", "True", "FALSE", "TRUE", "False"], "boolean", [
    true,
    false,
    true,
    false,
    true,
    false,
  ]],
  [["T"], "text"],
  [["yes", "no"], "text"],
  [["true", "1"], "text"],
  [["0", "1"], "integer", [0, 1]],
  [["2147483647", "-2147483648"], "integer", [2147483647, -2147483648]],
  [["2147483648"], "bigint", [2147483648n]],
  [["-2147483649", "1"], "bigint", [-2147483649n, 1n]],
  [["9999999999", "4294967296", "-4294967297"], "bigint", [9999999999n, 4294967296n, -4294967297n]],
  [["999999999999999", "-999999999999999"], "bigint", [999999999999999n, -999999999999999n]],
  [["9007199254740993", "-9007199254740993"], "bigint", [9007199254740993n, -9007199254740993n]],
  [["9223372036854775807", "-9223372036854775808"], "bigint", [
    9223372036854775807n,
    -9223372036854775808n,
  ]],
  [["9223372036854775808"], "numeric"],
  [["-9223372036854775809"], "numeric"],
  [["12345678901234567890"], "numeric"],
  [["9".repeat(1000)], "numeric"],
  [["007"], "text"],
  [["-01"], "text"],
  [["00"], "text"],
  [["00.5"], "text"],
  [["-00.5"], "text"],
  [["01e5"], "text"],
  [["+5"], "text"],
  [["+5.0"], "text"],
  [["1 "], "text"],
  [[" 1"], "text"],
  [["1_000"], "text"],
  [["0x10"], "text"],
  [["-"], "text"],
  [["."], "text"],
  [["-."], "text"],
  [["e5"], "text"],
  [["1e"], "text"],
  [["1e+"], "text"],
  [["1.2.3"], "text"],
  [["1-2"], "text"],
  [["--1"], "text"],
  [["\ufeff5", "6"], "text"],
  [["1", "\ufeff1.123456789012345678901"], "text"],
  [["-0"], "double precision", [-0]],
  [["0", "-0.0"], "double precision", [0, -0]],
  [["1", "2.5"], "double precision", [1, 2.5]],
  [["1e5", "1E-5", "-1.5e+3"], "double precision", [1e5, 1e-5, -1500]],
  [[".5", "5.", "-.5"], "double precision", [0.5, 5, -0.5]],
  [["0.1", "0.2", "1234.5678"], "double precision", [0.1, 0.2, 1234.5678]],
  [["123456789012345.", ".123456789012345"], "double precision", [
    123456789012345,
    .123456789012345,
  ]],
  [["0.000000000000000000001"], "double precision", [1e-21]],
  [["NaN", "Infinity", "-Infinity", "inf", "-inf"], "double precision", [
    NaN,
    Infinity,
    -Infinity,
    Infinity,
    -Infinity,
  ]],
  [["nan"], "text"],
  [["+Infinity"], "text"],
  [["constructor"], "text"],
  [["1.7976931348623157e308", "5e-324", "2.2250738585072014e-308"], "double precision", [
    Number.MAX_VALUE,
    5e-324,
    2.2250738585072014e-308,
  ]],
  // Seventeen digits: a double where its shortest form has the same ones.
  [["0.30000000000000004"], "double precision", [0.30000000000000004]],
  [["3.141592653589793"], "double precision", [Math.PI]],
  [["-73.98241999999999"], "double precision", [-73.98241999999999]],
  [["0.10000000000000001"], "numeric"],
  [["3.14159265358979312"], "numeric"],
  [["1.5", "3.14159265358979323846"], "numeric"],
  [["123456789.987654321"], "numeric"],
  [["1.234567890123456000"], "double precision", [1.234567890123456]],
  [["1e400"], "numeric"],
  [["1e-400"], "numeric"],
  [["1.234e-320"], "double precision", [1.234e-320]],
  [["1.2345678e-320"], "numeric"],
  [["1e131071"], "numeric"],
  [["1e131072"], "text"],
  [["1e-16383"], "numeric"],
  [["1e-16384"], "text"],
  [["0e99999999999"], "double precision", [0]],
  // Whole numbers beyond bigint, and decimals for which Postgres would print others.
  [["100000000000000000000000"], "numeric"],
  [["1.5", "10000000000000000000"], "numeric"],
  [["2.0e23"], "numeric"],
  [["20000000000000000000000000.0e-2"], "numeric"],
  [["8.41e21"], "numeric"],
  [["1e22", "1.8e300"], "double precision", [1e22, 1.8e300]],
  [["12345678901234567890", "NaN"], "numeric"],
  [["12345678901234567890", "Infinity"], "text"],
  [["2021-01-31", "1969-12-31"], "date", [day("2021-01-31"), day("1969-12-31")]],
  [["2000-02-29", "2024-02-29"], "date", [day("2000-02-29"), day("2024-02-29")]],
  [["0001-01-01", "9999-12-31"], "date", [day("0001-01-01"), day("9999-12-31")]],
  [["1900-02-29"], "text"],
  [["2021-02-29"], "text"],
  [["2021-04-31"], "text"],
  [["2021-13-01"], "text"],
  [["2021-00-01"], "text"],
  [["2021-01-00"], "text"],
  [["0000-01-01"], "text"],
  [["-001-01-01"], "text"],
  [["0044-03-15 BC"], "text"],
  [["10000-01-01"], "text"],
  [["2021-1-1"], "text"],
  [["2021/01/01"], "text"],
  [["01-02-2021"], "text"],
  [["2021-01-31 23:59:59", "2021-01-31T00:00:00"], "timestamp", [
    micros("2021-01-31T23:59:59Z"),
    micros("2021-01-31T00:00:00Z"),
  ]],
  [["2021-01-31 23:59", "2021-01-31"], "timestamp", [
    micros("2021-01-31T23:59Z"),
    micros("2021-01-31T00:00Z"),
  ]],
  [["1969-12-31 23:59:59.999999", "2021-01-31 00:00:00.5"], "timestamp", [
    -1n,
    micros("2021-01-31T00:00:00.5Z"),
  ]],
  [["0001-01-01 00:00:00.000001", "9999-12-31 23:59:59.999999"], "timestamp", [
    micros("0001-01-01T00:00:00Z") + 1n,
    micros("9999-12-31T23:59:59Z") + 999999n,
  ]],
  [["2255-03-14 12:34:56.123456", "2256-03-14 12:34:56.123456"], "timestamp", [
    micros("2255-03-14T12:34:56Z") + 123456n,
    micros("2256-03-14T12:34:56Z") + 123456n,
  ]],
  [["2021-01-31 24:00:00"], "text"],
  [["2021-01-31 23:60"], "text"],
  [["2021-01-31 23:59:60"], "text"],
  [["2021-01-31 23:59:59."], "text"],
  [["2021-01-31 23:59:59.1234567"], "text"],
  [["2021-01-31 23:59:59.12x"], "text"],
  [["2021-01-31 23:59.5"], "text"],
  [["2021-01-31 23"], "text"],
  [["2021-01-31 "], "text"],
  [["2021-01-31_23:59"], "text"],
  [["2021-02-30 23:59:59"], "text"],
  [["2021-01-31 23-59-59"], "text"],
  [["2021-01-31T12:00:00Z", "2021-01-31 12:00Z"], "timestamptz", [
    micros("2021-01-31T12:00:00Z"),
    micros("2021-01-31T12:00:00Z"),
  ]],
  [
    ["2021-01-31T12:00:00+02:00", "2021-01-31 12:00-0530", "2021-01-31 12:00:00.25+02"],
    "timestamptz",
    [
      micros("2021-01-31T10:00:00Z"),
      micros("2021-01-31T17:30:00Z"),
      micros("2021-01-31T10:00:00.25Z"),
    ],
  ],
  [["2021-01-31T12:00:00Z", "2021-01-31T12:00:00"], "text"],
  [["2021-01-31T12:00:00+16:00"], "text"],
  [["2021-01-31T12:00:00+02:60"], "text"],
  [["2021-01-31T12:00:00+02-00"], "text"],
  [["2021-01-31T12:00:00+2"], "text"],
  [["2021-01-31Z"], "text"],
  [["2021-01-31+02:00"], "text"],
  [["Z"], "text"],
  [["00000000-0000-0000-0000-000000000000", "6ba7b810-9dad-11d1-80b4-00C04FD430C8"], "uuid", [
    new Uint8Array(16),
    Uint8Array.from([
      0x6b,
      0xa7,
      0xb8,
      0x10,
      0x9d,
      0xad,
      0x11,
      0xd1,
      0x80,
      0xb4,
      0,
      0xc0,
      0x4f,
      0xd4,
      0x30,
      0xc8,
    ]),
  ]],
  [["6ba7b8109dad11d180b400c04fd430c8"], "text"],
  [["6ba7b810-9dad-11d1-80b4-00c04fd430cg"], "text"],
  [["6ba7b810-9dad-11d1-80b4+00c04fd430c8"], "text"],
  [["6ba7b8-10-9dad-11d1-80b4-00c04fd430c8"], "text"],
  [["Hello", "1"], "text"],
];

for (const [fields, type, values = fields] of INFERRED) {
  const shown = fields.map((text) => text.length > 50 ? `${text.slice(0, 20)}…` : text).join(" ");
  Deno.test(`a column of ${shown} is ${type}`, async () => {
    // A NULL in each place, and a column behind it, so that nothing reads on into the next field.
    const lines = fields.flatMap((text) => [`${text},9`, ",9"]);
    const table = await readCsv(`v,w\n${lines.join("\n")}`);
    assert.deepEqual(table.types, [type, "integer"]);
    const read = table.rows.map(([value]) => value);
    assert.deepEqual(read, values.flatMap((value) => [value, null]));
    const quoted = fields.map((text) => `"${text}"`).join("\n");
    const again = await readCsv(`v\n${quoted}\n`);
    assert.deepEqual(again.types, [type], "quoted the same");
    assert.deepEqual(again.rows.flat(), values);
  });
}

/** Declared types, by any of their names: a field and its value, or that it is refused. */
const DECLARED: readonly (readonly [type: string, text: string, value: unknown])[] = [
  ["text", "1", "1"],
  ["VARCHAR", "true", "true"],
  ["bigint", "1", 1n],
  ["int8", "-5", -5n],
  ["integer", "007", 7],
  ["integer", "+5", 5],
  ["integer", "-0", 0],
  ["integer", "00000000000002147483647", 2147483647],
  ["integer", "00000000000002147483648", undefined],
  ["integer", "+-5", undefined],
  ["bigint", "-00000000000000000000005", -5n],
  ["bigint", "9223372036854775807", 9223372036854775807n],
  ["bigint", "9223372036854775808", undefined],
  ["float8", "007.50", 7.5],
  ["float8", "+1e3", 1000],
  ["numeric", "+007.50", "+007.50"],
  ["double precision", "1", 1],
  ["  Double   Precision ", "1", 1],
  ["float8", "0.10000000000000001", 0.1],
  ["float8", "12345678901234567890", 12345678901234567890],
  ["float8", "1e-400", undefined],
  ["float8", "1e400", undefined],
  ["numeric", "1", "1"],
  ["decimal", "1.500", "1.500"],
  ["numeric", "NaN", "NaN"],
  ["numeric", "Infinity", undefined],
  ["numeric", "x", undefined],
  ["timestamp", "2021-01-31", micros("2021-01-31T00:00Z")],
  ["timestamp with time zone", "2021-01-31T00:00:00Z", micros("2021-01-31T00:00Z")],
  ["timestamptz", "2021-01-31T00:00:00", undefined],
  ["bool", "t", true],
  ["bool", "1", undefined],
  ["integer", "2147483648", undefined],
  ["integer", "1.0", undefined],
  ["int", '""', undefined],
  ["bigint", '""', undefined],
  ["float", '""', undefined],
  ["numeric", '""', undefined],
  ["date", '""', undefined],
  ["timestamp", '""', undefined],
  ["bool", '""', undefined],
  ["uuid", '""', undefined],
  ["date", "2021-02-29", undefined],
  ["uuid", "x", undefined],
];

for (const [type, text, value] of DECLARED) {
  const says = value === undefined ? "refuses" : "reads";
  Deno.test(`a column declared ${type} ${says} ${text}`, async () => {
    const read = readCsv(`v,w\n${text},\n`, { types: { v: type } });
    if (value !== undefined) {
      const { types, rows } = await read;
      assert.deepEqual([types[0], rows[0]![0]], [parseColumnType(type), value]);
    } else {
      const shown = JSON.stringify(text.replaceAll('"', ""));
      await assert.rejects(read, {
        name: "GiveUp",
        message: `Cannot parse ${shown} as ${parseColumnType(type)} in column "v", line 2: ` +
          "that type was declared; declare another, mend the file, or keep such records aside: " +
          "--on-reject keep (in code onReject: { limit: 100 })",
      });
    }
  });
}

Deno.test("a declared double is the correctly rounded value of any decimal", async () => {
  const digits = fc.string({ unit: fc.constantFrom(..."0123456789"), maxLength: 40 });
  const decimal = fc.tuple(
    fc.constantFrom("", "-"),
    fc.oneof(
      fc.constant("0"),
      fc.integer({ min: 1, max: 9 }).chain((d) => digits.map((s) => d + s)),
    ),
    fc.oneof(fc.constant(""), digits.map((text) => `.${text}`)),
    fc.oneof(fc.constant(""), fc.integer({ min: -250, max: 250 }).map((n) => `e${n}`)),
  ).map((parts) => parts.join(""));
  const any = fc.oneof(decimal, fc.double({ noDefaultInfinity: true, noNaN: true }).map(String));
  await fc.assert(
    fc.asyncProperty(fc.array(any, { minLength: 1, maxLength: 50 }), async (values) => {
      const { rows } = await readCsv(`v,w\n${values.map((value) => `${value},`).join("\n")}`, {
        types: { v: "double precision" },
      });
      assert.deepEqual(rows.map(([value]) => value), values.map(Number));
    }),
    { numRuns: 200 },
  );
});

Deno.test("what is inferred loses no digit", async () => {
  const digit = fc.string({ unit: fc.constantFrom(..."0123456789"), minLength: 1, maxLength: 22 });
  const decimal = fc.tuple(fc.constantFrom("", "-"), digit, digit).map(([sign, whole, fraction]) =>
    `${sign}${whole.replace(/^0+(?=\d)/, "")}.${fraction}`
  );
  const plain = (text: string) => text.replace(/^(-?)0*(\d)/, "$1$2").replace(/\.?0*$/, "");
  await fc.assert(
    fc.asyncProperty(decimal, async (text) => {
      const { types, rows } = await readCsv(`v\n${text}\n`);
      const [[value]] = rows as [[number | string]];
      const digits = typeof value === "number"
        ? String(value).split("e")[0]!.replace(/[-.]/g, "").replace(/^0+|0+$/g, "")
        : "";
      if (types[0] === "numeric") assert.equal(value, text);
      else assert.equal(digits, plain(text).replace(/[-.]/g, "").replace(/^0+|0+$/g, ""));
    }),
    { numRuns: 500 },
  );
});

Deno.test("a type that does not exist is refused with the names of those that do", () => {
  assert.throws(
    () => parseColumnType("money"),
    new TypeError(
      'Cannot use "money" as a column type: use one of boolean, integer, bigint, double precision, numeric, ' +
        "date, timestamp, timestamptz, uuid, text",
    ),
  );
});
