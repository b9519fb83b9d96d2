import {
  type AnyContext,
  type Context,
  GiveUp,
  type Inputs,
  type Json,
  type Network,
  operator,
  type Work,
} from "../engine/mod.ts";
import { aim, type Answer, Broken, Patience, request as ask, type Target } from "./_request.ts";

/** Options for {@linkcode request}. */
export interface RequestOptions {
  /** An http or https URL; a user and password in it are sent as Basic auth. */
  url: string;
  /** What is asked of the server. @default GET, or POST when there is something to send */
  method?: string;
  /** Sent along; `Authorization` and `Cookie` never reach another host. */
  headers?: HeadersInit;
  /** Where it may lead, as with `http`. @default {as the engine's `network` says} */
  network?: Network;
  /** What is sent, as it is. */
  body?: string | Uint8Array<ArrayBuffer>;
  /** What is sent, as JSON. */
  json?: unknown;
  /**
   * How long to wait for the answer's headers, and then for each next byte of its body.
   *
   * @default {{ seconds: 30 }}
   */
  timeout?: Temporal.DurationLike;
}

/** The answers that are good: a status, some, or those of which a function says so. */
export type Expected = number | readonly number[] | ((status: number, body: Json) => boolean);

/** What {@linkcode request} puts out. */
export interface Answered {
  /** The status. */
  readonly status: number;
  /** The body: its value where it says that it is JSON, else its text; null when there is none. */
  readonly body: Json;
}

/**
 * Sends a request and puts out the answer, of 60 KiB at most; more than that is for `http` to stream.
 *
 * An answer that is not as expected (`expect`: any 2xx, unless given) fails. On 408, 425, 429, 5xx and broken connections it
 * tries again as `http` does; a POST or PATCH only on 408, 425, 429 and 503, since a server may have done what it was asked
 * to before the connection broke.
 *
 * @throws {GiveUp} when the address is wrong, the server refuses, as with 404, or the answer is too long
 */
export function request<C extends AnyContext>(
  inputs: Inputs<RequestOptions, C> & { readonly expect?: Expected },
): Work<Answered, void, C> {
  const { expect } = inputs;
  // An option that is a function would be called with the context.
  return send({ ...inputs, expect: () => expect });
}

/** Bytes of a body that are taken: with what is around it, what may go from task to task. */
const MAX_BODY = 60 * 1024;

const send = operator(
  "request",
  async (options: RequestOptions & { expect?: Expected }, ctx): Promise<Answered> => {
    const { expect, timeout = { seconds: 30 } } = options;
    const ms = Temporal.Duration.from(timeout).total("milliseconds");
    const target = await address(options, ctx);
    const patience = new Patience(ctx, ctx.signal, target);
    while (true) {
      try {
        const answer = await ask(target, {}, ms, ctx.signal);
        try {
          const { status } = answer;
          const body = await read(answer, ms, ctx);
          if (!isExpected(expect, status, body)) throw refusal(answer, body, target, expect);
          if (body !== undefined) return { status, body };
          throw new GiveUp(
            `${target.cannot}: the answer is longer than ${MAX_BODY} bytes; use \`http\` to stream it`,
          );
        } finally {
          answer.close();
        }
      } catch (error) {
        ctx.signal.throwIfAborted();
        await patience.wait(final(error, target), 0);
      }
    }
  },
  {
    options: {
      url: true,
      method: true,
      headers: true,
      network: true,
      body: true,
      json: true,
      timeout: true,
      expect: true,
    },
  },
);

async function address(options: RequestOptions, ctx: Context): Promise<Target> {
  const { body, json } = options;
  if (body !== undefined && json !== undefined) {
    throw new GiveUp(`Cannot send both \`body\` and \`json\`: give one of them`);
  }
  const content = json === undefined ? body : JSON.stringify(json);
  const method = (options.method ?? (content === undefined ? "GET" : "POST")).toUpperCase();
  const target = await aim(options, ctx, method);
  if (json !== undefined && !target.headers.has("content-type")) {
    target.headers.set("content-type", "application/json");
  }
  return { ...target, method, body: content };
}

/** The body; undefined when it is too long. */
async function read(answer: Answer, ms: number, ctx: Context): Promise<Json | undefined> {
  const bytes = new Uint8Array(MAX_BODY);
  let length = 0;
  for (let chunk = await answer.read(ms); chunk; chunk = await answer.read(ms)) {
    if (length + chunk.length > MAX_BODY) return undefined;
    bytes.set(chunk, length);
    ctx.meter.bytes = length += chunk.length;
  }
  const text = new TextDecoder().decode(bytes.subarray(0, length));
  if (text === "") return null;
  if (!/^application\/([\w.-]+\+)?json\b/i.test(answer.headers.get("content-type") ?? "")) {
    return text;
  }
  try {
    return JSON.parse(text);
  } catch {
    return text; // what it says of itself is not so
  }
}

function isExpected(
  expect: Expected | undefined,
  status: number,
  body: Json | undefined,
): boolean {
  if (expect === undefined) return status >= 200 && status <= 299;
  // A body that is too long is refused whatever a function would say of it.
  if (typeof expect === "function") return body === undefined ? status < 400 : expect(status, body);
  return [expect].flat().includes(status);
}

/** What to throw for an answer that was not expected: something final only when the server says no. */
function refusal(
  { status, statusText, retryAfter }: Answer,
  body: Json | undefined,
  { cannot }: Target,
  expect: Expected | undefined,
): Error {
  const says = `the server answers ${`${status} ${statusText}`.trim()}`;
  if ([408, 425, 429, 503].includes(status)) return new Refused(says, { retryAfter });
  if (status >= 500) return new Broken(says, { retryAfter });
  const wanted = typeof expect === "function"
    ? ", which `expect` does not take"
    : `, where ${[expect ?? "2xx"].flat().join(" or ")} is expected`;
  const text = typeof body === "string" ? body : JSON.stringify(body ?? null);
  const told = text === "null" ? "" : `: ${text.slice(0, 300)}`;
  const message = `${cannot}: ${says}${wanted}${told}`;
  return status >= 400 ? new GiveUp(message) : new Error(message);
}

/** Thrown when the server has not even begun to do what it was asked to. */
class Refused extends Broken {}

/** Makes an error final when to ask again could do twice what was to be done once. */
function final(error: unknown, { cannot, method }: Target): unknown {
  const unsafe = method === "POST" || method === "PATCH";
  if (!unsafe || !(error instanceof Broken) || error instanceof Refused) return error;
  return new Error(
    `${cannot}: ${error.message}; it was not sent again, since the server may have done what the ${method} asks for`,
    { cause: error },
  );
}
