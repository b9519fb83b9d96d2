import { buildCommand } from "@stricli/core";
import { type AnyDag, paramsSchema } from "../engine/mod.ts";
import { drawTasks, edge } from "./_drawing.ts";
import { type LoadedDag, warningsOf } from "./dag_files.ts";
import { loadDags, pickDag } from "./dags.ts";
import * as flags from "./flags.ts";
import { table } from "./format.ts";
import { openHistory } from "./history.ts";
import { dagDocument, type Past, past } from "./list.ts";
import { fromNow, lookAhead, momentInWords, nextRun } from "./outlook.ts";
import { messageOf, print, tell, verb, type World } from "./world.ts";

interface ShowFlags {
  readonly home?: string;
  readonly dags?: string;
  readonly json: boolean;
}

/** How many of the runs to come are told of. */
const RUNS = 5;

/** `sluice show DAG`: what a DAG is made of, and when it runs. */
export const show = buildCommand<ShowFlags, [string], World>({
  func: verb(async (world, options, id) => {
    const found = await loadDags(world, options.dags);
    const loaded = pickDag(found, id);
    await using history = await openHistory(world, options).catch((error) => {
      tell(world, messageOf(error));
      return undefined;
    });
    const before = await past(history, loaded.dag);
    const now = Temporal.Now.instant();
    print(world, options.json ? document(loaded, before, now) : page(loaded, before, now));
    for (const warning of warningsOf(loaded)) tell(world, `warning: ${warning}`);
    return 0;
  }),
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [{ parse: String, placeholder: "DAG", brief: "The id of the DAG" }],
    },
    flags: { dags: flags.dags, home: flags.home, json: flags.json },
  },
  docs: {
    brief: "Show what a DAG is made of, and its next runs",
    fullDescription: [
      "Draws the tasks of DAG and what flows between them, its params with their types and defaults, its",
      `schedule in words and the ${RUNS} runs that come next. It only looks, and works beside a \`serve\`.`,
      "",
      "Examples:",
      "  sluice show yellow_taxi",
      "  sluice show yellow_taxi --json",
    ].join("\n"),
  },
});

function document(loaded: LoadedDag, before: Past, now: Temporal.Instant): string {
  const { dag } = loaded;
  return JSON.stringify({
    ...dagDocument(loaded, before, now),
    start: dag.options.start ?? null,
    end: dag.options.end ?? null,
    params: paramsSchema(dag),
    next_runs: lookAhead(dag, before.record, now, RUNS).next.map(nextRun),
    tasks: [...dag.tasks.values()].map((task) => ({
      id: task.id,
      writes: (task.options.writes ?? []).map(({ name }) => name),
      operators: task.work.steps.map(({ name }) => name),
      upstream: task.upstream.map((id) => ({ id, edge: edge(dag, task, id) })),
    })),
  });
}

function page(loaded: LoadedDag, { record, last }: Past, now: Temporal.Instant): string {
  const { dag, file } = loaded;
  const { schedule, next } = lookAhead(dag, record, now, RUNS);
  const { start, end } = dag.options;
  const facts = [
    ["schedule", schedule],
    ["start", start ?? ""],
    ["end", end ?? ""],
    ["state", record?.held ?? (record?.paused ? "paused" : "")],
    ["written", Object.keys(record?.writes?.since ?? {}).join(", ")],
    ["last run", last ? `${last.id}  ${last.state}` : ""],
    ["file", file],
  ].filter(([, value]) => value !== "");
  const zone = dag.options.timezone ?? "UTC";
  const runs = next.map(({ start, end }) => [
    fromNow(end.toInstant(), now),
    `${momentInWords(end)} ${zone}`,
    `for ${momentInWords(start)} to ${momentInWords(end)}`,
  ]);
  const sections: [string, string][] = [
    ["tasks", drawTasks(dag).map((line) => `  ${line}`.trimEnd()).join("\n")],
    ["params", table(paramRows(dag), "  ")],
    ["next runs", table(runs, "  ")],
  ];
  return [
    dag.id,
    table(facts, "  "),
    ...sections.filter(([, text]) => text !== "").map(([title, text]) => `\n${title}\n${text}`),
  ].join("\n");
}

/** Each param's name, type, default, and what it is for. */
function paramRows(dag: AnyDag): string[][] {
  const { properties, required } = paramsSchema(dag);
  return Object.entries(properties).map(([name, schema]) => [
    name,
    Array.isArray(schema["enum"])
      ? schema["enum"].map((value) => JSON.stringify(value)).join(" | ")
      : String(schema["type"] ?? "any"),
    required.includes(name)
      ? "required"
      : "default" in schema
      ? `= ${JSON.stringify(schema["default"])}`
      : "optional",
    String(schema["description"] ?? ""),
  ]);
}
