import type { Failure } from "./state.ts";

/** Frames below these folders, and of what they import, are not of whoever wrote the task. */
const OURS = ["engine", "operators", "adapters", "server", "cli", "main.ts"]
  .map((name) => new URL(`../${name}`, import.meta.url).href);
/** Where all of it is beside this file, in JavaScript, once it is built. */
const BUILT = import.meta.url.endsWith(".js") ? new URL(".", import.meta.url).href : undefined;

/** Errors of these names, thrown by Sluice, are sentences for people. */
const SENTENCES = ["Error", "GiveUp", "SourceChanged", "ReadAgain"];

/**
 * An error for people, with what it came from. Of its stack the frames in files of the user's own; where there are none,
 * the one in which it was thrown, unless that is where Sluice says what went wrong in a sentence.
 */
export function failureText({ name, message, stack = "", cause }: Failure): string {
  const frames = framesOf({ message, stack });
  const own = frames.filter((frame) => whose(frame) === "user");
  const thrown = frames[0] === undefined ? undefined : whose(frames[0]);
  const isSentence = own.length === 0 && thrown === "sluice" && SENTENCES.includes(name);
  const shown = own.length > 0 ? own : isSentence || thrown === "runtime" ? [] : frames.slice(0, 1);
  const head = isSentence || name === "Error" ? message : `${name}: ${message}`;
  const lines = [head, ...shown.map((frame) => `    ${frame.trim()}`)].join("\n");
  const news = isSentence ? notSaid(message, cause) : cause;
  return news ? `${lines}\ncaused by: ${failureText(news)}` : lines;
}

/** The first of the causes that a sentence does not tell itself, or that came from the user's own files. */
function notSaid(sentence: string, cause: Failure | undefined): Failure | undefined {
  if (!cause || !sentence.includes(cause.message)) return cause;
  const isOwn = framesOf(cause).some((frame) => whose(frame) === "user");
  return isOwn ? cause : notSaid(sentence, cause.cause);
}

function framesOf({ message, stack = "" }: Pick<Failure, "message" | "stack">): string[] {
  // The message comes first in a stack, and may look like a frame itself.
  return stack.slice(Math.max(0, stack.indexOf(message)) + message.length)
    .split("\n").filter((line) => /^\s+at /.test(line));
}

/** Whose code a frame is in. */
function whose(frame: string): "user" | "sluice" | "runtime" | "package" {
  const path = /file:\/\/[^\s)]*/.exec(frame)?.[0];
  if (path === undefined) return "runtime";
  if (/\/(npm|node_modules)\//.test(path)) return "package";
  const isOurs = BUILT === undefined
    ? OURS.some((ours) => path.startsWith(ours))
    : new URL(".", path).href === BUILT;
  return isOurs ? "sluice" : "user";
}
