import { GiveUp } from "../engine/mod.ts";
import type { CopyOptions } from "./_copy_options.ts";
import { checkSlice, isWithin, type Slice } from "./_partition.ts";
import type { Session } from "./_session.ts";
import { rowsOf, type Target } from "./_target.ts";

/** Where rows are, and are to go. */
interface Places {
  readonly into: Target;
  readonly slice: Slice | undefined;
  readonly staging: { readonly table: string; readonly kind: string } | undefined;
}

/** Refuses too few rows, and such as would stay when the slice is loaded again. */
export async function guard(
  session: Session,
  rows: number,
  { into, slice, staging }: Places,
  options: CopyOptions,
): Promise<void> {
  const { table, mode = "replace", deleteMissing, minRows = 0, allowEmpty } = options;
  const shown = JSON.stringify(table);
  if (rows < minRows) {
    throw new GiveUp(
      `Cannot load into ${shown}: the source has ${rows} rows, and at least ${minRows} were asked for (minRows)`,
    );
  }
  if (slice) await checkSlice(session.client, staging!, slice, options);
  const empties = mode === "replace" || mode === "partition" || deleteMissing;
  if (rows > 0 || allowEmpty || !empties || !into.existing) return;
  const { filled } = await session.row<{ filled: boolean }>(
    `SELECT EXISTS (SELECT FROM ${rowsOf(into)} ${
      slice ? `WHERE ${isWithin(slice)}` : ""
    }) AS filled`,
  );
  if (!filled) return;
  // An empty file is more often a fault than a wish.
  throw new GiveUp(
    `Cannot replace ${
      slice ? "a slice of " : ""
    }table ${shown}, which has rows, by none: the source has only a ` +
      `header; if that is meant, allow it (allowEmpty, --allow-empty)`,
  );
}
