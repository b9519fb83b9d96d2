import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { zstdCompressSync } from "node:zlib";
import {
  compressionRegistry,
  CompressionType,
  type Data,
  type DataType,
  Dictionary,
  Field,
  FixedSizeList,
  Float64,
  Int32,
  Int64,
  LargeUtf8,
  List,
  makeData,
  Map_,
  RecordBatch,
  RecordBatchFileWriter,
  RecordBatchStreamWriter,
  Schema,
  Struct,
  Table,
  tableFromArrays,
  tableToIPC,
  TimeMicrosecond,
  TimeSecond,
  Utf8,
  Vector,
  vectorFromArray,
} from "apache-arrow";
import fc from "fast-check";
import { canonical, sqlType, textAt } from "../../operators/_canonical.ts";
import { TYPE_KEY } from "../../operators/_column_type.ts";
import { Encoder, Page } from "../../operators/_encoder.ts";
import { arrowIpc, records, type RecordsOptions } from "../../operators/mod.ts";
import type { Bytes } from "../../engine/mod.ts";
import { perform, testContext } from "../_context.ts";
import { KINDS } from "./_arrow_kinds.ts";
import { lz4 } from "./_lz4.ts";
import { batchesOf, chunked, every, rowsOf } from "./_read_csv.ts";

async function batchesIn(input: Uint8Array | Bytes): Promise<RecordBatch[]> {
  const bytes = input instanceof ReadableStream ? input : chunked(input);
  const batches: RecordBatch[] = [];
  for await (const batch of await perform(arrowIpc(), testContext(), bytes)) batches.push(batch);
  return batches;
}

/** Batches as Postgres would get them. */
function encoded(batches: readonly RecordBatch[]): string[] {
  return batches.map((batch) => {
    const { fields } = batch.schema;
    const encoder = new Encoder(fields.map(({ name }) => name), fields.map(sqlType));
    return Array.from(encoder.encode(batch, Page.open())).join();
  });
}

const MODES = ["stream", "file"] as const;

Deno.test("batches of all kinds come out as they went in, as a stream and as a file, however they are cut", async () => {
  const rows = 30;
  await fc.assert(
    fc.asyncProperty(
      fc.tuple(
        ...KINDS.map(({ value }) =>
          fc.array(fc.option(value, { freq: 5 }), { minLength: rows, maxLength: rows })
        ),
      ),
      fc.constantFrom(...MODES),
      fc.integer({ min: 1, max: 9000 }),
      async (columns, mode, size) => {
        const fields = KINDS.map(({ name, type, mark }) =>
          new Field(name, type, true, mark ? new Map([[TYPE_KEY, mark]]) : undefined)
        );
        const children = KINDS.map(({ type, buffers }, i) => {
          const values = columns[i]!;
          const nullBitmap = new Uint8Array((rows + 7) >> 3);
          values.forEach((value, r) => value !== null && (nullBitmap[r >> 3]! |= 1 << (r & 7)));
          return makeData(
            { type, length: rows, nullCount: -1, nullBitmap, ...buffers(values) } as never,
          ) as Data;
        });
        const schema = new Schema(fields);
        const whole = new RecordBatch(
          schema,
          makeData({ type: new Struct(fields), length: rows, nullCount: 0, children }),
        );
        const table = new Table([whole, whole]);
        const file = tableToIPC(table, mode);
        const read = await batchesIn(chunked(file, every(size, file.length)));
        assert.deepEqual(encoded(read), encoded(table.batches));
      },
    ),
    { numRuns: 12 },
  );
});

