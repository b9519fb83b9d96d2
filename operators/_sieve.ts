import { makeData, RecordBatch, Schema, Struct, Utf8 } from "apache-arrow";
import { type Block, fieldText } from "./_block.ts";
import type { Misfit, Plan } from "./_columns.ts";
import { arrowField } from "./_column_type.ts";
import { dropNumbers, dropRecords } from "./_drop_rows.ts";
import { putInt64 } from "./_read_numbers.ts";
import { isUtf8 } from "./_read_text.ts";
import {
  PLACE_COLUMNS,
  type Reject,
  type RejectRule,
  SiftedBatch,
  type Tolerance,
} from "./_reject.ts";
import { RejectWriter } from "./_reject_writer.ts";
import { countBefore, type Fault } from "./_tokenizer.ts";
import type { WideningColumns } from "./_widening_columns.ts";

/** Where the records of a block lie. */
export interface Layout {
  /** The bytes as they came, which those of the block may be changed from. */
  readonly bytes: Uint8Array;
  /** Where a byte lies in the source; undefined where bytes were changed so that this is not known. */
  readonly offsetOf: ((at: number) => number) | undefined;
  /** Where a record lies, whose fields are now those of a row. */
  from(record: number, row: number): number;
  to(record: number, row: number): number;
  line(record: number): number;
  /** Those that were refused for their shape. */
  readonly faults: readonly Fault[];
}

/** How much of a field a message shows. */
const MOST_SHOWN = 80;

const QUOTE = 34, BACKSLASH = 92;

/** Keeps back the records that cannot be loaded, and counts them all. */
export class Sieve {
  readonly #tolerance: Tolerance;
  #writer: RejectWriter | undefined;
  #records = 0;

  constructor(tolerance: Tolerance) {
    this.#tolerance = tolerance;
  }

  /** Makes a batch of the records of a block that fit; those that do not are no more in it then. */
  batch(columns: WideningColumns, block: Block, layout: Layout): SiftedBatch {
    const { records } = block.fields, { faults } = layout;
    const before = this.#records;
    const rejects = faults.map((fault, i) =>
      this.#fault(columns.plan, layout, fault, before + i + 1)
    );
    /** Which of the records each row is, once some are gone. */
    let numbers: Int32Array | undefined;
    const numberOf = (row: number): number => numbers?.[row] ?? row;
    const lineOf = ({ record }: Misfit) => layout.line(numberOf(record));
    const { schema, children } = columns.readSome(block, lineOf, (found, stretches) => {
      for (const misfit of found) {
        const which = numberOf(misfit.record);
        rejects.push(this.#misfit(columns.plan, block, layout, misfit, which, before));
      }
      numbers = dropNumbers(numbers ?? upTo(records), stretches);
      return block = dropRecords(block, stretches);
    });
    this.#writer?.flush();
    this.#records += records + faults.length;
    const { records: length } = block.fields, type = new Struct(schema.fields);
    const data = makeData({ type, length, nullCount: 0, children });
    const batch: SiftedBatch = new SiftedBatch({ schema, data }, {
      tolerance: this.#tolerance,
      rejects: rejects.sort((a, b) => a.record - b.record),
      records: this.#records,
      placed: () => withPlaces(batch, numberOf, layout, before),
    });
    return batch;
  }

  /** Refuses a field of one of the records, `which` is its number in the block, and `before` how many came before that. */
  #misfit(
    plan: Plan,
    block: Block,
    layout: Layout,
    { record: row, column }: Misfit,
    which: number,
    before: number,
  ): Reject {
    const { name, type } = plan.columns[column]!;
    const { bytes, fields: { starts, ends, quoted, width } } = block, k = row * width + column;
    const start = starts[k]!, end = ends[k]!;
    const from = layout.from(which, row), to = layout.to(which, row), line = layout.line(which);
    const record = before + which + countBefore(layout.faults, which) + 1;
    const writer = this.#writer ??= new RejectWriter();
    writer.begin(plan, layout.bytes, record, { from, to, line, offsetOf: layout.offsetOf });
    let rule: RejectRule = "type";
    if (!quoted[k] && isBare(bytes, start, end) && writer.has(bytes, end)) {
      writer.misfit(column, start, end);
    } else {
      const fault = misfitOf(block, k, type);
      rule = fault.rule;
      writer.reason(name, rule, fault.message);
    }
    return writer.end(record, rule, block, row);
  }

