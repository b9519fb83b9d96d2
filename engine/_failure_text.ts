import type { Failure } from "./state.ts";

/** Frames below these folders, and of what they import, are not of whoever wrote the task. */
const OURS = ["engine", "operators", "adapters", "server", "cli", "main.ts"]
  .map((name) => new URL(`../${name}`, import.meta.url).href);
/** Where all of it is beside this file, in JavaScript, once it is built. */
const BUILT = import.meta.url.endsWith(".js") ? new URL(".", import.meta.url).href : undefined;

/**
 * An error for people, with what it came from. Of its stack the frames in files of the user's own; where there are none,
 * the one in which it was thrown.
 */
export function failureText({ name, message, stack = "", cause }: Failure): string {
  const head = name === "Error" ? message : `${name}: ${message}`;
  // The message comes first in a stack, and may look like a frame itself.
  const frames = stack.slice(Math.max(0, stack.indexOf(message)) + message.length)
    .split("\n").filter((line) => /^\s+at /.test(line));
  const own = frames.filter(isOfUser);
  const shown = own.length > 0 ? own : frames.slice(0, 1);
  const lines = [head, ...shown.map((frame) => `    ${frame.trim()}`)];
  return [lines.join("\n"), ...cause ? [failureText(cause)] : []].join("\ncaused by: ");
}

function isOfUser(frame: string): boolean {
  const path = /file:\/\/[^\s)]*/.exec(frame)?.[0];
  if (path === undefined || /\/(npm|node_modules)\//.test(path)) return false;
  if (BUILT !== undefined) return new URL(".", path).href !== BUILT;
  return !OURS.some((ours) => path.startsWith(ours));
}
