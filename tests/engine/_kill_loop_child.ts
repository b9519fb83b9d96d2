// An engine on a home folder, until it is killed. It says what it was told: `ready`; `+ run version` before each append and
// `= run version` when that is acknowledged; `e <event>` of each event it watches; `t run` of each run that it triggered.
import { createHash } from "node:crypto";
import {
  type Bytes,
  type Context,
  dag,
  type DagOptions,
  engine,
  file,
  fn,
  logFiles,
  operator,
  pipe,
  type Store,
} from "../../engine/mod.ts";
import { http } from "../../operators/http.ts";

/** What the child is told. */
export interface Orders {
  readonly home: string;
  /** Where the files are that it downloads. */
  readonly url: string;
  /** The file that it adds to what its tasks do outside. */
  readonly effects: string;
  /** What time it is as it begins. */
  readonly now: string;
  /** Up to when there are scheduled runs; then it ends once there is nothing more to do. */
  readonly end?: string;
  /** Whether it makes but one run, of the DAG that has everything, and ends with it. */
  readonly once?: boolean;
  /** Where it kills itself. */
  readonly kill?: {
    /** At which append, or which effect. */
    readonly at: "append" | "effect";
    readonly n: number;
    /** Before that is durable, or after; but then before anybody is told. */
    readonly when: "before" | "after";
  };
}

/** A task's doing something outside. */
export interface Effect {
  readonly run: string;
  readonly place: string;
  readonly attempt: number;
  /** Of the stream that it read. */
  readonly sha256?: string;
}

/** How much faster than ours its clock goes. */
export const SPEED = 600;
/** When schedules begin. */
export const START = "2021-01-01T00:00:00Z";

/** The file for a run. */
export const fileOf = (date: string): string =>
  `file-${Temporal.Instant.from(date).epochMilliseconds}`;

if (import.meta.main) await main(JSON.parse(Deno.args[0]!));

async function main({ home, url, effects, now: began, end, once, kill }: Orders): Promise<void> {
  const encoder = new TextEncoder();
  const say = (line: string): void => void Deno.stdout.writeSync(encoder.encode(`${line}\n`));
  const die = (): void => Deno.kill(Deno.pid, "SIGKILL");
  const rest = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
  const clock = (): number => performance.now() * SPEED;
  const origin = Temporal.Instant.from(began);
  const now = (): Temporal.Instant => origin.add({ milliseconds: Math.round(clock()) });
  let appends = 0, affected = 0;

  /** Does something that can be counted. */
  function affect({ run, task, index, attempt }: Context, sha256?: string): void {
    const place = index === undefined ? task : `${task}[${index}]`;
    const effect: Effect = { run, place, attempt, ...sha256 === undefined ? {} : { sha256 } };
    const here = ++affected === kill?.n && kill.at === "effect";
    if (here && kill.when === "before") die();
    Deno.writeTextFileSync(effects, `${JSON.stringify(effect)}\n`, { append: true });
    if (here) die();
  }

  const work = async (ctx: Context): Promise<number> => {
    ctx.log.info("works");
    await rest(Math.random() * 20);
    affect(ctx);
    await rest(Math.random() * 20);
    return ctx.attempt;
  };
  const fails = async (ctx: Context): Promise<number> => {
    const done = await work(ctx);
    if (createHash("md5").update(`${ctx.run} ${ctx.attempt}`).digest()[0]! % 3 === 0) {
      throw new Error("it fails now and then");
    }
    return done;
  };
  const commit = operator("commit", async (_: { nothing?: never }, ctx, bytes: Bytes) => {
    const hash = createHash("sha256");
    for await (const chunk of bytes) hash.update(chunk);
    const sha256 = hash.digest("hex");
    affect(ctx, sha256);
    await rest(Math.random() * 10);
    return sha256;
  });

  const scheduled = (minutes: number): DagOptions<Record<never, never>> => ({
    schedule: `*/${minutes} * * * *`,
    start: START,
    ...end === undefined ? {} : { end },
    catchup: "all",
    maxActiveRuns: 3,
    defaults: { retries: 9, retryDelay: { seconds: 10 } },
  });
  const plain = dag("plain", scheduled(2));
  const first = plain.task("first", work);
  plain.task("last", work, { after: plain.task("flaky", fails, { after: first }) });
  const mapped = dag("mapped", scheduled(5));
  const stream = dag("stream", scheduled(3));
  const all = dag("all", { defaults: { retries: 9, retryDelay: { seconds: 10 } } });
  for (const d of [mapped, all]) {
    const list = d.task("list", (ctx) => (affect(ctx), [1, 2, 3, 4]));
    const parts = d.each(
      "part",
      list,
      (n) => fn({ n }, async ({ n }, ctx) => n + await work(ctx)),
      {
        limit: 2,
      },
    );
    d.task(
      "sum",
      fn({ parts }, ({ parts }, ctx) => {
        affect(ctx);
        return parts.reduce((a, b) => a + b, 0);
      }),
    );
  }
  for (const d of [stream, all]) {
    const download = d.task(
      "download",
      http({ url: (run) => `${url}/${fileOf(run.date.toInstant().toString())}` }),
    );
    d.task("load", pipe(download, commit()));
    d.task("archive", pipe(download, commit()));
  }
  all.task("flaky", fails);

  await using inner = await file(home);
  const store: Store = {
    ...inner,
    async append(run, version, events) {
      const next = version + events.length;
      const here = ++appends === kill?.n && kill.at === "append";
      say(`+ ${run} ${next}`);
      const appended = inner.append(run, version, events);
      if (here && kill.when === "before") die();
      const there = await appended;
      if (here) die();
      say(there ? `= ${run} ${next}` : `= ${run} ${version}`);
      return there;
    },
  };
  const over = new AbortController();
  const watching = (async () => {
    for await (const event of inner.watch(over.signal)) say(`e ${JSON.stringify(event)}`);
  })();
  await using etl = await engine({
    dags: [plain, mapped, stream, all],
    home,
    store,
    logs: logFiles(home),
    now,
    clock,
    sleep: async (ms, signal) => {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(resolve, ms / SPEED);
        signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)));
      });
    },
    onError: (error) => console.error(error),
  });
  if (!once) await etl.start();
  say("ready");
  if (once) {
    const [known] = await etl.runs();
    const { id } = known ?? await etl.trigger(all, { date: START });
    await etl.done(id);
  } else if (end === undefined) {
    for (;;) {
      say(`t ${(await etl.trigger(all, { date: now().toString() })).id}`);
      await rest(Math.random() * 300);
    }
  }
  const isBusy = async (): Promise<boolean> =>
    (await etl.runs({ state: "running" })).length + (await etl.runs({ state: "queued" })).length >
      0 || [plain, mapped, stream].some(({ id }) => etl.status(id).next !== undefined);
  while (!once && await isBusy()) await rest(20);
  say(`appends ${appends}`);
  over.abort();
  await watching;
}
