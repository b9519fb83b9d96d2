import {
  type Attempt,
  type Event,
  isDone,
  isOver,
  type Outcome,
  reduce,
  type Run,
  type TaskRun,
} from "../../engine/mod.ts";
import type { DagPlan, TaskPlan } from "./_simulation_dags.ts";
import { endOf, verdictOf, writersOf } from "./_simulation_rules.ts";

/** A rule that the engine broke. */
export class Broken extends Error {
  override name = "Broken";
}

export function ensure(holds: boolean, what: () => string): asserts holds {
  if (!holds) throw new Broken(what());
}

const NONE: TaskRun = { state: "none", attempt: 0, retries: 0 };

/** What went on record, event by event, and whether each of them was right. */
export class Ledger {
  /** All runs, as their events make them. */
  readonly runs = new Map<string, Run>();
  /** The versions of runs that there were since the last step. */
  readonly #recent = new Map<string, Run[]>();
  /** How the attempts ended that the engine is yet to tell of: by place and number. */
  readonly #outcomes = new Map<string, Outcome>();
  /** Runs to which somebody put a hand. */
  readonly #marked = new Set<string>();
  /** Of each DAG: where its last scheduled run starts, and whether it was activated since. */
  readonly #last = new Map<string, { at: number; activated: boolean }>();
  readonly #plans = new Map<string, DagPlan>();

  /** Makes a version of a DAG known. */
  know(plan: DagPlan): void {
    this.#plans.set(`${plan.id} ${plan.hash}`, plan);
  }

  /** A DAG may pass over what it does not make up for. */
  activated(dag: string): void {
    const last = this.#last.get(dag);
    if (last) last.activated = true;
  }

