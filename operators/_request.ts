import { setTimeout as delay } from "node:timers/promises";
import { type Context, GiveUp, type Network } from "../engine/mod.ts";
import { fetchPublic } from "./_address.ts";

/** What is asked for: an address with no secret in it, and the headers that carry them. */
export interface Target {
  readonly url: string;
  readonly headers: Headers;
  /** Equal for equal requests: the address and a hash of the headers. */
  readonly key: string;
  /** Where it may lead, redirects and all. */
  readonly network: Network;
  /** @default {"GET"} */
  readonly method?: string;
  /** Sent along. */
  readonly body?: BodyInit | undefined;
  /** How an error begins: `Cannot download "https://…"`. */
  readonly cannot: string;
}

/** What an operator was given that sends requests. */
export interface Aiming {
  readonly url: string;
  readonly headers?: HeadersInit;
  readonly network?: Network;
}

/**
 * Makes a target of an address and headers; a user and password in the address are sent as Basic auth. `verb` says what
 * cannot be done when something fails.
 */
export async function aim(
  { url: address, headers: init, network }: Aiming,
  ctx: Context,
  verb = "download",
): Promise<Target> {
  const { url, authorization } = parse(address, `Cannot ${verb}`);
  const headers = new Headers(init);
  if (authorization && !headers.has("authorization")) headers.set("authorization", authorization);
  const text = new TextEncoder().encode(JSON.stringify([...headers]));
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", text)).subarray(0, 16);
  headers.set("accept-encoding", "identity");
  const key = `${url} ${[...hash].map(hex).join("")}`;
  const cannot = `Cannot ${verb} "${url}"`;
  return { url, headers, key, network: network ?? ctx.network, cannot };
}

/** Thrown when asking again may help. */
export class Broken extends Error {
  override name = "Broken";
  /** Milliseconds the server asked to wait. */
  readonly retryAfter: number;

  constructor(message: string, options: ErrorOptions & { retryAfter?: number } = {}) {
    super(message, options);
    this.retryAfter = options.retryAfter ?? 0;
  }
}

const REDIRECTS = [301, 302, 303, 307, 308];

/** Asks once, follows redirects, and answers when the headers are here. @throws {Broken} when asking again may help */
export async function request(
  target: Target,
  conditions: Record<string, string>,
  timeout: number,
  signal: AbortSignal,
): Promise<Answer> {
  const attempt = new AbortController();
  const timer = setTimeout(() => {
    attempt.abort(new Broken(`no answer within ${timeout / 1000} s`));
  }, timeout);
  const headers = new Headers(target.headers);
  for (const [name, value] of Object.entries(conditions)) headers.set(name, value);
  const either = AbortSignal.any([signal, attempt.signal]);
  const visited = new Set<string>();
  try {
    for (let { url, method = "GET", body } = target;;) {
      if (visited.has(`${method} ${url}`)) {
        throw new GiveUp(`${target.cannot}: it redirects in a circle, via "${url}"`);
      }
      visited.add(`${method} ${url}`);
      if (visited.size > 20) throw new GiveUp(`${target.cannot}: it redirects more than 20 times`);
      const init = {
        method,
        headers,
        ...body === undefined ? {} : { body },
        redirect: "manual",
        signal: either,
      } as const;
      const response = target.network === "public"
        ? await fetchPublic(url, init, target.cannot)
        : await fetch(url, init);
      const location = response.headers.get("location");
      if (!REDIRECTS.includes(response.status) || location === null) {
        return new Answer(response, attempt, either);
      }
      await response.body?.cancel();
      const next = parse(location, target.cannot, url);
      // https://fetch.spec.whatwg.org/#http-redirect-fetch step 12
      if (
        response.status === 303 ? method !== "HEAD" : response.status < 303 && method === "POST"
      ) {
        method = "GET";
        body = undefined;
        headers.delete("content-type");
      }
      // Who is trusted with a secret is the host it was given for, and nobody else.
      if (new URL(next.url).origin !== new URL(url).origin) {
        headers.delete("authorization");
        headers.delete("cookie");
      }
      if (next.authorization) headers.set("authorization", next.authorization);
      url = next.url;
    }
  } catch (error) {
    signal.throwIfAborted();
    const failure = error instanceof GiveUp ? error : broken(error, attempt.signal);
    attempt.abort();
    if (error instanceof Deno.errors.NotCapable || /certificate|blocked/i.test(failure.message)) {
      throw new GiveUp(`${target.cannot}: ${failure.message}`, { cause: error });
    }
    throw failure;
  } finally {
    clearTimeout(timer);
  }
}

