import assert from "node:assert/strict";
import { parse } from "csv-parse/sync";
import fc from "fast-check";
import { chunked, readCsv } from "./_read_csv.ts";

type Record = (string | null)[];

/** What is not quoted and empty is NULL. */
const cast = (value: string, { quoting }: { quoting: boolean }) =>
  value === "" && !quoting ? null : value;

/** csv-parse's reading, or undefined where it refuses. */
function theirs(text: string, delimiter: string, relaxed: boolean): Record[] | undefined {
  const options = {
    cast,
    delimiter,
    record_delimiter: ["\r\n", "\n", "\r"],
    relax_quotes: relaxed, // what is no opening quote is literal
  };
  // Our mark, not one that empty lines had hidden; the first record tells whether empty lines are records.
  const lead = text.replace(/^\ufeff/, "").replace(/^[\r\n]+/, "");
  try {
    const records = parse(lead, { ...options, skip_empty_lines: true }) as Record[];
    return records[0]?.length === 1 ? parse(lead, options) as unknown as Record[] : records;
  } catch {
    return undefined;
  }
}

/** Our reading, all columns as text, or undefined where we refuse. */
async function ours(
  text: string,
  delimiter: string,
  cuts: number[],
): Promise<Record[] | undefined> {
  const bytes = new TextEncoder().encode(text);
  const places = cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b);
  const types = Object.fromEntries(
    Array.from({ length: 40 }, (_, i) => [`column_${i + 1}`, "text"]),
  );
  for (;;) {
    try {
      const { rows } = await readCsv(chunked(bytes, places), { header: false, delimiter, types });
      return rows as Record[];
    } catch (error) {
      // As many columns as there are, no more, are declared.
      const { name, message } = error as Error;
      if (name !== "GiveUp") throw error;
      const extra = /it has no column "(\w+)"/.exec(message)?.[1];
      if (extra === undefined) return undefined;
      const from = Number(extra.slice("column_".length));
      for (let i = from; i <= 40; i++) delete types[`column_${i}`];
    }
  }
}

const delimiter = fc.constantFrom(",", ";", "\t", "|");
const cuts = fc.array(fc.nat(), { maxLength: 12 });

/** Texts of all that means something, and of what does not. */
const field = fc.string({
  unit: fc.constantFrom("a", "7", " ", ",", ";", "\t", "|", '"', "\n", "\r", "\\", "é", "𝄞"),
  maxLength: 8,
});

const table = fc.integer({ min: 1, max: 6 }).chain((width) =>
  fc.array(fc.array(fc.option(field, { freq: 8 }), { minLength: width, maxLength: width }), {
    minLength: 1,
    maxLength: 8,
  })
);

function write(rows: Record[], delimiter: string, ends: string[], quoteAll: boolean[]): string {
  const needed = new RegExp(`["\\r\\n${delimiter === "|" ? "\\|" : delimiter}]`);
  let k = 0;
  return rows.map((row, r) =>
    row.map((value) => {
      if (value === null) return "";
      const quote = value === "" || needed.test(value) || quoteAll[k++ % quoteAll.length];
      return quote ? `"${value.replaceAll('"', '""')}"` : value;
    }).join(delimiter) + ends[r % ends.length]
  ).join("");
}

const file = fc.tuple(
  table,
  delimiter,
  fc.array(fc.constantFrom("\n", "\r\n", "\r"), { minLength: 1, maxLength: 4 }),
  fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }),
);

Deno.test("what was written as CSV is read back", async () => {
  await fc.assert(
    fc.asyncProperty(file, cuts, async ([rows, delimiter, ends, quoteAll], cuts) => {
      // Of an empty record between CR and LF nothing can be seen.
      const same = rows[0]!.length === 1 ? ends.slice(0, 1) : ends;
      const text = write(rows, delimiter, same, quoteAll);
      // Empty lines before the first record do not count, in a file of one column either.
      const first = rows[0]!.length === 1 ? rows.findIndex(([value]) => value !== null) : 0;
      const expected = first < 0 ? undefined : rows.slice(first);
      assert.deepEqual(await ours(text, delimiter, cuts), expected);
    }),
    { numRuns: 300 },
  );
});

/** A file with some of its characters replaced, dropped or put in. */
const mutated = fc.tuple(
  file,
  fc.array(
    fc.tuple(
      fc.nat(),
      fc.constantFrom("replace", "drop", "insert"),
      fc.constantFrom('"', ",", ";", "\n", "\r", "\r\n", " ", "x", "\ufeff"),
    ),
    { maxLength: 4 },
  ),
).map(([[rows, delimiter, ends, quoteAll], changes]) => {
  let text = write(rows, delimiter, ends, quoteAll);
  for (const [place, how, piece] of changes) {
    const at = place % (text.length + 1);
    text = text.slice(0, at) + (how === "drop" ? "" : piece) +
      text.slice(how === "insert" ? at : at + 1);
  }
  return { text: text.toWellFormed(), delimiter };
});

const soup = fc.record({
  text: fc.string({ unit: fc.constantFrom("a", ",", '"', "\n", "\r", " "), maxLength: 25 }),
  delimiter: fc.constant(","),
});

for (const [what, files] of [["a mutated file", mutated], ["a soup of signs", soup]] as const) {
  Deno.test(`${what} is read as csv-parse reads it, and refused where it does`, async () => {
    let read = 0, refused = 0;
    await fc.assert(
      fc.asyncProperty(files, cuts, async ({ text, delimiter }, cuts) => {
        const mine = await ours(text, delimiter, cuts);
        if (mine) {
          read++;
          assert.deepEqual(mine, theirs(text, delimiter, true));
        } else {
          refused++;
          // Its way to relax lets anything stand behind a closing quote; strict, it refuses what we do.
          // It takes an empty file, too.
          const strict = theirs(text, delimiter, false);
          assert.ok(strict === undefined || strict.length === 0, JSON.stringify(strict));
        }
      }),
      { numRuns: 600 },
    );
    assert.ok(read > 100 && refused > 100, `${read} read, ${refused} refused`);
  });
}