/** A column of a type, and its values as they come out. */
const EXPRESSED: readonly (readonly [what: string, vector: Vector, values: unknown[]])[] = [
  ["times of a second", vectorFromArray([0, 86399, null], new TimeSecond()), [
    "00:00:00",
    "23:59:59",
    null,
  ]],
  ["times of a microsecond", vectorFromArray([1n, 43_200_000_000n], new TimeMicrosecond()), [
    "00:00:00.000001",
    "12:00:00.000000",
  ]],
  [
    "lists",
    vectorFromArray([[1n, 2n ** 60n], [], null], new List(new Field("x", new Int64(), true))),
    ["[1,1152921504606846976]", "[]", null],
  ],
  [
    "lists of one size",
    vectorFromArray(
      [[1, null], [NaN, 0.5]],
      new FixedSizeList(2, new Field("x", new Float64(), true)),
    ),
    ["[1,null]", '["NaN",0.5]'],
  ],
  [
    "structs",
    vectorFromArray(
      [{ a: 1, b: 'é"' }, null, { a: null, b: "" }],
      new Struct<{ a: DataType; b: DataType }>([
        new Field("a", new Int32(), true),
        new Field("b", new Utf8(), true),
      ]),
    ),
    ['{"a":1,"b":"é\\""}', null, '{"a":null,"b":""}'],
  ],
  [
    "maps",
    vectorFromArray(
      [new Map([["x", 1], ["y", 2]]), new Map()],
      new Map_(
        new Field(
          "entries",
          new Struct<{ key: Utf8; value: Int32 }>([
            new Field("key", new Utf8(), false),
            new Field("value", new Int32(), true),
          ]),
          false,
        ),
      ) as never,
    ),
    ['{"x":1,"y":2}', "{}"],
  ],
  [
    "long texts that begin with a mark",
    vectorFromArray(["\ufeffa", "", null, "\ufeff"], new LargeUtf8()),
    ["\ufeffa", "", null, "\ufeff"],
  ],
  [
    "entries of dictionaries that begin with a mark",
    vectorFromArray(["\ufeffa", "a", null, "\ufeffa"], new Dictionary(new Utf8(), new Int32())),
    ["\ufeffa", "a", null, "\ufeffa"],
  ],
  [
    "lists of texts that begin with a mark",
    vectorFromArray([["\ufeffa"]], new List(new Field("x", new Utf8(), true))),
    ['["\ufeffa"]'],
  ],
  [
    "dictionaries",
    vectorFromArray(["a", "b", null, "a"], new Dictionary(new Utf8(), new Int32())),
    [
      "a",
      "b",
      null,
      "a",
    ],
  ],
];

for (const [what, vector, values] of EXPRESSED) {
  for (const mode of MODES) {
    Deno.test(`${what} are text, read from a ${mode}`, async () => {
      const file = tableToIPC(new Table({ v: vector }), mode);
      const batches = await batchesIn(file);
      assert.equal(sqlType(batches[0]!.schema.fields[0]!), "text");
      const read = batches.flatMap(({ numRows, data }) => {
        const column = canonical(data.children[0]!, "text", "v");
        return Array.from({ length: numRows }, (_, i) => textAt(column, i));
      });
      // Arrow's own would drop a mark at the start of a text.
      const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
      assert.deepEqual(read.map((text) => text && decoder.decode(text)), values);
    });
  }
}

const CODECS = [
  [CompressionType.LZ4_FRAME, "LZ4", lz4],
  [CompressionType.ZSTD, "zstd", (data: Uint8Array) => zstdCompressSync(data)],
] as const;

/** A table whose buffers are of many sizes, and one that no compression makes smaller. */
const PACKED = new Table({
  i: vectorFromArray(Array.from({ length: 5000 }, (_, i) => i % 9 ? i >> 5 : null), new Int32()),
  l: vectorFromArray(Array.from({ length: 5000 }, (_, i) => BigInt(i)), new Int64()),
  b: vectorFromArray(Array.from({ length: 5000 }, (_, i) => i % 3 === 0)),
  t: vectorFromArray(Array.from({ length: 5000 }, (_, i) => "é".repeat(i % 7)), new Utf8()),
  d: vectorFromArray(
    Array.from({ length: 5000 }, (_, i) => ["red", "green", "blue"][i % 3]!),
    new Dictionary(new Utf8(), new Int32()),
  ),
  x: vectorFromArray(Array.from({ length: 5000 }, (_, i) => Math.sin(i)), new Float64()),
  n: vectorFromArray(Array.from({ length: 5000 }, () => null), new Utf8()),
});

