import { userInfo } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type AnyContext,
  checkOptionNames,
  type Context,
  GiveUp,
  type Input,
  operator,
  type OptionNames,
  Ref,
  Skip,
  type Work,
} from "../engine/mod.ts";

/** Options for {@linkcode bash}. */
export interface BashOptions<C = Context> {
  /**
   * What bash is to do, as it stands. It cannot be a function or a handle: what differs from run to run is passed by
   * `env` and read as `"$NAME"`, so that no value is ever taken for a part of the command.
   */
  readonly command: string;
  /** Variables for it; each may be a function of the run or a handle. @default {{}} */
  readonly env?: { readonly [name: string]: Input<string | number | boolean, C> };
  /** The folder it starts in. @default the one Sluice was started in */
  readonly cwd?: Input<string, C>;
}

/**
 * Runs a command; each line it writes is a line of the log, of stdout as info, of stderr as a warning. Puts out the
 * last line of stdout, or null when there is none.
 *
 * Its environment is PATH, HOME and LANG with plain values (nothing of Sluice's own), SLUICE_DAG, SLUICE_RUN,
 * SLUICE_TASK, SLUICE_ATTEMPT, SLUICE_LOGICAL_DATE, SLUICE_INTERVAL_START and SLUICE_INTERVAL_END (moments as in
 * `2021-01-02T06:00:00+00:00`), and `env`. Stdin is empty. Lines are cut after 8 KiB. As with any `bash -c`, a command
 * of many lines goes on after one that failed, unless it begins with `set -e`.
 *
 * It is done when bash has ended and nobody holds its stdout and stderr any more. When it fails or is stopped, all that
 * it started goes with it: the process group gets SIGTERM, and half a second later SIGKILL.
 *
 * @throws {Skip} when it ends with exit code 99
 * @throws {Error} naming any other exit code but 0, or the signal, with the end of stderr
 */
export function bash<C extends AnyContext>(options: BashOptions<C>): Work<string | null, void, C> {
  const { command, env = {}, cwd } = options;
  checkOptionNames("bash", options, BASH_OPTIONS);
  if (typeof command !== "string") {
    throw new TypeError(
      `Cannot make a bash command of a ${typeof command}: it is a plain string; ` +
        'pass what differs from run to run by `env`, and read it as "$NAME"',
    );
  }
  if (typeof env !== "object" || env instanceof Ref) {
    throw new TypeError(
      "Cannot take `env` as a whole from the run: give each of its variables as a function",
    );
  }
  const variables = Object.entries(env).map(([name, value]) => {
    if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return [`$${name}`, value];
    throw new TypeError(
      `Cannot name a variable ${JSON.stringify(name)}: names are of letters, digits and "_"`,
    );
  });
  return run({ command, cwd, ...Object.fromEntries(variables) });
}

const BASH_OPTIONS: OptionNames<BashOptions> = { command: true, env: true, cwd: true };

/** What {@linkcode bash} was given, resolved; the variables begin with a `$`. */
interface Resolved {
  readonly command: string;
  readonly cwd?: string;
  readonly [variable: `$${string}`]: unknown;
}

/** Bytes of a line that are shown; as JSON the longest is below what a task may put out. */
const MAX_LINE = 8192;
/** Lines of stderr that an error tells. */
const LAST_LINES = 10;
/** Milliseconds between SIGTERM and SIGKILL. */
const GRACE = 500;
/** The exit code that means: nothing to do. */
const SKIP = 99;

const run = operator("bash", async (options: Resolved, ctx): Promise<string | null> => {
  ctx.signal.throwIfAborted();
  const child = await spawn(options, ctx);
  const readers = [child.stdout.getReader(), child.stderr.getReader()] as const;
  let stopping: Promise<void> | undefined;
  const drop = () => Promise.all(readers.map((reader) => reader.cancel()));
  const stop = (): void => {
    stopping ??= end(child.pid).then(async () => {
      // What was said is still read; but whoever left the group may hold its end for ever.
      const late = setTimeout(drop, GRACE);
      await spoken.catch(drop);
      clearTimeout(late);
    });
  };
  let last: string | null = null;
  const complaints: string[] = [];
  const spoken = Promise.all([
    lines(readers[0], (line) => {
      ctx.log.info(last = line);
    }),
    lines(readers[1], (line) => {
      ctx.log.warn(line);
      if (complaints.push(line) > LAST_LINES) complaints.shift();
    }),
  ]);
  spoken.catch(stop);
  ctx.signal.addEventListener("abort", stop);
  if (ctx.signal.aborted) stop();
  try {
    const status = await child.status;
    if (!status.success) stop();
    await spoken;
    ctx.signal.throwIfAborted();
    if (status.success) return last;
    if (status.code === SKIP && !status.signal) {
      throw new Skip(complaints.at(-1) ?? `the command ended with exit code ${SKIP}`);
    }
    const how = status.signal
      ? `was killed by ${status.signal}`
      : `failed with exit code ${status.code}`;
    const said = complaints.length === 0
      ? "; it said nothing on stderr"
      : `; the end of its stderr:\n${complaints.join("\n").slice(-2000)}`;
    throw new Error(`The command of task "${ctx.task}" ${how}${said}`);
  } finally {
    ctx.signal.removeEventListener("abort", stop);
    await stopping;
  }
});

