import {
  type Data,
  DataType,
  type Field,
  makeData,
  RecordBatch,
  Schema,
  Struct,
} from "apache-arrow";
import { faultsOf } from "./_arrow_faults.ts";
import { textColumn, textsOf } from "./_arrow_text.ts";
import { sqlType } from "./_canonical.ts";
import { arrowField, parseColumnType } from "./_column_type.ts";
import { type PlannedColumn, readPlanned } from "./_columns.ts";
import { BARE } from "./_json_fields.ts";
import type { Read } from "./_read_column.ts";
import {
  PLACE_COLUMNS,
  type Reject,
  type RejectRule,
  SiftedBatch,
  type Tolerance,
} from "./_reject.ts";
import { Malformed, QUOTED } from "./_tokenizer.ts";

/** How much of a refused row is kept as text. */
const MAX_RAW = 1 << 16;

/** Makes columns of Arrow what they are declared to be, and keeps back the rows that cannot be loaded. */
export class ArrowSieve {
  readonly #fields: readonly Field[];
  readonly #schema: Schema;
  /** What columns have to be made into. */
  readonly #declared: readonly (PlannedColumn | undefined)[];
  readonly #tolerance: Tolerance | undefined;
  #records = 0;

  /** @throws {Malformed} where a type is declared for a column that is not there */
  constructor(
    fields: readonly Field[],
    types: Readonly<Record<string, string>>,
    tolerance: Tolerance | undefined,
  ) {
    const names = fields.map(({ name }) => name);
    const unknown = Object.keys(types).find((name) => !names.includes(name));
    if (unknown !== undefined) {
      throw new Malformed(
        `it has no column ${JSON.stringify(unknown)}, for which a type was declared; its columns ` +
          `are ${names.map((name) => JSON.stringify(name)).join(", ")}`,
      );
    }
    this.#fields = fields;
    this.#tolerance = tolerance;
    this.#declared = fields.map((field) => {
      const { name } = field;
      if (!Object.hasOwn(types, name)) return undefined;
      const type = parseColumnType(types[name]!);
      return type === sqlType(field)
        ? undefined
        : { name, type, declared: true, spelling: undefined };
    });
    this.#schema = new Schema(fields.map((field, i) => {
      const declared = this.#declared[i];
      return declared ? arrowField(declared.name, declared.type) : field;
    }));
  }

  /**
   * Makes batches of columns, one where no row is refused.
   *
   * @throws {Malformed} naming column and record of the first value that cannot be taken, where none may be refused
   */
  *batches(columns: readonly Data[], length: number): Generator<RecordBatch, void> {
    const misfits = new Map<number, Misfit>();
    const children = columns.map((data, column) => {
      const declared = this.#declared[column];
      if (declared) return made(data, declared, (r, misfit) => put(r, { column, ...misfit }));
      // Postgres itself refuses all that there is, but for what is decoded before it sees it.
      if (this.#tolerance || DataType.isDictionary(data.type) || DataType.isLargeUtf8(data.type)) {
        for (const [r, fault] of faultsOf(data)) put(r, { column, ...fault });
      }
      return data;
    });
    function put(r: number, misfit: Misfit): void {
      if (!misfits.has(r)) misfits.set(r, misfit);
    }
    const batch = new RecordBatch(
      this.#schema,
      makeData({ type: new Struct(this.#schema.fields), length, nullCount: 0, children }),
    );
    const before = this.#records, tolerance = this.#tolerance;
    const records = this.#records += length;
    const rows = [...misfits.keys()].sort((a, b) => a - b);
    if (!tolerance) {
      if (rows.length === 0) return yield batch;
      const { column_name, message, record } = this.#reject(columns, rows[0]!, misfits, before);
      throw new Malformed(`in column ${JSON.stringify(column_name)}, record ${record}, ${message}`);
    }
    let rejects = rows.map((r) => this.#reject(columns, r, misfits, before));
    const begins = [0, ...rows.map((r) => r + 1)], ends = [...rows, length];
    for (const [n, from] of begins.entries()) {
      const to = ends[n]!;
      // The last one tells of the refused if no row is left.
      if (from === to && !(n === rows.length && rejects.length > 0)) continue;
      const piece = from === 0 && to === length ? batch : batch.slice(from, to);
      const sifting = { tolerance, rejects, records, placed: () => placed(piece, before + from) };
      yield new SiftedBatch(piece, sifting);
      rejects = [];
    }
  }

  #reject(
    columns: readonly Data[],
    r: number,
    misfits: ReadonlyMap<number, Misfit>,
    before: number,
  ): Reject {
    const { column, rule, message } = misfits.get(r)!;
    const values = columns.map((data) => textsOf(data)(r)?.replaceAll("\0", "\ufffd") ?? null);
    const row = JSON.stringify(
      Object.fromEntries(this.#fields.map(({ name }, i) => [name, values[i]!])),
    );
    const shown = JSON.stringify(textsOf(columns[column]!)(r)?.slice(0, 80));
    return {
      record: before + r + 1,
      line: null,
      from_byte: null,
      to_byte: null,
      column_name: this.#fields[column]!.name,
      rule,
      message: `${shown} ${message}`,
      raw: row.slice(0, MAX_RAW),
      bytes: null,
      row,
    };
  }
}

interface Misfit {
  readonly column: number;
  readonly rule: RejectRule;
  readonly message: string;
}

/** A column as it is declared: read anew from the text of its values. */
function made(
  data: Data,
  planned: PlannedColumn,
  refuse: (row: number, misfit: Omit<Misfit, "column">) => void,
): Data {
  const { length: records } = data;
  const written = textColumn(data, textsOf(data));
  const quoted = Uint8Array.from({ length: records }, (_, i) => written.getValid(i) ? QUOTED : 0);
  const starts = written.valueOffsets.slice(0, records), ends = written.valueOffsets.slice(1);
  const fields = { starts, ends, quoted, width: 1, records, dialect: BARE };
  const block = { bytes: written.values as Uint8Array, fields };
  const misfits: number[] = [];
  const { data: read } = readPlanned(planned, block, 0, misfits) as Read;
  for (const r of misfits) refuse(r, { rule: "type", message: `is not of type ${planned.type}` });
  return read;
}

/** Adds to a batch which records its rows are; they have no lines, no bytes of their own, and no text. */
function placed(batch: RecordBatch, before: number): RecordBatch {
  const length = batch.numRows;
  const fields = PLACE_COLUMNS.map(({ name, type }) => arrowField(name, type));
  const nowhere = { length, nullCount: length, nullBitmap: new Uint8Array((length + 7) >> 3) };
  const places = fields.map(({ type }, i) => {
    if (i === 0) {
      const data = BigInt64Array.from({ length }, (_, r) => BigInt(before + r + 1));
      return makeData({ type, length, nullCount: 0, data } as never);
    }
    const empty = i < 4
      ? { data: new BigInt64Array(length) }
      : { data: new Uint8Array(0), valueOffsets: new Int32Array(length + 1) };
    return makeData({ type, ...nowhere, ...empty } as never);
  });
  const schema = new Schema([...batch.schema.fields, ...fields]);
  const children = [...batch.data.children, ...places];
  const type = new Struct(schema.fields);
  return new RecordBatch(schema, makeData({ type, length, nullCount: 0, children }));
}
