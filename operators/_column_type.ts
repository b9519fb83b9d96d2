import {
  Bool,
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

/**
 * The Arrow field for a column: numeric is kept as its text, since Arrow's decimals have one scale for a whole
 * column; a uuid as its 16 bytes.
 */
export function arrowField(name: string, type: ColumnType): Field {
  const marked = (arrow: Utf8 | FixedSizeBinary) => {
    return new Field(name, arrow, true, new Map([[TYPE_KEY, type]]));
  };
  switch (type) {
    case "boolean":
      return new Field(name, new Bool(), true);
    case "integer":
      return new Field(name, new Int32(), true);
    case "bigint":
      return new Field(name, new Int64(), true);
    case "double precision":
      return new Field(name, new Float64(), true);
    case "numeric":
      return marked(new Utf8());
    case "date":
      return new Field(name, new DateDay(), true);
    case "timestamp":
      return new Field(name, new TimestampMicrosecond(), true);
    case "timestamptz":
      return new Field(name, new TimestampMicrosecond("UTC"), true);
    case "uuid":
      return marked(new FixedSizeBinary(16));
    case "text":
      return new Field(name, new Utf8(), true);
  }
}
