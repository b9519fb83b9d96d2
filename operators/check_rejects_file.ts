import { GiveUp } from "../engine/mod.ts";
import { localPath } from "./_open_file.ts";

/** How each line of a file of rejects begins. */
const BEGINNING = new TextEncoder().encode(`{"source":`);

/**
 * Refuses a place for rejects where something else would be lost: the source itself under whatever name, what is no
 * regular file (a FIFO, a device, a folder), and a file that has other things than the rejects of an earlier load.
 *
 * @param source where the records come from, as far as that is known: a path, a file URL, or `-` for standard input
 * @throws {GiveUp} saying what is there
 */
export async function checkRejectsFile(path: string, source?: string): Promise<void> {
  const there = await Deno.stat(path).catch(() => undefined);
  if (!there) return;
  const what = !there.isFile
    ? `it is ${there.isDirectory ? "a folder" : "no regular file"}`
    : source !== undefined && await isSame(path, source)
    ? "it is the source itself, which would be lost"
    : there.size > 0 && !await hasRejects(path).catch(() => false)
    ? "there is a file that has no rejects, and would be lost"
    : undefined;
  if (what === undefined) return;
  throw new GiveUp(`Cannot write rejects to ${JSON.stringify(path)}: ${what}; name another file`);
}

/** Whether two names lead to one file. */
async function isSame(path: string, source: string): Promise<boolean> {
  try {
    const other = source === "-" ? "/dev/stdin" : localPath(source);
    const [one, two] = await Promise.all([Deno.stat(path), Deno.stat(other)]);
    if (one.ino !== null) return one.ino === two.ino && one.dev === two.dev;
    return await Deno.realPath(path) === await Deno.realPath(other);
  } catch {
    return false; // it is an address, or is not there
  }
}

async function hasRejects(path: string): Promise<boolean> {
  using file = await Deno.open(path);
  const begins = new Uint8Array(BEGINNING.length);
  await file.read(begins);
  return begins.every((byte, i) => byte === BEGINNING[i]);
}
