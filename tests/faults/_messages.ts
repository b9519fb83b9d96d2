import type { End, Valve } from "./_proxy.ts";

/** One message of Postgres' protocol, in a piece of its stream. */
interface Message {
  /** The letter it begins with, or "" for the one that begins a session. */
  readonly type: string;
  /** Where it begins in the piece, less than 0 for one that began before; where it ends, maybe in a later one. */
  readonly from: number;
  readonly to: number;
}

/**
 * Finds the messages of one direction of a session in whatever pieces they come.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export class Messages {
  /** Whether the next one is without a letter. */
  #first: boolean;
  #head: number[] = [];
  /** Bytes of the message under way that are still to come. */
  #left = 0;

  constructor(side: "client" | "server") {
    this.#first = side === "client";
  }

  /** The messages whose heads are complete with this piece. */
  *in(bytes: Uint8Array): Generator<Message> {
    let at = this.#left;
    while (at < bytes.length) {
      const size = this.#first ? 4 : 5;
      const from = at - this.#head.length;
      while (this.#head.length < size && at < bytes.length) this.#head.push(bytes[at++]!);
      if (this.#head.length < size) break;
      const length = new DataView(new Uint8Array(this.#head.slice(-4)).buffer).getUint32(0);
      const type = this.#first ? "" : String.fromCharCode(this.#head[0]!);
      this.#first = false;
      this.#head = [];
      at = from + size - 4 + length;
      yield { type, from, to: at };
    }
    this.#left = at - bytes.length;
  }
}

/** Where a session is cut: before a message or behind it. */
export interface Place {
  readonly side: "client" | "server";
  /** Which of this side's messages, those that carry rows not counted. */
  readonly index: number;
  readonly when: "before" | "behind";
}

/** Valves that end a session at a place, or count its messages where there is none. */
export class Session {
  /** The letters of the messages of each side, but for those that carry rows. */
  readonly client: string[] = [];
  readonly server: string[] = [];
  readonly up: Valve;
  readonly down: Valve;

  constructor(place?: Place, end: End = "cut") {
    this.up = this.#valve("client", place, end);
    this.down = this.#valve("server", place, end);
  }

  #valve(side: "client" | "server", place: Place | undefined, end: End): Valve {
    const messages = new Messages(side), seen = this[side];
    return (bytes) => {
      for (const { type, from, to } of messages.in(bytes)) {
        if (type === "d") continue;
        const index = seen.push(type) - 1;
        if (place?.side !== side || place.index !== index) continue;
        // Messages are small but for those that carry rows: where this one is torn, it is cut in its midst.
        const at = place.when === "before" ? from : to;
        return { pass: Math.min(Math.max(at, 0), bytes.length), end };
      }
      return undefined;
    };
  }
}