/** What a server answered, its body still to be read. */
export class Answer {
  readonly status: number;
  readonly statusText: string;
  readonly headers: Headers;
  /** Tells versions apart; begins with `W/` when it is too weak to put two parts together. */
  readonly validator: string | undefined;
  /** The first byte of the body within the whole. */
  readonly start: number;
  /** Bytes of the whole, when the server says. */
  readonly length: number | undefined;
  /** Whether a body that ends too early can be told from one that is whole: by its length, by its chunks, by TLS. */
  readonly bounded: boolean;
  /** Bytes of the body that have come. */
  received = 0;
  /** Those of them that came before the time that is now counted. */
  #counted = 0;
  /** Milliseconds for which bytes were waited for in that time. */
  #waited = 0;
  readonly #attempt: AbortController;
  /** Aborted by the attempt, and by whoever asked for it. */
  readonly #signal: AbortSignal;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | undefined;
  /** Fails the reading that is under way. */
  #interrupt: ((reason: unknown) => void) | undefined;
  readonly #abort = (): void => this.#interrupt?.(this.#signal.reason);

  constructor(response: Response, attempt: AbortController, signal: AbortSignal) {
    const { headers } = response;
    this.status = response.status;
    this.statusText = response.statusText;
    this.headers = headers;
    // Runtimes differ in whether they decode it: its bytes may not be those the server counts.
    const encoded = (headers.get("content-encoding") ?? "identity").toLowerCase() !== "identity";
    const version = validator(headers);
    this.validator = encoded && version ? `W/${version.replace(/^W\//, "")}` : version;
    const range = /^bytes (?:(\d+)-\d+|\*)\/(\d+|\*)$/.exec(headers.get("content-range") ?? "");
    this.start = this.status === 206 ? Number(range?.[1] ?? NaN) : 0;
    const length = range ? range[2]! : headers.get("content-length") ?? "";
    this.length = /^\d+$/.test(length) && !encoded ? Number(length) : undefined;
    this.bounded = headers.has("content-length") || headers.has("transfer-encoding") ||
      response.url.startsWith("https:");
    this.#attempt = attempt;
    this.#signal = signal;
    this.#reader = response.body?.getReader();
  }

