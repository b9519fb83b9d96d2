import { basename, dirname, join } from "node:path";
import { type Bytes, type Operator, operator } from "../engine/mod.ts";
import { localPath, openFile, reason } from "./_open_file.ts";

/** A file on this machine. */
export interface File {
  /** Where it is. */
  path: string;
  /** How long it is. */
  bytes: number;
}

/** Options for {@linkcode open}. */
export interface OpenOptions {
  /** What {@linkcode save} gave, a path, a file URL, or `-` for standard input. */
  file: File | string;
}

/**
 * Reads a file as a stream of bytes.
 *
 * @throws {GiveUp} when there is no such file, or it is a directory
 * @throws {SourceChanged} from the stream, when the file changed while it was read
 */
export const open: Operator<OpenOptions, Bytes> = operator(
  "open",
  ({ file }: OpenOptions, ctx) => openFile(typeof file === "string" ? file : file.path, ctx),
  { stream: true, options: { file: true } },
);

/** Options for {@linkcode save}. */
export interface SaveOptions {
  /** A path or a file URL; its folder must exist. What stands there is replaced. */
  path: string;
}

/**
 * Writes a stream of bytes to a file, which appears when it is whole.
 *
 * Until then the bytes are in a neighbour named `.<name>.<id>.part`, which goes when the stream fails.
 */
export const save: Operator<SaveOptions, File, Bytes> = operator(
  "save",
  async (options: SaveOptions, { signal, meter }, input: Bytes): Promise<File> => {
    const path = localPath(options.path);
    const id = crypto.randomUUID().slice(0, 8);
    const part = join(dirname(path), `.${basename(path)}.${id}.part`);
    const reader = input.getReader();
    const stop = () => void reader.cancel(signal.reason).catch(() => {});
    signal.addEventListener("abort", stop, { once: true });
    try {
      signal.throwIfAborted();
      using file = await Deno.open(part, { write: true, createNew: true });
      let bytes = 0;
      while (true) {
        const { done, value } = await reader.read();
        signal.throwIfAborted();
        if (done) break;
        for (let at = 0; at < value.length;) at += await file.write(value.subarray(at));
        meter.bytes = bytes += value.length;
      }
      // A name must never stand for bytes that a power cut can take away.
      await file.sync();
      await Deno.rename(part, path);
      return { path, bytes };
    } catch (error) {
      await reader.cancel(error).catch(() => {});
      await Deno.remove(part).catch(() => {});
      if (signal.aborted || !isSystemError(error)) throw error;
      throw new Error(`Cannot save "${path}": ${reason(error)}; nothing is left of it`, {
        cause: error,
      });
    } finally {
      signal.removeEventListener("abort", stop);
    }
  },
  { options: { path: true } },
);

/** Whether it is the file system's complaint, and not the stream's. */
function isSystemError(error: unknown): boolean {
  return error instanceof Error && ("code" in error || error.constructor.name in Deno.errors);
}