/** Compressed as the format says, or as Arrow's JavaScript does: with the length of what is compressed before it. */
function packed(
  table: Table,
  type: CompressionType,
  mode: typeof MODES[number],
  right = true,
): Uint8Array {
  const [, , compress] = CODECS.find(([codec]) => codec === type)!;
  const parts: (readonly [size: number, part: Uint8Array])[] = [];
  const encode = (data: Uint8Array) => {
    const part = compress(data);
    parts.push([data.length, part]);
    return part;
  };
  compressionRegistry.set(type, { encode });
  parts.length = 0; // what the registry tried
  const options = { compressionType: type };
  const writer = mode === "file"
    ? new RecordBatchFileWriter(options)
    : new RecordBatchStreamWriter(options);
  for (const batch of table.batches) {
    for (let from = 0; from < batch.numRows; from += 3000) {
      writer.write(batch.slice(from, from + 3000));
    }
  }
  const file = Buffer.from(writer.finish().toUint8Array(true));
  let at = 0;
  for (const [size, part] of right ? parts : []) {
    if (part.length >= size) continue;
    at = file.indexOf(part, at);
    file.writeBigInt64LE(BigInt(size), at - 8);
  }
  return new Uint8Array(file);
}

for (const [type, name] of CODECS) {
  for (const mode of MODES) {
    Deno.test(`bodies of a ${mode} compressed by ${name} are read, however they are cut`, async () => {
      const plain = tableToIPC(PACKED, mode);
      for (const right of [true, false]) {
        const file = packed(PACKED, type, mode, right);
        assert.ok(file.length < plain.length * 0.7, `${file.length} of ${plain.length}`);
        for (const size of [1000, 4097, file.length]) {
          const batches = await batchesIn(chunked(file, every(size, file.length)));
          assert.deepEqual(batches.map(({ numRows }) => numRows), [3000, 2000]);
          const rows = batches.flatMap((batch) => rowsOf(batch));
          assert.deepEqual(rows, PACKED.batches.flatMap((batch) => rowsOf(batch)));
        }
      }
    });

    Deno.test(`a ${mode} compressed by ${name} that is damaged ends in a sentence or in batches`, async () => {
      const file = packed(TABLE, type, mode);
      for (let at = 0; at < file.length; at += 7) {
        const damaged = file.slice();
        damaged[at]! ^= 0xff;
        await batchesIn(damaged).catch((error) => assert.equal(error.name, "GiveUp", error.stack));
      }
    });
  }

  Deno.test(`a size that cannot be of a body compressed by ${name} takes no memory`, async () => {
    const file = packed(tableFromArrays({ a: new Int32Array(3000) }), type, "stream");
    const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
    const at = Array.from({ length: file.length - 8 }, (_, i) => i)
      .find((i) => view.getBigInt64(i, true) === 12_000n)!;
    for (
      const [size, says] of [[2n ** 29n, name], [2n ** 40n, "has 1099511627776 bytes"]] as const
    ) {
      view.setBigInt64(at, size, true);
      await assert.rejects(batchesIn(file), (error: Error) => error.message.includes(says));
    }
  });
}

const TABLE = tableFromArrays({ a: Int32Array.of(1, 2, 3), b: ["x", "y", "z"] });

for (const mode of MODES) {
  Deno.test(`a ${mode} that is cut anywhere is refused, before its end`, async () => {
    const file = tableToIPC(TABLE, mode);
    for (let length = 0; length < file.length; length++) {
      await assert.rejects(batchesIn(file.slice(0, length)), (error: Error) => {
        assert.equal(error.name, "GiveUp", `${length}: ${error.stack}`);
        return true;
      });
    }
  });

  Deno.test(`a ${mode} without rows tells its columns`, async () => {
    const [batch, ...more] = await batchesIn(tableToIPC(TABLE.slice(0, 0), mode));
    assert.deepEqual(batch?.schema.fields.map(({ name }) => name), ["a", "b"]);
    assert.deepEqual([batch?.numRows, more.length], [0, 0]);
  });

  Deno.test(`bytes changed in a ${mode} end in a sentence or in batches, never in more`, async () => {
    const file = tableToIPC(TABLE, mode);
    for (let at = 0; at < file.length; at += 13) {
      const damaged = file.slice();
      damaged[at]! ^= 0xff;
      await batchesIn(damaged).catch((error) => assert.equal(error.name, "GiveUp", error.stack));
    }
  });
}

