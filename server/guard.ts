import type { MiddlewareHandler } from "hono";
import type { Env } from "./_route.ts";
import { Refusal } from "./refusal.ts";
import type { Role } from "./tokens.ts";

/** Who may ask. */
export interface GuardOptions {
  /**
   * Says by its token what who asks may do; `undefined` is the token of who brings none, and the role of who may do
   * nothing. `"host"`: whoever gets here may do all, since the app that this is mounted in let them in.
   *
   * @default {"host"}
   */
  readonly auth?:
    | "host"
    | ((
      token: string | undefined,
      request: Request,
    ) => Role | undefined | Promise<Role | undefined>);
  /** The names by which the server may be asked for, without their port. @default {any} */
  readonly hosts?: readonly string[];
}

/** What every answer says to browsers: it is nobody's frame, loads nothing from elsewhere, and is what it says it is. */
const HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

/**
 * Finds out what who asks may do, for routes to let them in by; refuses names that are not the server's, and what pages of
 * other sites send.
 */
export function guard({ auth = "host", hosts }: GuardOptions): MiddlewareHandler<Env> {
  return async (c, next) => {
    for (const [name, value] of Object.entries(HEADERS)) c.header(name, value);
    if (!c.req.path.startsWith("/assets/")) c.header("cache-control", "no-store");
    const host = (c.req.header("host") ?? "").toLowerCase();
    // A page elsewhere may have had its own name point here (DNS rebinding): the name gives it away.
    const name = host.replace(/:\d*$/, "");
    if (hosts && !hosts.includes(name)) {
      throw new Refusal(421, `this server is not ${JSON.stringify(name)}`);
    }
    if (!/^(GET|HEAD)$/.test(c.req.method)) refuseForeign(c.req.raw.headers, host);
    const authorization = c.req.header("authorization");
    const token = /^Bearer ([\w\-.~+/]+=*)$/i.exec(authorization ?? "")?.[1];
    if (auth === "host") c.set("role", "admin");
    else if (authorization === undefined || token !== undefined) {
      c.set("role", await auth(token, c.req.raw));
    }
    await next();
  };
}

/** Refuses what a page of another site has a browser send: its user may be let in, the page is not. */
function refuseForeign(headers: Headers, host: string): void {
  const site = headers.get("sec-fetch-site");
  const origin = headers.get("origin");
  const isOwn = origin === null ||
    URL.canParse(origin) && new URL(origin).host === host;
  if (isOwn && (site === null || site === "same-origin" || site === "none")) return;
  throw new Refusal(403, "this server takes no orders from pages of other sites");
}
