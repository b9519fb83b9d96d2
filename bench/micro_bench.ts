// The parts of a load, each alone, over one block of a taxi month: `deno task micro`.
import { makeData, RecordBatch, Schema, Struct } from "apache-arrow";
import { demoMonth } from "../cli/_demo_data.ts";
import type { Block } from "../operators/_block.ts";
import { sqlType } from "../operators/_canonical.ts";
import { arrowField, type ColumnType } from "../operators/_column_type.ts";
import { Encoder, Page } from "../operators/_encoder.ts";
import { Kernel } from "../operators/_kernel.ts";
import { inferType, type Read, readColumn } from "../operators/_read_column.ts";
import { Tokenizer } from "../operators/_tokenizer.ts";

const BLOCK = 1 << 18;
const kernel = Kernel.open(BLOCK + 1)!;
const { bytes } = kernel;
{
  let filled = 0;
  for (const chunk of demoMonth("2021-01", 10_000)) {
    const part = chunk.subarray(0, BLOCK - filled);
    bytes.set(part, filled);
    filled += part.length;
    if (filled === BLOCK) break;
  }
}
const dialect = { delimiter: 44, quote: 34, escape: 34 };
const fields = new Tokenizer(dialect, 1 << 24, kernel);
const body = fields.scan(bytes, 0, BLOCK, false, 1);
const names = Array.from({ length: fields.width }, (_, i) => `c${i}`);
fields.scan(bytes, body, BLOCK, false);
const block: Block = { bytes, fields, kernel };
const types = names.map((_, column) => inferType(block, column));
const schema = new Schema(names.map((name, i) => arrowField(name, types[i]!)));
const children = types.map((type, i) => (readColumn(type, block, i, true) as Read).data);
const batch = new RecordBatch(
  schema,
  makeData({ type: new Struct(schema.fields), length: fields.records, nullCount: 0, children }),
);
const encoder = new Encoder(names, schema.fields.map(sqlType));
const page = Page.open();
console.log(`one block: ${BLOCK} bytes, ${fields.records} records of ${fields.width} fields`);

const plainBytes = bytes.slice(), plainFields = new Tokenizer(dialect, 1 << 24);
const plain: Block = { bytes: plainBytes, fields: plainFields };
plainFields.width = fields.width;
Deno.bench("tokenize a block", () => {
  fields.scan(bytes, body, BLOCK, false);
});
Deno.bench("tokenize a block, without the kernel", () => {
  plainFields.scan(plainBytes, body, BLOCK, false);
});

const columns: Partial<Record<ColumnType, number>> = {};
types.forEach((type, i) => columns[type] ??= i);
for (const [type, column] of Object.entries(columns)) {
  Deno.bench(`read a column of ${type}`, () => {
    readColumn(type as ColumnType, block, column, true);
  });
}

Deno.bench("read all columns", () => {
  types.forEach((type, i) => readColumn(type, block, i, true));
});

Deno.bench("read all columns, without the kernel", () => {
  types.forEach((type, i) => readColumn(type, plain, i, true));
});

Deno.bench("encode a batch", () => {
  encoder.encode(batch, page);
});
