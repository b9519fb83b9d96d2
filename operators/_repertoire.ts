import { type Data, makeData, RecordBatch, Struct } from "apache-arrow";
import { textColumn, textsOf } from "./_arrow_text.ts";
import { sqlType } from "./_canonical.ts";
import { PLACE_COLUMNS, type Reject, SiftedBatch } from "./_reject.ts";
import type { Session } from "./_session.ts";

/** How much of a refused record is kept. */
const MAX_RAW = 1 << 16;

/** What characters the encoding of a database has, and what to do about the others. */
export class Repertoire {
  readonly #encoding: string;
  readonly #lacked: RegExp;

  private constructor(encoding: string, characters: string) {
    this.#encoding = encoding;
    this.#lacked = new RegExp(`[^\\0-\\x7f${characters}]`, "gu");
  }

  /** Asks a database; undefined where it has all, or has more than one byte for a character, and nobody knows which. */
  static async of(session: Session): Promise<Repertoire | undefined> {
    const { encoding, single } = await session.row<{ encoding: string; single: boolean }>(
      `SELECT e.name AS encoding, pg_catalog.pg_encoding_max_length(pg_catalog.pg_char_to_encoding(e.name)) = 1 AS single
       FROM pg_catalog.current_setting('server_encoding') AS e (name)`,
    );
    if (!single || encoding === "SQL_ASCII") return undefined;
    // A byte may stand for nothing, which is an error.
    const [, asked] = await session.all<{ hex: string }>(
      `CREATE OR REPLACE FUNCTION pg_temp.sluice_character(n integer) RETURNS pg_catalog.bytea LANGUAGE plpgsql AS
         'BEGIN
            RETURN pg_catalog.convert(pg_catalog.set_byte(''\\x00'', 0, n), pg_catalog.getdatabaseencoding(), ''UTF8'');
          EXCEPTION WHEN OTHERS THEN RETURN NULL;
          END';
       SELECT pg_catalog.encode(pg_catalog.string_agg(pg_temp.sluice_character(n), ''), 'hex') AS hex
       FROM pg_catalog.generate_series(128, 255) AS n;
       DROP FUNCTION pg_temp.sluice_character(integer)`,
    );
    const { hex } = asked!.rows[0]!;
    const bytes = Uint8Array.from(hex.match(/../g)!, (byte) => parseInt(byte, 16));
    return new Repertoire(encoding, new TextDecoder().decode(bytes));
  }

  /** A text in which characters that the database lacks are written as JSON may: `\u20ac`. */
  escape(text: string): string {
    return text.replace(this.#lacked, (character) =>
      Array.from(
        { length: character.length },
        (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`,
      ).join(""));
  }

  /** A text of JSON, each of whose texts is written so. */
  escapeJson(json: string): string {
    return json.replace(
      this.#lacked,
      (character) => this.escape(character).replaceAll("\\", "\\\\"),
    );
  }

  /** A batch in which where its rows come from is told in characters that the database has. */
  #told(batch: SiftedBatch): SiftedBatch {
    const placed = (): RecordBatch => {
      const { schema, data } = batch.sifting.placed();
      const raw = data.children.at(-1)!, text = textsOf(raw);
      if (isAscii(raw)) return new RecordBatch(schema, data);
      const told = textColumn(raw, (i) => {
        const as = text(i);
        return as === null ? null : this.escape(as);
      });
      const children = data.children.with(-1, told), type = new Struct(schema.fields);
      const { length } = data;
      return new RecordBatch(schema, makeData({ type, length, nullCount: 0, children }));
    };
    return new SiftedBatch(batch, { ...batch.sifting, placed });
  }

  /** The pieces of a batch between some of its rows. */
  *without(batch: SiftedBatch, rows: readonly number[]): Generator<RecordBatch> {
    for (const [n, from] of [0, ...rows.map((r) => r + 1)].entries()) {
      const to = rows[n] ?? batch.numRows;
      if (to > from) yield this.#told(batch).slice(from, to);
    }
  }

  /** The rows of a batch that the database has no characters for, by their number in it, as they are refused. */
  lacks(batch: SiftedBatch): Map<number, Reject> {
    const found = new Map<number, Reject>();
    const { fields } = batch.schema;
    const texts = batch.data.children.map((data, i) => {
      const text = textsOf(data);
      if (sqlType(fields[i]!) !== "uuid") return text;
      return (r: number) =>
        text(r)?.replace(/^\\x(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5") ?? null;
    });
    let places: ((row: number) => string | null)[] | undefined;
    for (const [i, data] of batch.data.children.entries()) {
      if (sqlType(fields[i]!) !== "text" || isAscii(data)) continue;
      for (let r = 0; r < batch.numRows; r++) {
        const text = found.has(r) ? null : texts[i]!(r);
        if (text === null || text.search(this.#lacked) < 0) continue;
        const names = fields.map(({ name }, k) => [name, texts[k]!(r)]);
        places ??= batch.sifting.placed().data.children.slice(-PLACE_COLUMNS.length).map(textsOf);
        const [record, line, from, to, raw] = places.map((of) => of(r));
        const number = (text: string | null | undefined) => text ? Number(text) : null;
        const row = JSON.stringify(Object.fromEntries(names));
        found.set(r, {
          record: Number(record),
          line: number(line),
          from_byte: number(from),
          to_byte: number(to),
          column_name: fields[i]!.name,
          rule: "encoding",
          message: `${
            JSON.stringify(text.slice(0, 80))
          } has characters that the database lacks in its encoding, ${this.#encoding}`,
          raw: (raw ?? row).slice(0, MAX_RAW),
          bytes: null,
          row,
        });
      }
    }
    return found;
  }
}

/** Whether a column of text has no letters beyond ASCII, as far as that is told fast. */
function isAscii({ values }: Data): boolean {
  return values instanceof Uint8Array && values.every((byte) => byte < 128);
}
