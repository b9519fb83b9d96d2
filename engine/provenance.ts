import { createHash } from "node:crypto";
import { shownKey } from "./_spool_key.ts";
import { Edge, Source } from "./source.ts";

/** What is known of the source that a pipe reads; how long it is and its hash once it has been read to its end. */
export class Provenance {
  /** Where it comes from, without the secrets; undefined where nothing tells. */
  readonly url: string | undefined;
  /** Tells its versions apart; begins with `W/` where that is not sure. */
  readonly validator: string | undefined;
  /** Whether nothing has told yet that what came of it is all of it. */
  unverified: boolean;
  /** How many bytes have come. */
  bytes = 0;
  /** SHA-256 of them all, once there are no more; undefined where something else than bytes came. */
  sha256: string | undefined;
  readonly #key: string;
  #ways: string[] = [];

  /** Of the stream that comes first in a pipe. */
  constructor(stream: ReadableStream<unknown>) {
    const { key, validator, unverified = false }: Partial<Source["origin"]> =
      stream instanceof Source || stream instanceof Edge ? stream.origin : {};
    this.#key = key ?? "";
    this.url = key && shownKey(key);
    this.validator = validator;
    this.unverified = unverified;
  }

  /** Passes the stream on, and looks at what comes. */
  through(stream: ReadableStream<unknown>): ReadableStream<unknown> {
    const reader = stream.getReader();
    const hash = createHash("sha256");
    let plain = true;
    return new ReadableStream({
      pull: async (controller) => {
        const { done, value } = await reader.read();
        if (done) {
          if (plain) this.sha256 = hash.digest("hex");
          return controller.close();
        }
        if (value instanceof Uint8Array) {
          hash.update(value);
          this.bytes += value.length;
        } else plain = false;
        controller.enqueue(value);
      },
      cancel: (reason) => reader.cancel(reason),
    }, { highWaterMark: 0 });
  }

  /** Notes a stage that it goes through. */
  passed(stage: string, options: Readonly<Record<string, unknown>>): void {
    try {
      this.#ways.push(JSON.stringify([stage, options], toText));
    } catch {
      this.#ways.push(crypto.randomUUID()); // what cannot be told is never the same
    }
  }

  /** Forgets the stages: it goes through them anew. */
  again(): void {
    this.#ways = [];
  }

  /** A hash of what was asked for, and the stages so far with their options: with the same, a version gives the same. */
  get way(): string {
    return createHash("sha256").update([this.#key, ...this.#ways].join("\n")).digest("hex");
  }
}

/** What of a value JSON would leave out. @throws {TypeError} where nothing tells what is in it */
function toText(_: string, value: unknown): unknown {
  if (typeof value === "function" || typeof value === "bigint") return String(value);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  if (value instanceof RegExp) return String(value);
  if (Object.getPrototypeOf(value) === Object.prototype) return value;
  throw new TypeError("this is not a plain value");
}
