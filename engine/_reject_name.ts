import { join } from "node:path";

const SUFFIX = ".jsonl", MAX_NAME = 200;

/** The file in an attempt's folder for what is refused of what was for `name`, whatever signs that has. */
export function rejectFile(folder: string, name: string): string {
  return join(folder, encodeURIComponent(name.toWellFormed()).slice(0, MAX_NAME) + SUFFIX);
}

/** The name that a file has in its folder, read back; undefined for one that is none of ours. */
export function rejectName(file: string): string | undefined {
  if (!file.endsWith(SUFFIX)) return undefined;
  const name = file.slice(0, -SUFFIX.length);
  try {
    return decodeURIComponent(name);
  } catch {
    return name; // it was cut off
  }
}