/** Starts bash as the first of a process group of its own. */
async function spawn(
  { command, cwd, ...variables }: Resolved,
  ctx: Context,
): Promise<Deno.ChildProcess> {
  const { interval } = ctx;
  const env: Record<string, string> = {
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    HOME: userInfo().homedir,
    LANG: "C.UTF-8",
    SLUICE_DAG: ctx.dag,
    SLUICE_RUN: ctx.run,
    SLUICE_TASK: ctx.task,
    SLUICE_ATTEMPT: String(ctx.attempt),
    SLUICE_LOGICAL_DATE: iso(ctx.date),
    SLUICE_INTERVAL_START: iso(interval.start),
    SLUICE_INTERVAL_END: iso(interval.end),
  };
  for (const [key, value] of Object.entries(variables)) {
    const name = key.slice(1);
    if (!["string", "number", "boolean"].includes(typeof value)) {
      const what = value === null ? "null" : `of type ${typeof value}`;
      throw new GiveUp(
        `Cannot pass variable "${name}" to bash: it is ${what}, not a string, number or boolean`,
      );
    }
    env[name] = String(value);
  }
  if (cwd !== undefined && !await isFolder(cwd)) {
    throw new GiveUp(`Cannot run bash in "${cwd}": there is no such folder`);
  }
  try {
    return new Deno.Command("bash", {
      args: ["-c", command],
      env,
      clearEnv: true,
      ...cwd === undefined ? {} : { cwd },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      detached: true,
    }).spawn();
  } catch (cause) {
    const why = cause instanceof Deno.errors.NotFound
      ? `it is not in ${env["PATH"]}; install it`
      : (cause as Error).message;
    throw new GiveUp(`Cannot run bash for task "${ctx.task}": ${why}`, { cause });
  }
}

function iso(moment: Temporal.ZonedDateTime): string {
  return moment.toString({ timeZoneName: "never" });
}

async function isFolder(path: string): Promise<boolean> {
  return await Deno.stat(path).then((stat) => stat.isDirectory, () => false);
}

/** Says each line as it comes, cut where it is too long. What is no UTF-8 shows as U+FFFD. */
async function lines(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  say: (line: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  const line = new Uint8Array(MAX_LINE);
  let length = 0;
  let cut = 0;
  const flush = (): void => {
    const text = decoder.decode(line.subarray(0, length)).replace(/\r$/, "");
    say(cut > 0 ? `${text} … (${cut} more bytes)` : text);
    length = cut = 0;
  };
  while (true) {
    const { done, value: chunk } = await reader.read();
    if (done) break;
    for (let from = 0; from < chunk.length;) {
      const newline = chunk.indexOf(10, from);
      const to = newline < 0 ? chunk.length : newline;
      const part = chunk.subarray(from, Math.min(to, from + MAX_LINE - length));
      line.set(part, length);
      length += part.length;
      cut += to - from - part.length;
      if (newline >= 0) flush();
      from = to + 1;
    }
  }
  if (length > 0) flush();
}

/** Ends a process group: asks it to, and makes sure of it. */
async function end(group: number): Promise<void> {
  send(group, "SIGTERM");
  // SIGCONT asks whether somebody is left, and wakes whom SIGTERM found stopped.
  for (let waited = 0; waited < GRACE && send(group, "SIGCONT"); waited += 20) await sleep(20);
  send(group, "SIGKILL");
}

/** Sends all of a group a signal; false when nobody is left. */
function send(group: number, signal: Deno.Signal): boolean {
  try {
    Deno.kill(-group, signal);
    return true;
  } catch {
    return false;
  }
}
