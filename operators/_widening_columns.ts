import { type Data, makeData, RecordBatch, type Schema, Struct } from "apache-arrow";
import type { Logger } from "../engine/mod.ts";
import type { Block } from "./_block.ts";
import type { ColumnType } from "./_column_type.ts";
import { dropRows, type Stretch, stretchesOf } from "./_drop_rows.ts";
import { type Misfit, type Plan, type PlannedColumn, planOf, readPlanned } from "./_columns.ts";
import { isCastable, joined, staysWritten, wider } from "./_lattice.ts";
import type { Read } from "./_read_column.ts";
import { learntTypes, readAgain, tellWidening } from "./_widening.ts";

/** Tells the line of a field. */
export type LineOf = (misfit: Misfit) => number;

/**
 * The columns of a source while it is read: those whose types were inferred become wider when a value asks for it, and
 * the batches from then on have another schema.
 *
 * Of each it is known whether all values so far print back as they were written. Where they do not, and that matters,
 * the batches that are out cannot be mended: the source is read to its end, for all that there is to learn from it, and
 * then again.
 */
export class WideningColumns {
  plan: Plan;
  readonly #log: Logger;
  /** Whether the values of each column so far print back as they were written. */
  readonly #printsBack: boolean[];
  /** Whether the batches so far are not what was written, so that the source has to be read again. */
  stale = false;

  /** With types by a sample, or wider ones where an earlier reading has `learnt` them. */
  constructor({ columns }: Plan, learnt: unknown, log: Logger) {
    this.plan = planOf(columns.map((column) => {
      const steps = learntTypes(learnt).filter(({ column: name }) => name === column.name);
      if (column.declared || steps.length === 0) return column;
      return { ...widened(column, joined(column.type, steps.at(-1)!.to)), widened: steps };
    }));
    this.#log = log;
    this.#printsBack = columns.map(() => true);
  }

  /** Asks for the source again; to be thrown at its end, when it is {@linkcode stale}. */
  again(): Error {
    const widened = this.plan.columns.flatMap(({ widened = [] }) => widened);
    return readAgain(widened, "what went out before it is not what the source says");
  }

  /** The columns of a block as a batch, or the first field found that they do not take. */
  read(block: Block, lineOf: LineOf): RecordBatch | Misfit {
    const reads: Read[] = [];
    for (let column = 0; column < this.plan.columns.length; column++) {
      const read = this.#read(block, column, lineOf);
      if (typeof read === "number") return { column, record: read };
      reads.push(read);
    }
    const { schema, children } = this.#columns(reads);
    const type = new Struct(schema.fields), { records: length } = block.fields;
    return new RecordBatch(schema, makeData({ type, length, nullCount: 0, children }));
  }

  /**
   * The columns of a block without the records that do not fit: `refuse` is told of those, each by its first column, and
   * gives the block without them. What has a declared type is read first, so that no other column becomes wider for
   * what is refused.
   */
  readSome(
    block: Block,
    lineOf: LineOf,
    refuse: (misfits: readonly Misfit[], stretches: readonly Stretch[]) => Block,
  ): { schema: Schema; children: Data[] } {
    const { columns } = this.plan, { length } = columns;
    const reads = new Array<Read | undefined>(length);
    const leave = (misfits: readonly Misfit[]): void => {
      if (misfits.length === 0) return;
      const firsts = new Map<number, Misfit>();
      for (const one of misfits) if (!firsts.has(one.record)) firsts.set(one.record, one);
      const rows = Int32Array.from(firsts.keys()).sort();
      const stretches = stretchesOf(rows, block.fields.records);
      block = refuse(Array.from(rows, (row) => firsts.get(row)!), stretches);
      for (let i = 0; i < length; i++) {
        const read = reads[i];
        if (!read) continue;
        reads[i] = { data: dropRows(read.data, stretches), printsBack: read.printsBack };
      }
    };
    const misfits: Misfit[] = [];
    for (let i = 0; i < length; i++) {
      if (columns[i]!.declared) reads[i] = readAll(columns[i]!, block, i, misfits);
    }
    leave(misfits);
    for (let i = 0; i < length; i++) {
      if (columns[i]!.declared) continue;
      let read = this.#read(block, i, lineOf);
      if (typeof read === "number") {
        // There is something that cannot even be text.
        const misfits: Misfit[] = [];
        readAll(widened(columns[i]!, "text"), block, i, misfits);
        leave(misfits);
        read = this.#read(block, i, lineOf) as Read;
      }
      reads[i] = read;
    }
    return this.#columns(reads as Read[]);
  }

  #read(block: Block, column: number, lineOf: LineOf): Read | number {
    const planned = this.plan.columns[column]!;
    const read = readPlanned(planned, block, column);
    if (typeof read === "object" || planned.declared) return read;
    return this.#widen({ column, record: read }, block, lineOf);
  }

  #columns(reads: readonly Read[]): { schema: Schema; children: Data[] } {
    reads.forEach(({ printsBack }, i) => this.#printsBack[i] &&= printsBack);
    return { schema: this.plan.schema, children: reads.map(({ data }) => data) };
  }

  /** Makes a column the narrowest type that takes all of a block; where not even text does, tells which record it refuses. */
  #widen(misfit: Misfit, block: Block, lineOf: LineOf): Read | number {
    const planned = this.plan.columns[misfit.column]!;
    let read: Read | number = misfit.record;
    for (const type of wider(planned.type)) {
      read = readPlanned(widened(planned, type), block, misfit.column);
      if (typeof read === "number") continue;
      this.become(type, misfit, lineOf);
      break;
    }
    return read;
  }

  /** Takes columns that first come now, each on a line, and that the batches which are out lack. */
  append(columns: readonly PlannedColumn[], lines: readonly number[]): void {
    if (columns.length === 0) return;
    this.stale = true;
    const news = columns.map((column, i): PlannedColumn => {
      const { name, type: to } = column;
      const widening = { column: name, from: null, to, line: lines[i]!, reread: false };
      this.#log.info(tellWidening(widening), { widened: widening });
      return { ...column, widened: [widening] };
    });
    this.#printsBack.push(...news.map(() => false));
    this.plan = planOf([...this.plan.columns, ...news]);
  }

  /** Makes a column a wider type. */
  become(to: ColumnType, misfit: Misfit, lineOf: LineOf): void {
    const { column } = misfit, { columns } = this.plan;
    const planned = columns[column]!, { name, type: from } = planned;
    const widening = { column: name, from, to, line: lineOf(misfit), reread: false };
    const printsBack = this.#printsBack[column]!;
    if (!isCastable(from, to, printsBack)) this.stale = true;
    this.#printsBack[column] = printsBack && staysWritten(from, to);
    this.#log.info(tellWidening(widening), { widened: widening });
    const wide = { ...widened(planned, to), widened: [...planned.widened ?? [], widening] };
    this.plan = planOf(columns.with(column, wide));
  }
}

/** Reads a column, and adds all of the records that it does not take. */
function readAll(planned: PlannedColumn, block: Block, column: number, misfits: Misfit[]): Read {
  const records: number[] = [];
  const read = readPlanned(planned, block, column, records) as Read;
  for (const record of records) misfits.push({ column, record });
  return read;
}

/** A column of a wider type; text is as it was written. */
function widened(column: PlannedColumn, type: ColumnType): PlannedColumn {
  return { ...column, type, spelling: type === "text" ? undefined : column.spelling };
}
