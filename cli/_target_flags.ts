import type { CopyOptions } from "../operators/mod.ts";
import { fromUser, UsageError } from "./world.ts";

/** How what is read is to get into its table. */
export interface TargetFlags {
  readonly mode: NonNullable<CopyOptions["mode"]>;
  readonly on?: readonly string[];
  readonly deleteMissing: boolean;
  readonly duplicates?: NonNullable<CopyOptions["duplicates"]>;
  readonly slice?: NonNullable<CopyOptions["slice"]>;
  readonly evolution: NonNullable<CopyOptions["evolution"]>;
  readonly key?: string;
  readonly ifUnchanged: NonNullable<CopyOptions["ifUnchanged"]>;
  readonly parallel: number;
  readonly staging?: NonNullable<CopyOptions["staging"]>;
  readonly resume: boolean;
  readonly isolation?: NonNullable<CopyOptions["isolation"]>;
  readonly allowEmpty: boolean;
}

/** Reads `column=from..to`. @throws {SyntaxError} when it is something else */
function slice(text: string): NonNullable<CopyOptions["slice"]> {
  const [, column, from, to] = /^([^=]+)=(.*?)\.\.(.*)$/s.exec(text) ?? [];
  if (column && from && to) return { column, from, to };
  throw new SyntaxError("write it as COLUMN=FROM..TO");
}

function connections(text: string): number {
  if (/^\d+$/.test(text) && Number(text) >= 1 && Number(text) <= 64) return Number(text);
  throw new SyntaxError("write a whole number from 1 to 64");
}

/** Flags for {@linkcode TargetFlags}, as stricli wants them. */
export const targetFlags = {
  mode: {
    kind: "enum",
    values: ["replace", "append", "merge", "partition"],
    default: "replace",
    brief: "Put the rows in place of the table's, add them, merge them, or replace a slice",
  },
  on: {
    kind: "parsed",
    parse: String,
    variadic: true,
    optional: true,
    placeholder: "COLUMN",
    brief: "Merge: what tells which row is which; may be given again",
  },
  deleteMissing: {
    kind: "boolean",
    default: false,
    withNegated: false,
    brief: "Merge: delete the rows that the source does not have",
  },
  duplicates: {
    kind: "enum",
    values: ["last", "fail"],
    optional: true,
    brief: "Merge: of rows that come twice take the last one, or fail [last]",
  },
  slice: {
    kind: "parsed",
    parse: slice,
    optional: true,
    placeholder: "COLUMN=FROM..TO",
    brief: "Partition: the rows to replace, TO not among them",
  },
  evolution: {
    kind: "enum",
    values: ["freeze", "evolve", "discard"],
    default: "freeze",
    brief: "When columns differ from the table's: fail, change the table, or leave them out",
  },
  key: {
    kind: "parsed",
    parse: String,
    optional: true,
    placeholder: "NAME",
    brief: "Names the load: what is appended under a name is appended once",
  },
  ifUnchanged: {
    kind: "enum",
    values: ["load", "skip"],
    default: "load",
    brief: "Load a source again that is as it was, or do nothing; needs --key but for replace",
  },
  parallel: {
    kind: "parsed",
    parse: connections,
    default: "1",
    placeholder: "N",
    brief: "Connections to copy over; the order of rows is lost with more than one",
  },
  staging: {
    kind: "enum",
    values: ["transaction", "committed"],
    optional: true,
    brief:
      "Copy in one transaction, or commit rows as they come, apart, to go on with them [by size]",
  },
  resume: {
    kind: "boolean",
    default: false,
    withNegated: false,
    brief: "Go on where a load of this source into this table was killed; committed staging",
  },
  isolation: {
    kind: "enum",
    values: ["swap", "mvcc"],
    optional: true,
    brief: "Replace: exchange the table, or delete and insert so that nobody waits [swap]",
  },
  allowEmpty: {
    kind: "boolean",
    default: false,
    withNegated: false,
    brief: "Let a file with only a header replace a table that has rows",
  },
} as const;

/** What the flags say of the target. @throws {UsageError} for what does not go together */
export async function targetOptions(
  options: TargetFlags,
  target: Pick<CopyOptions, "table" | "schema">,
  source: string,
): Promise<CopyOptions> {
  const { mode, on, deleteMissing, duplicates, slice, isolation, key } = options;
  const { evolution, ifUnchanged, parallel, allowEmpty, resume } = options;
  const staging = resume ? "committed" : options.staging;
  const fault = resume && source === "-"
    ? "--resume needs a source that can be read again: a URL or a file"
    : resume && options.staging === "transaction"
    ? "--resume goes on with rows that are committed: leave --staging transaction out"
    : undefined;
  if (fault) throw new UsageError(fault);
  const placing: CopyOptions = {
    ...target,
    mode,
    evolution,
    ifUnchanged,
    parallel,
    allowEmpty,
    ...source === "-" ? {} : { source: { url: source } },
    ...on && { on },
    ...deleteMissing && { deleteMissing },
    ...duplicates && { duplicates },
    ...slice && { slice },
    ...isolation && { isolation },
    ...staging && { staging },
    ...key === undefined ? {} : { key },
  };
  const { checkCopyOptions } = await import("../operators/mod.ts");
  fromUser(() => checkCopyOptions(placing, false));
  return placing;
}
