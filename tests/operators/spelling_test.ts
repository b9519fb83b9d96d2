import assert from "node:assert/strict";
import { csv, type CsvOptions } from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";
import { chunked, readCsv } from "./_read_csv.ts";

const day = (text: string) => Date.parse(`${text}T00:00:00Z`);
const micros = (text: string) => BigInt(Date.parse(`${text}Z`)) * 1000n;

const GERMAN: CsvOptions = { decimal: ",", thousands: ".", dateOrder: "dmy" };

/** Options, the fields of a column, the type inferred, and its values. */
const READ: readonly (readonly [CsvOptions, string[], string, unknown[]])[] = [
  [GERMAN, ["1.234,5", "-0,25", "7"], "double precision", [1234.5, -0.25, 7]],
  [GERMAN, ["1.234", "1.234.567", "12"], "integer", [1234, 1234567, 12]],
  [GERMAN, ["1.234.567.890.123"], "bigint", [1234567890123n]],
  [GERMAN, ["12.345.678.901.234.567,89"], "numeric", ["12345678901234567.89"]],
  [GERMAN, ["1.5", "2.5"], "text", ["1.5", "2.5"]],
  [GERMAN, ["12.34", "1"], "text", ["12.34", "1"]],
  [GERMAN, ["0.123"], "text", ["0.123"]],
  [GERMAN, ["007", "1"], "text", ["007", "1"]],
  [GERMAN, ["1,5", "n/a"], "text", ["1,5", "n/a"]],
  [GERMAN, ["1,5e3"], "double precision", [1500]],
  [{ decimal: "," }, ["1.5"], "text", ["1.5"]],
  [{ decimal: "," }, ["1,", "2,5"], "double precision", [1, 2.5]],
  [{ thousands: "," }, ["1,234.5", "12"], "double precision", [1234.5, 12]],
  [{ thousands: "," }, ["1,23", "12"], "text", ["1,23", "12"]],
  [{ thousands: "'" }, ["1'234.5"], "double precision", [1234.5]],
  [{ thousands: "\u202f" }, ["1\u202f234"], "integer", [1234]],
  [{ thousands: " " }, ["12 345", "6"], "integer", [12345, 6]],
  [{ signs: ["%"] }, ["12.5 %", "-3%", "4"], "double precision", [12.5, -3, 4]],
  [{ signs: ["€", "EUR"] }, ["€5", "5 EUR", "-€6", "€-7"], "integer", [5, 5, -6, -7]],
  [{ signs: ["$"], thousands: "," }, ["$1,234.50", "$2"], "double precision", [1234.5, 2]],
  [{ signs: ["$"] }, ["$", "1"], "text", ["$", "1"]],
  [GERMAN, ["31.12.2021", "1.2.2021", "01/02/2021"], "date", [
    day("2021-12-31"),
    day("2021-02-01"),
    day("2021-02-01"),
  ]],
  [GERMAN, ["31.12.2021 9:30", "01.01.2022 23:59:59.5"], "timestamp", [
    micros("2021-12-31T09:30"),
    micros("2022-01-01T23:59:59") + 500_000n,
  ]],
  [{ dateOrder: "mdy" }, ["1/2/2021", "12/31/2021"], "date", [
    day("2021-01-02"),
    day("2021-12-31"),
  ]],
  [{ dateOrder: "ymd" }, ["2021/1/2", "2021.12.31"], "date", [
    day("2021-01-02"),
    day("2021-12-31"),
  ]],
  [{ dateOrder: "mdy" }, ["31/12/2021"], "text", ["31/12/2021"]],
  [{ dateOrder: "dmy" }, ["1/2/21"], "text", ["1/2/21"]],
  [{ dateOrder: "dmy" }, ["1/2.2021"], "text", ["1/2.2021"]],
  [{ dateOrder: "dmy" }, ["30/02/2021"], "text", ["30/02/2021"]],
  [{ dateOrder: "dmy" }, ["2021-01-31"], "date", [day("2021-01-31")]],
  [{ dateOrder: "dmy" }, ["2021-01-31", "1/2/2021"], "text", ["2021-01-31", "1/2/2021"]],
  [{}, ["1.234,5"], "text", ["1.234,5"]],
  [{}, ["31.12.2021"], "text", ["31.12.2021"]],
  [{}, ["1/2/2021", "13/2/2021"], "text", ["1/2/2021", "13/2/2021"]],
  [{}, ["12%", "$5"], "text", ["12%", "$5"]],
];

