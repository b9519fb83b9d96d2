import type { OptionNames } from "../engine/mod.ts";
import { faultOfBounds } from "./_bounds.ts";
import { option } from "./_option.ts";
import { named } from "./_table.ts";
import type { SqlType } from "./_canonical.ts";
import type { RejectRule } from "./_reject.ts";
import type { Widening } from "./_widening.ts";

/** Options for `copy`. */
export interface CopyOptions {
  /** The table's name, taken as it is: a dot in it is part of the name. */
  table: string;
  /** The schema the table is in. @default the first of the search path that has it, else where it would be made */
  schema?: string;
  /**
   * `replace` puts the rows in place of all that the table had; `append` adds them; `merge` updates the rows that have
   * the same `on` columns and adds the others; `partition` puts them in place of those of one `slice`.
   *
   * @default {"replace"}
   */
  mode?: "replace" | "append" | "merge" | "partition";
  /** Merge: the columns that tell which row is which. None of them may be NULL in the source. */
  on?: readonly string[];
  /**
   * Merge: whether rows that the source does not have are deleted. What other tables declared `ON DELETE` for their rows
   * that refer to those happens.
   *
   * @default {false}
   */
  deleteMissing?: boolean;
  /** Merge: what to do when the source has a row twice: take the last one, or fail. @default {"last"} */
  duplicates?: "last" | "fail";
  /**
   * Partition: the rows that are replaced, those with `from` <= `column` < `to`. Bounds are dates
   * and times as in ISO 8601, numbers, or for other columns text; the first is the lower one. Of a table partitioned by ranges of that column the partition itself is exchanged, where one has these bounds.
   *
   * @default {the run's interval, for the bounds; the column must then be a date or a timestamp}
   */
  slice?: {
    readonly column: string;
    readonly from?: string | number;
    readonly to?: string | number;
  };
  /**
   * What to do when the columns of a table that stays differ from those that arrive: `freeze` fails and says how,
   * `evolve` adds columns and widens types, `discard` leaves out columns that the table lacks.
   *
   * @default {"freeze"}
   */
  evolution?: "freeze" | "evolve" | "discard";
  /**
   * Names this load in the ledger: of all the loads of one name into one table, the youngest attempt counts, and what is
   * appended is appended once.
   *
   * @default {DAG, task and logical date; outside of a DAG a new one each time}
   */
  key?: string;
  /**
   * Whether a source that has not changed since its last load is loaded again. In modes other than `replace` that is the last
   * load of the same key.
   *
   * @default {"load"}
   */
  ifUnchanged?: "load" | "skip";
  /**
   * What is known of where the rows come from, for the ledger: an address, whose secrets are left out; a version; a hash.
   *
   * @default {what the pipe that it is in finds out}
   */
  source?: { readonly url?: string; readonly validator?: string; readonly sha256?: string };
  /** Connections to copy over. With more than one the order of rows is lost. @default {1} */
  parallel?: number;
  /**
   * Where the rows are while they come: in the load's one `transaction`, and gone with it, or `committed` as they come, in
   * a table of their own. Of those the next attempt at a load of the same key makes use when this one dies: it reads the
   * source from its start, copies only what is not there yet, and begins anew where options, columns or rows are others.
   * They are kept for a day. Readers see them at the end, all at once; the order of rows is lost.
   *
   * @default {"committed" for a source of more than 10 GB in a load whose key will come again, else "transaction"}
   */
  staging?: "transaction" | "committed";
  /**
   * How many bytes of a source, as it comes, are so many that staging is `committed` without being asked for.
   *
   * @internal
   */
  large?: number;
  /**
   * `swap` is fast: readers wait for milliseconds, but one in a snapshot older than the load may see an empty table.
   * `mvcc` deletes and inserts: nobody waits, all see what they should, and a vacuum has to clear up.
   *
   * @default {"swap"}
   */
  isolation?: "swap" | "mvcc";
  /** How long to go on trying to get a table that others hold. @default {{ minutes: 2 }} */
  patience?: Temporal.DurationLike;
  /** The fewest rows that count as a success. @default {0} */
  minRows?: number;
  /** Whether no rows at all may replace a table that has some. @default {false} */
  allowEmpty?: boolean;
  /** The connection to use, by its name in the engine's `connections`. @default {"database"} */
  connection?: string;
}

/** The names of the options. */
export const COPY_OPTIONS: OptionNames<CopyOptions> = {
  table: true,
  schema: true,
  mode: true,
  on: true,
  deleteMissing: true,
  duplicates: true,
  slice: true,
  evolution: true,
  key: true,
  ifUnchanged: true,
  source: true,
  parallel: true,
  staging: true,
  large: true,
  isolation: true,
  patience: true,
  minRows: true,
  allowEmpty: true,
  connection: true,
};

