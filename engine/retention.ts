import type { Chores } from "./_chores.ts";
import { isOver, type Run } from "./state.ts";
import { type Place, sortable, type Store } from "./store.ts";

/** Options for {@linkcode retention}. */
export interface RetentionOptions {
  /** For how long to keep runs once they are over. */
  readonly keep: Temporal.DurationLike;
  /** When it is. */
  readonly now: Temporal.Instant;
}

/** Files that belong to runs. */
export interface RunFiles {
  /** Removes those of a run. */
  remove(run: Pick<Run, "dag" | "id">): Promise<void>;
}

/** How many runs are looked at together. */
const PAGE = 100;

/**
 * Forgets the runs that were over longer ago than they are to be kept, and removes their files; tells how many those
 * are. What ends before it is done, it does the next time: files go first, so that none is left that nobody knows of.
 */
export async function retention(
  store: Store,
  files: readonly RunFiles[],
  { keep, now }: RetentionOptions,
): Promise<number> {
  const end = now.toZonedDateTimeISO("UTC").subtract(keep).toInstant().toString();
  // Who was over by then was made before.
  let before: Place | undefined = { created: end, id: "" };
  while (files.length > 0 && before) {
    const page = await store.list({ before, limit: PAGE, tasks: false });
    for (const run of page) {
      if (!isOver(run) || sortable(run.ended!) >= sortable(end)) continue;
      for (const kind of files) await kind.remove(run);
    }
    before = page.length < PAGE ? undefined : page.at(-1);
  }
  return (await store.forget(end)).length;
}

/** What a daily retention is given. */
export interface DailyOptions extends Pick<RetentionOptions, "keep"> {
  readonly store: Store;
  /** Its logs, and what else is kept of it. */
  readonly files: readonly RunFiles[];
  /** Told what went wrong; it is tried again the next day. */
  readonly onError: (error: unknown) => void;
}

/** Forgets old runs at the start, and then once a day, while everything else goes on. */
export class DailyRetention implements Chores, AsyncDisposable {
  readonly #options: DailyOptions;
  #due: Temporal.Instant | undefined;
  #work: Promise<void> = Promise.resolve();

  constructor(options: DailyOptions) {
    this.#options = options;
  }

  /** Begins with it. */
  start(now: Temporal.Instant): void {
    this.#due ??= now;
  }

  due(): Temporal.Instant | undefined {
    return this.#due;
  }

  // deno-lint-ignore require-await -- nobody has to wait for it
  async run(now: Temporal.Instant): Promise<void> {
    if (!this.#due || Temporal.Instant.compare(this.#due, now) > 0) return;
    this.#due = now.add({ hours: 24 });
    const { store, files, keep, onError } = this.#options;
    this.#work = this.#work.then(async () => void await retention(store, files, { keep, now }))
      .catch(onError);
  }

  ended(): void {}

  /** Resolves when it is not at work. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#due = undefined;
    await this.#work;
  }
}
