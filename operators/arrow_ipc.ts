import zlib from "node:zlib";
import {
  compressionRegistry,
  CompressionType,
  type Data,
  DataType,
  Field,
  makeData,
  RecordBatch,
  RecordBatchReader,
  Schema,
  Struct,
  type Time,
  TimeUnit,
  Utf8,
  Vector,
} from "apache-arrow";
import { type Bytes, type Context, GiveUp, type Operator, operator } from "../engine/mod.ts";
import { Messages } from "./_arrow_messages.ts";
import { unlz4 } from "./_lz4.ts";
import { Malformed } from "./_tokenizer.ts";
import { Window } from "./_window.ts";
import type { Batches } from "./csv.ts";

/**
 * Reads Arrow IPC, as a stream or as a file (Feather 2), batch by batch. Bodies may be compressed by LZ4 or zstd.
 *
 * What `copy` has no type for is made text: times as `HH:MM:SS`, lists, structs and maps as JSON. All other columns
 * stay as they are.
 *
 * @throws {GiveUp} for what is cut, damaged, followed by something else, or nests what JSON has no form for
 */
export const arrowIpc: Operator<Record<never, never>, Batches, Bytes> = operator(
  "arrowIpc",
  (_options, ctx, bytes) => {
    const window = new Window(bytes, 1 << 18);
    const batches = read(window, ctx);
    return new ReadableStream<RecordBatch>({
      async pull(controller) {
        const { done, value } = await batches.next();
        done ? controller.close() : controller.enqueue(value);
      },
      async cancel(reason) {
        await window.cancel(reason);
        await batches.return().catch(() => {});
      },
    }, { highWaterMark: 0 });
  },
);

async function* read(window: Window, { log }: Context): AsyncGenerator<RecordBatch, void> {
  compressionRegistry.set(CompressionType.LZ4_FRAME, decoding(unlz4));
  if (typeof zlib.zstdDecompressSync === "function") { // Deno 2.4 has none
    compressionRegistry.set(CompressionType.ZSTD, decoding(unzstd));
  }
  try {
    const source = new Messages(window);
    const reader = await RecordBatchReader.from(source);
    await reader.open();
    if (!reader.schema) throw new Malformed("it has no schema");
    log.info("reads Arrow IPC", { dialect: { format: "arrow" } });
    const plan = reader.schema.fields.map((field) => remade(field));
    const schema = new Schema(plan.map(({ field }) => field));
    for await (const batch of reader as AsyncIterable<RecordBatch>) {
      yield express(batch, schema, plan);
    }
    await source.finish();
  } catch (error) {
    window.cancel(error).catch(() => {});
    if (error instanceof GiveUp) throw error;
    if (!(error instanceof Malformed) && window.failed) throw error;
    throw new GiveUp(`Cannot read Arrow IPC: ${(error as Error).message}`, { cause: error });
  }
}

/** The most bytes of a column of one batch. */
const MOST_BYTES = 1 << 30;

/** A codec of Arrow's, for what decompresses so many bytes. */
function decoding(decompress: (data: Uint8Array, size: number | undefined) => Uint8Array) {
  return {
    decode(data: Uint8Array): Uint8Array {
      // How many there are stands before what a codec is given (Message.fbs, BodyCompressionMethod).
      const view = new DataView(data.buffer, data.byteOffset - 8);
      const size = Number(view.getBigInt64(0, true));
      if (size < 0 || size > MOST_BYTES) {
        throw new Malformed(`a column of a batch has ${size} bytes; ${MOST_BYTES} may be`);
      }
      // Arrow's JavaScript writes the length of what is compressed there.
      return decompress(data, size === data.length ? undefined : size);
    },
  };
}

function unzstd(data: Uint8Array, size: number | undefined): Uint8Array {
  const most = Math.max(size ?? MOST_BYTES, 1);
  const bytes = zlib.zstdDecompressSync(data, { maxOutputLength: most });
  if (bytes.length === (size ?? bytes.length)) return bytes;
  throw new Malformed(`it holds a zstd frame of ${bytes.length} bytes that says it has ${size}`);
}

/** How a column goes on: as it is, or as the text of each value. */
interface Column {
  readonly field: Field;
  readonly text: ((data: Data, i: number) => string) | undefined;
}

function remade(field: Field): Column {
  const { type, name } = field;
  const isText = DataType.isTime(type) || isNested(type);
  if (!isText) return { field, text: undefined };
  return {
    field: new Field(name, new Utf8(), true),
    text: DataType.isTime(type) ? time : (data, i) => json(data, i, name),
  };
}

function isNested(type: DataType): boolean {
  return DataType.isList(type) || DataType.isFixedSizeList(type) || DataType.isStruct(type) ||
    DataType.isMap(type);
}

function express(batch: RecordBatch, schema: Schema, columns: readonly Column[]): RecordBatch {
  const length = batch.numRows;
  const children = columns.map(({ field, text }, i) => {
    const data = batch.data.children[i]!;
    if (data.length !== length || !isWhole(data)) {
      throw new Malformed(`column ${JSON.stringify(field.name)} has not all of its values`);
    }
    return text ? texts(data, text) : data;
  });
  return new RecordBatch(
    schema,
    makeData({ type: new Struct(schema.fields), length, nullCount: 0, children }),
  );
}

