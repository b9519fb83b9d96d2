import type { MiddlewareHandler } from "hono";
import { bearerAuth } from "hono/bearer-auth";

/** Who may ask. */
export interface GuardOptions {
  /** What a request must bring as `Authorization: Bearer …`; compared in constant time. @default {nothing} */
  token?: string;
  /** The names by which the server may be asked for, without their port. @default {any} */
  hosts?: readonly string[];
}

/** Lets pass only who may ask. */
export function guard({ token, hosts }: GuardOptions): MiddlewareHandler {
  const refusal = (message: string) => ({ error: { message } });
  const says = refusal("this server wants its token, as authorization: Bearer …");
  const bearer = token === undefined ? undefined : bearerAuth({
    token,
    noAuthenticationHeader: { message: says },
    invalidAuthenticationHeader: { message: says },
    invalidToken: { message: says },
  });
  return async (c, next) => {
    const host = (c.req.header("host") ?? "").replace(/:\d+$/, "").toLowerCase();
    // A page elsewhere may have had its own name point here (DNS rebinding): the name gives it away.
    if (hosts && !hosts.includes(host)) {
      return c.json(refusal(`this server is not ${JSON.stringify(host)}`), 421);
    }
    return bearer ? await bearer(c, next) : await next();
  };
}
