import { type Data, DataType, DateUnit, TimeUnit } from "apache-arrow";
import { isUtf8 } from "./_read_text.ts";
import type { RejectRule } from "./_reject.ts";

/** What is wrong with a value, as the end of a sentence that it begins. */
export interface ValueFault {
  readonly rule: RejectRule;
  readonly message: string;
}

const NOT_UTF8: ValueFault = { rule: "encoding", message: "is not valid UTF-8" };
const NUL: ValueFault = { rule: "encoding", message: "has a NUL byte, which Postgres cannot keep" };
const BEYOND: ValueFault = {
  rule: "value",
  message: "lies beyond the years that Postgres keeps, 4713 BC to 5874897 for dates, or to 294276",
};
const NANOS: ValueFault = {
  rule: "value",
  message: "has nanoseconds, of which Postgres keeps none",
};

/** The values of a column that Postgres could not keep as they are, by their rows. */
export function faultsOf(data: Data): Map<number, ValueFault> {
  const found = new Map<number, ValueFault>();
  const fault = faultOf(data);
  if (!fault) return found;
  for (let i = 0; i < data.length; i++) {
    const wrong = data.getValid(i) ? fault(i) : undefined;
    if (wrong) found.set(i, wrong);
  }
  return found;
}

type FaultOf = (i: number) => ValueFault | undefined;

/** Looks at one value; undefined where none can be wrong. */
function faultOf(data: Data): FaultOf | undefined {
  const { type, values } = data;
  if (DataType.isUtf8(type) || DataType.isLargeUtf8(type)) return ofText(data);
  if (DataType.isDictionary(type)) return ofEntries(data);
  if (DataType.isDate(type)) {
    const ms = type.unit === DateUnit.MILLISECOND;
    return (i) => {
      const days = ms ? Number(values[i]) / 86_400_000 : values[i] as number;
      return days < FIRST_DAY || days >= LAST_DAY ? BEYOND : undefined;
    };
  }
  if (!DataType.isTimestamp(type)) return undefined;
  if (type.unit === TimeUnit.MICROSECOND) {
    const highs = new Int32Array(values.buffer, values.byteOffset, values.length * 2);
    return (i) => highs[i * 2 + 1]! <= FIRST_HIGH && values[i] < FIRST ? BEYOND : undefined;
  }
  if (type.unit === TimeUnit.NANOSECOND) return (i) => values[i] % 1000n === 0n ? undefined : NANOS;
  const micros = type.unit === TimeUnit.SECOND ? 1_000_000n : 1000n;
  return (i) => values[i] < FIRST / micros || values[i] > LAST / micros ? BEYOND : undefined;
}

/** The days that Postgres keeps, from 1970 (its own DATETIME_MIN_JULIAN and DATE_END_JULIAN). */
const FIRST_DAY = -2_440_588, LAST_DAY = 2_145_042_906;

/** The microseconds that it keeps and 64 bits hold, from 1970 (its own MIN_TIMESTAMP). */
const FIRST = -210_866_803_200_000_000n, LAST = 2n ** 63n - 1n;
const FIRST_HIGH = Number(FIRST >> 32n);

function ofText({ values, valueOffsets, length }: Data): FaultOf | undefined {
  const from = Number(valueOffsets[0] ?? 0), to = Number(valueOffsets[length] ?? 0);
  const all = values.subarray(from, to);
  let split = false;
  for (let i = 0; i < length && !split; i++) {
    // Two halves of a character in neighbouring values look whole together.
    const start = Number(valueOffsets[i]);
    split = start < to && (values[start] & 0xc0) === 0x80;
  }
  if (!split && !all.includes(0) && isUtf8(all)) return undefined;
  return (i) => {
    const value = values.subarray(Number(valueOffsets[i]), Number(valueOffsets[i + 1]));
    return value.includes(0) ? NUL : isUtf8(value) ? undefined : NOT_UTF8;
  };
}

/** What was found in dictionaries, which many batches share. */
const known = new WeakMap<Data, ReadonlyMap<number, ValueFault>>();

function ofEntries({ dictionary, values }: Data): FaultOf | undefined {
  const found = new Map<number, ValueFault>();
  let before = 0;
  for (const chunk of dictionary!.data) {
    let faults = known.get(chunk);
    if (!faults) known.set(chunk, faults = faultsOf(chunk));
    for (const [i, fault] of faults) found.set(before + i, fault);
    before += chunk.length;
  }
  return found.size === 0 ? undefined : (i) => found.get(Number(values[i]));
}
