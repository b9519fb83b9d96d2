import { join } from "node:path";
import type { Instance, ParamsSchema } from "../engine/mod.ts";
import type { RunDocument } from "../server/mod.ts";
import type { BackfillDocument, Control, RunFacts } from "./_control.ts";
import { homeFolder, type PlaceFlags } from "./database.ts";
import { UsageError, type World } from "./world.ts";

/** How often a run is asked after, in milliseconds. */
const POLL = 200;

/** Asks for something of the API; resolves with the JSON it answers. */
type Ask = <T>(method: "GET" | "POST", path: string, body?: unknown) => Promise<T>;

/** A DAG as the API tells of it, as far as it is needed. */
interface DagAnswer {
  readonly id: string;
  readonly paused: boolean;
  readonly held: string | null;
  readonly timezone: string;
  readonly params_schema: ParamsSchema;
}

/** Has the process do it that holds the home folder; undefined when none can be asked. */
export async function remoteControl(
  world: World,
  flags: PlaceFlags,
): Promise<Control | undefined> {
  const ask = await reach(homeFolder(world, flags));
  if (!ask) return undefined;
  const run = (id: string): Promise<RunDocument> => ask("GET", `/api/runs/${part(id)}`);
  const instances = async (path: string, body: unknown): Promise<Instance[]> => {
    type Answer = { instances: { run_id: string; task: string; index?: number }[] };
    const { instances } = await ask<Answer>("POST", path, body);
    return instances.map(({ run_id, ...rest }) => ({ run: run_id, ...rest }));
  };
  return {
    serves: true,
    async dag(id) {
      const { held, params_schema: params, ...dag } = await ask<DagAnswer>(
        "GET",
        `/api/dags/${part(id)}`,
      );
      return { ...dag, ...held === null ? {} : { held }, params };
    },
    run,
    async trigger(dag, { date, interval, params }) {
      const body = { params, logical_date: date, interval };
      const made = await ask<RunFacts>("POST", `/api/dags/${part(dag)}/runs`, body);
      return await run(made.run_id);
    },
    async cancel(id) {
      await ask("POST", `/api/runs/${part(id)}/cancel`, {});
      return await run(id);
    },
    clear: (id, { onlyFailed, dryRun, ...rest }) =>
      instances(`/api/runs/${part(id)}/clear`, {
        ...rest,
        only_failed: onlyFailed,
        dry_run: dryRun,
      }),
    mark: (id, state, { dryRun, ...rest }) =>
      instances(`/api/runs/${part(id)}/mark`, { state, ...rest, dry_run: dryRun }),
    async pause(id) {
      await ask("POST", `/api/dags/${part(id)}/pause`, {});
    },
    async unpause(id, options) {
      type Answer = { due: number; held: string | null };
      const { due, held } = await ask<Answer>("POST", `/api/dags/${part(id)}/unpause`, options);
      return { due, ...held === null ? {} : { held } };
    },
    backfill: (dag, { maxActiveRuns, dryRun, ...rest }) =>
      ask<BackfillDocument>("POST", `/api/dags/${part(dag)}/backfills`, {
        ...rest,
        max_active_runs: maxActiveRuns,
        dry_run: dryRun,
      }),
    async why(id, text) {
      const [, task = text, index] = /^(.*)\[(\d+)\]$/.exec(text) ?? [];
      const query = new URLSearchParams({ task, ...index === undefined ? {} : { index } });
      type Answer = { tasks: { reasons: string[] }[] };
      const { tasks } = await ask<Answer>("GET", `/api/runs/${part(id)}/why?${query}`);
      return tasks.flatMap(({ reasons }) => reasons);
    },
    async done(id, signal) {
      for (;;) {
        const now = await run(id);
        if (now.state === "success" || now.state === "failed") return now;
        await new Promise<void>((resolve, reject) => {
          signal.throwIfAborted();
          const stop = (): void => {
            clearTimeout(timer);
            reject(signal.reason);
          };
          const timer = setTimeout(() => {
            signal.removeEventListener("abort", stop);
            resolve();
          }, POLL);
          signal.addEventListener("abort", stop, { once: true });
        });
      }
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** Reaches the process that holds a folder, by what its `engine.json` says; undefined when it says nothing, or nobody answers. */
async function reach(home: string): Promise<Ask | undefined> {
  let holder: { address?: string; token?: string };
  try {
    holder = JSON.parse(await Deno.readTextFile(join(home, "engine.json")));
  } catch {
    return undefined;
  }
  const { address, token } = holder;
  if (address === undefined) return undefined;
  const headers = {
    "content-type": "application/json",
    ...token === undefined ? {} : { authorization: `Bearer ${token}` },
  };
  const ask = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const init = body === undefined ? {} : { body: JSON.stringify(body) };
    const response = await fetch(new URL(path, address), { method, headers, ...init });
    const answer = await response.json();
    if (response.ok) return answer;
    const { message } = answer.error;
    throw /^4\d\d$/.test(String(response.status)) && response.status !== 429
      ? new UsageError(message)
      : new Error(message);
  };
  try {
    await (await fetch(new URL("/healthz", address))).body?.cancel();
  } catch {
    // It died before it could take its word back.
    return undefined;
  }
  return ask as Ask;
}

function part(id: string): string {
  return encodeURIComponent(id);
}