/** What `copy` puts out. */
export interface Copied {
  /** The table's name, as it was given. */
  readonly table: string;
  /** Rows that are in the table by this load. */
  readonly rows: number;
  /** Records that were refused. */
  readonly rejected: number;
  /** What is known of them, where there are any. */
  readonly rejects?: {
    /** The table that they are in, in the schema of the other. */
    readonly table: string;
    /** How many broke each rule. */
    readonly rules: Readonly<Partial<Record<RejectRule, number>>>;
    /** The file that they are in, too; null where none was asked for, and nothing is kept. */
    readonly file: string | null;
  };
  /** The columns, as they arrived. */
  readonly columns: readonly Column[];
  /** The columns that arrived and that the table lacks: nothing of them was loaded, as `evolution` says. */
  readonly discarded?: readonly string[];
  /** How many there are, where that would be more than a task may put out: `columns` has the first of them. */
  readonly columnsInAll?: number;
  /** The columns that came late or whose inferred types did not hold for the whole source, step by step; 100 at most. */
  readonly widened?: readonly Widening[];
  /** What a merge did. */
  readonly merged?: {
    /** Rows that were not there before. */
    readonly inserted: number;
    /** Rows that are others now. */
    readonly updated: number;
    /** Rows that the source does not have. */
    readonly deleted: number;
    /** Rows of the source that a later one took the place of. */
    readonly duplicates: number;
  };
  /**
   * Where it went on, as an earlier attempt had died: the record, from 1 and without those that were refused, and the
   * byte behind the one before it in what was decompressed; null where the format does not tell.
   */
  readonly resumed?: { readonly record: number; readonly byte: number | null };
  /** True when nothing told where the source ends, neither who sent it nor what it is packed in: it may have been cut. */
  readonly unverified?: true;
  /** True when this very load was there already, so that nothing was done; `rows` are those of then. */
  readonly unchanged?: true;
}

/** A column as it arrives. */
export interface Column {
  /** As the source names it. */
  readonly name: string;
  /** The type it is copied as. */
  readonly type: SqlType;
}

/**
 * Looks at the options alone.
 *
 * @param recurs whether the next load of the same has the same name without a key, as it has in a DAG
 * @throws {TypeError} for what does not go together
 */
export function checkCopyOptions(options: CopyOptions, recurs: boolean): void {
  const { mode = "replace", on, slice, deleteMissing, duplicates, parallel = 1 } = options;
  const { isolation, staging, ifUnchanged, key } = options;
  const fault = mode === "merge" && !on?.length
    ? `mode merge needs the columns that tell which row is which, e.g. --on id (in code on: ["id"])`
    : mode === "partition" && !slice
    ? "mode partition needs the column that tells the slice, e.g. --slice day=2021-01-01..2021-02-01 " +
      `(in code slice: { column: "day" })`
    : mode !== "merge" && (on || deleteMissing !== undefined || duplicates !== undefined)
    ? "--on, --delete-missing and --duplicates (in code on, deleteMissing and duplicates) belong to mode merge"
    : mode !== "partition" && slice
    ? "--slice (in code slice) belongs to mode partition"
    : slice && (slice.from === undefined) !== (slice.to === undefined)
    ? "a slice has both bounds, from and to, or neither"
    : mode !== "replace" && isolation === "mvcc"
    ? `${option("isolation", "mvcc")} belongs to mode replace`
    : ifUnchanged === "skip" && mode !== "replace" && key === undefined && !recurs
    ? `${option("ifUnchanged", "skip")} in mode ${mode} needs a key ` +
      `by which the load before is found: add ${option("key", "NAME")}`
    : !(Number.isInteger(parallel) && parallel >= 1 && parallel <= 64)
    ? `parallel must be a whole number from 1 to 64, not ${parallel}`
    : parallel > 1 && mode === "merge" && duplicates !== "fail"
    ? `with more than one connection no row is the last: add ${option("duplicates", "fail")}`
    : staging !== undefined && parallel > 1
    ? "staging is for one connection; the rows of several are committed in any case, and cannot be gone on with"
    : staging === "committed" && mode === "merge" && duplicates !== "fail"
    ? `in committed staging no row is the last: add ${option("duplicates", "fail")}`
    : slice?.from !== undefined && slice.to !== undefined
    ? faultOfBounds(slice.from, slice.to)
    : undefined;
  if (fault) throw new TypeError(`Cannot load into ${named(options)}: ${fault}`);
}
