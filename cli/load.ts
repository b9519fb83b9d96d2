import { buildCommand } from "@stricli/core";
import type { Copied } from "../operators/mod.ts";
import { type Meters, pace, pipe } from "../engine/mod.ts";
import { type ReadingFlags, readingFlags, readingOptions } from "./_reading_flags.ts";
import { type RejectFlags, rejectFlags, rejectOptions } from "./_reject_flags.ts";
import { keepFor, persist } from "./_resuming.ts";
import { type TargetFlags, targetFlags, targetOptions } from "./_target_flags.ts";
import { Database, type PlaceFlags, tellHow } from "./database.ts";
import * as flags from "./flags.ts";
import { bytes, count, duration, several, table } from "./format.ts";
import { LiveView } from "./live_view.ts";
import { refused, remaining, stageRow } from "./stages.ts";
import { print, tell, UsageError, verb, type World } from "./world.ts";

interface LoadFlags extends PlaceFlags, ReadingFlags, TargetFlags, RejectFlags {
  readonly into: string;
  readonly json: boolean;
}

/** `sluice load SOURCE --into TABLE`: one file or URL into Postgres. */
export const load = buildCommand<LoadFlags, [string], World>({
  func: verb(runLoad),
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [{
        parse: String,
        placeholder: "SOURCE",
        brief: "An http(s) URL, a file, or - for stdin; gzip, zstd and zip are recognised",
      }],
    },
    flags: {
      into: {
        kind: "parsed",
        parse: String,
        placeholder: "TABLE",
        brief: "The table; SCHEMA.TABLE names a schema, and quotes keep a dot: '\"a.b\"'",
      },
      ...targetFlags,
      database: flags.database,
      home: flags.home,
      ...readingFlags,
      ...rejectFlags,
      json: flags.json,
    },
  },
  docs: {
    brief: "Load a file or URL into a Postgres table",
    fullDescription: [
      "Streams SOURCE (CSV, JSON lines or Arrow IPC) through decompression and parsing into TABLE",
      "by binary COPY, in one transaction: whoever reads the table sees it as it was or as it will be, and whatever fails",
      "leaves it as it was. Columns and their types are inferred from the file; where a later value does not fit, the",
      "type becomes wider.",
      "",
      "Examples:",
      "  sluice load https://example.com/trips.csv.gz --into trips",
      "  sluice load people.csv --into staff.people --database postgres://localhost/hr",
      "  sluice load data.tsv --into data --delimiter tab --null NA --type zip=text",
      "  sluice load umsatz.csv --into sales --encoding latin1 --decimal , --date-order dmy",
      "  zcat old.csv.gz | sluice load - --into old --mode append --json",
      "  sluice load people.csv --into people --type age=integer --max-rejects 1% --rejects bad.jsonl",
      "  sluice load people.csv --into people --mode merge --on id --evolution evolve",
      "  sluice load jan.csv --into trips --mode partition --slice day=2021-01-01..2021-02-01",
      "  sluice load https://example.com/huge.csv.gz --into huge --resume",
      "",
      "With --resume, rows are committed in a table apart as they come, and the download is kept in the home folder. When it",
      "is killed, or fails, the same command goes on: the download at its next byte (if the server tells versions apart by a",
      "strong ETag), the load at its next record. Other options, another file: it begins anew. What nobody goes on with",
      "within a day is dropped.",
    ].join("\n"),
  },
});

