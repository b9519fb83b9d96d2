import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { AnyDag, Engine, LogFiles, Run, Store } from "../engine/mod.ts";
import type { Load, LoadsQuery } from "./loads.ts";
import type { Mask } from "./mask.ts";
import type { Receipts } from "./receipts.ts";
import type { Rejects } from "./rejects.ts";
import { Refusal } from "./refusal.ts";
import type { Tokens } from "./tokens.ts";

/** Where a DAG comes from. */
export interface DagSource {
  /** The path of its file. */
  readonly file?: string;
  /** The version of its definition. */
  readonly hash?: string;
  /** Reads the text of its file, as it is now. */
  readonly read?: () => Promise<string>;
}

/** What all routes work on. */
export interface Site {
  readonly engine: Engine;
  readonly store: Store | undefined;
  readonly logs: LogFiles | undefined;
  readonly home: string | undefined;
  readonly pools: Readonly<Record<string, number>>;
  readonly receipts: Receipts;
  readonly tokens: Tokens | undefined;
  readonly mask: Mask;
  readonly loads: ((query: LoadsQuery) => Promise<readonly Load[]>) | undefined;
  readonly rejects: Rejects | undefined;
  readonly source: (dag: string) => DagSource | undefined;
  readonly faults: () => readonly string[];
  readonly maxQueuedRuns: number;
  readonly heartbeat: number;
  readonly version: string;
  readonly now: () => Temporal.Instant;
  readonly onError: (error: unknown) => void;
}

/** Answers with JSON that has no secrets in it. */
export function tell(
  { mask }: Site,
  c: Context,
  value: unknown,
  status: ContentfulStatusCode = 200,
  headers: Record<string, string> = {},
): Response {
  return c.json(mask.json(value) as Record<string, unknown>, status, headers);
}

/** Answers with text as it comes; whoever makes it leaves out secrets. */
export function stream(
  { onError }: Site,
  pieces: AsyncIterable<string>,
  end: AbortController,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const iterator = pieces[Symbol.asyncIterator]();
  let left = false;
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await iterator.next();
        if (left) return;
        if (done) controller.close();
        else controller.enqueue(encoder.encode(value));
      } catch (error) {
        if (left) return;
        onError(error);
        controller.error(error);
      }
    },
    async cancel() {
      left = true;
      end.abort();
      await iterator.return?.();
    },
  }, { highWaterMark: 0 });
}

/** @throws {Refusal} when there is no such DAG */
export function findDag({ engine }: Site, id: string): AnyDag {
  const dag = engine.dags.get(id);
  if (dag) return dag;
  throw new Refusal(404, `there is no DAG ${JSON.stringify(id)}`);
}

/** @throws {Refusal} when there is no such run */
export async function findRun({ engine }: Site, id: string): Promise<Run> {
  const run = await engine.get(id);
  if (run) return run;
  throw new Refusal(404, `there is no run ${JSON.stringify(id)}`);
}
