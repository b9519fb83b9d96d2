import { tell, UsageError, type World } from "./world.ts";

/** How somebody said whether it is to be done. */
export interface ConfirmFlags {
  readonly dryRun: boolean;
  readonly yes: boolean;
}

/**
 * Whether it is to be done: with `--yes`, or when who sits at the terminal says so, shown what it is about.
 *
 * @throws {UsageError} when nobody can be asked
 */
export async function confirm(
  world: World,
  { yes }: ConfirmFlags,
  about: string,
  question: string,
): Promise<boolean> {
  if (yes) return true;
  tell(world, about);
  if (!world.ask) {
    throw new UsageError(
      `${question} Nobody can be asked here: say --yes to do it, --dry-run to only look`,
    );
  }
  if (await world.ask(question)) return true;
  tell(world, "Nothing was changed");
  return false;
}
