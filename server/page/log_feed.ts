import { type Signal, signal } from "@preact/signals";
import { ask, withQuery } from "./api.ts";
import type { Line } from "./documents.ts";

/** Which log it is. */
export interface LogOf {
  readonly run: string;
  readonly task: string;
  readonly index: number | undefined;
  readonly attempt: number;
}

/** A row of a log: a line of text; a message of several lines has as many. */
export interface LogRow {
  /** Of the message, from 1: what links name. */
  readonly number: number;
  /** When, for the first row of a message. */
  readonly at: string | undefined;
  readonly level: Line["level"];
  readonly text: string;
}

/** How often what came is shown, in milliseconds: else a log that pours would show nothing but its pouring. */
const SHOW = 80;
/** After how long a log is asked for again whose connection broke. */
const AGAIN = 1000;

/** Reads a log as it grows, until it is stopped. */
export class LogFeed {
  /** All rows so far; the same list, longer, each time. */
  readonly rows: Signal<{ readonly all: readonly LogRow[] }>;
  /** Whether more may come. */
  readonly open: Signal<boolean> = signal(true);
  readonly #all: LogRow[] = [];
  readonly #stop = new AbortController();
  #messages = 0;
  #next = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(of: LogOf) {
    this.rows = signal({ all: this.#all });
    this.#follow(of);
  }

  /** Reads no more. */
  stop(): void {
    this.#stop.abort();
    clearTimeout(this.#timer);
  }

  async #follow({ run, task, index, attempt }: LogOf): Promise<void> {
    const { signal } = this.#stop;
    const path = `/api/runs/${run}/tasks/${task}/attempts/${attempt}/log`;
    while (!signal.aborted) {
      try {
        const query = { follow: 1, offset: this.#next, index };
        const response = await ask(withQuery(path, query), { signal });
        const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
        for (let rest = "";;) {
          const { done, value } = await reader.read();
          if (done) break;
          const lines = (rest + value).split("\n");
          rest = lines.pop()!;
          for (const line of lines) this.#add(JSON.parse(line));
        }
        break;
      } catch {
        if (signal.aborted) return;
        await new Promise((resolve) => setTimeout(resolve, AGAIN));
      }
    }
    this.#show();
    this.open.value = false;
  }

  #add({ at, level, message, fields, next }: Line): void {
    const number = ++this.#messages;
    const more = fields && Object.keys(fields).length > 0 ? `  ${said(fields)}` : "";
    const [first = "", ...rest] = message.split(/\r\n|\n|\r/);
    this.#all.push({ number, at, level, text: rest.length === 0 ? first + more : first });
    for (const [i, text] of rest.entries()) {
      const isLast = i === rest.length - 1;
      this.#all.push({ number, at: undefined, level, text: isLast ? text + more : text });
    }
    this.#next = next;
    this.#timer ??= setTimeout(() => this.#show(), SHOW);
  }

  #show(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.rows.value = { all: this.#all };
  }
}

/** Fields as `name=value`. */
function said(fields: Readonly<Record<string, unknown>>): string {
  return Object.entries(fields)
    .map(([name, value]) =>
      `${name}=${typeof value === "string" && /^\S+$/.test(value) ? value : JSON.stringify(value)}`
    )
    .join(" ");
}
