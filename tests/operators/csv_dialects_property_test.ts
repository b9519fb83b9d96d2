import assert from "node:assert/strict";
import { parse } from "csv-parse/sync";
import fc from "fast-check";
import { Malformed } from "../../operators/_tokenizer.ts";
import type { CsvOptions } from "../../operators/mod.ts";
import { chunked, every, readCsv } from "./_read_csv.ts";

/** A dialect of another program, and how to tell ours of it. */
interface Spoken {
  readonly delimiter: string;
  readonly quote: string;
  readonly escape: string;
  readonly ends: string;
}

const spoken: fc.Arbitrary<Spoken> = fc.record({
  delimiter: fc.constantFrom(",", ";", "\t", "|", "^", "~", ":", "\x01"),
  quote: fc.constantFrom('"', "'"),
  escape: fc.constantFrom("doubled", "\\"),
  ends: fc.constantFrom("\n", "\r\n", "\r"),
}).map((dialect) => ({
  ...dialect,
  escape: dialect.escape === "doubled" ? dialect.quote : dialect.escape,
}));

const field = fc.string({
  unit: fc.constantFrom("a", "7", " ", ",", ";", "\t", "|", '"', "'", "\\", "\n", "\r\n", "#", "é"),
  maxLength: 7,
});

const table = fc.integer({ min: 2, max: 5 }).chain((width) =>
  fc.array(fc.array(field, { minLength: width, maxLength: width }), { minLength: 1, maxLength: 8 })
);

function write(rows: readonly string[][], { delimiter, quote, escape, ends }: Spoken): string {
  const special = new Set([delimiter, quote, escape, "\n", "\r"]);
  return rows.map((row) =>
    row.map((value) => {
      if (value !== "" && ![...value].some((c) => special.has(c))) return value;
      const inner = [...value].map((c) => c === quote || c === escape ? escape + c : c).join("");
      return quote + inner + quote;
    }).join(delimiter) + ends
  ).join("");
}

/** What we read, all of it text, however it is cut; undefined where we refuse. */
async function ours(
  text: string,
  options: CsvOptions,
  width: number,
): Promise<unknown[][] | undefined> {
  const bytes = new TextEncoder().encode(text);
  const types = Object.fromEntries(
    Array.from({ length: width }, (_, i) => [`column_${i + 1}`, "text"]),
  );
  const read: (unknown[][] | string)[] = [];
  for (const size of [1, 2, 3, 7, Math.max(1, bytes.length)]) {
    try {
      const source = chunked(bytes, every(size, bytes.length));
      read.push((await readCsv(source, { header: false, types, ...options })).rows);
    } catch (error) {
      assert.ok((error as Error).cause instanceof Malformed, String(error));
      read.push("refused");
    }
  }
  for (const other of read) assert.deepEqual(other, read[0]);
  return typeof read[0] === "string" ? undefined : read[0];
}

const NO_NULLS = { nulls: [] };

Deno.test("what is written in any dialect is read back when it is told, and as csv-parse reads it", async () => {
  await fc.assert(
    fc.asyncProperty(table, spoken, async (rows, dialect) => {
      const { delimiter, quote, escape } = dialect;
      const text = write(rows, dialect);
      const options = { delimiter, quote, escape, ...NO_NULLS };
      assert.deepEqual(await ours(text, options, rows[0]!.length), rows);
      const theirs = parse(text, {
        delimiter,
        quote,
        escape,
        record_delimiter: [dialect.ends],
        relax_quotes: true,
      });
      assert.deepEqual(theirs, rows);
    }),
    { numRuns: 200 },
  );
});

