import assert from "node:assert/strict";
import { type Event, file, reduce, type Run } from "../../engine/mod.ts";
import { take } from "./_store_conformance.ts";

const APPENDER = new URL("_appender.ts", import.meta.url).pathname;
/** How many processes are killed. */
const KILLS = Deno.env.get("SLUICE_SOAK") === "1" ? 500 : 50;
const STRACE = await new Deno.Command("strace", { args: ["-V"], stdout: "null", stderr: "null" })
  .output().then(({ success }) => success, () => false);
if (!STRACE) {
  console.log("Not tested, for strace is missing: kills at each write, a disk that fails");
}

/** What an appender said. */
interface Said {
  /** Of each run: the version acknowledged last, and the one that was being appended at the end. */
  readonly runs: ReadonlyMap<string, { readonly acknowledged: number; readonly pending?: number }>;
  readonly refused: readonly string[];
  readonly signal: Deno.Signal | null;
}

/** Runs an appender, perhaps with faults that strace injects, and perhaps killed so long after it has begun. */
async function run(
  args: readonly string[],
  { inject = [], killAfter }: { inject?: readonly string[]; killAfter?: number },
): Promise<Said> {
  const command = [
    ...inject.length > 0 ? ["strace", "-f", "-qq", "-o", "/dev/null", ...inject] : [],
    ...[Deno.execPath(), "run", "-A", "--no-check", "--no-code-cache", APPENDER, ...args],
  ];
  const child = new Deno.Command(command[0]!, { args: command.slice(1), stdout: "piped" }).spawn();
  let text = "";
  let timer: ReturnType<typeof setTimeout> | undefined;
  for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += part;
    if (killAfter !== undefined) timer ??= setTimeout(() => child.kill("SIGKILL"), killAfter);
  }
  const { signal } = await child.status;
  clearTimeout(timer);
  const runs = new Map<string, { acknowledged: number; pending?: number }>();
  const refused: string[] = [];
  // What is behind the last newline was cut off.
  for (const line of text.split("\n").slice(0, -1)) {
    const [mark, id, version] = line.split(" ") as [string, string, string];
    if (mark === "+") runs.set(id, { acknowledged: 0, ...runs.get(id), pending: Number(version) });
    if (mark === "=") runs.set(id, { acknowledged: Number(version) });
    if (mark === "!") refused.push(line);
  }
  return { runs, refused, signal };
}

/** Checks what is there against what was said; tells of the appends under way how many are there. */
async function check(home: string, { runs }: Said): Promise<{ there: number; not: number }> {
  await using store = await file(home);
  const found = await store.list();
  const total = found.reduce((sum, { version }) => sum + version, 0);
  const events = Map.groupBy(await take(store, total, 0), ({ run }) => run);
  for (const run of found) {
    const made = events.get(run.id)!.map(({ seq: _, ...event }) => event as Event)
      .reduce<Run | undefined>(reduce, undefined);
    assert.deepEqual(run, made);
    const attempts = events.get(run.id)!
      .flatMap((event) => event.type === "task_changed" ? [event.to.attempt] : []);
    assert.deepEqual(attempts, attempts.map((_, i) => i + 2), "versions have a hole");
  }
  const counts = { there: 0, not: 0 };
  for (const [id, { acknowledged, pending }] of runs) {
    const version = found.find((run) => run.id === id)?.version ?? 0;
    if (version !== acknowledged) assert.equal(version, pending, `${id} is half there, or lost`);
    if (pending !== undefined) counts[version === pending ? "there" : "not"]++;
  }
  return counts;
}

Deno.test(`what was acknowledged is there after each of ${KILLS} kills`, async () => {
  const counts = { kills: 0, pending: 0, there: 0, not: 0, acknowledged: 0 };
  const lane = async (): Promise<void> => {
    const home = await Deno.makeTempDir({ prefix: "sluice_crash_" });
    while (counts.kills < KILLS) {
      const name = `k${counts.kills++}`;
      const appenders = counts.kills % 3 ? "1" : "4";
      const said = await run([home, name, appenders, "100000"], { killAfter: Math.random() * 40 });
      assert.equal(said.signal, "SIGKILL");
      assert.deepEqual(said.refused, []);
      const { there, not } = await check(home, said);
      if (there + not > 0) counts.pending++;
      counts.there += there;
      counts.not += not;
      for (const { acknowledged } of said.runs.values()) counts.acknowledged += acknowledged;
    }
    await Deno.remove(home, { recursive: true });
  };
  // Two side by side, for as many cores.
  await Promise.all([lane(), lane()]);
  console.log(
    `${counts.kills} kills, ${counts.pending} of them between an append and its acknowledgement ` +
      `(${counts.there} appends were there, ${counts.not} were not); ${counts.acknowledged} events acknowledged`,
  );
  assert.ok(counts.acknowledged > 0 && counts.pending > 0);
});

Deno.test({
  name: "what was acknowledged is there after a kill at each write to the disk and each sync of it",
  ignore: !STRACE,
  async fn() {
    const home = await Deno.makeTempDir({ prefix: "sluice_crash_" });
    const counts: string[] = [];
    for (const call of ["pwrite64", "fsync"]) {
      for (let n = 1, step = KILLS > 50 ? 1 : call === "fsync" ? 2 : 7;; n += step) {
        const place = `${home}/${call}${n}`;
        const inject = ["-e", `trace=${call}`, "-e", `inject=${call}:signal=SIGKILL:when=${n}`];
        const said = await run([place, "a", "1", "3"], { inject });
        const { there, not } = await check(place, said);
        counts.push(`${call} ${n}: ${there ? "there" : not ? "not there" : "none under way"}`);
        if (said.signal === null) break;
      }
    }
    console.log(counts.join(", "));
    await Deno.remove(home, { recursive: true });
  },
});

Deno.test({
  name: "after a sync that failed nothing more is taken, and what was acknowledged is there",
  ignore: !STRACE,
  async fn() {
    const home = await Deno.makeTempDir({ prefix: "sluice_crash_" });
    const inject = ["-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=12"];
    const said = await run([home, "a", "1", "12"], { inject });
    assert.ok(said.refused.length >= 2);
    for (const line of said.refused) {
      assert.match(line, /Cannot write to ".*state\.db": the disk could not be synced/);
    }
    assert.ok(said.runs.get("a_0")!.acknowledged > 0);
    await check(home, said);
    await Deno.remove(home, { recursive: true });
  },
});