for (const [options, fields, type, values] of READ) {
  Deno.test(`with ${JSON.stringify(options)}, ${fields.join("  ")} are ${type}`, async () => {
    const text = `v|n\n${fields.map((field) => `"${field}"|\n|""\n`).join("")}`;
    // NULL stays NULL, and what is quoted and empty is text: in a column of its own.
    const read = await readCsv(text, { delimiter: "|", ...options });
    assert.deepEqual(read.types, [type, "text"]);
    assert.deepEqual(read.rows.map(([v]) => v), values.flatMap((value) => [value, null]));
  });
}

/** What contradicts a declaration is an error and never another value; what contradicts the sample is read again. */
const REFUSED: readonly (readonly [CsvOptions, string, RegExp])[] = [
  [GERMAN, "1.5", /column "v" is text, not integer, as line 2002 shows/],
  [GERMAN, "1,5 €", /column "v" is text, not integer, as line 2002 shows/],
  [{ ...GERMAN, types: { v: "numeric" } }, "1.5", /"1\.5" as numeric in column "v", line 2002/],
];

for (const [options, late, message] of REFUSED) {
  Deno.test(`with ${JSON.stringify(options)}, ${late} behind the sample is refused`, async () => {
    const text = `v|n\n${"1.234|x\n".repeat(2000)}${late}|x\n`;
    await assert.rejects(
      readCsv(text, { delimiter: "|", sampleBytes: 512, ...options }),
      { name: options.types ? "GiveUp" : "ReadAgain", message },
    );
  });
}

Deno.test("a date of the other order behind the sample is refused", async () => {
  const text = `v\n${"1/2/2021\n".repeat(2000)}12/31/2021\n`;
  const options: CsvOptions = { dateOrder: "dmy", sampleBytes: 512 };
  await assert.rejects(
    readCsv(text, options),
    /column "v" is text, not date, as line 2002 shows; what went out before it is not what the source says/,
  );
});

Deno.test("declared types are read as they are spelled, and declared text is left as it is", async () => {
  const { types, rows } = await readCsv("a;b;c;d\n1.234,50;1.2.2021;1,5;2021-01-02\n", {
    ...GERMAN,
    delimiter: ";",
    types: { a: "numeric", b: "timestamp", c: "text", d: "date" },
  });
  assert.deepEqual(types, ["numeric", "timestamp", "text", "date"]);
  assert.deepEqual(rows, [["1234.50", micros("2021-02-01T00:00"), "1,5", day("2021-01-02")]]);
});

Deno.test("numbers and dates that are written as elsewhere stay text, and the options for them are named", async () => {
  const said: string[] = [];
  const log = { info: (message: string) => void said.push(message), warn() {}, error() {} };
  const text =
    'a,b,c,d,e,f\n31.12.2021,"1.234,50",1.2.2021,x,"1,5",\n01.01.2022,"7,00",3.4.2021,"1,2",2,\n';
  const batches = await perform(csv(), testContext({ log }), chunked(text));
  await batches.getReader().read();
  assert.deepEqual(said, [
    '"a" is read as text; the first values look like --date-order dmy',
    '"b", "e" are read as text; the first values look like --decimal , --thousands .',
    '"c" is read as text; the first values look like --date-order dmy or --date-order mdy',
  ]);
});