  #fault(
    plan: Plan,
    layout: Layout,
    { from, to, line, rule, message, before }: Fault,
    first: number,
  ): Reject {
    const record = first + before, writer = this.#writer ??= new RejectWriter();
    writer.begin(plan, layout.bytes, record, { from, to, line, offsetOf: layout.offsetOf });
    writer.reason(null, rule, message);
    return writer.endWithout(record, rule);
  }
}

/** Whether a field is short, and shown as it is written. */
function isBare(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start > MOST_SHOWN) return false;
  for (let i = start; i < end; i++) {
    const c = bytes[i]!;
    if (c < 32 || c > 126 || c === QUOTE || c === BACKSLASH) return false;
  }
  return true;
}

/** What is wrong with a field. */
function misfitOf(block: Block, k: number, type: string): { rule: RejectRule; message: string } {
  const { bytes, fields: { starts, ends } } = block, text = fieldText(block, k);
  const cut = text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text;
  const shown = JSON.stringify(cut);
  if (!isUtf8(bytes.subarray(starts[k]!, ends[k]!))) {
    return { rule: "encoding", message: `${shown} is not valid in the encoding of the file` };
  }
  if (text.includes("\0")) return { rule: "encoding", message: `${shown} has a NUL byte` };
  return { rule: "type", message: `${shown} is not of type ${type}` };
}

let counted = new Int32Array(0);

/** 0, 1, 2 and so on, to be written over. */
function upTo(records: number): Int32Array {
  if (counted.length < records) counted = Int32Array.from({ length: records * 2 }, (_, r) => r);
  return counted.slice(0, records);
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Adds to a batch where its rows come from; `numberOf` tells which of the records each is. */
function withPlaces(
  batch: RecordBatch,
  numberOf: (row: number) => number,
  { bytes, offsetOf, faults, from, to, line }: Layout,
  before: number,
): RecordBatch {
  const rows = batch.numRows;
  const numbers = PLACE_COLUMNS.slice(0, 4).map(() => new BigInt64Array(rows));
  const words = numbers.map(({ buffer }) => new Int32Array(buffer));
  const offsets = new Int32Array(rows + 1);
  for (let n = 0; n < rows; n++) {
    const r = numberOf(n);
    offsets[n + 1] = offsets[n]! + to(r, n) - from(r, n);
  }
  const raw = new Uint8Array(offsets[rows]!);
  for (let n = 0, f = 0; n < rows; n++) {
    const r = numberOf(n);
    while (f < faults.length && faults[f]!.before <= r) f++;
    const start = from(r, n), end = to(r, n);
    putInt64(words[0]!, n, before + r + f + 1);
    putInt64(words[1]!, n, line(r));
    putInt64(words[2]!, n, offsetOf?.(start) ?? 0);
    putInt64(words[3]!, n, offsetOf?.(end) ?? 0);
    raw.set(bytes.subarray(start, end), offsets[n]!);
  }
  const fields = PLACE_COLUMNS.map(({ name, type }) => arrowField(name, type));
  const nowhere = new Uint8Array((rows + 7) >> 3);
  const places = numbers.map((data, i) =>
    makeData({
      type: fields[i]!.type,
      length: rows,
      data,
      ...i >= 2 && !offsetOf ? { nullBitmap: nowhere, nullCount: rows } : { nullCount: 0 },
    } as never)
  );
  const texts = plainText(raw, offsets);
  places.push(makeData({ type: new Utf8(), length: rows, nullCount: 0, ...texts } as never));
  const schema = new Schema([...batch.schema.fields, ...fields]);
  const children = [...batch.data.children, ...places];
  return new RecordBatch(
    schema,
    makeData({ type: new Struct(schema.fields), length: rows, nullCount: 0, children }),
  );
}

/** Texts that Postgres takes: what a value that was left out may have that is none becomes U+FFFD. */
function plainText(
  data: Uint8Array,
  valueOffsets: Int32Array,
): { data: Uint8Array; valueOffsets: Int32Array } {
  if (isUtf8(data) && !data.includes(0)) return { data, valueOffsets };
  const encoder = new TextEncoder();
  const texts = Array.from({ length: valueOffsets.length - 1 }, (_, n) => {
    const text = decoder.decode(data.subarray(valueOffsets[n], valueOffsets[n + 1]));
    return encoder.encode(text.replaceAll("\0", "\ufffd"));
  });
  const offsets = new Int32Array(valueOffsets.length);
  texts.forEach((text, n) => offsets[n + 1] = offsets[n]! + text.length);
  const joined = new Uint8Array(offsets.at(-1)!);
  texts.forEach((text, n) => joined.set(text, offsets[n]!));
  return { data: joined, valueOffsets: offsets };
}
