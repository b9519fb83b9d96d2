import assert from "node:assert/strict";
import { parse } from "csv-parse/sync";
import fc from "fast-check";
import { jsonOf } from "../../operators/_reject.ts";
import { WrittenReject } from "../../operators/_reject_writer.ts";
import { siftCsv } from "./_sifted.ts";

const decoder = new TextDecoder();

/** What is in a field: plain for the most part, and now and then what JSON or CSV has to escape. */
const field = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(..."aZ0 9.-:/'") },
    { weight: 1, arbitrary: fc.constantFrom(...'"\\,\n\r\t\b\u001f\u007fäß€𝄞\u2028') },
    { weight: 1, arbitrary: fc.string({ unit: "grapheme", maxLength: 2 }) },
  ),
  { maxLength: 8 },
).map((parts) => parts.join("").replaceAll("\0", ""));

/** As CSV has it; quoted also where it need not be. */
const written = fc.tuple(field, fc.boolean()).map(([text, quotes]) =>
  quotes || /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
);

const record = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(written, written, written) },
  // One that fits, so that not all are refused.
  { weight: 2, arbitrary: fc.tuple(fc.integer({ min: -9, max: 9 }).map(String), written, written) },
  { weight: 1, arbitrary: fc.array(written, { minLength: 4, maxLength: 5 }) },
);

Deno.test("refused records are written as what they are, whatever is in them", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(record, { minLength: 1, maxLength: 30 }), async (records) => {
      const lines = ["a,b,c", ...records.map((fields) => fields.join(","))];
      const options = { types: { a: "integer", b: "text", c: "text" }, delimiter: ",", quote: '"' };
      const { rows, rejects } = await siftCsv(`${lines.join("\n")}\n`, {
        ...options,
        header: true,
      });
      const starts: number[] = [];
      let at = 0;
      for (const line of lines) {
        starts.push(at);
        at += new TextEncoder().encode(line).length + 1;
      }
      for (const reject of rejects) {
        assert.ok(reject instanceof WrittenReject);
        const json = decoder.decode(reject.json), text = lines[reject.record]!;
        assert.equal(json, jsonOf(reject), "the getters read what was written");
        const shown = JSON.parse(json), places = [shown.from_byte, shown.to_byte];
        assert.deepEqual(
          places,
          [starts[reject.record], starts[reject.record + 1] ?? at].map((n, i) => n! - i),
        );
        assert.deepEqual([shown.record, shown.raw, shown.bytes], [reject.record, text, null]);
        if (reject.rule === "fields") {
          assert.deepEqual([shown.column_name, shown.row], [null, null]);
          assert.match(shown.message, /^line \d+ has \d fields?, expected 3$/);
          continue;
        }
        const [fields] = parse(text, {
          relax_column_count: true,
          cast: (value: string, { quoting }) => value === "" && !quoting ? null : value,
        }) as (string | null)[][];
        assert.deepEqual([shown.column_name, shown.rule], ["a", "type"]);
        assert.deepEqual(shown.row, { a: fields![0], b: fields![1], c: fields![2] });
        assert.equal(shown.message, `${JSON.stringify(fields![0])} is not of type integer`);
      }
      assert.equal(rows.length + rejects.length, records.length);
      const odd = records.filter((fields) => fields.length !== 3).length;
      assert.equal(rejects.filter(({ rule }) => rule === "fields").length, odd);
    }),
    { numRuns: 400 },
  );
});

Deno.test("a refused field is shown as what it says, not as it is written", async () => {
  const text = 'a,b\n"1~~2",x\n"1~"2",y\n1~~2,z\n';
  const { rejects } = await siftCsv(text, {
    types: { a: "integer" },
    delimiter: ",",
    quote: '"',
    escape: "~",
    header: true,
  });
  assert.deepEqual(rejects.map(({ message, row }) => [message, JSON.parse(row!).a]), [
    ['"1~2" is not of type integer', "1~2"],
    [`"1\\"2" is not of type integer`, '1"2'],
    ['"1~~2" is not of type integer', "1~~2"],
  ]);
});

Deno.test("a refused record may be longer than what is kept of it, whatever its length", async () => {
  const names = ["a", "long", ..."xyz"].map((name) => name.repeat(name.length > 1 ? 1 : 41));
  for (let n = 385_000; n < 385_600; n += 7) {
    const long = "あ".repeat(n), text = `${names}\nx,${long},,,\n`;
    const { rejects: [reject] } = await siftCsv(text, {
      types: { [names[0]!]: "integer", long: "text" },
      delimiter: ",",
      quote: '"',
      header: true,
      maxFieldBytes: 1 << 22,
    });
    const json = JSON.parse(decoder.decode((reject as WrittenReject).json));
    assert.deepEqual(json.row[names[4]!], null);
    assert.ok(json.row.long === long && json.raw.startsWith("x,あ"));
  }
});