  /** A step is over: what was before is no longer of use. */
  settled(): Run[] {
    const changed = [...this.#recent.keys()].map((id) => this.runs.get(id)!);
    this.#recent.clear();
    return changed;
  }

  /** An attempt ended. */
  ended({ run, task, index, attempt }: Attempt, outcome: Outcome): void {
    this.#outcomes.set(`${nameOf(run.id, task.id, index)}#${attempt}`, outcome);
  }

  planOf(run: Run): DagPlan {
    return this.#plans.get(`${run.dag} ${run.hash}`)!;
  }

  /** Takes down what a store has taken. */
  record(id: string, events: readonly Event[]): void {
    const before = this.runs.get(id);
    let run = before;
    for (const event of events) {
      this.#check(before, run, event);
      run = reduce(run, event);
      const recent = this.#recent.get(id);
      if (recent) recent.push(run);
      else this.#recent.set(id, before ? [before, run] : [run]);
      this.runs.set(id, run);
    }
  }

  /** The run before one, as it was at any time in this step. */
  pastsOf(run: Run): (Run | undefined)[] {
    const date = (run: Run): number => Date.parse(run.logicalDate);
    const place = (run: Run): string => `${run.logicalDate} ${run.created} ${run.id}`;
    const older = [...this.runs.values()]
      .filter((one) => one.dag === run.dag && date(one) < date(run))
      .sort((a, b) => place(a) < place(b) ? 1 : -1);
    const fresh = older.findIndex((one) => this.#recent.get(one.id)?.[0]?.version !== 1);
    const candidates = older.slice(0, fresh === -1 ? undefined : fresh + 1);
    const versions = candidates.flatMap((one) => this.#recent.get(one.id) ?? [one]);
    return fresh === -1 ? [...versions, undefined] : versions;
  }

  #check(before: Run | undefined, run: Run | undefined, event: Event): void {
    const where = (): string => `${JSON.stringify(event)}\nin ${JSON.stringify(run)}`;
    switch (event.type) {
      case "run_created":
        return this.#checkCreated(event);
      case "run_changed":
        return this.#checkChanged(run!, event, where);
      case "task_changed":
        if (event.to.reason === "marked") this.#marked.add(event.run);
        return this.#checkTask(before, run!, event, where);
    }
  }

  /** Each interval has one run at most, and none is passed over: the oldest is made first. */
  #checkCreated(event: Event & { type: "run_created" }): void {
    const { dag, kind, logicalDate, at, runAfter } = event;
    if (kind !== "scheduled" && kind !== "backfill") return;
    const others = [...this.runs.values()].filter((one) =>
      one.dag === dag && one.logicalDate === logicalDate &&
      (one.kind === "scheduled" || one.kind === "backfill")
    );
    ensure(others.length === 0, () => `${dag} has two runs for ${logicalDate}`);
    if (kind === "backfill") return;
    const plan = [...this.#plans.values()].find(({ id }) => id === dag)!;
    const every = plan.every! * 60_000;
    const date = Date.parse(logicalDate);
    const start = Date.parse(plan.start);
    const isTick = (date - start) % every === 0 && Date.parse(runAfter) === date + every;
    ensure(isTick, () => `${dag} made a run for ${logicalDate}, which is no tick`);
    ensure(date >= start && date <= Date.parse(plan.end), () => `${logicalDate} is out of bounds`);
    ensure(Date.parse(at) >= date + every, () => `${dag} made a run for ${logicalDate} at ${at}`);
    const last = this.#last.get(dag);
    ensure(!last || last.at < date, () => `${dag} made a run for ${logicalDate} after a later one`);
    if (plan.catchup === "all" || last && !last.activated) {
      for (let tick = last ? last.at + every : start; tick < date; tick += every) {
        const passed = Temporal.Instant.fromEpochMilliseconds(tick).toString();
        const isThere = [...this.runs.values()].some((one) =>
          one.dag === dag && one.kind === "backfill" && one.logicalDate === passed
        );
        ensure(isThere, () => `${dag} made a run for ${logicalDate}, but none for ${passed}`);
      }
    }
    this.#last.set(dag, { at: date, activated: false });
  }

  /** A run ends as its leaves say, and its teardowns have run. */
  #checkChanged(run: Run, event: Event & { type: "run_changed" }, where: () => string): void {
    const { to, reason } = event;
    if (to !== "success" && to !== "failed") return;
    if (reason === "marked" && isOver(run)) return;
    const plan = this.planOf(run);
    ensure(reason !== "deadlock", () => `A deadlock: ${where()}`);
    ensure(
      Object.values(run.tasks).every(({ state }) => isDone(state)),
      () => `It ends, but not all of its tasks are done: ${where()}`,
    );
    // One that was never let in, and whose DAG is gone.
    if (reason !== "cancelled") {
      ensure(to === endOf(plan, run), () => `Its leaves say otherwise: ${where()}`);
    }
    if (this.#marked.has(run.id)) return;
    for (const { id, setups } of plan.tasks) {
      if (setups.length === 0) continue;
      const { state, reason } = run.tasks[id]!;
      const ran = state === "success" || state === "failed" || reason === "There is nothing to do";
      const succeeded = setups.every((setup) => run.tasks[setup]?.state === "success");
      ensure(
        ran === succeeded || reason === "lost",
        () => `${id} ${ran ? "ran" : "did not run"}, against its setups: ${where()}`,
      );
    }
  }

  #checkTask(
    before: Run | undefined,
    run: Run,
    { task: id, index, to, at }: Event & { type: "task_changed" },
    where: () => string,
  ): void {
    const from = (index === undefined ? run.tasks[id] : run.mapped[id]?.[index]) ?? NONE;
    const plan = this.planOf(run);
    const task = plan.tasks.find((task) => task.id === id);
    ensure(to.attempt >= from.attempt, () => `Attempts are counted back: ${where()}`);
    if (!task) return;
    const { retries = 0 } = task.options;
    ensure(to.retries <= retries || to.retries <= from.retries, () => `Too many: ${where()}`);
    if (from.state === "running" && run.mapped[id] && index === undefined) return;
    if (from.state === "running") return this.#checkEnd(before!, run, task, index, from, to, where);
    if (to.reason === "marked" || to.state === from.state) return;
    const verdict = (): string => verdictOf(plan, run, task, index, this.pastsOf(run));
    switch (to.state) {
      case "scheduled": {
        ensure(
          run.state === "running" || run.ending !== undefined,
          () => `Its run is queued: ${where()}`,
        );
        ensure(verdict() === "RUN", () => `The rule says ${verdict()}: ${where()}`);
        const due = from.due === undefined || Date.parse(from.due) <= Date.parse(at);
        ensure(due, () => `It is not due: ${where()}`);
        return;
      }
      case "running":
        if (task.mapped && index === undefined) return;
        ensure(from.state === "scheduled", () => `It was not ready: ${where()}`);
        return ensure(to.attempt === from.attempt + 1, () => `No new attempt: ${where()}`);
      case "skipped":
        if (to.reason === "its list is empty" || to.reason === "cancelled") return;
        if (task.mapped && run.mapped[id] && index === undefined) return;
        return ensure(verdict() === "SKIP", () => `The rule says ${verdict()}: ${where()}`);
      case "upstream_failed":
        return ensure(verdict() === "UPF", () => `The rule says ${verdict()}: ${where()}`);
      case "up_for_retry":
      case "up_for_reschedule":
        ensure(false, () => `It had not begun: ${where()}`);
    }
  }

  /** What was running ends as its attempt did. */
  #checkEnd(
    before: Run,
    run: Run,
    task: TaskPlan,
    index: number | undefined,
    from: TaskRun,
    to: TaskRun,
    where: () => string,
  ): void {
    // Begun anew, told of its stream, or lost with its process.
    if (to.state === "none" || to.state === "running" || to.reason === "lost") return;
    const key = `${nameOf(run.id, task.id, index)}#${from.attempt}`;
    const outcome = this.#outcomes.get(key);
    ensure(outcome !== undefined, () => `${key} has not ended: ${where()}`);
    this.#outcomes.delete(key);
    const { retries = 0 } = task.options;
    const expected = outcome.state === "failed" && !outcome.final && from.retries < retries
      ? "up_for_retry"
      : outcome.state;
    const strange = outcome.state === "success" && task.kind === "branch" ||
      outcome.state === "none" && outcome.lost.length > 0 ||
      outcome.state === "up_for_reschedule" && to.reason === "timeout";
    ensure(
      to.state === expected || strange && to.state === "failed",
      () => `${key} ended ${JSON.stringify(outcome)}: ${where()}`,
    );
    if (expected === "up_for_retry") {
      ensure(to.retries === from.retries + 1, () => `A retry is not counted: ${where()}`);
    }
    if (to.state !== "success") return;
    const plan = this.planOf(run);
    const durable = writersOf(plan, before, task, index);
    ensure(
      durable.every(({ state, reason }) => state === "success" || reason === "marked"),
      () => `It succeeded before its writer: ${where()}`,
    );
    const [{ output } = {}] = durable;
    if (task.kind === "reader" && durable.length === 1 && output !== undefined) {
      const { bytes } = output as { bytes?: number };
      ensure(bytes === to.output, () => `It read ${to.output} of ${bytes} bytes: ${where()}`);
    }
  }
}

export function nameOf(run: string, task: string, index: number | undefined): string {
  return index === undefined ? `${run}/${task}` : `${run}/${task}[${index}]`;
}
