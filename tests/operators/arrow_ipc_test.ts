import assert from "node:assert/strict";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
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
  List,
  makeData,
  Map_,
  RecordBatch,
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
import { sqlType } from "../../operators/_canonical.ts";
import { TYPE_KEY } from "../../operators/_column_type.ts";
import { Encoder } from "../../operators/_encoder.ts";
import { arrowIpc, records, type RecordsOptions } from "../../operators/mod.ts";
import type { Bytes } from "../../engine/mod.ts";
import { perform, testContext } from "../_context.ts";
import { KINDS } from "./_arrow_kinds.ts";
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
    return Array.from(encoder.encode(batch, new Uint8Array(0))).join();
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
      const read = batches.flatMap((batch) => [...batch.getChildAt(0)!]);
      assert.deepEqual(read, values);
    });
  }
}

Deno.test("bodies compressed by zstd are read", async () => {
  compressionRegistry.set(CompressionType.ZSTD, {
    encode: (data) => zstdCompressSync(data),
    decode: (data) => zstdDecompressSync(data),
  });
  const table = tableFromArrays({ a: Int32Array.from({ length: 5000 }, (_, i) => i) });
  const writer = new RecordBatchStreamWriter({ compressionType: CompressionType.ZSTD });
  const file = await writer.writeAll(table).toUint8Array();
  assert.ok(file.length < 15_000);
  assert.deepEqual(encoded(await batchesIn(file)), encoded(table.batches));
});

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
