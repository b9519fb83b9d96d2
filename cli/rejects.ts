import { buildCommand, buildRouteMap } from "@stricli/core";
import type { ListedReject } from "../operators/mod.ts";
import { checkNames, OWN_COLUMNS, readCorrections, REJECT_COLUMN } from "./_corrections.ts";
import { Database, homeFolder, type PlaceFlags } from "./database.ts";
import * as flags from "./flags.ts";
import { bytes as size, count, table as lines } from "./format.ts";
import { tableName } from "./load.ts";
import { print, verb, type World } from "./world.ts";

interface RejectsFlags extends PlaceFlags {
  readonly json: boolean;
}

interface ShowFlags extends RejectsFlags {
  readonly all: boolean;
  readonly csv: boolean;
  readonly limit: number;
  readonly after?: string;
}

const TABLE = {
  parse: String,
  placeholder: "TABLE",
  brief: "The table that they were to go into, as for `load --into`",
} as const;

const list = buildCommand<RejectsFlags, [], World>({
  func: verb(async (world, options) => {
    await using database = await Database.from(world, options);
    const { listRejectTables } = await import("../operators/mod.ts");
    const { rejectFiles } = await import("../engine/mod.ts");
    const tables = await listRejectTables(await database.connect(), { signal: world.signal });
    const files = await rejectFiles(homeFolder(world, options)).list();
    if (options.json) {
      print(world, JSON.stringify({ tables, files }));
      return 0;
    }
    if (tables.length === 0) print(world, "No table has rejects.");
    else {
      const rows = tables.map(({ schema, table, waiting, replayed, loads, rules, last }) => [
        `${schema}.${table}`,
        ...[waiting, replayed, loads].map(count),
        last?.replace(/\.\d+Z$/, "Z") ?? "-",
        Object.entries(rules).map(([rule, n]) => `${count(n!)} ${rule}`).join(", "),
      ]);
      print(world, lines([["table", "waiting", "replayed", "loads", "last", "rules"], ...rows]));
    }
    if (files.length > 0) {
      const rows = files.map(({ path, attempt, bytes, written }) => [
        path,
        attempt.join("/") || "load",
        size(bytes),
        written.replace(/\.\d+Z$/, "Z"),
      ]);
      print(world, `\n${lines([["file", "of", "size", "last"], ...rows])}`);
    }
    return 0;
  }),
  parameters: { flags: { database: flags.database, home: flags.home, json: flags.json } },
  docs: {
    brief: "List the tables that have rejects, how many, and what they broke",
    fullDescription: [
      "Lists the tables of the database into which records could not be loaded: how many wait to be",
      "replayed, how many were, of how many loads, and the rules that they broke. Then the files in the",
      "home folder that have refused records, those of loads that failed for them, too.",
      "",
      "Examples:",
      "  sluice rejects list",
      "  sluice rejects list --database postgres://localhost/hr --json",
    ].join("\n"),
  },
});

const show = buildCommand<ShowFlags, [string], World>({
  func: verb(async (world, options, name) => {
    await using database = await Database.from(world, options);
    const { columnsOf, listRejects } = await import("../operators/mod.ts");
    const connection = await database.connect();
    const { all, limit, after, csv, json } = options;
    const which = { ...tableName(name), signal: world.signal };
    const rejects = await listRejects(connection, { ...which, all, limit, ...after && { after } });
    if (json) print(world, JSON.stringify({ table: name, rejects }));
    else if (csv) {
      const columns = await columnsOf(connection, which);
      checkNames({ table: name, columns });
      print(world, toCsv(rejects, columns));
    } else if (rejects.length === 0) print(world, `${name} has no rejects that wait.`);
    for (const reject of json || csv ? [] : rejects) print(world, told(reject));
    return 0;
  }),
  parameters: {
    positional: { kind: "tuple", parameters: [TABLE] },
    flags: {
      all: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "Those that were replayed, too",
      },
      csv: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "Print CSV to correct and replay",
      },
      limit: {
        kind: "parsed",
        parse: wholeNumber,
        default: "100",
        placeholder: "N",
        brief: "At most so many",
      },
      after: {
        kind: "parsed",
        parse: id,
        optional: true,
        placeholder: "ID",
        brief: "Only those behind the one of this id",
      },
      database: flags.database,
      home: flags.home,
      json: flags.json,
    },
  },
  docs: {
    brief: "Show the records that a table refused, as they stood in their source",
    fullDescription: [
      "Shows the rejects of TABLE, the oldest first: where each one stood, what it broke, and its text.",
      "With --csv they come out with the table's columns, to be corrected and given to `replay`.",
      "",
      "Examples:",
      "  sluice rejects show people",
      "  sluice rejects show people --csv > fix.csv",
      "  sluice rejects show staff.people --all --limit 1000 --json",
    ].join("\n"),
  },
});

