import assert from "node:assert/strict";
import fc from "fast-check";
import { CopyIn } from "../../operators/_copy_in.ts";
import { jsonOf, type Reject } from "../../operators/_reject.ts";
import { PREAMBLE, TRAILER } from "../../operators/_encoder.ts";
import { COPIED, RejectRows } from "../../operators/_rejects_copy.ts";
import { freshDatabase, sharedPostgres } from "../_postgres.ts";
// @ts-types="@types/pg"
import pg from "pg";

await sharedPostgres();

const text = fc.string({ unit: "grapheme" }).map((text) => text.replaceAll("\0", ""));
const odd = fc.constantFrom(
  ..."\b\f\n\r\t\v\\\"'/{}[],:\u0001\u001f\u007f\u2028𝄞",
  "\\N",
  "\\.",
  "\\u0041",
  "null",
);
const any = fc.array(fc.oneof(text, odd), { maxLength: 6 }).map((parts) => parts.join(""))
  .filter((text) => text.isWellFormed());
const whole = fc.maxSafeInteger();
const rejects: fc.Arbitrary<Reject> = fc.record({
  record: whole,
  line: fc.option(whole),
  from_byte: fc.option(whole),
  to_byte: fc.option(whole),
  column_name: fc.option(any),
  rule: fc.constantFrom("type", "encoding", "fields"),
  message: any,
  raw: any,
  bytes: fc.option(
    fc.uint8Array({ maxLength: 9 }).map((bytes) => btoa(String.fromCharCode(...bytes))),
  ),
  row: fc.option(fc.dictionary(any, fc.option(any)).map((row) => JSON.stringify(row))),
});

Deno.test("lines of rejects are copied as they stand, whatever is in them", async () => {
  await using database = await freshDatabase();
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query("SET TimeZone = 'UTC'");
  try {
    for (const type of ["json", "jsonb"]) {
      await client.query(
        `CREATE TEMPORARY TABLE ${type}_row (load text, run text, source text, record bigint, line bigint,
           from_byte bigint, to_byte bigint, column_name text, rule text, message text, raw text, bytes bytea,
           "row" ${type}, refused timestamptz, place jsonb)`,
      );
    }
    const heads = fc.record({
      ...{ source: fc.option(any), table: any, run: any, load: any },
      place: fc.option(fc.dictionary(any, any), { nil: undefined }),
      type: fc.constantFrom("json", "jsonb"),
      refused: fc.constantFrom(
        "2021-01-02T03:04:05.123456789Z",
        "2000-02-29T23:59:59Z",
        "1999-12-31T00:00:00.1Z",
        "2100-03-01T12:30:00.000001Z",
      ),
    });
    const property = fc.asyncProperty(
      heads,
      fc.array(rejects, { minLength: 1, maxLength: 20 }),
      async (head, all) => {
        const { load, source, table, run, place, type, refused: when } = head;
        const who = { source, table, run, refused: when };
        const lines = all.map((one) =>
          `${JSON.stringify(who).slice(0, -1)},${jsonOf(one).slice(1)}\n`
        );
        const bytes = new TextEncoder().encode(lines.join(""));
        const copy = new CopyIn(client, `COPY ${type}_row (${COPIED}) FROM STDIN (FORMAT binary)`);
        const made = new RejectRows(load, place, type === "jsonb"), cut = bytes.lastIndexOf(10, -2);
        await copy.write(PREAMBLE);
        for (const part of [bytes.subarray(0, cut + 1), bytes.subarray(cut + 1)]) {
          await copy.write(made.of(part));
        }
        await copy.write(TRAILER);
        assert.equal(await copy.finish(), all.length);
        // As text: the runtime's JSON.parse takes an escaped key for another after some objects.
        const { rows } = await client.query(
          `SELECT r.*, refused::text AS refused, encode(bytes, 'base64') AS base64, "row"::text AS values,
             place::text AS put FROM ${type}_row AS r`,
        );
        const asked = await client.query(
          `SELECT v::${type}::text AS values, $2::jsonb::text AS put
             FROM unnest($1::text[]) WITH ORDINALITY AS t (v, n) ORDER BY n`,
          [all.map(({ row }) => row), place && JSON.stringify(place)],
        );
        await client.query(`TRUNCATE ${type}_row`);
        for (const [i, one] of all.entries()) {
          const { base64, refused, values, put, ...found } = rows[i];
          const told = { load, source, run, ...one };
          for (
            const name of [
              "load",
              "source",
              "run",
              "column_name",
              "rule",
              "message",
              "raw",
            ] as const
          ) {
            assert.equal(found[name], told[name], name);
          }
          for (const name of ["record", "line", "from_byte", "to_byte"] as const) {
            assert.equal(found[name] === null ? null : Number(found[name]), told[name], name);
          }
          assert.equal(base64?.replaceAll("\n", "") ?? null, one.bytes);
          assert.deepEqual([values, put], [asked.rows[i].values, asked.rows[i].put]);
          const micros = Temporal.Instant.from(when).toString({ smallestUnit: "microsecond" });
          assert.equal(refused, micros.replace("T", " ").replace(/\.?0*Z$/, "+00"));
        }
      },
    );
    await fc.assert(property, { numRuns: 200 });
  } finally {
    await client.end();
  }
});
