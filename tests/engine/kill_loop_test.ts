import assert from "node:assert/strict";
import { join } from "node:path";
import { type Orders, SPEED, START } from "./_kill_loop_child.ts";
import { contentOf, type Death, type Said, Witness } from "./_kill_loop_check.ts";
import { type Folder, folder } from "./_folder.ts";
import { ours } from "../cli/_sluice.ts";

const CHILD = new URL("_kill_loop_child.ts", import.meta.url).pathname;
const CONFIG = new URL("../../deno.json", import.meta.url).pathname;
const FULL = Deno.env.get("SLUICE_SOAK") === "1";
/** How many processes are killed. */
const KILLS = FULL ? 300 : 30;
const SEED = Number(Deno.env.get("SEED") ?? 20210102);
const STRACE = await new Deno.Command("strace", { args: ["-V"], stdout: "null", stderr: "null" })
  .output().then(({ success }) => success, () => false);

/** Numbers in [0, n), always the same. */
function chance(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ state >>> 16, 0x85ebca6b);
    mixed = Math.imul(mixed ^ mixed >>> 13, 0xc2b2ae35);
    return ((mixed ^ mixed >>> 16) >>> 0) % n;
  };
}

/** Serves files slowly, whole or from a byte on. */
function slowServer(): { url: string; resumed: number; [Symbol.asyncDispose](): Promise<void> } {
  const PIECE = 16_384;
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const name = new URL(request.url).pathname.slice(1);
    const body = contentOf(name);
    const etag = `"${name}"`;
    if (request.headers.get("if-none-match") === etag) {
      return new Response(null, { status: 304, headers: { etag } });
    }
    const range = request.headers.get("range")?.match(/^bytes=(\d+)-$/)?.[1];
    let at = Number(range ?? 0);
    const headers = { etag, "content-length": String(body.length - at) };
    if (at > 0) self.resumed++;
    const stream = new ReadableStream({
      async pull(controller) {
        if (at >= body.length) return controller.close();
        await new Promise((resolve) => setTimeout(resolve, 5));
        controller.enqueue(body.slice(at, at += PIECE));
      },
    }, { highWaterMark: 0 });
    if (range === undefined) return new Response(stream, { headers });
    return new Response(stream, {
      status: 206,
      headers: { ...headers, "content-range": `bytes ${at}-${body.length - 1}/${body.length}` },
    });
  });
  const self = {
    url: `http://127.0.0.1:${server.addr.port}`,
    resumed: 0,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
  return self;
}

/** When to kill a child from outside. */
interface Blow {
  /** So many milliseconds after it has begun, or was ready, or as soon as it says that it makes its nth append. */
  readonly after: "start" | "ready" | "append";
  readonly n: number;
}

/** How many milliseconds a child may take until it dies, and how many to do all that is left. */
const PATIENCE = 120_000;
const LONG = 5 * PATIENCE;

/** Lets a child go until it dies. */
async function live(orders: Orders, blow?: Blow, inject: readonly string[] = []): Promise<Said> {
  const deno = [Deno.execPath(), "run", "-A", "--no-check", "--config", CONFIG, CHILD];
  const [program, ...args] = [
    ...inject.length > 0 ? ["strace", "-f", "-qq", "-o", "/dev/null", ...inject] : [],
    ...deno,
    JSON.stringify(orders),
  ];
  const child = new Deno.Command(program!, { args, stdout: "piped", stderr: "piped" }).spawn();
  const timers: ReturnType<typeof setTimeout>[] = [];
  let late = false;
  const kill = (ms: number, isLate = false): void => {
    timers.push(setTimeout(() => {
      late = isLate;
      child.kill("SIGKILL");
    }, ms));
  };
  const patience = orders.end === undefined ? PATIENCE : LONG;
  kill(patience, true);
  if (blow?.after === "start") kill(blow.n);
  const errors = new Response(child.stderr).text();
  const lines: string[] = [];
  let rest = "", appends = 0;
  for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + part).split("\n");
    // What is behind the last newline was cut off.
    rest = parts.pop()!;
    for (const line of parts) {
      lines.push(line);
      if (line === "ready" && blow?.after === "ready") kill(blow.n);
      if (line.startsWith("+") && blow?.after === "append" && ++appends === blow.n) {
        child.kill("SIGKILL");
      }
    }
  }
  const { signal, code } = await child.status;
  timers.forEach(clearTimeout);
  assert.equal(ours(await errors), "");
  assert.ok(!late, `in ${patience} ms it was not done`);
  assert.ok(signal !== null || code === 0, `it ended with ${code}`);
  return { lines, signal };
}

interface Home extends Folder {
  readonly orders: Pick<Orders, "home" | "effects">;
  readonly witness: Witness;
}

async function newHome(): Promise<Home> {
  const place = await folder();
  const orders = { home: join(place.path, "home"), effects: join(place.path, "effects") };
  await Deno.mkdir(orders.home);
  await Deno.writeTextFile(orders.effects, "");
  return { ...place, orders, witness: new Witness(orders.home, orders.effects) };
}

