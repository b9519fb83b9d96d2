import type { RecordBatch } from "apache-arrow";
import { type Context, GiveUp } from "../engine/mod.ts";
import { CopyIn } from "./_copy_in.ts";
import type { Copied, CopyOptions } from "./_copy_options.ts";
import { PREAMBLE, TRAILER } from "./_encoder.ts";
import { checkRejectsFile } from "./check_rejects_file.ts";
import { type Ledger, sourceOf } from "./_ledger.ts";
import { localPath } from "./_open_file.ts";
import type { Slice } from "./_partition.ts";
import {
  isBeyond,
  jsonOf,
  type Reject,
  type RejectRule,
  SiftedBatch,
  type Tolerance,
  whereIs,
} from "./_reject.ts";
import { WrittenReject } from "./_reject_writer.ts";
import { COPIED, RejectRows } from "./_rejects_copy.ts";
import { RejectsFile } from "./_rejects_file.ts";
import { Repertoire } from "./_repertoire.ts";
import type { Session } from "./_session.ts";
import { REJECT_COLUMNS, rejectsComment, rejectsName } from "./_reject_table.ts";
import { literal, quoted } from "./_table.ts";
import type { Target } from "./_target.ts";

/** A place in what was refused. */
export interface Mark {
  readonly rejected: number;
  readonly size: number;
  readonly rules: ReadonlyMap<RejectRule, number>;
  readonly held: number;
}

/** A record that was refused, as JSON of {@linkcode Reject}. */
interface Written {
  readonly rule: RejectRule;
  readonly json: string | Uint8Array;
}

/** How many rejects an error shows, and how many come from the server at once. */
const SHOWN = 3, AT_ONCE = 2000;

/** For how many milliseconds the time when a record was refused is not told anew: that takes longer than the record. */
const TIME_STANDS = 1000;

/** The records that one load refuses: to a file as they come, and to the table of rejects when the load is settled. */
export class Refusals {
  /** How many records of the source were read. */
  #records = 0;
  /** How many broke each rule. */
  #rules = new Map<RejectRule, number>();
  readonly #options: CopyOptions;
  readonly #ctx: Context;
  /** Which records of staging tables were refused. */
  readonly #held: string[] = [];
  readonly #first: Pick<Reject, "record" | "line" | "rule" | "message">[] = [];
  #tolerance: Tolerance | undefined;
  /** Where they stay; undefined where nobody asked for it, and nothing is kept. */
  #kept: string | undefined;
  #file = new RejectsFile(undefined);
  #url: string | null = null;
  #said = { head: new Uint8Array(0), until: -Infinity };
  /** Whether a failure says where they are. */
  #located = false;
  /** Undefined where the database has all characters. */
  #repertoire: Repertoire | undefined;

  constructor(options: CopyOptions, ctx: Context) {
    this.#options = options;
    this.#ctx = ctx;
  }

