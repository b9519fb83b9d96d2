import type { Run } from "../engine/mod.ts";

/** What a task that loaded a table put out. */
export interface Loaded {
  readonly table: string;
  readonly rows: number;
  /** Records that were refused, and the file that they are in. */
  readonly rejected?: number;
  readonly rejects?: { readonly file: string | null };
  readonly columns: readonly { readonly name: string; readonly type: string }[];
}

/** The loads that a task's output tells of: its own, or those at the ends of a `tee`. */
export function loadsOf(output: unknown): Loaded[] {
  if (typeof output !== "object" || output === null || Array.isArray(output)) return [];
  const { table, rows, columns } = output as Record<string, unknown>;
  const is = typeof table === "string" && typeof rows === "number" && Array.isArray(columns);
  return is ? [output as Loaded] : Object.values(output).flatMap(loadsOf);
}

/** The loads of a run, those of mapped tasks among them. */
export function loadsOfRun({ tasks, mapped }: Pick<Run, "tasks" | "mapped">): Loaded[] {
  return Object.entries(tasks).flatMap(([id, task]) => {
    return (mapped[id] ?? [task]).flatMap(({ output }) => loadsOf(output));
  });
}