Deno.test(`an engine goes on where it was after each of ${KILLS} kills`, async () => {
  await using server = slowServer();
  const began = performance.now();
  const deaths: (Death & { readonly kind: string })[] = [];
  let lost = 0, given = 0, runs = 0, effects = 0, begun = 0;
  const lane = async (seed: number): Promise<void> => {
    const random = chance(seed);
    await using home = await newHome();
    const { witness } = home;
    let now = Temporal.Instant.from(START);
    const go = async (rest: Partial<Orders>, blow?: Blow): Promise<Said> => {
      const since = performance.now();
      const said = await live(
        { ...home.orders, url: server.url, now: now.toString(), ...rest },
        blow,
      );
      const ms = Math.ceil((performance.now() - since) * SPEED);
      now = now.add({ milliseconds: ms });
      return said;
    };
    while (begun < KILLS) {
      begun++;
      const kind = (["start", "ready", "append", "before", "after", "effect"] as const)[random(6)]!;
      const when = random(2) ? "before" : "after";
      const said = await (kind === "start"
        ? go({}, { after: kind, n: 40 + random(150) })
        : kind === "ready"
        ? go({}, { after: kind, n: random(600) })
        : kind === "append"
        ? go({}, { after: kind, n: 1 + random(120) })
        : kind === "effect"
        ? go({ kill: { at: "effect", n: 1 + random(40), when } })
        : go({ kill: { at: "append", n: 1 + random(120), when: kind } }));
      assert.equal(said.signal, "SIGKILL");
      deaths.push({ ...await witness.check(said), kind });
    }
    const said = await go({ end: now.toString() });
    assert.equal(said.signal, null);
    await witness.check(said);
    witness.checkEnd();
    lost += witness.lost;
    given += witness.given;
    runs += witness.runs.size;
    effects += witness.effects.length;
  };
  // Two side by side, for as many cores.
  await Promise.all([lane(SEED), lane(SEED + 1)]);
  const count = (of: (death: (typeof deaths)[number]) => unknown): number =>
    deaths.filter(of).length;
  const working = count(({ working }) => working);
  const pending = count(({ pending }) => pending);
  const there = count(({ there }) => there > 0);
  const kinds = [...new Set(deaths.map(({ kind }) => kind))].sort()
    .map((kind) => `${kind} ${count((death) => death.kind === kind)}`);
  const acknowledged = deaths.reduce((sum, { acknowledged }) => sum + acknowledged, 0);
  console.log(
    `seed ${SEED}: ${deaths.length} kills in ${Math.round((performance.now() - began) / 1000)} s ` +
      `(${
        kinds.join(", ")
      }); ${working} while an attempt ran, ${pending} between an append and its ` +
      `acknowledgement (of which ${there} were on record); ${lost} attempts lost, ${given} of them for ` +
      `the fourth time; ${acknowledged} acknowledged changes, ${runs} runs, ${effects} effects, ` +
      `${server.resumed} downloads gone on with`,
  );
  assert.ok(working >= deaths.length / 2, "too few kills while an attempt runs");
  assert.ok(
    pending >= deaths.length / 3,
    "too few kills between an append and its acknowledgement",
  );
  assert.ok(lost > 0 && there > 0 && there < pending && server.resumed > 0);
});

/** A run of everything, killed at one point; the next process ends it. */
async function killOnce(orders: Partial<Orders>, inject: readonly string[] = []): Promise<Said> {
  await using server = slowServer();
  await using home = await newHome();
  const base = { ...home.orders, url: server.url, now: START, once: true };
  const said = await live({ ...base, ...orders }, undefined, inject);
  await home.witness.check(said);
  const after = await live(base);
  assert.equal(after.signal, null);
  await home.witness.check(after);
  home.witness.checkEnd();
  assert.equal(home.witness.runs.size, 1);
  return said;
}

/** How many appends one made that was not killed. */
function appendsOf({ lines }: Said): number {
  return Number(lines.find((line) => line.startsWith("appends "))!.split(" ")[1]);
}

/** Does something for each, two side by side, for as many cores. */
async function each<T>(all: readonly T[], what: (one: T) => Promise<void>): Promise<void> {
  const queue = [...all];
  const lane = async (): Promise<void> => {
    for (let one = queue.shift(); one !== undefined; one = queue.shift()) await what(one);
  };
  await Promise.all([lane(), lane()]);
}

Deno.test("a run goes on where it was after a kill before and after each of its commits", async () => {
  const appends = appendsOf(await killOnce({}));
  assert.ok(appends > 10);
  const points = Array.from({ length: appends * 2 }, (_, i) => {
    return { at: "append", n: 1 + (i >> 1), when: i % 2 ? "after" : "before" } as const;
  });
  // Others with each seed.
  const step = FULL ? 1 : 3;
  const chosen = points.filter((_, i) => i % step === SEED % step);
  let killed = 0;
  await each(chosen, async (kill) => {
    const said = await killOnce({ kill });
    if (said.signal === "SIGKILL") killed++;
    // What happens at about the same time may be one commit or two.
    else assert.ok(appendsOf(said) < kill.n, `it was not killed at append ${kill.n}`);
  });
  console.log(`killed at ${killed} points of ${points.length}`);
  assert.ok(killed >= chosen.length / 2);
});

Deno.test({
  name: "a run goes on where it was after a kill at each write of its state and each sync of it",
  ignore: !STRACE,
  async fn() {
    const points: string[] = [];
    await each(["fsync", "pwrite64"], async (call) => {
      // Before that, there is no state yet.
      for (let n = 12, step = FULL ? 1 : call === "fsync" ? 6 : 90;; n += step) {
        const inject = ["-e", `trace=${call}`, "-e", `inject=${call}:signal=SIGKILL:when=${n}`];
        const { signal } = await killOnce({}, inject);
        if (signal === null) break;
        points.push(`${call} ${n}`);
      }
    });
    console.log(`${points.length} points: ${points.join(", ")}`);
    assert.ok(points.length >= 3);
  },
});
