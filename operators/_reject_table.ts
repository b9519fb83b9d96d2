import { createHash } from "node:crypto";
import { quoted } from "./_table.ts";

/**
 * The columns of a table of rejects, for CREATE TABLE. `place` tells where in the table a row was to go that was not just
 * added: `{"on": …}`, the columns by which it was to be merged, or `{"slice": …}`.
 */
export const REJECT_COLUMNS = `id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  load pg_catalog.text NOT NULL, run pg_catalog.text NOT NULL, source pg_catalog.text,
  record bigint NOT NULL, line bigint, from_byte bigint, to_byte bigint,
  column_name pg_catalog.text, rule pg_catalog.text NOT NULL, message pg_catalog.text NOT NULL,
  raw pg_catalog.text NOT NULL, bytes pg_catalog.bytea, "row" pg_catalog.json,
  refused pg_catalog.timestamptz NOT NULL, replayed pg_catalog.timestamptz, place pg_catalog.jsonb`;

/** The most bytes a name may have. */
const MAX_NAME_BYTES = 63, SUFFIX = "__rejects";

/** Names the table of a table's rejects; where that would be too long, by a hash of what is cut off. */
export function rejectsName(table: string): string {
  const bytes = new TextEncoder().encode(table);
  if (bytes.length + SUFFIX.length <= MAX_NAME_BYTES) return table + SUFFIX;
  const hash = `_${createHash("sha256").update(bytes).digest("hex").slice(0, 8)}`;
  const room = new Uint8Array(MAX_NAME_BYTES - SUFFIX.length - hash.length);
  const { read } = new TextEncoder().encodeInto(table, room);
  return table.slice(0, read) + hash + SUFFIX;
}

/** What the comment of a table of rejects begins with; the name of the table follows, quoted. */
export const REJECTS_COMMENT = "Rejects of ";

/** The comment that tells whose rejects a table has. */
export function rejectsComment({ schema, name }: { schema: string; name: string }): string {
  return REJECTS_COMMENT + quoted({ schema, name });
}
