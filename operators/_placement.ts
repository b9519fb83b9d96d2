import { GiveUp } from "../engine/mod.ts";
import type { CopyOptions } from "./_copy_options.ts";
import type { Fit } from "./_evolve.ts";
import { mergeSteps } from "./_merge.ts";
import { attachSteps, isWithin, type Partition, partitionSteps, type Slice } from "./_partition.ts";
import { nameList, quoted, quoteName } from "./_table.ts";
import { rowsOf, type Target } from "./_target.ts";

/** How the rows of a load get where they belong. */
export interface Placement {
  /**
   * Where they are copied to first: nowhere but the target, a table that takes its place, one made like it that becomes a
   * partition, or one that goes with the transaction.
   */
  readonly staging: "none" | "new" | "like" | "temporary";
  /** The lock on the target that the steps need; none where it is to be made. */
  readonly lock:
    | "ROW EXCLUSIVE"
    | "SHARE UPDATE EXCLUSIVE"
    | "SHARE ROW EXCLUSIVE"
    | "ACCESS EXCLUSIVE"
    | undefined;
  /** The statements, once the lock is had; `staging` has the rows, and goes; it stays where `rows` are those of it that are put. */
  steps(staging: string, rows?: string): string[];
  /** The same taken apart, where some of the rows may be put there without the others. */
  readonly filling?: Filling | undefined;
}

/** How rows get from a staging table, whose rows say where they come from, into a table. */
export interface Filling {
  /** What is done once, before. */
  readonly before: readonly string[];
  /** What puts the rows of a table, or of a query in brackets with a name, where they belong. */
  fill(source: string): string[];
}

/** What a placement depends on. */
export interface Circumstances {
  readonly target: Target;
  /** Undefined where the table does not stay, or there are no rows whose columns could differ. */
  readonly fit: Fit | undefined;
  readonly slice: Slice | undefined;
  readonly partition: Partition | undefined;
  /** Where the rows are already. */
  readonly made?: Placement["staging"] | undefined;
  /** Whether a staging table is to be committed before it has all rows. */
  readonly committed: boolean;
  /** Whether rows may be refused. */
  readonly tolerant: boolean;
  readonly options: CopyOptions;
}

