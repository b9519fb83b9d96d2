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
  const { message, detail, hint, code, where } = error as
    & Error
    & Record<string, string | undefined>;
  const more = [detail, hint].filter(Boolean).map((text) => ` ${text}`).join("");
  // A COPY tells where it was: "COPY t, line 2, column b".
  const [, column] = /^COPY .*, column ([^\n:]+)/.exec(where ?? "") ?? [];
  const place = column === undefined ? "" : `, in column ${JSON.stringify(column)}`;
  const next = code === "22P05"
    ? ". Load into a database in UTF8, or let such rows be kept aside (onReject, --on-reject keep)"
    : "";
  return new Error(
    `${what}: Postgres says: ${message} (${code})${place}.${more} All was rolled back: the table is as it was${next}`,
    { cause: error },
  );
}
