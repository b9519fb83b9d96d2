import { buildCommand } from "@stricli/core";
import { type AnyDag, type DagRecord, datasetsOf, type Run, type Store } from "../engine/mod.ts";
import { type LoadedDag, warningsOf } from "./dag_files.ts";
import { loadDags } from "./dags.ts";
import * as flags from "./flags.ts";
import { table } from "./format.ts";
import { openHistory } from "./history.ts";
import { fromNow, lookAhead, type NextRun, nextRun } from "./outlook.ts";
import { messageOf, print, tell, verb, type World } from "./world.ts";

interface ListFlags {
  readonly home?: string;
  readonly dags?: string;
  readonly json: boolean;
}

/** A DAG as `list --json` and `show --json` tell of it. */
export interface DagDocument {
  readonly id: string;
  /** As the DAG has it; null for none, and for a function. */
  readonly schedule: unknown;
  readonly schedule_in_words: string;
  readonly timezone: string;
  /** The datasets it is scheduled on. */
  readonly datasets: readonly string[];
  readonly next_run: NextRun | null;
  /** null when no scheduler has seen it yet. */
  readonly paused: boolean | null;
  /** Why it makes no runs by itself until someone confirms it. */
  readonly held?: string;
  readonly last_run: {
    readonly run_id: string;
    readonly state: string;
    readonly logical_date: string;
  } | null;
  readonly tasks: readonly string[];
  readonly file: string;
  /** Tells the versions of its definition apart. */
  readonly hash: string;
  readonly warnings: readonly string[];
}

/** `sluice list`: the DAGs there are. */
export const list = buildCommand<ListFlags, [], World>({
  func: verb(async (world, options) => {
    const { dags, faults: broken } = await loadDags(world, options.dags);
    const faults = [...broken];
    await using history = await openHistory(world, options).catch((error) => {
      // What is to run can be told though what has run cannot.
      faults.push(messageOf(error));
      return undefined;
    });
    const now = Temporal.Now.instant();
    const documents: DagDocument[] = [];
    for (const loaded of dags.values()) {
      documents.push(dagDocument(loaded, await past(history, loaded.dag), now));
    }
    if (options.json) print(world, JSON.stringify({ dags: documents, faults }));
    else if (documents.length > 0) print(world, overview(documents, now));
    for (const warning of documents.flatMap(({ warnings }) => warnings)) {
      tell(world, `warning: ${warning}`);
    }
    for (const fault of faults) tell(world, fault);
    if (documents.length === 0 && faults.length === 0) {
      tell(world, `There are no DAGs; \`${world.command} init\` makes a first one`);
    }
    return 0;
  }),
  parameters: { flags: { dags: flags.dags, home: flags.home, json: flags.json } },
  docs: {
    brief: "List the DAGs, when they run and how they fare",
    fullDescription: [
      "Lists the DAGs of a folder: their schedules, which run is next, how the last one ended. Modules",
      "that cannot be loaded are told of on stderr; they do not hide the others. It only looks, and",
      "works beside a `serve`.",
      "",
      "Examples:",
      "  sluice list",
      "  sluice list --dags ~/pipelines --json",
    ].join("\n"),
  },
});

/** What has become of a DAG so far. */
export interface Past {
  readonly record: DagRecord | undefined;
  /** The run that was made last. */
  readonly last: Run | undefined;
}

/** Looks up what has become of a DAG. */
export async function past(history: Store | undefined, { id }: AnyDag): Promise<Past> {
  const [last] = await history?.list({ dag: id, limit: 1 }) ?? [];
  return { record: await history?.dag(id), last };
}

/** Tells of a DAG. */
export function dagDocument(
  loaded: LoadedDag,
  { record, last }: Past,
  now: Temporal.Instant,
): DagDocument {
  const { dag, file, hash } = loaded;
  const { schedule, timezone = "UTC" } = dag.options;
  const outlook = lookAhead(dag, record, now, 1);
  const [next] = outlook.next;
  return {
    id: dag.id,
    schedule: typeof schedule === "function" ? null : schedule ?? null,
    schedule_in_words: outlook.schedule,
    timezone,
    datasets: (datasetsOf(schedule) ?? []).map(({ name }) => name),
    next_run: next ? nextRun(next) : null,
    paused: record?.paused ?? null,
    ...record?.held === undefined ? {} : { held: record.held },
    last_run: last ? { run_id: last.id, state: last.state, logical_date: last.logicalDate } : null,
    tasks: [...dag.tasks.keys()],
    file,
    hash,
    warnings: warningsOf(loaded),
  };
}

function overview(documents: readonly DagDocument[], now: Temporal.Instant): string {
  return table([
    ["DAG", "SCHEDULE", "NEXT RUN", "LAST RUN", "TASKS", "FILE"],
    ...documents.map((dag) => [
      dag.id,
      dag.schedule_in_words,
      nextInWords(dag, now),
      dag.last_run ? `${dag.last_run.state} ${dag.last_run.logical_date.slice(0, 10)}` : "none",
      dag.tasks.length === 0 ? "none" : String(dag.tasks.length),
      dag.file,
    ]),
  ]);
}

/** When it runs next, or why it does not. */
function nextInWords(
  { datasets, paused, held, next_run }: DagDocument,
  now: Temporal.Instant,
): string {
  const next = next_run
    ? fromNow(Temporal.Instant.from(next_run.run_after), now)
    : datasets.length > 0
    ? "when written"
    : "none";
  return [next, held && "held", paused && "paused"].filter(Boolean).join(", ");
}
