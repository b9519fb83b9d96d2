// What executors are tried with: tasks that know nothing of the test but their params, since they may run in a process
// of their own.
import { createHash } from "node:crypto";
import {
  type AnyDag,
  type Bytes,
  type Context,
  dag,
  fn,
  GiveUp,
  NotYet,
  operator,
  type Origin,
  pipe,
  ReadAgain,
  Skip,
  Source,
  SourceChanged,
} from "../../engine/mod.ts";
import { download } from "./_origin.ts";

/** What the tasks are told; `url` is where they ask, and wait for the answer. */
export type TrialParams = Readonly<Record<"url", string>>;

/** Waits until the test lets it go on. */
export async function gate(ctx: Context): Promise<string> {
  const response = await fetch(String(ctx.params.url), { signal: ctx.signal });
  return await response.text();
}

/** An error that says how long to wait. */
class Busy extends Error {
  override name = "Busy";
  constructor(readonly retryAfter: number) {
    super("try again later");
  }
}

const single: Readonly<Record<string, (ctx: Context) => unknown>> = {
  json: () => ({ rows: [1, "two", null, { three: 3.5 }] }),
  nothing: () => undefined,
  big: () => "x".repeat(70_000),
  bigint: () => ({ n: 1n }),
  skip: () => {
    throw new Skip("nothing to do");
  },
  not_yet: () => {
    throw new NotYet("not there");
  },
  not_before: () => {
    throw new NotYet("not there", { due: Temporal.Instant.from("2030-01-01T00:00:00Z") });
  },
  not_for: () => {
    throw new NotYet("not there", { due: { minutes: 5 } });
  },
  give_up: () => {
    throw new Error("outer", { cause: new GiveUp("hopeless") });
  },
  fails: () => {
    throw new TypeError("what", { cause: new RangeError("why", { cause: "because" }) });
  },
  busy: () => {
    throw new Error("refused", { cause: new Busy(90_000) });
  },
  very_busy: () => {
    throw new Busy(86_400_000);
  },
  facts: async (ctx) => ({
    ids: [ctx.dag, ctx.run, ctx.task, ctx.attempt],
    date: ctx.date.toString(),
    next: [ctx.next?.start.toString(), ctx.next?.end.toString()],
    month: ctx.strftime("%Y_%m"),
    kind: ctx.kind,
    network: ctx.network,
    rejects: ctx.rejects("t") ?? null,
    index: ctx.index ?? null,
    params: Object.keys(ctx.params),
    year: ctx.now().toZonedDateTimeISO("UTC").year,
    runs: (await ctx.runs({ dag: "other", limit: 2 })).map((run) => run.id),
  }),
  connects: async (ctx) => (await ctx.connection("warehouse")).url,
  connects_nowhere: (ctx) => ctx.connection("nowhere"),
  refused: (ctx) => ctx.connection("locked"),
  says: async (ctx) => {
    ctx.log.info("one", { n: 1 });
    ctx.log.warn("two");
    ctx.log.error("three");
    return await gate(ctx);
  },
  counts: async (ctx) => {
    ctx.meter.rows = 7;
    const said = await gate(ctx);
    ctx.meter.rows = 9;
    return said;
  },
  waits: gate,
  prints: async (ctx) => {
    console.log("to the console: %d", 1, { two: 2 });
    console.error("an error");
    ctx.log.info("to the log");
    Deno.stdout.writeSync(new TextEncoder().encode("to stdout\n"));
    await new Deno.Command("echo", { args: ["by another process"], stdout: "inherit" }).spawn()
      .status;
    return "quiet";
  },
  exits: () => {
    Deno.stderr.writeSync(new TextEncoder().encode("something\nis wrong\n"));
    Deno.exit(3);
  },
  shows: async (ctx) => {
    const { url } = await ctx.connection("warehouse");
    const command = await Deno.readTextFile("/proc/self/cmdline");
    const environment = await Deno.readTextFile("/proc/self/environ");
    return {
      hidden: !`${command} ${environment}`.includes(new URL(url).password),
      variable: Deno.env.get("SLUICE_TEST") ?? null,
    };
  },
  /** Says who it is, and who it started: one that stays in its group and does not listen. */
  breeds: async (ctx) => {
    const { pid } = new Deno.Command("bash", {
      args: ["-c", "trap '' TERM; while true; do sleep 1; done"],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    ctx.log.info("bred", { pid: Deno.pid, child: pid });
    return await gate(ctx);
  },
  busy_thread: (ctx) => {
    ctx.log.info("busy", { pid: Deno.pid });
    return new Promise((resolve) => {
      // The line is on its way when the thread is gone.
      setTimeout(() => {
        for (const end = Date.now() + 20_000; Date.now() < end;);
        resolve(null);
      }, 50);
    });
  },
};

const reads = operator("load", async (options: { stopAt: number }, ctx, bytes: Bytes) => {
  const hash = createHash("sha256");
  let n = 0;
  ctx.log.info("reads", { pid: Deno.pid });
  for await (const chunk of bytes) {
    hash.update(chunk);
    ctx.meter.rows = n += chunk.length;
    if (n >= options.stopAt) break;
  }
  return { bytes: n, sha256: hash.digest("hex") };
});

/** Asks for what it has read of the stream again, once. */
const rereads = operator("rereads", async (_: { x?: 1 }, ctx, bytes: Bytes) => {
  const reader = bytes.getReader();
  const hash = createHash("sha256");
  for (let n = 0;;) {
    const { done, value } = await reader.read();
    if (done) return { bytes: n, sha256: hash.digest("hex"), learnt: String(ctx.learnt) };
    hash.update(value);
    n += value.length;
    ctx.meter.rows = ctx.learnt ? n : 0;
    if (ctx.learnt || n < 5000) continue;
    const error = new ReadAgain("it can be read only once", "this");
    await reader.cancel(error);
    throw error;
  }
}, { rereads: true });

const flip = operator("flip", (_: { x?: 1 }, __, bytes: Bytes) => {
  return bytes.pipeThrough(
    new TransformStream({
      transform: (chunk, controller) => controller.enqueue(chunk.map((byte) => byte ^ 255)),
    }),
  ) as Bytes;
});

const spell = operator("spell", ({ letter }: { letter: string }) => {
  return ReadableStream.from([new TextEncoder().encode(letter.repeat(3))]) as Bytes;
}, { stream: true });

function tasks(): AnyDag {
  const made = dag("single", { params: { url: "" } });
  for (const [id, run] of Object.entries(single)) made.task(id, run);
  made.task("timed", gate, { timeout: { milliseconds: 400 } });
  return made;
}

function edges(): AnyDag {
  const made = dag("edges", { params: { url: "" } });
  const file = made.task(
    "download",
    download({
      url: (run) => {
        run.log.info("writes", { pid: Deno.pid });
        return run.params.url;
      },
    }),
  );
  made.task("load", pipe(file, reads({ stopAt: Infinity })));
  made.task("patient", pipe(file, reads({ stopAt: Infinity })), { timeout: { seconds: 1 } });
  made.task("peek", pipe(file, reads({ stopAt: 5000 })));
  made.task("reread", pipe(file, rereads()));
  const flipped = made.task("flip", pipe(file, flip()));
  made.task("load_flipped", pipe(flipped, reads({ stopAt: Infinity })));
  made.task("plain", () =>
    new ReadableStream({
      start(controller) {
        for (let i = 0; i < 100; i++) controller.enqueue(new Uint8Array(1000).fill(i));
        controller.close();
      },
    }));
  made.task("no_bytes", () => ReadableStream.from(["text"]));
  made.task("breaks", () => ReadableStream.from(breaks()));
  const origin = { key: "https://user:password@host/file", validator: "v1", offset: 0 };
  made.task("whole", () => source({ ...origin, length: 1000 }));
  made.task("too_short", () => source({ ...origin, length: 2000 }));
  made.task("too_long", () => source({ ...origin, length: 500 }));
  made.task("no_url", () => source({ key: "file", offset: 0 }));
  made.task("changes", (ctx) => ReadableStream.from(changes(String(ctx.params.url))));
  return made;
}

function source(origin: Origin): Source {
  return new Source(origin, {
    pull(controller) {
      controller.enqueue(new Uint8Array(1000));
      controller.close();
    },
  });
}

/** Changes its mind half-way, as often as there is room for in a file. */
function* changes(path: string): Generator<Uint8Array> {
  yield new Uint8Array(1000);
  const left = Number(Deno.readTextFileSync(path));
  if (left > 0) {
    Deno.writeTextFileSync(path, String(left - 1));
    throw new Error("outer", { cause: new SourceChanged("another one") });
  }
  yield new Uint8Array(500);
}

/** Tasks here and there. */
function both(): AnyDag {
  const made = dag("both", { params: { url: "" } });
  const away = { executor: "subprocess" };
  const file = made.task("download", download({ url: (run) => run.params.url }), away);
  made.task("load", pipe(file, reads({ stopAt: Infinity })));
  const retried = { ...away, retries: 1, retryDelay: { milliseconds: 1 } };
  made.task("load_away", pipe(file, reads({ stopAt: Infinity })), retried);
  const flipped = made.task("flip", pipe(file, flip()));
  made.task("load_flipped", pipe(flipped, reads({ stopAt: Infinity })), away);
  return made;
}

function* breaks(): Generator<Uint8Array> {
  yield new Uint8Array(1000);
  throw new RangeError("broken off");
}

function mapped(): AnyDag {
  const made = dag("mapped");
  const list = made.task("list", () => ["a", "b", "c"]);
  const letters = made.each(
    "letter",
    list,
    (item) =>
      fn({ item }, ({ item }, ctx) => {
        ctx.log.info("spelt");
        return `${item}${ctx.index}`;
      }),
  );
  const again = made.each("again", letters, (item) => fn({ item }, ({ item }) => `${item}!`));
  const parts = made.each("part", list, (item) => spell({ letter: item }));
  made.each("size", parts, (item) => pipe(item, reads({ stopAt: Infinity })));
  made.task("join", fn({ again }, ({ again }) => again.join(" ")));
  return made;
}

/** All of them, by id. */
export const trials: Readonly<Record<string, AnyDag>> = Object.fromEntries(
  [tasks(), edges(), mapped(), both()].map((made) => [made.id, made]),
);
