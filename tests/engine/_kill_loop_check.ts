import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import {
  file,
  isOver,
  type Recorded,
  reduceAll,
  type Run,
  type TaskRun,
} from "../../engine/mod.ts";
import { type Effect, fileOf } from "./_kill_loop_child.ts";
import { take } from "./_store_conformance.ts";

/** What a child said. */
export interface Said {
  readonly lines: readonly string[];
  readonly signal: Deno.Signal | null;
}

/** How a child was when it died. */
export interface Death {
  /** Whether it was making an attempt. */
  readonly working: boolean;
  /** Whether something was between an append and its acknowledgement; if so, how much of that is there. */
  readonly pending: boolean;
  readonly there: number;
  readonly acknowledged: number;
}

/** What a file has in it. */
export function contentOf(name: string): Uint8Array<ArrayBuffer> {
  const seed = createHash("sha256").update(name).digest();
  const bytes = new Uint8Array(100_000 + seed.readUInt16LE() * 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = seed[i % 32]! ^ (i >> 5) * 31;
  return bytes;
}

/** What is known of a home folder from outside: checked against what is there after each death. */
export class Witness {
  readonly runs: Map<string, Run> = new Map();
  readonly effects: Effect[] = [];
  /** How often what was running was lost, and how often too often. */
  lost = 0;
  given = 0;
  readonly #home: string;
  readonly #effects: string;
  #seq = 0;
  #events = 0;
  /** The attempts that were under way as a child died, which have not been marked as lost. */
  #orphans = new Set<string>();

  constructor(home: string, effects: string) {
    this.#home = home;
    this.#effects = effects;
  }

  /** Looks at what a child left. */
  async check(said: Said): Promise<Death> {
    const events = await this.#read();
    for (const event of events) this.#follow(event);
    const before = this.#orphans;
    this.#orphans = new Set(
      [...this.runs.values()].filter((run) => !isOver(run)).flatMap((run) =>
        placesOf(run).filter(([, { state }]) => state === "running")
          .map(([place]) => `${run.id}/${place}`)
      ),
    );
    const working = [...this.#orphans].some((name) => !before.has(name));
    this.#checkEffects();
    return { ...this.#checkAcknowledged(said, events), working };
  }

  /** Looks at what there is when all is done. */
  checkEnd(): void {
    const scheduled = new Map<string, Run[]>();
    for (const run of this.runs.values()) {
      const places = placesOf(run);
      const failed = places.filter(([, { state }]) => state === "failed");
      for (const [place, { reason }] of failed) {
        assert.ok(reason === "lost" || /^(part)$/.test(place), `${run.id}/${place} failed`);
      }
      assert.equal(run.state, failed.length > 0 ? "failed" : "success", run.id);
      for (const [place, { state, attempt }] of places) {
        if (state !== "success" || place === "part" || place === "download") continue;
        const done = this.effects.filter((effect) =>
          effect.run === run.id && effect.place === place
        );
        assert.ok(done.length >= 1 && done.length <= attempt, `${run.id}/${place}`);
        assert.equal(done.at(-1)!.attempt, attempt, `${run.id}/${place} was run again`);
      }
      if (run.kind === "scheduled") {
        scheduled.set(run.dag, [...scheduled.get(run.dag) ?? [], run]);
      }
    }
    for (const runs of scheduled.values()) {
      const intervals = runs.map(({ interval }) => interval)
        .sort((a, b) => a.start < b.start ? -1 : 1);
      intervals.slice(1).forEach(({ start }, i) => assert.equal(start, intervals[i]!.end));
    }
  }

  /** The events behind those that are known, as the next process would find them. */
  async #read(): Promise<Recorded[]> {
    const copy = await Deno.makeTempDir({ prefix: "sluice_kill_" });
    try {
      for (const name of ["state.db", "state.db-wal", "state.db-journal"]) {
        await Deno.copyFile(join(this.#home, name), join(copy, name)).catch((error) => {
          if (!(error instanceof Deno.errors.NotFound)) throw error;
        });
      }
      await using store = await file(copy);
      const found = await store.list();
      const total = found.reduce((sum, { version }) => sum + version, 0);
      const events = await take(store, total - this.#events, this.#seq);
      this.#events = total;
      this.#seq = events.at(-1)?.seq ?? this.#seq;
      const last = new Map(this.runs);
      for (const { seq: _, ...event } of events) {
        last.set(event.run, reduceAll(last.get(event.run), [event])!);
      }
      for (const run of found) assert.deepEqual(run, last.get(run.id));
      return events;
    } finally {
      await Deno.remove(copy, { recursive: true });
    }
  }

  #follow({ seq: _, ...event }: Recorded): void {
    const before = this.runs.get(event.run);
    const run = reduceAll(before, [event])!;
    this.runs.set(run.id, run);
    if (event.type === "run_created" && event.kind === "scheduled") {
      const twins = [...this.runs.values()].filter(({ dag, kind, logicalDate }) =>
        dag === event.dag && kind === "scheduled" && logicalDate === event.logicalDate
      );
      assert.equal(twins.length, 1, `${run.id} is there twice`);
    }
    if (event.type !== "task_changed") return;
    const { task, index, to } = event;
    const place = index === undefined ? task : `${task}[${index}]`;
    const name = `${run.id}/${place}`;
    const from = (index === undefined ? before!.tasks[task] : before!.mapped[task]?.[index])!;
    if (before!.mapped[task] && index === undefined) return;
    assert.notEqual(from.state, "success", `${name} goes on though it is done`);
    const begins = to.state === "running" && from.state !== "running";
    assert.equal(to.attempt, from.attempt + Number(begins), `${name}: attempts have a hole`);
    if (this.#orphans.delete(name)) {
      assert.equal(to.reason, "lost", `${name} is not known to be lost`);
      assert.equal(to.retries, from.retries, `${name} has lost a retry`);
      this.lost++;
      if (to.state === "failed") {
        assert.equal(from.crashes, 3);
        this.given++;
      } else {
        assert.equal(to.state, "none");
        assert.equal(to.crashes, (from.crashes ?? 0) + 1);
      }
    } else if (begins || from.state === "running") {
      assert.notEqual(to.reason, "lost", `${name} is lost, but its process lives`);
    }
  }

  #checkEffects(): void {
    const lines = Deno.readTextFileSync(this.#effects).split("\n").slice(0, -1);
    const seen = new Set(this.effects.map(keyOf));
    for (const line of lines.slice(this.effects.length)) {
      const effect: Effect = JSON.parse(line);
      const { run: id, place, attempt, sha256 } = effect;
      const key = keyOf(effect);
      assert.ok(!seen.has(key), `${key} was made twice`);
      seen.add(key);
      this.effects.push(effect);
      const run = this.runs.get(id)!;
      const [, task] = placesOf(run).find(([other]) => other === place) ?? [];
      assert.ok(task && attempt <= task.attempt, `${key} was made before that was on record`);
      if (sha256 === undefined) continue;
      const expected = createHash("sha256").update(contentOf(fileOf(run.logicalDate)));
      assert.equal(sha256, expected.digest("hex"), `${key} has committed what is not whole`);
      assert.equal(run.tasks["download"]!.state, "success", `${key} has committed too early`);
    }
  }

  #checkAcknowledged({ lines }: Said, events: readonly Recorded[]): Omit<Death, "working"> {
    const bySeq = new Map(events.map((event) => [event.seq, event]));
    const pending = new Map<string, number>();
    let acknowledged = 0;
    for (const line of lines) {
      const [mark, id, version] = line.split(" ", 3) as [string, string, string];
      if (mark === "e") {
        const event: Recorded = JSON.parse(line.slice(2));
        assert.deepEqual(bySeq.get(event.seq), event, "what was told of is not there");
        acknowledged++;
      } else if (mark === "t") assert.ok(this.runs.has(id), `${id} was lost`);
      else if (mark === "+") pending.set(id, Number(version));
      else if (mark === "=") {
        assert.ok(
          (this.runs.get(id)?.version ?? 0) >= Number(version),
          `${id} ${version} was lost`,
        );
        pending.delete(id);
        acknowledged++;
      }
    }
    const there = [...pending].filter(([id, version]) => this.runs.get(id)?.version === version);
    return { pending: pending.size > 0, there: there.length, acknowledged };
  }
}

const keyOf = ({ run, place, attempt }: Effect): string => `${run}/${place}#${attempt}`;

/** All tasks of a run, and all instances. */
function placesOf({ tasks, mapped }: Run): [place: string, task: TaskRun][] {
  return [
    ...Object.entries(tasks).map(([id, task]): [string, TaskRun] => [id, task]).filter(([id]) =>
      !mapped[id]
    ),
    ...Object.entries(mapped).flatMap(([id, instances]) =>
      instances.map((task, i): [string, TaskRun] => [`${id}[${i}]`, task])
    ),
  ];
}
