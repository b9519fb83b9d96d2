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
import type { Fault } from "./_tokenizer.ts";
import type { WideningColumns } from "./_widening_columns.ts";
import { joined } from "./_window.ts";

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

/** How much of a refused record is kept. */
const MAX_RAW = 1 << 16;

/** Keeps back the records that cannot be loaded, and counts them all. */
export class Sieve {
  readonly #tolerance: Tolerance;
  #records = 0;

  constructor(tolerance: Tolerance) {
    this.#tolerance = tolerance;
  }

  /** Makes a batch of the records of a block that fit; those that do not are no more in it then. */
  batch(columns: WideningColumns, block: Block, layout: Layout): SiftedBatch {
    const { records } = block.fields;
    const misfits: Reject[] = [];
    /** Which of the records each row is, once some are gone. */
    let numbers: Int32Array | undefined;
    const numberOf = (row: number): number => numbers?.[row] ?? row;
    const lineOf = ({ record }: Misfit) => layout.line(numberOf(record));
    const { schema, children } = columns.readSome(block, lineOf, (found, stretches) => {
      for (const { record: row, column } of found) {
        misfits.push(misfitOf(columns.plan, block, layout, { record: numberOf(row), row }, column));
      }
      numbers = dropNumbers(numbers ?? upTo(records), stretches);
      return block = dropRecords(block, stretches);
    });
    const { records: length } = block.fields;
    const type = new Struct(schema.fields);
    const faults = layout.faults.map((fault) => faultOf(layout, fault));
    const before = this.#records;
    this.#records += records + faults.length;
    const data = makeData({ type, length, nullCount: 0, children });
    const batch: SiftedBatch = new SiftedBatch({ schema, data }, {
      tolerance: this.#tolerance,
      rejects: numbered(misfits.sort((a, b) => a.record - b.record), faults, before),
      records: this.#records,
      placed: () => withPlaces(batch, numberOf, layout, before),
    });
    return batch;
  }
}

function upTo(records: number): Int32Array {
  const numbers = new Int32Array(records);
  for (let r = 0; r < records; r++) numbers[r] = r;
  return numbers;
}

function misfitOf(
  plan: Plan,
  block: Block,
  layout: Layout,
  { record, row: r }: { record: number; row: number },
  column: number,
): Reject {
  const { name, type } = plan.columns[column]!;
  const { bytes, fields: { starts, ends, width } } = block;
  const k = r * width + column;
  const field = bytes.subarray(starts[k]!, ends[k]!);
  const text = fieldText(block, k);
  const shown = JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
  const [rule, message]: [RejectRule, string] = !isUtf8(field)
    ? ["encoding", `${shown} is not valid in the encoding of the file`]
    : text.includes("\0")
    ? ["encoding", `${shown} has a NUL byte`]
    : ["type", `${shown} is not of type ${type}`];
  const from = layout.from(record, r), to = layout.to(record, r), line = layout.line(record);
  const place = { from, to, line };
  const written = shownRecord(layout, place);
  const row = rowOf(plan, block, r, place, written.raw);
  return { ...written, record, column_name: name, rule, message, row };
}

/** What JSON writes between quotes as it is, and has one byte a character. */
const BARE = /^[ !#-\[\]-~]*$/;

/** The values of a record by column, as JSON; each as text that Postgres reads, if it is any of its type. */
function rowOf(
  { columns }: Plan,
  block: Block,
  r: number,
  { from, to }: { from: number; to: number },
  raw: string,
): string {
  const { starts, ends, quoted, width } = block.fields;
  const isBare = raw.length === to - from && BARE.test(raw) &&
    columns.every(({ spelling }, column) => !spelling && !quoted[r * width + column]);
  if (isBare) return bareRow(columns, block, r, raw.length);
  const values = columns.map(({ name, spelling }, column) => {
    const k = r * width + column;
    if (starts[k] === ends[k] && !quoted[k]) return `${JSON.stringify(name)}:null`;
    const text = fieldText(block, k).replaceAll("\0", "\ufffd");
    return `${JSON.stringify(name)}:${JSON.stringify(spelling?.(text) ?? text)}`;
  });
  return `{${values.join(",")}}`;
}

const COMMA = 44, OPEN = 123, CLOSE = 125;

let room = new Uint8Array(1 << 12);

/** The same of a record whose bytes JSON has as they are: put together as bytes, as strings would be many. */
function bareRow(
  columns: Plan["columns"],
  { bytes, fields }: Block,
  r: number,
  length: number,
): string {
  const { starts, ends, width } = fields;
  let at = 0;
  for (let column = 0; column < columns.length; column++) {
    const key = keyOf(columns[column]!.name), k = r * width + column;
    const more = key.length + length + NULL.length;
    if (at + more > room.length) room = joined(room, new Uint8Array(room.length + more));
    room[at++] = column === 0 ? OPEN : COMMA;
    room.set(key, at);
    at += key.length;
    if (starts[k] === ends[k]) {
      room.set(NULL, at);
      at += NULL.length;
      continue;
    }
    room[at++] = QUOTE;
    for (let i = starts[k]!; i < ends[k]!; i++) room[at++] = bytes[i]!;
    room[at++] = QUOTE;
  }
  room[at++] = CLOSE;
  return decoder.decode(room.subarray(0, at));
}

const QUOTE = 34, NULL = new TextEncoder().encode("null");

const keys = new Map<string, Uint8Array>();

/** A name as a key of JSON, remembered. */
function keyOf(name: string): Uint8Array {
  let key = keys.get(name);
  if (key === undefined) {
    if (keys.size === 10_000) keys.clear();
    keys.set(name, key = new TextEncoder().encode(`${JSON.stringify(name)}:`));
  }
  return key;
}

function faultOf(layout: Layout, fault: Fault): Reject {
  const { before, rule, message } = fault;
  return {
    ...shownRecord(layout, fault),
    record: before,
    column_name: null,
    rule,
    message,
    row: null,
  };
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Where a record is, and how it is written. */
function shownRecord(
  { bytes, offsetOf }: Layout,
  { from, to, line }: { from: number; to: number; line: number },
): Pick<Reject, "line" | "from_byte" | "to_byte" | "raw" | "bytes"> {
  const kept = bytes.subarray(from, Math.min(to, from + MAX_RAW));
  const text = decoder.decode(kept);
  const plain = !text.includes("\0") && (!text.includes("\ufffd") || isUtf8(kept));
  return {
    line,
    from_byte: offsetOf?.(from) ?? null,
    to_byte: offsetOf?.(to) ?? null,
    raw: plain ? text : text.replaceAll("\0", "\ufffd"),
    bytes: plain ? null : btoa(String.fromCharCode.apply(null, kept as never)),
  };
}

/** All that were refused in the order of the source, numbered in it: until then, by how many records found are before. */
function numbered(misfits: readonly Reject[], faults: readonly Reject[], before: number): Reject[] {
  const all: Reject[] = [];
  let m = 0, f = 0;
  while (m < misfits.length || f < faults.length) {
    const fault = faults[f], misfit = misfits[m];
    if (fault && (!misfit || fault.record <= misfit.record)) {
      all.push(Object.assign(fault, { record: before + fault.record + ++f }));
    } else all.push(Object.assign(misfit!, { record: before + misfit!.record + f + 1 })), m++;
  }
  return all;
}

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
