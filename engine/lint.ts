import type { AnyDag } from "./dag.ts";
import { datasetsOf } from "./dataset.ts";
import { next, parseSchedule, type Timetable } from "./schedule.ts";
import { functionsOf, type Task } from "./task.ts";
import { isTemplate } from "./template.ts";
import { webhookSecrets } from "./webhook.ts";

/** Something in a DAG that can be done, but is hardly meant so. */
export interface Warning {
  /** The id of the DAG. */
  readonly dag: string;
  /** The id of the task, if it is about one. */
  readonly task?: string;
  /** What was looked for. */
  readonly rule: "join" | "read" | "never" | "future" | "param" | "secret";
  /** What is wrong, and what to do about it. */
  readonly message: string;
}

/**
 * Looks for what is hardly meant so: a join below a branch that the branch not taken will skip (`join`), reading a task
 * that need not have succeeded (`read`), a schedule without any run (`never`), a start that is still to come (`future`),
 * a param that nothing seems to use (`param`), and a webhook whose secret lets nobody in (`secret`).
 *
 * Params are looked for in templates and in the text of the functions given in the DAG, as options, tasks and callbacks.
 * What a function hands on as a whole cannot be followed: then nothing is said.
 */
export function lint(dag: AnyDag, now: Temporal.Instant): Warning[] {
  return [...joins(dag), ...reads(dag), ...schedule(dag, now), ...params(dag), ...secrets(dag)];
}

function* secrets({ id, options: { webhook } }: AnyDag): Generator<Warning> {
  if (!webhook) return;
  const warn = (what: string): Warning => ({
    dag: id,
    rule: "secret",
    message: `${what}; give it one of 16 characters or more`,
  });
  try {
    const { good, short } = webhookSecrets(webhook);
    if (good.length === 0) yield warn("Its webhook lets nobody in: its secret is too short");
    else if (short > 0) yield warn("Its webhook does not know a secret that is too short");
  } catch (error) {
    yield warn(
      `Its webhook lets nobody in: its secret cannot be told (${(error as Error).message})`,
    );
  }
}

function* joins(dag: AnyDag): Generator<Warning> {
  const branches = [...dag.tasks.values()].filter(({ work }) => work.decides === "branch");
  for (const branch of branches) {
    // Of each task those children of the branch that take it with them when they are skipped.
    const skippedBy = new Map<string, ReadonlySet<string>>();
    for (const task of dag.tasks.values()) {
      const above = new Set(task.upstream.flatMap((id) => [...skippedBy.get(id) ?? []]));
      const rule = task.options.when ?? "all_success";
      const yields = rule === "all_success" || rule === "none_skipped" ||
        above.size === 1 && /one_success$/.test(rule);
      const ways = yields ? above : new Set<string>();
      if (task.upstream.includes(branch.id)) ways.add(task.id);
      if (ways.size > 1 && rule === "all_success" && task.setups.length === 0) {
        const [a, b] = [...ways].filter((id) => id !== task.id);
        yield {
          dag: dag.id,
          task: task.id,
          rule: "join",
          message: `Task "${task.id}" comes after branch "${branch.id}" by way of ` +
            (b === undefined ? `"${a}", and directly` : `"${a}" and of "${b}"`) +
            `: the way not taken skips it, since its rule is all_success; ` +
            `give it \`when: "none_failed_min_one_success"\``,
        };
      } else skippedBy.set(task.id, ways);
    }
  }
}

function* reads(dag: AnyDag): Generator<Warning> {
  for (const { id, reads, options: { when = "all_success" } } of dag.tasks.values()) {
    if (when === "all_success" || reads.length === 0) continue;
    yield {
      dag: dag.id,
      task: id,
      rule: "read",
      message:
        `Task "${id}" reads what "${reads[0]}" puts out, but by its rule ${when} it also runs ` +
        "when there is nothing to read, and then fails; order with `after` instead of reading",
    };
  }
}

function* schedule(dag: AnyDag, now: Temporal.Instant): Generator<Warning> {
  const { schedule, start, end } = dag.options;
  if (schedule === undefined || datasetsOf(schedule)) return;
  const warn = (rule: Warning["rule"], message: string): Warning => ({
    dag: dag.id,
    rule,
    message,
  });
  let timetable: Timetable;
  let isNever: boolean;
  try {
    timetable = parseSchedule(schedule, dag.options);
    isNever = never(timetable, schedule === "@continuous", now);
  } catch (error) {
    return yield warn("never", (error as Error).message);
  }
  if (isNever) {
    const bounds = [start && `from ${start}`, end && `to ${end}`].filter(Boolean).join(" ");
    yield warn(
      "never",
      `The schedule has no run${bounds && ` ${bounds}`}: nothing will start by itself`,
    );
  } else if (timetable.start && Temporal.Instant.compare(timetable.start.toInstant(), now) > 0) {
    yield warn(
      "future",
      `The schedule starts on ${start}, which is still to come: no run is due yet`,
    );
  }
}

function never(timetable: Timetable, continuous: boolean, now: Temporal.Instant): boolean {
  const { start, end, timezone } = timetable;
  if (start && end && Temporal.ZonedDateTime.compare(start, end) > 0) return true;
  if (continuous) return false;
  // A run that is due at the start itself counts.
  const from = start?.subtract({ nanoseconds: 1 }) ?? now.toZonedDateTimeISO(timezone);
  return next(timetable, { now: from }) === undefined;
}

function* params(dag: AnyDag): Generator<Warning> {
  const declared: Record<string, unknown> = dag.options.params ?? {};
  const names = Object.keys(declared);
  if (names.length === 0) return;
  const functions = [
    ...callbacks(dag.options),
    ...[...dag.tasks.values()].flatMap(({ work, options }: Task<unknown>) => [
      ...functionsOf(work),
      ...callbacks(options),
    ]),
  ];
  const used = new Set(functions.filter(isTemplate).flatMap(({ params }) => params));
  const texts = functions.filter((fn) => !isTemplate(fn)).map(String);
  if (texts.some(isOpaque)) return;
  const words = new Set(
    texts.flatMap((text) => [...text.split(/[^\w$]+/), ...text.split(/["'`]/)]),
  );
  const unused = names.filter((name) => !used.has(name) && !words.has(name));
  if (unused.length === 0) return;
  const [what, it] = unused.length === 1 ? ["param", "it"] : ["params", "them"];
  const told = unused.map((name) => JSON.stringify(name)).join(", ");
  yield {
    dag: dag.id,
    rule: "param",
    message: `No template and no function in this DAG mentions the ${what} ${told}; ` +
      `if no operator of yours reads ${it}, leave ${it} out`,
  };
}

function callbacks(options: object): unknown[] {
  return Object.values(options).filter((option) => typeof option === "function");
}

/** Whether a function may use params without naming them: it hands them on as a whole, or cannot be read. */
function isOpaque(text: string): boolean {
  const whole = /(\}\s*=\s*[\w$.]*)?\.params\b(?!\s*(?:\??\.\s*[\w$]|(?:\?\.)?\[\s*["']))/g;
  return text.includes("[native code]") ||
    text.matchAll(whole).some(([, destructured]) => destructured === undefined);
}