async function runLoad(world: World, options: LoadFlags, source: string): Promise<number> {
  const target = tableName(options.into);
  if (options.into === "") throw new UsageError("--into needs the name of a table");
  const placing = await targetOptions(options, target, source);
  const reading = await readingOptions(options, await rejectOptions(world, options, source));
  await using database = await Database.from(world, options);
  const { copy, decompress, http, PLAIN_CSV, records } = await import("../operators/mod.ts");
  const { perform } = await import("../engine/mod.ts");
  using kept = options.resume ? await keepFor(world, options, source) : undefined;
  const opened = http({ url: source });
  const work = pipe(
    kept ? kept.through(opened) : opened,
    decompress(),
    records(reading),
    copy({ ...kept && { key: kept.id }, ...placing }),
  );
  const began = performance.now();
  let meters: Meters | undefined;
  const read = () => meters?.read() ?? [];
  let loaded: Copied;
  let dialect: unknown = PLAIN_CSV;
  {
    using view = new LiveView(world, {
      lines: () => {
        const readings = read();
        const status = [duration(performance.now() - began), remaining(readings)].filter(Boolean);
        const rows = readings.map((_, i) => stageRow(readings, i));
        return [`${options.into}  ${status.join(", ")}`, ...table(rows, "  ").split("\n")];
      },
      line: () => progressLine(options.into, read()),
    });
    const once = () =>
      perform(work, {
        signal: world.signal,
        connections: { database: database.connect },
        log: ({ message, fields }) => {
          dialect = fields?.dialect ?? dialect;
          view.say(message);
        },
        onOpen: (opened) => meters = opened,
      });
    loaded = kept ? await persist(once, (message) => view.say(message)) : await once();
  }
  kept?.forget();
  const seconds = (performance.now() - began) / 1000;
  const readings = read();
  const moved = (stage: string) => readings.find((reading) => reading.stage === stage)?.bytes ?? 0;
  if (options.json) {
    print(
      world,
      JSON.stringify({
        table: options.into,
        rows: loaded.rows,
        rejected: loaded.rejected,
        ...loaded.rejects && { rejects: loaded.rejects },
        ...loaded.merged && { merged: loaded.merged },
        ...loaded.resumed && { resumed: loaded.resumed },
        ...loaded.unchanged && { unchanged: true },
        ...loaded.unverified && { unverified: true },
        bytes_read: moved("http"),
        bytes_decompressed: moved("decompress"),
        seconds: Number(seconds.toFixed(3)),
        columns: loaded.columns,
        ...loaded.discarded && { discarded: loaded.discarded },
        ...loaded.columnsInAll && { columns_in_all: loaded.columnsInAll },
        ...loaded.widened && { widened: loaded.widened },
        dialect,
      }),
    );
    return 0;
  }
  if (loaded.unchanged) {
    print(world, `${options.into}: unchanged, ${several(loaded.rows, "row")}`);
    return 0;
  }
  print(
    world,
    `${options.into}: ${several(loaded.rows, "row")} in ${duration(seconds * 1000)} ` +
      `(${count(loaded.rows / seconds)} rows/s, ${bytes(moved("decompress") / seconds)}/s)`,
  );
  if (loaded.merged) {
    const { inserted, updated, deleted, duplicates } = loaded.merged;
    print(
      world,
      `  ${count(inserted)} inserted, ${count(updated)} updated, ${count(deleted)} deleted, ` +
        several(duplicates, "duplicate"),
    );
  }
  if (loaded.rejects) {
    const { table, rules, file } = loaded.rejects;
    const why = Object.entries(rules).map(([rule, n]) => `${count(n)} ${rule}`).join(", ");
    print(
      world,
      `  ${count(loaded.rejected)} rejected (${why}): in table ${table}, and in ${file}`,
    );
  }
  if (loaded.unverified) {
    print(world, "  unverified: nothing told where the source ends, and it may have been cut");
  }
  if (loaded.resumed) {
    const { record, byte } = loaded.resumed;
    print(
      world,
      `  went on at record ${count(record)}${byte === null ? "" : `, byte ${count(byte)}`}`,
    );
  }
  print(world, table(loaded.columns.map(({ name, type }) => [name, type]), "  "));
  if (loaded.columnsInAll) {
    print(world, `  and ${count(loaded.columnsInAll - loaded.columns.length)} more columns`);
  }
  if (loaded.discarded) print(world, `  left out: ${loaded.discarded.join(", ")}`);
  for (const { column, from, to, line, reread } of loaded.widened ?? []) {
    const how = reread ? ", read again from the start" : "";
    const what = from === null
      ? `${to}, new on line ${count(line)}`
      : `${from} until line ${count(line)}, which made it ${to}`;
    print(world, `  ${column}: ${what}${how}`);
  }
  // What is over at once was waiting for nobody in particular.
  if (seconds >= 1) tell(world, `The pace was set by ${pace(readings).setBy}.`);
  if (database.started) await tellHow(world, database);
  return 0;
}

/** One line for a log: where a load stands. */
export function progressLine(
  name: string,
  readings: Parameters<typeof pace>[0],
): string | undefined {
  if (readings.length === 0) return undefined;
  const source = readings[0]!;
  const rows = readings.at(-1)!.rows;
  const left = remaining(readings);
  const rejects = refused(readings);
  return `${name}: ${several(rows, "row")}, ${rejects && `${rejects}, `}${
    bytes(source.bytes)
  } read, ` +
    `${bytes(source.bytes / Math.max(source.elapsed, 1) * 1000)}/s` +
    `${left ? `, ${left}` : ""}; the pace is set by ${pace(readings).setBy}`;
}

/** Reads `table`, `schema.table`, or either part in SQL's quotes; what has no dot is one name as it stands. */
export function tableName(text: string): { table: string; schema?: string } {
  const part = `("(?:[^"]|"")+"|[^".]+)`;
  const match = new RegExp(`^(?:${part}\\.)?${part}$`, "s").exec(text);
  const plain = (name: string) =>
    name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
  if (!match && /^(.*\.)?""$|^""\./s.test(text)) {
    throw new UsageError(`Cannot use ${JSON.stringify(text)} as the name of a table: "" is empty`);
  }
  if (!match && text.includes(".")) {
    throw new UsageError(
      `Cannot tell schema and table apart in ${
        JSON.stringify(text)
      }: a name with a dot stands in quotes, ` +
        `as in '"a.b".c' or 'a."b.c"'`,
    );
  }
  if (!match) return { table: text };
  const [, schema, table] = match;
  return { table: plain(table!), ...schema === undefined ? {} : { schema: plain(schema) } };
}