const replay = buildCommand<RejectsFlags, [string, string?], World>({
  func: verb(async (world, options, name, file) => {
    await using database = await Database.from(world, options);
    const { columnsOf, replayRejects } = await import("../operators/mod.ts");
    const connection = await database.connect();
    const which = { ...tableName(name), signal: world.signal };
    const read = async (file: string) => {
      const columns = await columnsOf(connection, which);
      return { rows: await readCorrections(world, file, { table: name, columns }) };
    };
    const order = { ...which, ...file !== undefined && await read(file) };
    const { replayed, rejected, skipped } = await replayRejects(connection, order);
    print(
      world,
      options.json
        ? JSON.stringify({ table: name, replayed, rejected, skipped })
        : `${name}: ${count(replayed)} replayed, ${count(rejected)} rejected again, ` +
          `${count(skipped)} skipped`,
    );
    return 0;
  }),
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [TABLE, {
        parse: String,
        optional: true,
        placeholder: "FILE",
        brief: `Corrected rows, CSV or JSON lines, with the ids in "${REJECT_COLUMN}"; - for stdin`,
      }],
    },
    flags: { database: flags.database, home: flags.home, json: flags.json },
  },
  docs: {
    brief: "Put rejects into their table, as they are or corrected, once",
    fullDescription: [
      "Puts corrected rows into TABLE in one transaction, and marks the rejects that they were: what was",
      "replayed is not replayed again. Without FILE those are tried that could be told apart into columns,",
      "as they are: what was missing may be there by now. Rows that are refused again stay rejects.",
      "What was merged is replayed by its key, and takes the place of the row that has it. Values are read as",
      "Postgres does, dates as ISO 8601 writes them. Columns that FILE has not, and keys that a line of JSON has",
      "not, keep the record's values; an empty field is NULL, and the column's default where the record had no",
      "such column.",
      "",
      "Examples:",
      "  sluice rejects replay people",
      "  sluice rejects show people --csv > fix.csv; vi fix.csv; sluice rejects replay people fix.csv",
      `  echo '{"${REJECT_COLUMN}": 7, "age": 36}' | sluice rejects replay people -`,
    ].join("\n"),
  },
});

/** `sluice rejects list|show|replay`: the records that could not be loaded. */
export const rejects = buildRouteMap({
  routes: { list, show, replay },
  docs: { brief: "List, show or replay the records that could not be loaded" },
});

/** A reject for people: what is wrong, where, and how it is written. */
function told(reject: ListedReject): string {
  const { id, record, line, rule, message, column, raw, source, replayed } = reject;
  const where = [
    ...line === null ? [] : [`line ${line}`],
    `record ${record}`,
    ...column === null ? [] : [`column ${column}`],
    ...source === null ? [] : [source],
  ];
  return [
    `${id}  ${rule}: ${message}${replayed ? ` (replayed ${replayed})` : ""}`,
    `    ${where.join(", ")}`,
    ...raw.split(/\r\n?|\n/).map((text) => `    | ${text}`),
  ].join("\n");
}

/** Rejects as CSV with a table's columns; beside what could not be told apart stands the record as it was. */
function toCsv(rejects: readonly ListedReject[], columns: readonly string[]): string {
  const field = (value: unknown) =>
    value === null || value === undefined
      ? ""
      : `"${(typeof value === "string" ? value : JSON.stringify(value)).replaceAll('"', '""')}"`;
  const row = ({ id, row, message, raw }: ListedReject) => [
    id,
    ...columns.map((name) => field(row?.[name])),
    field(message),
    field(raw),
  ];
  const [which, ...why] = OWN_COLUMNS;
  const header = [which, ...columns.map(field), ...why];
  return [header, ...rejects.map(row)].map((cells) => cells.join(",")).join("\n");
}

function wholeNumber(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new SyntaxError("write it as a whole number from 1");
}

function id(text: string): string {
  if (/^\d{1,18}$/.test(text)) return text;
  throw new SyntaxError("write the id of a reject, a whole number");
}
