/** What a task that loaded a table put out. */
export interface Loaded {
  readonly table: string;
  readonly rows: number;
  /** Records that were refused, and the file that they are in. */
  readonly rejected?: number;
  readonly rejects?: { readonly file: string | null };
  readonly columns: readonly { readonly name: string; readonly type: string }[];
}

/** A task's output, if that is of a load. */
export function asLoaded(output: unknown): Loaded | undefined {
  if (typeof output !== "object" || output === null) return undefined;
  const { table, rows, columns } = output as Record<string, unknown>;
  const is = typeof table === "string" && typeof rows === "number" && Array.isArray(columns);
  return is ? output as Loaded : undefined;
}
