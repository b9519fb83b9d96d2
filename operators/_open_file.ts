import { isAbsolute, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type Bytes, type Context, GiveUp, Source, SourceChanged } from "../engine/mod.ts";

const CHUNK = 256 * 1024;
const PIPE_CHUNK = 64 * 1024;

/**
 * Opens a path, a file URL, or `-` for standard input. A regular file is a source and can be kept; `fresh` ignores
 * what is.
 */
export async function openFile(place: string, ctx: Context, fresh = false): Promise<Bytes> {
  // Standard input stays open: it is not ours to close.
  if (place === "-") return new ReadableStream(pulling(Deno.stdin, () => {}), { highWaterMark: 0 });
  const path = localPath(place);
  const file = await Deno.open(path).catch((cause) => {
    const where = isAbsolute(path) ? "" : `, looked for in ${resolve()}`;
    throw new GiveUp(`Cannot open "${path}": ${reason(cause)}${where}`, { cause });
  });
  try {
    const stat = await file.stat();
    if (stat.isDirectory) throw new GiveUp(`Cannot open "${path}": it is a directory`);
    if (!stat.isFile) {
      return new ReadableStream(pulling(file, () => file.close(), PIPE_CHUNK), {
        highWaterMark: 0,
      });
    }
    return await source(path, file, stat, ctx, fresh);
  } catch (error) {
    file.close();
    throw error;
  }
}

/** The path that a path or a file URL stands for. @throws {GiveUp} for any other URL */
export function localPath(place: string): string {
  if (/^file:/i.test(place)) {
    try {
      return fileURLToPath(place);
    } catch (cause) {
      throw new GiveUp(`Cannot open "${place}": it names no file on this machine`, { cause });
    }
  }
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(place)?.[1];
  if (scheme === undefined) return place;
  throw new GiveUp(`Cannot open a URL that begins with "${scheme}:": use http, https or file`);
}

/** Why a call to the system failed, in words. */
export function reason(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "there is no such file or folder";
  if (error instanceof Deno.errors.PermissionDenied) return "the system does not permit it";
  return error instanceof Error ? error.message : String(error);
}

async function source(
  path: string,
  file: Deno.FsFile,
  stat: Deno.FileInfo,
  ctx: Context,
  fresh: boolean,
): Promise<Bytes> {
  const key = pathToFileURL(resolve(path)).href;
  const validator = version(stat);
  const kept = fresh ? undefined : await ctx.kept?.(key);
  const origin = { key, validator, length: stat.size };
  if (kept?.validator === validator && kept.whole) {
    file.close();
    return new Source({ ...origin, offset: kept.bytes, kept: true }, { pull: (c) => c.close() });
  }
  const offset = kept?.validator === validator ? kept.bytes : 0;
  if (offset > 0) await file.seek(offset, Deno.SeekMode.Start);
  ctx.meter.length = stat.size - offset;
  return new Source(
    { ...origin, offset },
    pulling(file, () => file.close(), CHUNK, async () => {
      if (version(await file.stat()) === validator) return;
      throw new SourceChanged(`"${path}" changed while it was read; try again when it is complete`);
    }),
  );
}

/** Reads a chunk when one is asked for. `finish` may object at the end, before it is told. */
function pulling(
  file: { read(buffer: Uint8Array): Promise<number | null> },
  close: () => void,
  size: number = PIPE_CHUNK,
  finish: () => Promise<void> = () => Promise.resolve(),
): UnderlyingDefaultSource<Uint8Array<ArrayBuffer>> {
  let cancelled = false;
  return {
    async pull(controller) {
      try {
        const buffer = new Uint8Array(size);
        const count = await file.read(buffer);
        if (cancelled) return;
        if (count !== null) return controller.enqueue(buffer.subarray(0, count));
        await finish();
        close();
        controller.close();
      } catch (error) {
        if (cancelled) return;
        close();
        throw error;
      }
    },
    cancel() {
      cancelled = true;
      close();
    },
  };
}

function version(stat: Deno.FileInfo): string {
  return `${stat.mtime?.getTime() ?? 0}-${stat.size}-${stat.ino ?? 0}`;
}