/** Chooses the least that will do. @throws {GiveUp} when nothing would, without harm to others */
export function place(
  { target, fit, slice, partition, made, committed, tolerant, options }: Circumstances,
): Placement {
  const { mode = "replace", isolation = "swap" } = options;
  const { existing } = target;
  const table = quoted(target);
  const gone = (staging: string) => `DROP TABLE ${staging}`;
  if (!existing && mode !== "replace" && committed && (made ?? "new") === "new") {
    // It is made when all has come, and what is to be done then is looked at anew.
    const none = () => [];
    return { staging: "new", lock: undefined, steps: none, filling: { before: [], fill: none } };
  }
  if (!existing && (mode !== "replace" || (made ?? "new") !== "new")) {
    throw new Error(
      `Cannot load into table ${JSON.stringify(target.name)}: it was dropped meanwhile; try again`,
    );
  }
  if ((made ?? "new") === "new" && replacesWhole(target, options)) {
    return {
      staging: "new",
      lock: existing && "ACCESS EXCLUSIVE",
      steps: (staging) => [
        ...existing ? [`DROP TABLE ${table}`] : [],
        `ALTER TABLE ${staging} RENAME TO ${quoteName(target.name, "table")}`,
      ],
    };
  }
  const { policed, truncates, references, mends } = existing!;
  const alter = fit?.alter.length ? [`ALTER TABLE ${table} ${fit.alter.join(", ")}`] : [];
  const insert = (staging: string, after = "", into = table) =>
    fit &&
    `INSERT INTO ${into} (${nameList(fit.columns)}) OVERRIDING SYSTEM VALUE SELECT ${
      fit.values.join(", ")
    } FROM ${staging}${after}`;
  // Where rows are cast on their way they go in by the target, which needs a partition for them.
  const opened = partition && !partition.current && fit
    ? partitionSteps(target, partition, slice!)
    : [];
  const fill = (
    lock: Placement["lock"],
    rows: Placement["steps"],
    emptying: string[] = [],
  ): Placement => {
    const before = [...alter, ...opened, ...emptying];
    return {
      staging: committed ? "new" : "temporary",
      lock: alter.length > 0 ? "ACCESS EXCLUSIVE" : lock,
      steps: (staging, some) =>
        some === undefined
          ? [...before, ...rows(staging), gone(staging)]
          : [...before, ...rows(some)],
      filling: { before, fill: rows },
    };
  };
  if (mode === "append") {
    const direct = (fit?.direct ?? true) && !policed && !committed && !tolerant &&
      (made ?? "none") === "none";
    if (direct) return { staging: "none", lock: "ROW EXCLUSIVE", steps: () => [] };
    return fill("ROW EXCLUSIVE", (staging) => list(insert(staging)));
  }
  if (mode === "merge") {
    return fill(
      "SHARE ROW EXCLUSIVE",
      (staging) => fit ? mergeSteps(target, staging, fit, options) : emptied(target, options),
    );
  }
  if (partition && fit?.direct && !tolerant && alter.length === 0 && (made ?? "like") === "like") {
    return {
      staging: "like",
      lock: partition.current ? "ACCESS EXCLUSIVE" : "SHARE UPDATE EXCLUSIVE",
      steps: (staging) => attachSteps(target, staging, partition, slice!),
    };
  }
  checkReferences(target, mode);
  if (policed) {
    throw new GiveUp(
      `Cannot replace rows of table ${
        JSON.stringify(target.name)
      }: its policies may hide some of them from us; load ` +
        `as its owner or as a role that has BYPASSRLS, or use mode append or merge`,
    );
  }
  const doomed = `DELETE FROM ${rowsOf(target)}${slice ? ` WHERE ${isWithin(slice)}` : ""}`;
  if (references.length > 0) {
    // In one statement: what refers to a row is looked at when it is over, and the row is there again.
    const whole = fill("SHARE ROW EXCLUSIVE", (staging) => [
      fit
        ? `WITH gone AS (${doomed} RETURNING 1) ${
          insert(staging, " WHERE (SELECT count(*) FROM gone) >= 0")
        }`
        : doomed,
    ]);
    const filling = mends || !fit ? undefined : {
      // As the rows cannot go in without the others, a table like it tells which it would not take.
      before: [...alter, `CREATE TEMPORARY TABLE sluice_like (LIKE ${table} INCLUDING ALL)`],
      fill: (source: string) => list(insert(source, "", "pg_temp.sluice_like")),
    };
    return { ...whole, filling };
  }
  const deletes = slice || isolation === "mvcc" || !truncates;
  return fill(
    deletes ? "SHARE ROW EXCLUSIVE" : "ACCESS EXCLUSIVE",
    (staging) => list(insert(staging)),
    [deletes ? doomed : `TRUNCATE ${rowsOf(target)}`],
  );
}

/** Whether another table takes the target's place, columns and all. */
export function replacesWhole({ existing }: Target, { mode, isolation }: CopyOptions): boolean {
  return (mode ?? "replace") === "replace" &&
    !(existing && (existing.kept || isolation === "mvcc"));
}

/** The table that will have the rows, as SQL has it before they are placed. */
export function heir(
  target: Target,
  staging: { readonly table: string; readonly kind: Placement["staging"] } | undefined,
  options: CopyOptions,
): string {
  const whole = staging?.kind === "new" && replacesWhole(target, options);
  return whole ? staging.table : quoted(target);
}

function list(step: string | undefined): string[] {
  return step === undefined ? [] : [step];
}

/** What is left of a merge when the source has no rows. */
function emptied(target: Target, { deleteMissing = false }: CopyOptions): string[] {
  return deleteMissing ? [`DELETE FROM ${rowsOf(target)}`] : [];
}

/** Refuses to delete what would take rows of other tables along. */
function checkReferences({ name, existing }: Target, mode: string): void {
  const far = existing!.references.find(({ onDelete }) => !/NO ACTION|RESTRICT/.test(onDelete));
  if (!far) return;
  throw new GiveUp(
    `Cannot ${mode === "replace" ? "replace" : "replace a slice of"} table ${
      JSON.stringify(name)
    }: table ${
      JSON.stringify(far.table)
    } refers to its rows ON DELETE ${far.onDelete} (${far.constraint}), and would lose its own; use mode merge, ` +
      `which leaves rows that are still there in place`,
  );
}