  /**
   * The next bytes, or `undefined` at the end.
   *
   * @throws {Broken} when none come for `idle` milliseconds, or fewer than `least` while so long was waited for them
   */
  async read(idle: number, least = 0): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const began = performance.now();
    const timer = setTimeout(() => {
      this.#attempt.abort(new Broken(`no byte came for ${idle / 1000} s`));
    }, idle);
    try {
      const chunk = await this.#next();
      this.received += chunk?.length ?? 0;
      this.#waited += performance.now() - began;
      if (chunk && this.#waited >= idle) {
        if (this.received - this.#counted < least) {
          throw new Broken(`only ${this.received - this.#counted} bytes came in ${idle / 1000} s`);
        }
        this.#waited = 0;
        this.#counted = this.received;
      }
      return chunk;
    } catch (error) {
      if (error instanceof Broken) throw error;
      throw broken(error, this.#attempt.signal);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * What comes next of the body, or the reason of an abort before that. Once the headers are here, Deno holds the signal
   * of a fetch no more: after a collection of garbage no abort ends the reading of its body.
   */
  async #next(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (!this.#reader) return undefined;
    this.#signal.throwIfAborted();
    // One listener for all of the body: each that is removed leaves a table of the signal's to the collector.
    if (!this.#interrupt) this.#signal.addEventListener("abort", this.#abort, { once: true });
    const { promise, resolve, reject } = Promise.withResolvers<
      ReadableStreamReadResult<Uint8Array<ArrayBuffer>>
    >();
    this.#interrupt = reject;
    this.#reader.read().then(resolve, reject);
    const { done, value } = await promise;
    if (done) this.#signal.removeEventListener("abort", this.#abort);
    return value;
  }

  /** Ends the connection, whatever is still to come. */
  close(): void {
    this.#reader?.cancel().catch(() => {});
    this.#attempt.abort();
  }

  /** Milliseconds the server asks to wait, at most ten minutes. */
  get retryAfter(): number {
    const text = this.headers.get("retry-after") ?? "";
    // The server's own clock tells how far off its date is.
    const now = Date.parse(this.headers.get("date") ?? "") || Date.now();
    const wait = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
    return Math.min(Math.max(wait || 0, 0), 600_000);
  }
}

/** Counts failures in a row, and waits longer after each. */
export class Patience {
  readonly #ctx: Context;
  readonly #signal: AbortSignal;
  readonly #target: Target;
  #failures = 0;

  constructor(ctx: Context, signal: AbortSignal, target: Target) {
    this.#ctx = ctx;
    this.#signal = signal;
    this.#target = target;
  }

  /** Something new came: the count starts over. */
  reset(): void {
    this.#failures = 0;
  }

  /** Waits for the next try. @throws what failed, when trying again cannot help or was in vain five times */
  async wait(error: unknown, position: number): Promise<void> {
    this.#signal.throwIfAborted();
    if (!(error instanceof Broken)) throw error;
    if (++this.#failures > 5) {
      const [where, then] = position > 0
        ? [` after ${position} bytes`, "brought next to nothing"]
        : ["", "did not help"];
      throw new Error(
        `${this.#target.cannot}${where}: ${error.message}; five more tries ${then}`,
        { cause: error },
      );
    }
    const longest = Math.min(200 * 2 ** (this.#failures - 1), 30_000);
    const pause = Math.max(longest * (1 + Math.random()) / 2, error.retryAfter);
    const lost = position > 0 ? `Connection lost at byte ${position} of` : "No answer from";
    const then = position > 0 ? "resuming" : "trying again";
    this.#ctx.log.warn(
      `${lost} "${this.#target.url}" (${error.message}), ${then} in ${(pause / 1000).toFixed(1)} s`,
      { position, failures: this.#failures },
    );
    await delay(pause, undefined, { signal: this.#signal }).catch(() => {});
    this.#signal.throwIfAborted();
  }
}

function parse(
  address: string,
  cannot: string,
  base?: string,
): { url: string; authorization?: string } {
  const url = URL.parse(address, base);
  if (url?.protocol !== "http:" && url?.protocol !== "https:") {
    const shown = address.replace(/\/\/.*@/s, "//");
    throw new GiveUp(
      base === undefined
        ? `${cannot} "${shown}": this is not a valid http or https URL`
        : `${cannot}: it redirects to "${shown}", which is not an http or https URL`,
    );
  }
  const { username, password } = url;
  url.username = url.password = url.hash = "";
  if (username === "" && password === "") return { url: url.href };
  const user = new TextEncoder().encode(`${decode(username)}:${decode(password)}`);
  return { url: url.href, authorization: `Basic ${btoa(String.fromCharCode(...user))}` };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * A Last-Modified is strong when the server's own Date is a minute later: RFC 9110 §8.8.2.2 asks for a second, and for
 * reason to believe in the clocks; the minute is RFC 7232's.
 */
function validator(headers: Headers): string | undefined {
  const etag = headers.get("etag");
  if (etag && /^(W\/)?"/.test(etag)) return etag;
  const modified = headers.get("last-modified");
  if (modified === null || Number.isNaN(Date.parse(modified))) return undefined;
  const age = Date.parse(headers.get("date") ?? "") - Date.parse(modified);
  return age >= 60_000 ? modified : `W/${modified}`;
}

function broken(error: unknown, attempt: AbortSignal): Broken {
  if (attempt.reason instanceof Broken) return attempt.reason;
  return new Broken(why(error), { cause: error });
}

/** What fetch has to say, without its wrapping. */
function why(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const inner = error.cause instanceof Error ? error.cause.message : error.message;
  return inner.replace(/^error sending request .*?\): /, "").replace(/^client error \(\w+\): /, "");
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}
