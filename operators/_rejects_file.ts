import { dirname } from "node:path";
import { reason } from "./_open_file.ts";
import { joined } from "./_window.ts";

/** How much waits to be written. */
const MOST_WAITING = 1 << 20;

const LF = 10, COMMA = 44;

const encoder = new TextEncoder();

/** A file of JSON objects, one to a line, written as they come and read again when all are there. */
export class RejectsFile {
  /** Where it is; undefined until it is made where nobody asked for it, in the folder for temporary files. */
  path: string | undefined;
  #size = 0;
  #file: Deno.FsFile | undefined;
  /** What waits to be written: as bytes, since the collector would move strings for as long as they wait. */
  #lines = new Uint8Array(0);
  #waiting = 0;

  constructor(path: string | undefined) {
    this.path = path;
  }

  /** Adds lines: each of the head, an object's beginning without its last brace, and of an object with the rest. */
  async add(
    head: Uint8Array,
    rests: readonly { readonly json: string | Uint8Array }[],
  ): Promise<void> {
    for (const { json } of rests) {
      const most = this.#waiting + head.length + json.length * 3 + 1;
      if (most > this.#lines.length) {
        this.#lines = joined(this.#lines, new Uint8Array(Math.max(most, MOST_WAITING)));
      }
      this.#lines.set(head, this.#waiting);
      const at = this.#waiting + head.length;
      let end = at;
      if (typeof json === "string") {
        end += encoder.encodeInto(json, this.#lines.subarray(at)).written;
      } else {
        this.#lines.set(json, at);
        end += json.length;
      }
      this.#lines[at] = COMMA; // in place of a brace
      this.#lines[end] = LF;
      this.#waiting = end + 1;
    }
    if (this.#waiting > MOST_WAITING) await this.flush();
  }

  /** Writes what waits, and gives how many bytes the file has. */
  async flush(): Promise<number> {
    const bytes = this.#lines.subarray(0, this.#waiting);
    this.#waiting = 0;
    if (bytes.length === 0) return this.#size;
    try {
      this.#file ??= await this.#open();
      for (let at = 0; at < bytes.length;) at += await this.#file.write(bytes.subarray(at));
    } catch (error) {
      throw new Error(`Cannot write rejects to "${this.path}": ${reason(error)}`, { cause: error });
    }
    return this.#size += bytes.length;
  }

  /** Forgets what comes behind so many bytes. */
  async cut(size: number): Promise<void> {
    await this.flush();
    await this.#file?.truncate(size);
    await this.#file?.seek(size, Deno.SeekMode.Start);
    this.#size = size;
  }

  /** The lines in the first so many bytes, some at once; they are not to be kept. */
  async *lines(size: number): AsyncGenerator<Uint8Array> {
    await this.#file?.seek(0, Deno.SeekMode.Start);
    let buffer = new Uint8Array(1 << 18);
    try {
      for (let at = 0, held = 0; at < size;) {
        const n = await this.#file!.read(buffer.subarray(held, held + size - at)) ?? 0;
        if (n === 0) throw new Error(`Cannot read rejects from "${this.path}": it was cut`);
        at += n;
        held += n;
        const end = buffer.subarray(0, held).lastIndexOf(LF) + 1;
        if (end > 0) {
          yield buffer.subarray(0, end);
          buffer.copyWithin(0, end, held);
          held -= end;
          // A line may be longer than all that were.
        } else if (held === buffer.length) buffer = joined(buffer, new Uint8Array(held));
      }
    } finally {
      // Who stops in the middle may go on to write.
      await this.#file?.seek(this.#size, Deno.SeekMode.Start);
    }
  }

  /** Closes it. */
  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  async #open(): Promise<Deno.FsFile> {
    if (this.path === undefined) {
      this.path = await Deno.makeTempFile({ prefix: "sluice-rejects-", suffix: ".jsonl" });
    } else await Deno.mkdir(dirname(this.path), { recursive: true });
    const all = { write: true, read: true, create: true, truncate: true };
    return await Deno.open(this.path, { ...all, mode: 0o600 });
  }
}