/** Whether a column's buffers hold as many values as it says, wherever they point. */
function isWhole(data: Data): boolean {
  const { type, length, offset, nullBitmap, valueOffsets, values, children } = data;
  if (nullBitmap?.length && nullBitmap.length * 8 < offset + length) return false;
  if (length === 0 || DataType.isNull(type)) return true;
  if (DataType.isStruct(type) || DataType.isFixedSizeList(type)) {
    return children.every((child) => child.length >= length * data.stride && isWhole(child));
  }
  if (DataType.isUnion(type)) return children.every(isWhole);
  if (DataType.isBool(type)) return values.length * 8 >= offset + length;
  if (valueOffsets) {
    if (valueOffsets.length <= length) return false;
    const room = children[0]?.length ?? values.length;
    for (let i = 0; i < length; i++) if (valueOffsets[i]! > valueOffsets[i + 1]!) return false;
    return valueOffsets[0]! >= 0 && valueOffsets[length]! <= room && children.every(isWhole);
  }
  if (values.length < length * data.stride) return false;
  if (!DataType.isDictionary(type)) return true;
  const { dictionary } = data;
  return dictionary !== undefined && dictionary.data.every(isWhole) &&
    values.every((at: number | bigint, i: number) =>
      i >= length || !data.getValid(i) || (at >= 0 && at < dictionary.length)
    );
}

function texts(data: Data, text: (data: Data, i: number) => string): Data {
  const encoder = new TextEncoder();
  const { length } = data;
  const valueOffsets = new Int32Array(length + 1);
  const nullBitmap = new Uint8Array((length + 7) >> 3);
  const parts = Array.from({ length }, (_, i) => {
    const valid = data.getValid(i);
    if (valid) nullBitmap[i >> 3]! |= 1 << (i & 7);
    const part = encoder.encode(valid ? text(data, i) : "");
    valueOffsets[i + 1] = valueOffsets[i]! + part.length;
    return part;
  });
  const bytes = new Uint8Array(valueOffsets[length]!);
  parts.forEach((part, i) => bytes.set(part, valueOffsets[i]));
  return makeData({
    type: new Utf8(),
    length,
    nullBitmap,
    nullCount: -1,
    valueOffsets,
    data: bytes,
  });
}

/** Fractional digits by unit. */
const DIGITS: Readonly<Record<TimeUnit, number>> = {
  [TimeUnit.SECOND]: 0,
  [TimeUnit.MILLISECOND]: 3,
  [TimeUnit.MICROSECOND]: 6,
  [TimeUnit.NANOSECOND]: 9,
};

function time(data: Data, i: number): string {
  const digits = DIGITS[(data.type as Time).unit];
  const value = BigInt(data.values[i] as number | bigint);
  const one = 10n ** BigInt(digits);
  const pad = (n: bigint, length = 2) => String(n).padStart(length, "0");
  const seconds = value / one;
  const clock = [seconds / 3600n, seconds / 60n % 60n, seconds % 60n].map((n) => pad(n)).join(":");
  return digits === 0 ? clock : `${clock}.${pad(value % one, digits)}`;
}

/** One value as JSON, all digits kept. */
function json(data: Data, i: number, name: string): string {
  const { type } = data;
  if (!data.getValid(i) || DataType.isNull(type)) return "null";
  const child = (n: number) => data.children[n]!;
  if (DataType.isList(type) || DataType.isMap(type)) {
    const from = data.valueOffsets[i]!, to = data.valueOffsets[i + 1]!;
    const places = Array.from({ length: to - from }, (_, n) => from + n);
    if (DataType.isList(type)) return `[${places.map((at) => json(child(0), at, name))}]`;
    const [keys, values] = child(0).children as [Data, Data];
    if (!DataType.isUtf8(keys.type)) throw formless(name, keys.type);
    return `{${places.map((at) => `${json(keys, at, name)}:${json(values, at, name)}`)}}`;
  }
  if (DataType.isFixedSizeList(type)) {
    const from = (data.offset + i) * type.listSize - data.offset * type.listSize;
    return `[${Array.from({ length: type.listSize }, (_, n) => json(child(0), from + n, name))}]`;
  }
  if (DataType.isStruct(type)) {
    const parts = type.children.map((field, n) =>
      `${JSON.stringify(field.name)}:${json(child(n), i, name)}`
    );
    return `{${parts}}`;
  }
  if (
    DataType.isBool(type) || DataType.isInt(type) || DataType.isFloat(type) ||
    DataType.isUtf8(type) || DataType.isLargeUtf8(type)
  ) {
    const value = new Vector([data]).get(i) as boolean | number | bigint | string;
    if (typeof value === "bigint") return String(value);
    // JSON has no such numbers; null would not be the same.
    if (typeof value === "number" && !Number.isFinite(value)) return JSON.stringify(String(value));
    return JSON.stringify(value);
  }
  throw formless(name, type);
}

function formless(name: string, type: DataType): GiveUp {
  return new GiveUp(
    `Cannot read Arrow IPC: column ${JSON.stringify(name)} nests ${type}, which has no form in ` +
      `JSON here; make it text or a number first`,
  );
}