  /** Where the rows come from, as far as others may know; asked for when there are some. */
  get #source(): string | null {
    return this.#url ??= sourceOf(this.#options, this.#ctx).url ?? null;
  }

  /** Whose attempt refuses them. */
  get #run(): string {
    const { dag, run, task, attempt } = this.#ctx;
    return `${dag}/${run}/${task}/${attempt}`;
  }

  /** How many have been refused; it stands on the meter, for all to see while more come. */
  get rejected(): number {
    return this.#ctx.meter.rejected;
  }

  /** Whether any are put up with. */
  get tolerant(): boolean {
    return this.#tolerance !== undefined;
  }

  /** Asks what characters the database has, where records may be refused for others. */
  async ask(session: Session): Promise<void> {
    if (this.tolerant) this.#repertoire = await Repertoire.of(session);
  }

  /** Refuses the rows of a batch that the database has no characters for; gives the others. */
  async *sift(batch: RecordBatch): AsyncGenerator<RecordBatch> {
    if (!this.#repertoire || !(batch instanceof SiftedBatch)) return yield batch;
    const lacking = [...this.#repertoire.lacks(batch)].sort(([a], [b]) => a - b);
    await this.#refuse(lacking.map(([, reject]) => reject), batch.sifting.tolerance);
    yield* this.#repertoire.without(batch, lacking.map(([row]) => row));
  }

  /** Takes what was refused of a batch. @throws {GiveUp} for more than may be */
  async take(batch: RecordBatch): Promise<void> {
    if (!(batch instanceof SiftedBatch)) return;
    const { tolerance, rejects, records } = batch.sifting;
    if (!this.#tolerance) await this.#begin(tolerance);
    this.#records = records;
    await this.#refuse(rejects, tolerance);
  }

  async #refuse(rejects: readonly Reject[], { limit }: Tolerance): Promise<void> {
    const found = rejects.map((reject): Written =>
      reject instanceof WrittenReject ? reject : { rule: reject.rule, json: jsonOf(reject) }
    );
    await this.#add(found);
    // A share is known at the end.
    if (limit === 0 || limit >= 1) await this.check();
  }

  /** Takes rows of a staging table that Postgres refuses, which a query gives as {@linkcode Reject} has them; gives how many. */
  async hold(session: Session, query: string): Promise<number> {
    const before = this.rejected;
    await session.all(
      `DECLARE sluice_rejects NO SCROLL CURSOR FOR
       SELECT record::pg_catalog.text, rule, pg_catalog.row_to_json(r)::pg_catalog.text AS json
       FROM (${query}) AS r (record, line, from_byte, to_byte, column_name, rule, message, raw, bytes, "row")`,
    );
    for (let more = true; more;) {
      const [found] = await session.all<Written & { readonly record: string }>(
        `FETCH ${AT_ONCE} FROM sluice_rejects`,
      );
      for (const { record } of found!.rows) this.#held.push(record);
      await this.#add(found!.rows);
      more = found!.rows.length === AT_ONCE;
    }
    await session.all("CLOSE sluice_rejects");
    return this.rejected - before;
  }

  /** Takes the rows that were refused out of a staging table, in which a column tells their records. */
  async takeOut(session: Session, table: string, column: string): Promise<void> {
    await session.all(
      `DELETE FROM ${table} AS s USING pg_catalog.unnest('{${this.#held}}'::bigint[]) AS r (record)
       WHERE s.${column} = r.record`,
    );
  }

  /** Adds some to the file. */
  async #add(found: readonly Written[]): Promise<void> {
    if (found.length === 0) return;
    for (const { json } of found.slice(0, SHOWN - this.#first.length)) {
      this.#first.push(
        JSON.parse(typeof json === "string" ? json : new TextDecoder().decode(json)),
      );
    }
    if (this.rejected === 0) {
      const reject = this.#first[0]!;
      const where = this.#kept === undefined ? "" : ` in "${this.#kept}"`;
      this.#ctx.log.warn(
        `keeps aside what cannot be loaded${where}, the first is ${
          whereIs(reject)
        }: ${reject.message}`,
      );
    }
    this.#ctx.meter.rejected += found.length;
    for (const { rule } of found) this.#rules.set(rule, (this.#rules.get(rule) ?? 0) + 1);
    await this.#file.add(this.#head, found);
  }

  /** What the lines of the file begin with. */
  get #head(): Uint8Array {
    const ms = performance.now();
    if (ms < this.#said.until) return this.#said.head;
    const source = this.#source, { table } = this.#options, run = this.#run;
    const who = { source, table, run, refused: this.#ctx.now().toString() };
    const head = new TextEncoder().encode(JSON.stringify(who).slice(0, -1));
    this.#said = { head, until: ms + TIME_STANDS };
    return head;
  }

  /** What the load says of them. */
  get told(): Pick<Copied, "rejected" | "rejects"> {
    const { rejected } = this;
    if (rejected === 0) return { rejected };
    const table = rejectsName(this.#options.table), rules = Object.fromEntries(this.#rules);
    return { rejected, rejects: { table, rules, file: this.#kept ?? null } };
  }

  /** Where the rejects stand, to come back to. */
  async mark(): Promise<Mark> {
    const size = await this.#file.flush(), { rejected } = this;
    return { rejected, size, rules: new Map(this.#rules), held: this.#held.length };
  }

  /** Forgets what was refused since: that was undone. */
  async rewind({ rejected, size, rules, held }: Mark): Promise<void> {
    if (this.rejected === rejected) return;
    await this.#file.cut(size);
    this.#ctx.meter.rejected = rejected;
    this.#rules = new Map(rules);
    this.#held.length = held;
    this.#first.length = Math.min(this.#first.length, rejected);
  }

  /** Checks that every record was copied or refused. */
  count(copied: number): void {
    const { rejected } = this;
    if (!this.#tolerance || copied + rejected === this.#records) return;
    throw new Error(
      `Cannot load into ${JSON.stringify(this.#options.table)}: of ${this.#records} records ` +
        `${copied} were copied and ${rejected} refused, which is not all of them`,
    );
  }

  /** @throws {GiveUp} where more are refused than may be, naming the first */
  async check(): Promise<void> {
    const { rejected } = this, records = this.#records;
    if (!this.#tolerance || !isBeyond(this.#tolerance, rejected, records)) return;
    const { limit } = this.#tolerance;
    const allowed = limit > 0 && limit < 1
      ? `${+(100 * limit).toPrecision(6)} % of them`
      : String(limit);
    throw new GiveUp(
      `Cannot load into ${
        JSON.stringify(this.#options.table)
      }: ${rejected} of ${records} records ` +
        `were refused, and the limit is ${allowed}. All was rolled back: the table is as it was. ` +
        await this.locate(),
    );
  }

  /** Says where they are, and which are the first: for a failure, which keeps the file for it. */
  async locate(): Promise<string> {
    this.#located = true;
    await this.#file.flush();
    const first = this.#first.map((reject) =>
      `\n  ${whereIs(reject)}: ${reject.message} (${reject.rule})`
    );
    return `The rejects are in ${this.#file.path}; the first are${first.join("")}`;
  }

  /**
   * Writes them to the table of rejects, in place of those that this load does away with: those of a table or slice whose
   * rows it replaces, and its own of before. A record whose row was replayed stays so where that row stayed, too.
   */
  async write(
    session: Session,
    target: Target,
    ledger: Ledger | undefined,
    slice?: Slice,
  ): Promise<void> {
    const { mode = "replace", on } = this.#options;
    const put = slice ? { slice } : on && { on }, where = literal(put && JSON.stringify(put));
    // A load that is not known to be made again has a key of its own: nobody looks through all rejects for it.
    const key = ledger?.key ?? crypto.randomUUID(), again = ledger?.recurs === true;
    const load = literal(key), earlier = again ? `load = ${load}` : "false";
    const place = { schema: target.schema, name: rejectsName(target.name) };
    const table = quoted(place);
    const of = rejectsComment(target);
    const { comment, there, old, jsonb } = await session.row<
      { comment: string | null; there: boolean; old: boolean; jsonb: boolean }
    >(
      `SELECT c.oid IS NOT NULL AS there, pg_catalog.obj_description(c.oid, 'pg_class') AS comment,
         NOT EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = c.oid AND attname = 'place') AS old,
         EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = c.oid AND attname = 'row'
           AND atttypid = 'pg_catalog.jsonb'::pg_catalog.regtype) AS jsonb
       FROM (SELECT pg_catalog.to_regclass(${literal(table)}) AS oid) AS c`,
    );
    const ours = there && comment === of;
    if (ours) {
      const gone = {
        replace: "true",
        append: earlier,
        merge: `${earlier} AND replayed IS NULL`,
        partition: `${earlier} OR place = ${where}`,
      };
      if (old) await session.all(`ALTER TABLE ${table} ADD COLUMN place pg_catalog.jsonb`);
      await session.all(`DELETE FROM ${table} WHERE ${gone[mode]}`);
    }
    if (this.rejected === 0) return;
    if (there && !ours) {
      throw new GiveUp(
        `Cannot keep the rejects of table ${JSON.stringify(target.name)}: there is another table ` +
          `${JSON.stringify(place.name)}, which has to have another name`,
      );
    }
    if (!there) {
      await session.all(
        `CREATE TABLE ${table} (${REJECT_COLUMNS}); COMMENT ON TABLE ${table} IS ${literal(of)}`,
      );
    }
    await this.#copy(session, `${table} (${COPIED})`, new RejectRows(key, put, jsonb));
    if (!ours || mode !== "merge" || !again) return;
    await session.all(
      `DELETE FROM ${table} AS r USING ${table} AS o WHERE r.load = ${load} AND r.replayed IS NULL
         AND o.load = r.load AND o.replayed IS NOT NULL AND (o.record, o.raw) = (r.record, r.raw)`,
    );
  }

  /** Copies the lines of the file. */
  async #copy({ client }: Session, into: string, rows: RejectRows): Promise<void> {
    const size = await this.#file.flush();
    const copy = new CopyIn(client, `COPY ${into} FROM STDIN (FORMAT binary)`);
    const write = async (lines: Uint8Array) => {
      const told = this.#repertoire?.escapeJson(new TextDecoder().decode(lines));
      const json = told === undefined ? lines : new TextEncoder().encode(told);
      await this.#ctx.meter.wait("the database", copy.write(rows.of(json)));
    };
    try {
      await copy.write(PREAMBLE);
      for await (const lines of this.#file.lines(size)) await write(lines);
      await copy.write(TRAILER);
      await this.#ctx.meter.wait("the database", copy.finish());
    } catch (error) {
      await copy.fail(error);
      throw error;
    }
  }

  /** Says that the load is over. A file that nobody asked for stays only where it is all there is of the rejects. */
  async end(): Promise<void> {
    const kept = this.#kept !== undefined, { path } = this.#file;
    if (kept) await this.#file.flush();
    this.#file.close();
    if (path !== undefined && !kept && !this.#located) await Deno.remove(path).catch(() => {});
  }

  async #begin(tolerance: Tolerance): Promise<void> {
    this.#tolerance = tolerance;
    const { schema, table, source } = this.#options;
    const name = schema === undefined ? table : `${schema}.${table}`;
    this.#kept = tolerance.file === undefined ? this.#ctx.rejects(name) : localPath(tolerance.file);
    if (this.#kept === undefined) return;
    await checkRejectsFile(this.#kept, source?.url);
    this.#file = new RejectsFile(this.#kept);
    // What an earlier load refused is not what this one does.
    await Deno.remove(this.#kept).catch(() => {});
  }
}
