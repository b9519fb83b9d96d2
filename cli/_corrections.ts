import type { RecordBatch } from "apache-arrow";
import { pipe } from "../engine/mod.ts";
import type { Correction } from "../operators/mod.ts";
import type { World } from "./world.ts";

/** The column that tells which reject a corrected row was. */
export const REJECT_COLUMN = "__reject";

/** The columns that corrections have beside those of the table: that one, and for people why it was refused, and its text. */
export const OWN_COLUMNS = [REJECT_COLUMN, "__why", "__raw"] as const;

/** What corrections are for. */
interface Corrected {
  /** The table. */
  readonly table: string;
  /** Its columns. */
  readonly columns: readonly string[];
}

/** Refuses a table with a column of a name that is ours, as nobody could tell whose a value is. @throws {Error} naming it */
export function checkNames(
  { table, columns }: Corrected,
  names: readonly string[] = OWN_COLUMNS,
): void {
  const taken = OWN_COLUMNS.find((name) => names.includes(name) && columns.includes(name));
  if (taken === undefined) return;
  throw new Error(
    `Cannot tell column "${taken}" of table ${
      JSON.stringify(table)
    } from the one of that name that corrections have: rename it, or correct its rejects on the page`,
  );
}

/**
 * Reads corrected rows from a file, an URL or `-`: CSV or JSON lines.
 *
 * @throws {Error} where it has no {@linkcode REJECT_COLUMN}, or a column that could be the table's and ours
 */
export async function readCorrections(
  world: World,
  source: string,
  corrected: Corrected,
): Promise<Correction[]> {
  const { operator, perform } = await import("../engine/mod.ts");
  const { decompress, http, records } = await import("../operators/mod.ts");
  const { signal } = world;
  const gather = operator(
    "gather",
    async (_: unknown, __, bytes: ReadableStream<Uint8Array>) =>
      new Uint8Array(await new Response(bytes as never).arrayBuffer()),
  );
  const file = await perform(pipe(http({ url: source }), decompress(), gather()), { signal });
  const read = async (types: Record<string, string>): Promise<RecordBatch[]> => {
    const given = operator(
      "given",
      () => new Response(file).body as ReadableStream<Uint8Array<ArrayBuffer>>,
    );
    const all = operator(
      "all",
      (_: unknown, __, batches: ReadableStream<RecordBatch>) => Array.fromAsync(batches),
    );
    const each = { types };
    return await perform(pipe(given(), records({ csv: each, jsonl: each }), all()), { signal });
  };
  // First for the names: a number keeps all that was written of it as text alone.
  const names = (await read({}))[0]!.schema.fields.map(({ name }) => name);
  if (!names.includes(REJECT_COLUMN)) {
    throw new Error(
      `Cannot tell which rejects "${source}" corrects: it needs a column "${REJECT_COLUMN}" with their ids, as ` +
        `\`${world.command} rejects show TABLE --csv\` writes it`,
    );
  }
  checkNames(corrected, names);
  const batches = await read(Object.fromEntries(names.map((name) => [name, "text"])));
  const rows = batches.flatMap((batch) =>
    Array.from({ length: batch.numRows }, (_, r) => ({ batch, r }))
  );
  const keys = keysOf(file);
  return rows.map(({ batch, r }, n) => toCorrection(batch, r, n + 1, keys?.[n]));
}

/** The keys of each object of JSON lines, which batches cannot tell from NULLs; undefined for another format. */
function keysOf(file: Uint8Array): ReadonlySet<string>[] | undefined {
  const encoding = file[0] === 0xff ? "utf-16le" : file[0] === 0xfe ? "utf-16be" : "utf-8";
  const text = new TextDecoder(encoding).decode(file);
  if (!/^\s*\{\s*["}]/.test(text)) return undefined;
  return text.split("\n").filter((line) => line.trim() !== "")
    .map((line) => new Set(Object.keys(JSON.parse(line))));
}

/** @param keys those that it has, where they can be told */
function toCorrection(
  batch: RecordBatch,
  r: number,
  number: number,
  keys: ReadonlySet<string> | undefined,
): Correction {
  const cells: [name: string, text: string | null][] = [], empty: string[] = [];
  let id = "";
  batch.schema.fields.forEach(({ name }, i) => {
    const value = batch.getChildAt(i)!.get(r) as string | null;
    if (name === REJECT_COLUMN) id = value ?? "";
    else if (OWN_COLUMNS.some((own) => own === name)) return;
    else if (value !== null || keys?.has(name)) cells.push([name, value]);
    else if (!keys) empty.push(name);
  });
  if (!/^\d{1,18}$/.test(id)) {
    throw new Error(
      `Cannot tell which reject row ${number} corrects: its "${REJECT_COLUMN}" is "${id}"`,
    );
  }
  return { id, row: Object.fromEntries(cells), empty };
}
