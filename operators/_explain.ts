import { GiveUp } from "../engine/mod.ts";

/** Says in a sentence what the server refused, or how the connection was `lost`, and what is left behind. */
export function explain(error: unknown, table: string, lost: Error | undefined): unknown {
  if (error instanceof GiveUp || !(error instanceof Error)) return error;
  const what = `Cannot load into ${JSON.stringify(table)}`;
  if (!("severity" in error)) {
    if (!lost) return error;
    return new Error(
      `${what}: the connection with Postgres was lost (${lost.message}). The server rolls back what was not ` +
        `committed; try again`,
      { cause: error },
    );
  }
  const { message, detail, hint, code } = error as Error & Record<string, string | undefined>;
  const more = [detail, hint].filter(Boolean).map((text) => ` ${text}`).join("");
  return new Error(
    `${what}: Postgres says: ${message} (${code}).${more} All was rolled back: the table is as it was`,
    { cause: error },
  );
}
