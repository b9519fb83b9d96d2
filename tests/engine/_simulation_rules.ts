import { isDone, type Run, type TaskRun, type TaskState, type When } from "../../engine/mod.ts";
import golden from "../golden/trigger_rules.json" with { type: "json" };
import { type DagPlan, isWriter, type TaskPlan, upstreamOf } from "./_simulation_dags.ts";

/** What is to become of a task that has not begun; PAST: its rule lets it run, but the run before does not. */
export type Verdict = "RUN" | "SKIP" | "UPF" | "WAIT" | "PAST";

/** Of the answers that the golden table gives for each pair of upstream states, which holds for all of them. */
const STRONGEST: Readonly<Record<When, readonly Verdict[]>> = {
  all_success: ["UPF", "SKIP", "WAIT", "RUN"],
  all_failed: ["SKIP", "WAIT", "RUN"],
  all_done: ["WAIT", "RUN"],
  all_done_min_one_success: ["WAIT", "RUN", "UPF", "SKIP"],
  all_skipped: ["SKIP", "WAIT", "RUN"],
  one_success: ["RUN", "WAIT", "UPF", "SKIP"],
  one_failed: ["RUN", "WAIT", "SKIP"],
  one_done: ["RUN", "WAIT", "SKIP"],
  none_failed: ["UPF", "WAIT", "RUN"],
  none_failed_min_one_success: ["UPF", "WAIT", "RUN", "SKIP"],
  none_skipped: ["SKIP", "WAIT", "RUN"],
  always: ["RUN"],
};

const LETTERS: Partial<Record<TaskState, string>> = {
  success: "S",
  failed: "F",
  upstream_failed: "U",
  skipped: "K",
};

/** What a trigger rule says of upstream states, by the golden table. */
export function ruleSays(rule: When, states: readonly TaskState[]): Verdict {
  const table = golden.rules[rule] as Readonly<Record<string, Verdict>>;
  const letters = states.filter((state) => state !== "removed")
    .map((state) => LETTERS[state] ?? "R")
    .sort((a, b) => "SFUKR".indexOf(a) - "SFUKR".indexOf(b));
  if (letters.length === 0) return "RUN";
  if (letters.length === 1) return table[letters[0]!]!;
  const says = new Set(letters.flatMap((a, i) => letters.slice(i + 1).map((b) => table[a + b]!)));
  return STRONGEST[rule].find((verdict) => says.has(verdict))!;
}

/** The instances of an upstream task, or itself, as a task sees them. */
function seen({ tasks, mapped }: Run, task: TaskPlan, id: string, index?: number): TaskRun[] {
  const none: TaskRun = { state: "none", attempt: 0, retries: 0 };
  const instances = mapped[id];
  if (!instances) return [tasks[id] ?? none];
  if (!task.follows || task.reads[0] !== id) return [...instances];
  return index === undefined ? [] : [instances[index] ?? none];
}

/** What a task reads of streams. */
export function writersOf(plan: DagPlan, run: Run, task: TaskPlan, index?: number): TaskRun[] {
  return task.reads.filter((id) => isWriter(plan.tasks.find((one) => one.id === id)!))
    .flatMap((id) => seen(run, task, id, index));
}

/** What is to become of a task, or an instance, that has not begun. */
export function verdictOf(
  plan: DagPlan,
  run: Run,
  task: TaskPlan,
  index: number | undefined,
  pasts: readonly (Run | undefined)[],
): Verdict {
  const { when, dependsOnPast } = task.options;
  const state = (id: string): TaskState => run.tasks[id]?.state ?? "removed";
  if (task.setups.length > 0) {
    const upstream = upstreamOf(task).flatMap((id) => seen(run, task, id));
    if (!upstream.every(({ state }) => isDone(state))) return "WAIT";
    const setups = task.setups.map(state);
    if (setups.every((state) => state === "success")) return "RUN";
    return setups.some((state) => state.endsWith("failed")) ? "UPF" : "SKIP";
  }
  if (run.ending || pruned(plan, run).has(task.id)) return "SKIP";
  const streams = new Set(writersOf(plan, run, task, index));
  const states = upstreamOf(task).flatMap((id) => seen(run, task, id, index)).map((one) => {
    const flows = streams.has(one) && one.state === "running" && one.stream !== undefined;
    return flows && when === "all_success" ? "success" : one.state;
  });
  const verdict = ruleSays(when, states);
  if (verdict !== "RUN") return verdict;
  if (when !== "all_success" && [...streams].some(({ state }) => !isDone(state))) return "WAIT";
  if (!dependsOnPast || index !== undefined) return "RUN";
  const good = pasts.some((past) => {
    if (!past) return true;
    if (dependsOnPast === "run") return past.state === "success";
    return ["success", "skipped", "removed"].includes(past.tasks[task.id]?.state ?? "removed");
  });
  return good ? "RUN" : "PAST";
}

/** What branches and short circuits left out. */
function pruned({ tasks }: DagPlan, run: Run): Set<string> {
  const below = (from: readonly string[]): Set<string> => {
    const found = new Set(from);
    // They come in order.
    for (const task of tasks) if (upstreamOf(task).some((id) => found.has(id))) found.add(task.id);
    return found;
  };
  const out = new Set<string>();
  for (const { id, kind } of tasks) {
    const { state, output } = run.tasks[id] ?? { state: "none" };
    // One that was marked chose nothing.
    if (state !== "success" || output === undefined) continue;
    const children = tasks.filter((task) => upstreamOf(task).includes(id)).map(({ id }) => id);
    if (kind === "short_circuit" && output === false) {
      for (const one of below(children)) out.add(one);
    }
    if (kind === "branch" && Array.isArray(output)) {
      const followed = below(output as string[]);
      for (const child of children) if (!followed.has(child)) out.add(child);
    }
  }
  return out;
}

/** How a run ends whose tasks are all done. */
export function endOf({ tasks, failWhen }: DagPlan, run: Run): "success" | "failed" {
  if (run.ending) return run.ending.to;
  const teardowns = new Set(tasks.filter(({ setups }) => setups.length > 0).map(({ id }) => id));
  const decisive = tasks.filter((task) => {
    if (failWhen === "any") return true;
    if (teardowns.has(task.id)) return task.options.failsRun === true;
    const behind = tasks.filter((one) => upstreamOf(one).includes(task.id));
    return behind.every(({ id }) => teardowns.has(id));
  });
  const failed = decisive.some(({ id }) => (run.tasks[id]?.state ?? "").endsWith("failed"));
  return failed ? "failed" : "success";
}
