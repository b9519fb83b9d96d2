import { GiveUp } from "../engine/mod.ts";
import type { Attempt } from "./_attempt.ts";
import type { CopyOptions } from "./_copy_options.ts";
import type { Entry } from "./_ledger.ts";
import type { Session } from "./_session.ts";
import { named } from "./_table.ts";

/** The same load has been appended while this attempt was at work. */
export class AppendedBefore extends Error {
  readonly entry: Entry;

  constructor(entry: Entry) {
    super("this load has been appended");
    this.entry = entry;
  }
}

/** Another attempt has written down what this one would. @throws {AppendedBefore | GiveUp} */
export async function refuseFenced(
  session: Session,
  { ledger, fence }: Attempt,
  options: CopyOptions,
): Promise<never> {
  const { entry } = await session.row<{ entry: Entry }>(ledger!.read);
  if (options.mode === "append") throw new AppendedBefore(entry);
  throw new GiveUp(
    `Cannot load into ${named(options)}: a later attempt at the same load, ${ledger!.key}, was ` +
      `committed at ${entry.committed} (fence ${entry.fence}); this one is too late (fence ${fence}). It was rolled back`,
  );
}

/** Says that what was appended under a key is something else. */
export function another(
  { committed, rows }: Entry,
  { ledger }: Attempt,
  options: CopyOptions,
): GiveUp {
  return new GiveUp(
    `Cannot append to ${named(options)}: load ${
      JSON.stringify(ledger!.key)
    } has appended ${rows} rows ` +
      `at ${committed}, and its source is not what it was; appended rows are not found again. Use mode merge or ` +
      `partition for what may change, or give the load another key`,
  );
}
