import { GiveUp } from "../engine/mod.ts";
import type { CopyOptions } from "./_copy_options.ts";
import { option } from "./_option.ts";
import { isWithin, type Slice } from "./_partition.ts";
import type { Refusals } from "./_refusals.ts";
import type { Session } from "./_session.ts";
import { named } from "./_table.ts";
import { rowsOf, type Target } from "./_target.ts";

/** Refuses too few rows, or none in place of some; asked again when rows were refused since. */
export async function guard(
  session: Session,
  rows: number,
  { into, slice }: { readonly into: Target; readonly slice: Slice | undefined },
  refusals: Refusals,
  options: CopyOptions,
): Promise<void> {
  const { mode = "replace", deleteMissing, minRows = 0, allowEmpty } = options;
  const shown = named(options), { rejected } = refusals;
  if (rows < minRows) {
    const of = rejected > 0 ? `, without the ${rejected} that were refused,` : "";
    const where = rejected > 0 ? `. ${await refusals.locate()}` : "";
    throw new GiveUp(
      `Cannot load into ${shown}: the source has ${rows} rows${of} and at least ${minRows} were asked for ` +
        `(minRows)${where}`,
    );
  }
  const empties = mode === "replace" || mode === "partition" || deleteMissing;
  if (rows > 0 || allowEmpty || !empties || !into.existing) return;
  const { filled } = await session.row<{ filled: boolean }>(
    `SELECT EXISTS (SELECT FROM ${rowsOf(into)} ${
      slice ? `WHERE ${isWithin(slice)}` : ""
    }) AS filled`,
  );
  if (!filled) return;
  // An empty file is more often a fault than a wish.
  const why = rejected > 0
    ? `all ${rejected} records of the source were refused`
    : "the source has only a header";
  const where = rejected > 0 ? `. ${await refusals.locate()}` : "";
  throw new GiveUp(
    `Cannot replace ${
      slice ? "a slice of " : ""
    }table ${shown}, which has rows, by none: ${why}; ` +
      `if that is meant, allow it: ${option("allowEmpty", true)}${where}`,
  );
}
