import type { Context, Hono } from "hono";
import { z } from "zod";
import { readJson } from "./_body.ts";
import { Refusal } from "./refusal.ts";
import type { Role } from "./tokens.ts";

/** The variables of a request, set by the guard. */
export interface Env {
  /** Hono's name for what is kept beside a request. */
  Variables: {
    /** What who asks may do; undefined: nothing. */
    role: Role | undefined;
  };
}

/** What a route may be asked for by. */
export interface Asked<P, Q, B> {
  /** The parts of its path. */
  readonly path: P;
  /** What stands behind the question mark. */
  readonly query: Q;
  /** What it brings. */
  readonly body: B;
  /** The request itself. */
  readonly c: Context<Env>;
}

/** What a route answers; nothing but the description when there is no body. */
export interface Answer {
  /** In a few words. */
  readonly description: string;
  /** Of its JSON. */
  readonly schema?: z.ZodType;
  /** Of each line, where it is a stream of them: application/x-ndjson. */
  readonly lines?: z.ZodType;
  /** Of the data of each event, where it is a stream of them: text/event-stream. */
  readonly events?: z.ZodType;
  /** The media type of its text. */
  readonly text?: string;
}

/** What is there for whoever asks, or asks for a signature of its own, or for a role. */
export type Access = "anyone" | "signature" | Role;

/** One thing that can be asked for: what it takes, what it answers, and who may ask. */
export interface Route {
  readonly method: "get" | "post" | "delete";
  /** As OpenAPI writes it: `/api/runs/{id}`. */
  readonly path: string;
  readonly access: Access;
  /** In a few words. */
  readonly summary: string;
  readonly parameters: z.ZodObject;
  readonly query: z.ZodObject;
  readonly body?: z.ZodType;
  /** By status. Errors need not be told: all are alike. */
  readonly answers: Readonly<Record<number, Answer>>;
  // deno-lint-ignore no-explicit-any -- what it is asked is checked by its own schemas
  readonly handle: (asked: Asked<any, any, any>) => Response | Promise<Response>;
}

const NONE = z.strictObject({});
type None = typeof NONE;

/** Declares a route; what `handle` is given is what the schemas make of the request. */
export function route<
  P extends z.ZodObject = None,
  Q extends z.ZodObject = None,
  B extends z.ZodType = z.ZodUndefined,
>(
  parts: Omit<Route, "parameters" | "query" | "body" | "handle"> & {
    readonly parameters?: P;
    readonly query?: Q;
    readonly body?: B;
    readonly handle: (
      asked: Asked<z.output<P>, z.output<Q>, z.output<B>>,
    ) => Response | Promise<Response>;
  },
): Route {
  return { parameters: NONE, query: NONE, ...parts };
}

const RANKS: Readonly<Record<Role, number>> = { viewer: 1, runner: 2, admin: 3 };

/** Serves routes; each lets in only who may ask it. */
export function serveRoutes(app: Hono<Env>, routes: readonly Route[]): void {
  for (const route of routes) {
    const path = route.path.replaceAll(/\{(\w+)\}/g, ":$1");
    app.on(route.method.toUpperCase(), path, async (c) => {
      admit(route.access, c.get("role"));
      return await route.handle({
        c,
        path: check(route.parameters, c.req.param(), "the path", 404),
        query: check(route.query, c.req.query(), "the query"),
        body: route.body && check(route.body, await readJson(c), "the body"),
      });
    });
  }
}

/** @throws {Refusal} when a role does not allow what is asked */
export function admit(access: Access, role: Role | undefined): void {
  if (access === "anyone" || access === "signature") return;
  if (role === undefined) {
    throw new Refusal(401, "this server wants its token, as authorization: Bearer …", {
      headers: { "www-authenticate": "Bearer" },
    });
  }
  if (RANKS[role] < RANKS[access]) {
    throw new Refusal(403, `that takes the role ${access}; this token is of a ${role}`);
  }
}

/** What a schema makes of a value. @throws {Refusal} naming what does not fit */
export function check<S extends z.ZodType>(
  schema: S,
  value: unknown,
  what: string,
  status = 400,
): z.output<S> {
  const { success, data, error } = schema.safeParse(value);
  if (success) return data;
  throw new Refusal(status, `Cannot use ${what}: ${error.issues.map(sentence(schema)).join("; ")}`);
}

function sentence(schema: z.ZodType): (issue: z.core.$ZodIssue) => string {
  return (issue) => {
    const at = issue.path.join(".");
    if (issue.code === "unrecognized_keys") {
      const known = schema instanceof z.ZodObject && at === "" ? Object.keys(schema.shape) : [];
      const may = known.length > 0 ? `; there may be ${known.join(", ")}` : "";
      return `there is no ${issue.keys.map((key) => JSON.stringify(key)).join(", ")} in it${may}`;
    }
    return at === "" ? issue.message : `${at}: ${issue.message}`;
  };
}
