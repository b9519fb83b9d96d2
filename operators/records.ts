import {
  type Bytes,
  checkOptionNames,
  type Context,
  GiveUp,
  type Inputs,
  type OptionNames,
  type Work,
} from "../engine/mod.ts";
import { isContinued, MAGIC } from "./_arrow_messages.ts";
import type { CsvOptions } from "./_csv_options.ts";
import { arrowIpc, type ArrowIpcOptions } from "./arrow_ipc.ts";
import { type Batches, csv } from "./csv.ts";
import { jsonLines, type JsonLinesOptions } from "./json_lines.ts";

/** What {@linkcode records} can read. */
export const RECORD_FORMATS = ["csv", "jsonl", "arrow"] as const;

const NAMES = { csv: "CSV", jsonl: "JSON lines", arrow: "Arrow" } as const;

/** One of {@linkcode RECORD_FORMATS}. */
export type RecordFormat = typeof RECORD_FORMATS[number];

/** Options for {@linkcode records}. */
export interface RecordsOptions {
  /** The format. @default what the first bytes show */
  format?: RecordFormat;
  /** What was said that only one format has: another one is refused, as it would be read without it. */
  meant?: { readonly format: RecordFormat; readonly by: string };
  /** How to read CSV. */
  csv?: Inputs<CsvOptions>;
  /** How to read JSON lines. */
  jsonl?: Inputs<JsonLinesOptions>;
  /** How to read Arrow IPC. */
  arrow?: Inputs<ArrowIpcOptions>;
}

/**
 * Reads CSV, JSON lines or Arrow IPC, whichever the first bytes show: Arrow by its marks, JSON lines by `{` as the
 * first byte that is no white space, and CSV else.
 */
export function records(options: RecordsOptions = {}): Work<Batches, Bytes> {
  checkOptionNames("records", options, RECORDS_OPTIONS);
  const works: Readonly<Record<RecordFormat, Work<Batches, Bytes>>> = {
    csv: csv(options.csv),
    jsonl: jsonLines(options.jsonl),
    arrow: arrowIpc(options.arrow),
  };
  return {
    steps: [{ name: "records", inputs: { ...options }, rereads: true }],
    async run(scope, ctx: Context, input: Bytes): Promise<Batches> {
      if (options.format) return await works[options.format].run(scope, ctx, input);
      const { format, bytes } = await recognize(input);
      const { meant } = options;
      if (meant && format !== meant.format) {
        throw new GiveUp(
          `Cannot read the source: its first bytes are those of ${
            NAMES[format]
          }, and ${meant.by} is for ` +
            `${NAMES[meant.format]}; leave it out, or say which format it is`,
        );
      }
      return await works[format].run(scope, ctx, bytes);
    },
  };
}

const RECORDS_OPTIONS: OptionNames<RecordsOptions> = {
  format: true,
  meant: true,
  csv: true,
  jsonl: true,
  arrow: true,
};

/** How many bytes of white space may come first. */
const HEAD = 1024;

async function recognize(input: Bytes): Promise<{ format: RecordFormat; bytes: Bytes }> {
  const reader = input.getReader();
  const held: Uint8Array<ArrayBuffer>[] = [];
  let head: number[] = [], format: RecordFormat | undefined, ended = false;
  while (!format && !ended) {
    const { done, value } = await reader.read();
    if (done) ended = true;
    else {
      held.push(value);
      head = [...head, ...value.subarray(0, HEAD - head.length)];
    }
    format = formatOf(head, ended || head.length >= HEAD);
  }
  const bytes: Bytes = new ReadableStream({
    async pull(controller) {
      const first = held.shift();
      if (first) return controller.enqueue(first);
      const { done, value } = ended ? { done: true, value: undefined } : await reader.read();
      done ? controller.close() : controller.enqueue(value!);
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
  return { format: format ?? "csv", bytes };
}

/** What the first bytes show; undefined where more of them are needed. */
function formatOf(head: readonly number[], last: boolean): RecordFormat | undefined {
  if (head.length < 8 && !last) return undefined;
  if (MAGIC.every((c, i) => head[i] === c) || isContinued(head)) return "arrow";
  const mark = head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf ? 3 : 0;
  // Two or four bytes to a character, with a mark: the zeros are passed over.
  const wide = (head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff) ||
    (head[0] === 0 && head[1] === 0 && head[2] === 0xfe && head[3] === 0xff);
  const first = head.slice(mark).find((c) =>
    ![9, 10, 13, 32].includes(c) && !(wide && [0, 0xff, 0xfe].includes(c))
  );
  if (first === undefined && !last) return undefined;
  return first === 123 && isObject(head.slice(mark), wide) ? "jsonl" : "csv";
}

/** Whether a brace is followed by a key or closed: a column may be named `{id}`. */
function isObject(head: readonly number[], wide: boolean): boolean {
  const text = String.fromCharCode(...head.filter((c) => !wide || ![0, 0xff, 0xfe].includes(c)));
  return /^\s*\{\s*(?:"|\}|$)/.test(text);
}
