import { Hono } from "hono";
import { type Engine, type Interval, span, type TriggerOptions } from "../engine/mod.ts";
import { guard, type GuardOptions } from "./guard.ts";
import { runDocument } from "./run_document.ts";

/** The most bytes a request may bring. */
const MAX_BODY = 1 << 20;

/** Options for {@linkcode server}. */
export interface ServerOptions extends GuardOptions {
  /** The time. @default {the system's} */
  now?: () => Temporal.Instant;
  /** Takes what went wrong in here; who asked is not told. @default {it is written to the console} */
  onError?: (error: unknown) => void;
}

/**
 * The HTTP API of an engine, to be served alone or mounted in a host's app: `POST /api/dags/{id}/runs` triggers a
 * run, `GET /api/runs/{id}` tells of one, `GET /healthz` that the process lives. Errors are `{ error: { message } }`.
 */
export function server(engine: Engine, options: ServerOptions = {}): Hono {
  const { now = Temporal.Now.instant, onError = (error) => console.error(error) } = options;
  const app = new Hono();
  app.get("/healthz", (c) => c.json({ status: "ok" }));
  app.use(guard(options));
  app.get("/api/dags", (c) => {
    return c.json({
      dags: [...engine.dags.values()].map(({ id, tasks, options }) => ({
        id,
        schedule: typeof options.schedule === "string" ? options.schedule : null,
        params: options.params ?? {},
        tasks: [...tasks.values()].map((task) => ({ id: task.id, upstream: task.upstream })),
      })),
    });
  });
  app.post("/api/dags/:id/runs", async (c) => {
    const dag = engine.dags.get(c.req.param("id"));
    if (!dag) return c.json(failure(`there is no DAG ${JSON.stringify(c.req.param("id"))}`), 404);
    const text = await readText(c.req.raw.body);
    if (text === undefined) return c.json(failure(`the body is over ${MAX_BODY} bytes`), 413);
    const type = c.req.header("content-type")?.split(";")[0]?.trim();
    // A page of another site can send a form, or nothing, but not JSON without asking first.
    const foreign = c.req.header("origin") ?? c.req.header("sec-fetch-site");
    if (
      type !== "application/json" && (text !== "" || type !== undefined || foreign !== undefined)
    ) {
      return c.json(failure("the body must be JSON, with content-type: application/json"), 415);
    }
    try {
      const zone = dag.options.timezone ?? "UTC";
      const handle = await engine.trigger(dag, toTrigger(parseBody(text), zone));
      const run = await engine.get(handle.id);
      return c.json({ run_id: handle.id, state: run?.state ?? "queued" }, 201, {
        location: `/api/runs/${handle.id}`,
      });
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
      return c.json(failure(error.message), 400);
    }
  });
  app.get("/api/runs", async (c) => {
    const runs = await engine.runs({ limit: 100 });
    return c.json({ runs: runs.map((run) => runDocument(run, now())) });
  });
  app.get("/api/runs/:id", async (c) => {
    const run = await engine.get(c.req.param("id"));
    if (!run) return c.json(failure(`there is no run ${JSON.stringify(c.req.param("id"))}`), 404);
    return c.json(runDocument(run, now()));
  });
  app.notFound((c) => c.json(failure(`there is nothing at ${c.req.path}`), 404));
  app.onError((error, c) => {
    onError(error);
    return c.json(failure("something went wrong here; the log of the server says what"), 500);
  });
  return app;
}

function failure(message: string): { error: { message: string } } {
  return { error: { message } };
}

/** The body as text; undefined when it is too long, of which no more is read than that. */
async function readText(body: ReadableStream<Uint8Array> | null): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body ?? []) {
    length += chunk.length;
    if (length > MAX_BODY) return undefined;
    chunks.push(chunk);
  }
  return await new Blob(chunks as Uint8Array<ArrayBuffer>[]).text();
}

const FIELDS = ["params", "logical_date", "interval"];

function parseBody(text: string): Record<string, unknown> {
  let body: unknown;
  try {
    body = text.trim() === "" ? {} : JSON.parse(text);
  } catch (error) {
    throw new TypeError(`Cannot read the body as JSON: ${(error as Error).message}`);
  }
  if (!isRecord(body)) throw new TypeError("Cannot use the body: it must be a JSON object");
  const unknown = Object.keys(body).find((key) => !FIELDS.includes(key));
  if (unknown !== undefined) {
    throw new TypeError(
      `Cannot use ${JSON.stringify(unknown)}: the body may have ${FIELDS.join(", ")}`,
    );
  }
  return body;
}

function toTrigger(
  body: Record<string, unknown>,
  zone: string,
): TriggerOptions<Record<string, unknown>> {
  const { params = {}, logical_date: date, interval } = body;
  if (!isRecord(params)) throw new TypeError("Cannot use params: they must be a JSON object");
  if (date !== undefined && typeof date !== "string") {
    throw new TypeError(
      "Cannot use logical_date: it must be a text like 2021-01-02 or 2021-01-02T06:00:00Z",
    );
  }
  return {
    params,
    ...date === undefined ? {} : { date },
    ...interval === undefined ? {} : { interval: toInterval(interval, zone) },
  };
}

function toInterval(interval: unknown, timezone: string): Interval {
  if (
    !isRecord(interval) || typeof interval["start"] !== "string" ||
    typeof interval["end"] !== "string"
  ) {
    throw new TypeError("Cannot use interval: it must be { start, end }, dates or instants");
  }
  const { start } = span("start of the interval", interval["start"], timezone);
  const { start: end } = span("end of the interval", interval["end"], timezone);
  if (Temporal.ZonedDateTime.compare(start, end) > 0) {
    throw new TypeError("Cannot use interval: it ends before it starts");
  }
  return { start, end };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