Deno.test("what is found out of a file is what it was written in, or nothing, or a refusal", async () => {
  let found = 0;
  await fc.assert(
    fc.asyncProperty(
      spoken.chain((dialect) =>
        fc.tuple(
          fc.constant(dialect),
          fc.integer({ min: 2, max: 4 }).chain((width) => {
            const { delimiter, quote } = dialect;
            const unit = fc.constantFrom("a", "7", " ", "é", "\n", delimiter, quote);
            const row = fc.array(fc.string({ unit, maxLength: 5 }), {
              minLength: width,
              maxLength: width,
            });
            return fc.array(row, { minLength: 2, maxLength: 8 });
          }),
        )
      ),
      async ([dialect, rows]) => {
        const text = write(rows, dialect);
        let guessed: unknown[][];
        try {
          guessed = (await readCsv(text, { header: false, ...NO_NULLS })).rows;
        } catch (error) {
          assert.ok((error as Error).cause instanceof Malformed, String(error));
          return;
        }
        const told = await readCsv(text, { header: false, ...NO_NULLS, ...pick(dialect) });
        if (guessed[0]?.length === 1) return; // it was not split at all
        try {
          assert.deepEqual(guessed, told.rows);
          found++;
        } catch (error) {
          // Apostrophes are signs like others where quotes, of which there are none, might be.
          if (dialect.quote === '"') throw error;
          const plain = { delimiter: dialect.delimiter, quote: '"' };
          const { rows } = await readCsv(text, { header: false, ...NO_NULLS, ...plain });
          assert.deepEqual(guessed, rows, JSON.stringify(text));
        }
      },
    ),
    { numRuns: 400 },
  );
  assert.ok(found > 100, `${found} found`);
});

function pick({ delimiter, quote, escape }: Spoken): CsvOptions {
  return { delimiter, quote, escape };
}

/** Reads files as Python's csv module does, or says "error". */
const PYTHON = `
import csv, io, json, sys
out = []
for case in json.load(sys.stdin):
    try:
        rows = list(csv.reader(io.StringIO(case["text"], newline=""), delimiter=case["delimiter"],
            quotechar=case["quote"], doublequote=case["escape"] == case["quote"],
            escapechar=None if case["escape"] == case["quote"] else case["escape"], strict=True))
        out.append([row for row in rows if row])
    except csv.Error:
        out.append("error")
json.dump(out, sys.stdout)
`;

async function python(cases: readonly object[]): Promise<(string[][] | "error")[] | undefined> {
  try {
    const child = new Deno.Command("python3", {
      args: ["-c", PYTHON],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(JSON.stringify(cases)));
    await writer.close();
    const { success, stdout } = await child.output();
    return success ? JSON.parse(new TextDecoder().decode(stdout)) : undefined;
  } catch {
    return undefined;
  }
}

Deno.test("changed files are read as Python's csv module reads them, or refused", async () => {
  const change = fc.tuple(
    fc.nat(),
    fc.constantFrom('"', "'", ",", ";", "\n", "\r\n", "x", "\\", ""),
  );
  const cases = fc.sample(
    fc.tuple(table, spoken, fc.array(change, { maxLength: 3 })),
    { numRuns: 400, seed: 20210101 },
  ).map(([rows, dialect, changes]) => {
    let text = write(rows, dialect);
    for (const [place, piece] of changes) {
      const at = place % (text.length + 1);
      text = text.slice(0, at) + piece + text.slice(at + 1);
    }
    return { ...dialect, text };
  });
  const theirs = await python(cases);
  if (!theirs) return console.log("skipped: there is no python3 to compare with");
  let same = 0;
  for (const [i, { text, delimiter, quote, escape }] of cases.entries()) {
    const expected: string[][] | "error" = theirs[i]!;
    // An escape outside of quotes is one for Python, and a sign like others here, as in Postgres.
    if (escape !== quote && text.includes("\\")) continue;
    const width: number = expected === "error" ? 0 : expected[0]?.length ?? 0;
    const mine: unknown[][] | undefined = await ours(text, {
      delimiter,
      quote,
      escape,
      ...NO_NULLS,
    }, Math.max(width, 1))
      .catch(() => undefined);
    if (!mine) continue;
    assert.notEqual(expected, "error", JSON.stringify(text));
    if (width < 2) continue; // of one column, empty lines are records
    assert.deepEqual(mine, expected, JSON.stringify(text));
    same++;
  }
  assert.ok(same > 100, `${same} the same`);
});