Deno.test("what follows a stream is refused: its rows would be lost", async () => {
  const stream = tableToIPC(TABLE, "stream");
  const twice = new Uint8Array(stream.length * 2);
  twice.set(stream);
  twice.set(stream, stream.length);
  await assert.rejects(batchesIn(twice), /more follows behind the end of its stream/);
});

Deno.test("what nests a type without a form in JSON is refused, and named", async () => {
  const inner = new List(new Field("x", new TimeSecond(), true));
  const file = tableToIPC(new Table({ v: vectorFromArray([[1]], inner) }));
  await assert.rejects(batchesIn(file), /column "v" nests Time32/);
});

Deno.test("a source that fails passes its own error on, and one not wanted is cancelled", async () => {
  const failing = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull: (controller) => controller.error(new Error("the line was cut")),
  });
  await assert.rejects(batchesIn(failing), new Error("the line was cut"));
  const stream = tableToIPC(TABLE.concat(TABLE)) as Uint8Array<ArrayBuffer>;
  let reason: unknown;
  const endless = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start: (controller) => controller.enqueue(stream.slice(0, -8)),
    cancel: (why) => void (reason = why),
  });
  const reader = (await perform(arrowIpc(), testContext(), endless)).getReader();
  assert.equal((await reader.read()).value?.numRows, 3);
  await reader.cancel("enough");
  assert.equal(reason, "enough");
});

async function rowsBy(
  input: Uint8Array | string,
  options: RecordsOptions = {},
): Promise<unknown[]> {
  const bytes = typeof input === "string" ? new TextEncoder().encode(input) : input;
  const read: unknown[][] = [];
  for (const size of [1, 3, Math.max(1, bytes.length)]) {
    const rows: unknown[] = [];
    const source = chunked(bytes, every(size, bytes.length));
    for await (const batch of await perform(records(options), testContext(), source)) {
      rows.push(...rowsOf(batch));
    }
    read.push(rows);
  }
  assert.deepEqual(read[0], read[2]);
  assert.deepEqual(read[1], read[2]);
  return read[2]!;
}

/** What the first bytes show. */
const SHOWN: readonly (readonly [what: string, input: Uint8Array | string, rows: unknown[]])[] = [
  ["CSV", "a,b\n1,2\n", [[1, 2]]],
  ["a short CSV file", "a\n1", [[1]]],
  ["JSON lines", '{"a":1}\n', [[1]]],
  ["JSON lines behind white space", '\r\n\n   \t{ "a":1}\n', [[1]]],
  ["JSON lines behind a mark", '\ufeff{"a":1}', [[1]]],
  ["CSV with a brace", "{id},b\n1,2\n", [[1, 2]]],
  ["an Arrow stream", tableToIPC(TABLE, "stream"), [[1, "x"], [2, "y"], [3, "z"]]],
  ["an Arrow file", tableToIPC(TABLE, "file"), [[1, "x"], [2, "y"], [3, "z"]]],
];

for (const [what, input, rows] of SHOWN) {
  Deno.test(`records() knows ${what} by its first bytes, however they are cut`, async () => {
    assert.deepEqual(await rowsBy(input), rows);
  });
}

Deno.test("records() reads what it is told to, and hands options on", async () => {
  assert.deepEqual(await rowsBy('{"a"\n1\n', { format: "csv", csv: { types: {} } }), [[1]]);
  assert.deepEqual(await rowsBy("a;b\n1;2\n", { csv: { delimiter: "," } }), [["1;2"]]);
  assert.deepEqual(await rowsBy('{"a":1}\n', { jsonl: { types: { a: "text" } } }), [["1"]]);
  await assert.rejects(rowsBy("a\n1\n", { format: "jsonl" }), /Cannot read JSON lines: line 1/);
  await assert.rejects(rowsBy("", {}), /the file is empty/);
});

Deno.test("what csv() reads is the same through Arrow", async () => {
  const text = "i,t,d\n1,x,2021-01-01\n,,\n";
  const batches = await Array.fromAsync(await batchesOf(text));
  const file = tableToIPC(new Table(batches));
  assert.deepEqual(encoded(await batchesIn(file)), encoded(batches));
});
