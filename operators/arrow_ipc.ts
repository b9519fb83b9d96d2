import zlib from "node:zlib";
import {
  compressionRegistry,
  CompressionType,
  type Data,
  DataType,
  Field,
  RecordBatch,
  RecordBatchReader,
  Utf8,
} from "apache-arrow";
import { type Bytes, type Context, GiveUp, type Operator, operator } from "../engine/mod.ts";
import { Messages } from "./_arrow_messages.ts";
import { ArrowSieve } from "./_arrow_sieve.ts";
import { json, textColumn, time } from "./_arrow_text.ts";
import { parseColumnType } from "./_column_type.ts";
import { unlz4 } from "./_lz4.ts";
import { checkOnReject, type OnReject } from "./_reject.ts";
import { Malformed } from "./_tokenizer.ts";
import { Window } from "./_window.ts";
import type { Batches } from "./csv.ts";

/** Options for {@linkcode arrowIpc}. */
export interface ArrowIpcOptions {
  /** The types of columns, where those that the file has are not to be taken: their values are read anew as text. */
  types?: Readonly<Record<string, string>>;
  /** Whether a row that cannot be loaded ends the load, or how many may be refused, as for `csv`. @default {"fail"} */
  onReject?: OnReject;
}

/**
 * Reads Arrow IPC, as a stream or as a file (Feather 2), batch by batch. Bodies may be compressed by LZ4 or zstd.
 *
 * What `copy` has no type for is made text: times as `HH:MM:SS`, lists, structs and maps as JSON. All other columns
 * stay as they are.
 *
 * @throws {GiveUp} for a value that is not of the type declared for its column, naming column and record; for what is
 * cut, damaged, followed by something else, or nests what JSON has no form for
 */
export const arrowIpc: Operator<ArrowIpcOptions, Batches, Bytes> = operator(
  "arrowIpc",
  (options, ctx, bytes) => {
    checkOnReject(options.onReject);
    for (const type of Object.values(options.types ?? {})) parseColumnType(type);
    const window = new Window(bytes, new Uint8Array((1 << 18) + 1));
    const batches = read(window, options, ctx);
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
  { options: { types: true, onReject: true } },
);

async function* read(
  window: Window,
  { types = {}, onReject }: ArrowIpcOptions,
  { log }: Context,
): AsyncGenerator<RecordBatch, void> {
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
    const sieve = new ArrowSieve(plan.map(({ field }) => field), types, checkOnReject(onReject));
    for await (const batch of reader as AsyncIterable<RecordBatch>) {
      yield* sieve.batches(express(batch, plan), batch.numRows);
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

/** The columns of a batch, as they go on. */
function express(batch: RecordBatch, columns: readonly Column[]): Data[] {
  const length = batch.numRows;
  return columns.map(({ field, text }, i) => {
    const data = batch.data.children[i]!;
    if (data.length !== length || !isWhole(data)) {
      throw new Malformed(`column ${JSON.stringify(field.name)} has not all of its values`);
    }
    return text ? textColumn(data, (i) => data.getValid(i) ? text(data, i) : null) : data;
  });
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
