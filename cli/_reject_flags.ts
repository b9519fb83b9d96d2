import { join, resolve } from "node:path";
import type { OnReject } from "../operators/mod.ts";
import { homeFolder, type PlaceFlags } from "./database.ts";
import { messageOf, UsageError, type World } from "./world.ts";

/** What is to become of records that cannot be loaded. */
export interface RejectFlags {
  readonly onReject?: "fail" | "keep";
  readonly maxRejects?: number;
  readonly rejects?: string;
}

/** Reads a number of records, or a share of them as `0.01` or `1%`. @throws {SyntaxError} when it is something else */
function limit(text: string): number {
  const [, digits, percent] = /^(\d+(?:\.\d+)?)(%?)$/.exec(text) ?? [];
  const n = Number(digits) / (percent ? 100 : 1);
  if (digits !== undefined && (n < 1 || (!percent && Number.isInteger(n)))) return n;
  throw new SyntaxError("write a whole number of records, or a share below 1, such as 0.01 or 1%");
}

/** Flags for {@linkcode RejectFlags}, as stricli wants them. */
export const rejectFlags = {
  onReject: {
    kind: "enum",
    values: ["fail", "keep"],
    optional: true,
    brief: "What a record does that cannot be loaded: fail the load, or be kept aside [fail]",
  },
  maxRejects: {
    kind: "parsed",
    parse: limit,
    optional: true,
    placeholder: "N",
    brief: "Keep aside so many records at most, or a share such as 0.01 or 1%; above it fail",
  },
  rejects: {
    kind: "parsed",
    parse: String,
    optional: true,
    placeholder: "FILE",
    brief: "Write records that are kept aside to this file, too [one in the home folder]",
  },
} as const;

/** What the flags say. @throws {UsageError} for what does not go together, and where a file would be lost */
export async function rejectOptions(
  world: World,
  { onReject, maxRejects, rejects, into, ...place }: RejectFlags & PlaceFlags & { into: string },
  source: string,
): Promise<OnReject> {
  const given = maxRejects !== undefined ? "--max-rejects" : rejects !== undefined && "--rejects";
  if (onReject === "fail" && given) {
    throw new UsageError(`${given} needs --on-reject keep, but --on-reject is fail`);
  }
  if (onReject !== "keep" && !given) return "fail";
  const name = into.replaceAll(/[^\w.-]/g, "_").slice(0, 60);
  const limit = maxRejects ?? Infinity;
  if (rejects === undefined) {
    const file = `${name}-${crypto.randomUUID().slice(0, 8)}.jsonl`;
    return { limit, file: join(homeFolder(world, place), "rejects", file) };
  }
  const file = resolve(world.cwd, rejects);
  const { checkRejectsFile } = await import("../operators/mod.ts");
  await checkRejectsFile(file, source).catch((error) => {
    throw new UsageError(messageOf(error), { cause: error });
  });
  return { limit, file };
}
