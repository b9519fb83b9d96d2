/** What a verb can see of the world: nothing else is read, neither the environment nor the clock of the day. */
export interface World {
  /** What stricli writes through; `exitCode` is set by the verb. */
  readonly process: {
    readonly stdout: { write(text: string): void };
    readonly stderr: { write(text: string): void };
    readonly env: Readonly<Record<string, string | undefined>>;
    exitCode?: number | string | null;
  };
  /** What comes before a verb where we were started: `sluice`, or `deno task` in the project's folder. */
  readonly command: string;
  /** The folder that relative paths start from. */
  readonly cwd: string;
  /** The size of the terminal that stderr is, or undefined when it is none. */
  readonly screen: () => { readonly columns: number; readonly rows: number } | undefined;
  /** Asks who sits at the terminal, yes or no; undefined when nobody does. */
  readonly ask: ((question: string) => Promise<boolean>) | undefined;
  /** Aborted by Ctrl-C, and with a `BrokenPipe` when nobody reads stdout any more. */
  readonly signal: AbortSignal;
}

/** A fault of the command line or the configuration, found before anything was tried: exit code 2. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** Does something with what the user gave; what it throws is the user's fault. */
export function fromUser<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw new UsageError(messageOf(error), { cause: error });
  }
}

/** The sentence an error says. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Writes to stderr: everything but the result. */
export function tell(world: World, text: string): void {
  world.process.stderr.write(`${text}\n`);
}

/** Writes to stdout: the result, and with `--json` one document and nothing else. */
export function print(world: World, text: string): void {
  world.process.stdout.write(`${text}\n`);
}

/** A verb's work: returns its exit code, 0 done or 1 failed. */
export type Verb<F extends { readonly json?: boolean }, A extends readonly (string | undefined)[]> =
  (
    world: World,
    flags: F,
    ...args: A
  ) => Promise<number>;

/** Makes of a verb what stricli calls: errors become one message and an exit code. */
export function verb<
  F extends { readonly json?: boolean },
  A extends readonly (string | undefined)[],
>(
  run: Verb<F, A>,
): (this: World, flags: F, ...args: A) => Promise<void> {
  return async function (flags, ...args) {
    try {
      this.process.exitCode = await run(this, flags, ...args);
    } catch (error) {
      const interrupted = this.signal.aborted;
      // Nobody reads any more, as behind `| head`: nothing is left to be told, nor to be done.
      if (interrupted && this.signal.reason instanceof Deno.errors.BrokenPipe) {
        this.process.exitCode = 0;
        return;
      }
      const message = interrupted ? "interrupted" : messageOf(error);
      tell(this, `sluice: ${message}`);
      if (flags.json) print(this, JSON.stringify({ error: { message } }));
      this.process.exitCode = interrupted ? 130 : error instanceof UsageError ? 2 : 1;
    }
  };
}
