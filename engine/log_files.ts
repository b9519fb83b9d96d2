import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { attemptPath, isThere, type LogKey, removeRun } from "./_attempt_path.ts";
import { Bell } from "./_bell.ts";
import type { LogLine } from "./_context.ts";
import { sleep } from "./_deadline.ts";
import type { RunFiles } from "./retention.ts";

export type { LogKey } from "./_attempt_path.ts";

/** Options for {@linkcode logFiles}. */
export interface LogFilesOptions {
  /** Whether this process writes them, or only looks, also while another process writes. @default {"write"} */
  readonly mode?: "write" | "read";
}

/** A line of a log. */
export interface LogEntry {
  /** What it says. */
  readonly line: LogLine;
  /** The byte behind it, where reading can go on. */
  readonly next: number;
}

/** What part of a log to read. */
export interface LogRange {
  /** The byte to begin at: the `next` of a line. @default {0} */
  readonly offset?: number;
  /** At most so many lines. @default {1000} */
  readonly limit?: number;
}

/** The log of an attempt that is under way; its end is when this is disposed of. */
export interface LogWriter extends Disposable {
  /** Adds a line. It never throws: lines that cannot be written are counted, and a later one tells of them. */
  write(line: LogLine): void;
}

/** The logs of attempts, one file for each. */
export interface LogFiles extends RunFiles {
  /** Begins to write the log of an attempt, behind what there is of it. @throws {TypeError} when it is not an attempt's */
  open(key: LogKey): LogWriter;
  /** Some lines of a log; none when there is no log, or no more of it. */
  read(key: LogKey, range?: LogRange): Promise<readonly LogEntry[]>;
  /**
   * The lines of a log as they come, until its writer ends it, or the signal is aborted. Where another process writes it,
   * its end is not seen: that is for the signal to tell.
   */
  follow(key: LogKey, signal: AbortSignal, offset?: number): AsyncIterable<LogEntry>;
}

/** Lines are written after so many milliseconds … */
const FLUSH_TIME = 200;
/** … or bytes, give or take one line. */
const FLUSH_BYTES = 64 * 1024;
/** How often a reader looks for more that another process has written, in milliseconds. */
const POLL = 200;
const CHUNK = 64 * 1024;
const NEWLINE = 10;

/**
 * The logs in a home folder: `logs/<dag>/<run>/<task>/<attempt>.jsonl`, of an instance of a mapped task
 * `<index>.<attempt>.jsonl`, one {@linkcode LogLine} as JSON on each line. What is behind the last newline is not a line
 * yet, or never became one because its process died.
 */
export function logFiles(folder: string | URL, options: LogFilesOptions = {}): LogFiles {
  const { mode = "write" } = options;
  const home = folder instanceof URL ? fileURLToPath(folder) : folder;
  const root = join(home, "logs");
  const writers = new Map<string, Writer>();

  const pathOf = (key: LogKey): string => `${attemptPath(root, key)}.jsonl`;

  async function read(key: LogKey, range: LogRange = {}): Promise<readonly LogEntry[]> {
    const { offset = 0, limit = 1000 } = range;
    const path = pathOf(key);
    if (!isThere(root, path)) return [];
    using file = await Deno.open(path);
    await file.seek(offset, Deno.SeekMode.Start);
    return await readLines(file, offset, limit);
  }

  return {
    open(key) {
      const path = pathOf(key);
      if (mode === "read") {
        throw new TypeError(`Cannot write to "${path}": it was opened for reading`);
      }
      const writer = new Writer(root, path, () => writers.delete(path));
      writers.set(path, writer);
      return writer;
    },
    read,
    async *follow(key, signal, offset = 0) {
      const path = pathOf(key);
      while (!signal.aborted) {
        const writer = writers.get(path);
        const flushes = writer?.flushes;
        const entries = await read(key, { offset });
        for (const entry of entries) {
          if (signal.aborted) return;
          yield entry;
          offset = entry.next;
        }
        if (entries.length > 0) continue;
        if (mode === "read") await sleep(POLL, signal).catch(() => {});
        else if (!writer) return;
        else if (writer.flushes === flushes) await writer.bell.wait(signal);
      }
    },
    remove: (run) => removeRun(root, run),
  };
}

/** Writes what came together at once, while everything else waits: so it never holds more than that. */
class Writer implements LogWriter {
  readonly bell = new Bell();
  /** How often it wrote. */
  flushes = 0;
  readonly #root: string;
  readonly #path: string;
  readonly #onEnd: () => void;
  #text = "";
  #lines = 0;
  #last: LogLine | undefined;
  #lost: { readonly lines: number; readonly why: string } | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(root: string, path: string, onEnd: () => void) {
    this.#root = root;
    this.#path = path;
    this.#onEnd = onEnd;
  }

  write(line: LogLine): void {
    this.#text += toText(line);
    this.#lines++;
    this.#last = line;
    if (this.#text.length >= FLUSH_BYTES) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), FLUSH_TIME);
  }

  [Symbol.dispose](): void {
    this.#flush();
    this.#onEnd();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#last) {
      try {
        append(this.#root, this.#path, this.#complaint(this.#last) + this.#text);
        this.#lost = undefined;
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        this.#lost = { lines: (this.#lost?.lines ?? 0) + this.#lines, why };
      }
    }
    this.#text = "";
    this.#lines = 0;
    this.#last = undefined;
    this.flushes++;
    this.bell.ring();
  }

  #complaint({ fields: _, ...line }: LogLine): string {
    if (!this.#lost) return "";
    const { lines, why } = this.#lost;
    const message =
      `Cannot show ${lines} lines before this one: they could not be written (${why})`;
    return toText({ ...line, level: "warn", message });
  }
}

/** Adds text to a file, all of it or none. @throws {Error} when that cannot be done */
function append(root: string, path: string, text: string): void {
  Deno.mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  using file = Deno.openSync(path, { append: true, create: true, mode: 0o600 });
  isThere(root, path);
  const { size } = file.statSync();
  try {
    for (let rest = new TextEncoder().encode(text); rest.length > 0;) {
      rest = rest.subarray(file.writeSync(rest));
    }
  } catch (error) {
    file.truncateSync(size);
    throw error;
  }
}

/** Reads the lines behind an offset; what is not one, such as what a dead process left half written, is passed over. */
async function readLines(file: Deno.FsFile, offset: number, limit: number): Promise<LogEntry[]> {
  const entries: LogEntry[] = [];
  const decoder = new TextDecoder();
  let rest = new Uint8Array();
  while (entries.length < limit) {
    // Twice as much for a line that is long, so that it is not copied for each chunk of it.
    const bytes = new Uint8Array(rest.length + Math.max(rest.length, CHUNK));
    bytes.set(rest);
    const n = await file.read(bytes.subarray(rest.length));
    if (n === null) break;
    const whole = bytes.subarray(0, rest.length + n);
    let start = 0;
    while (entries.length < limit) {
      const end = whole.indexOf(NEWLINE, start);
      if (end < 0) break;
      const line = toLine(decoder.decode(whole.subarray(start, end)));
      if (line) entries.push({ line, next: offset + end + 1 });
      start = end + 1;
    }
    offset += start;
    rest = whole.subarray(start);
  }
  return entries;
}

function toLine(text: string): LogLine | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A line as JSON; fields that are none are told of. */
function toText(line: LogLine): string {
  try {
    return `${JSON.stringify(line)}\n`;
  } catch (error) {
    return `${JSON.stringify({ ...line, fields: { unwritable: String(error) } })}\n`;
  }
}
