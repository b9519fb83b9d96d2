import {
  Bool,
  type DataType,
  DateDay,
  Field,
  FixedSizeBinary,
  Float64,
  Int32,
  Int64,
  TimestampMicrosecond,
  Utf8,
} from "apache-arrow";

/** The types a column of text may be read as, named as Postgres does, the narrower before the wider. */
export const COLUMN_TYPES = [
  "boolean",
  "integer",
  "bigint",
  "double precision",
  "numeric",
  "date",
  "timestamp",
  "timestamptz",
  "uuid",
  "text",
] as const;

/** One of {@linkcode COLUMN_TYPES}. */
export type ColumnType = typeof COLUMN_TYPES[number];

/** Other names by which people and Postgres call them. */
const ALIASES: Readonly<Record<string, ColumnType>> = {
  bool: "boolean",
  int: "integer",
  int4: "integer",
  int8: "bigint",
  float: "double precision",
  float8: "double precision",
  double: "double precision",
  decimal: "numeric",
  "timestamp without time zone": "timestamp",
  "timestamp with time zone": "timestamptz",
  varchar: "text",
  "character varying": "text",
  string: "text",
};

/** Reads the name of a type. @throws {TypeError} listing the names there are */
export function parseColumnType(name: string): ColumnType {
  const plain = name.trim().toLowerCase().replace(/\s+/g, " ");
  const type = COLUMN_TYPES.find((known) => known === plain) ?? ALIASES[plain];
  if (type) return type;
  throw new TypeError(
    `Cannot use ${JSON.stringify(name)} as a column type: use one of ${COLUMN_TYPES.join(", ")}`,
  );
}

/** Where a field says which Postgres type its Arrow type stands for, when that alone does not tell. */
export const TYPE_KEY = "sluice.type";

const ARROW_TYPES: Readonly<Record<ColumnType, DataType>> = {
  "boolean": new Bool(),
  "integer": new Int32(),
  "bigint": new Int64(),
  "double precision": new Float64(),
  "numeric": new Utf8(),
  "date": new DateDay(),
  "timestamp": new TimestampMicrosecond(),
  "timestamptz": new TimestampMicrosecond("UTC"),
  "uuid": new FixedSizeBinary(16),
  "text": new Utf8(),
};

/**
 * The Arrow type of a column: numeric is kept as its text, since Arrow's decimals have one scale for a whole column; a uuid
 * as its 16 bytes.
 */
export function arrowType(type: ColumnType): DataType {
  return ARROW_TYPES[type];
}

/** The Arrow field for a column. */
export function arrowField(name: string, type: ColumnType): Field {
  const marks = type === "numeric" || type === "uuid" ? new Map([[TYPE_KEY, type]]) : null;
  return new Field(name, arrowType(type), true, marks);
}
