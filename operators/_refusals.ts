import { dirname } from "node:path";
import type { RecordBatch } from "apache-arrow";
import { type Context, GiveUp } from "../engine/mod.ts";
import type { Copied, CopyOptions } from "./_copy_options.ts";
import { withoutSecrets } from "./_ledger.ts";
import { localPath, reason } from "./_open_file.ts";
import { isBeyond, type Reject, type RejectRule, SiftedBatch, type Tolerance } from "./_reject.ts";
import type { Session } from "./_session.ts";
import { REJECT_COLUMNS, REJECT_NAMES, rejectsComment, rejectsName } from "./_reject_table.ts";
import { literal, quoted } from "./_table.ts";
import type { Target } from "./_target.ts";

/** A place in what was refused. */
export interface Mark {
  readonly rejected: number;
  readonly size: number;
  readonly rules: ReadonlyMap<RejectRule, number>;
}

/** How many rejects an error shows, how many are written by one statement, and how much waits for the file. */
const SHOWN = 3, AT_ONCE = 2000, MOST_HELD = 1 << 20;

/** The records that one load refuses: to a file as they come, and to the table of rejects when the load is settled. */
export class Refusals {
  /** How many have been refused. */
  rejected = 0;
  /** How many records of the source were read. */
  #records = 0;
  /** How many broke each rule. */
  #rules = new Map<RejectRule, number>();
  /** Bytes in the file. */
  #size = 0;
  readonly #options: CopyOptions;
  readonly #ctx: Context;
  readonly #first: Reject[] = [];
  /** Lines that wait to be written, and their length. */
  #lines: string[] = [];
  #held = 0;
  #tolerance: Tolerance | undefined;
  #path: string | undefined;
  /** Whether they are too many. */
  #exceeded = false;
  #file: Deno.FsFile | undefined;

  constructor(options: CopyOptions, ctx: Context) {
    this.#options = options;
    this.#ctx = ctx;
  }

  /** Whether any are put up with. */
  get tolerant(): boolean {
    return this.#tolerance !== undefined;
  }

  /** Takes what was refused of a batch. @throws {GiveUp} for more than may be */
  async take(batch: RecordBatch): Promise<void> {
    if (!(batch instanceof SiftedBatch)) return;
    const { tolerance, rejects, records } = batch.sifting;
    if (!this.#tolerance) await this.#begin(tolerance);
    this.#records = records;
    await this.add(rejects);
    // A share is known at the end.
    if (tolerance.limit === 0 || tolerance.limit >= 1) await this.check();
  }

  /** Adds some to the file. */
  async add(rejects: readonly Reject[]): Promise<void> {
    if (rejects.length === 0) return;
    if (this.rejected === 0) {
      const { line, message } = rejects[0]!;
      this.#ctx.log.warn(
        `keeps aside what cannot be loaded, the first on line ${line}: ${message}`,
      );
    }
    this.rejected += rejects.length;
    for (const { rule } of rejects) this.#rules.set(rule, (this.#rules.get(rule) ?? 0) + 1);
    this.#first.push(...rejects.slice(0, SHOWN - this.#first.length));
    const { table, source } = this.#options;
    const { dag, run, task, attempt } = this.#ctx;
    const who = JSON.stringify({
      source: withoutSecrets(source?.url) ?? null,
      table,
      run: `${dag}/${run}/${task}/${attempt}`,
      refused: this.#ctx.now().toString(),
    }).slice(0, -1);
    for (const reject of rejects) {
      const line = `${who},${JSON.stringify(reject).slice(1)}\n`;
      this.#lines.push(line);
      this.#held += line.length;
    }
    if (this.#held > MOST_HELD) await this.#flush();
  }

  /** Writes to the file what waits for it. */
  async #flush(): Promise<void> {
    const bytes = new TextEncoder().encode(this.#lines.join(""));
    this.#lines = [];
    this.#held = 0;
    if (bytes.length === 0) return;
    try {
      this.#file ??= await this.#open();
      for (let at = 0; at < bytes.length;) at += await this.#file.write(bytes.subarray(at));
      this.#size += bytes.length;
    } catch (error) {
      throw new Error(`Cannot write rejects to "${this.#path}": ${reason(error)}`, {
        cause: error,
      });
    }
  }

  /** What the load says of them. */
  get told(): Pick<Copied, "rejected" | "rejects"> {
    const { rejected } = this;
    if (rejected === 0) return { rejected };
    const table = rejectsName(this.#options.table), rules = Object.fromEntries(this.#rules);
    return { rejected, rejects: { table, rules, file: this.#tolerance?.file ?? null } };
  }

  /** Where the rejects stand, to come back to. */
  async mark(): Promise<Mark> {
    await this.#flush();
    return { rejected: this.rejected, size: this.#size, rules: new Map(this.#rules) };
  }

  /** Forgets what was refused since: that was undone. */
  async rewind({ rejected, size, rules }: Mark): Promise<void> {
    if (this.rejected === rejected) return;
    await this.#flush();
    await this.#file!.truncate(size);
    await this.#file!.seek(size, Deno.SeekMode.Start);
    this.rejected = rejected;
    this.#size = size;
    this.#rules = new Map(rules);
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
    this.#exceeded = true;
    await this.#flush();
    const { limit } = this.#tolerance;
    const allowed = limit > 0 && limit < 1
      ? `${+(100 * limit).toPrecision(6)} % of them`
      : String(limit);
    const first = this.#first.map(({ record, line, rule, message }) =>
      `\n  record ${record}, line ${line}: ${message} (${rule})`
    );
    throw new GiveUp(
      `Cannot load into ${
        JSON.stringify(this.#options.table)
      }: ${rejected} of ${records} records ` +
        `were refused, and the limit is ${allowed}. All was rolled back: the table is as it was. ` +
        `The rejects are in ${this.#path}; the first are${first.join("")}`,
    );
  }

  /** Writes them to the table of rejects, in place of those that this load does away with. */
  async write(session: Session, target: Target, key: string): Promise<void> {
    const { mode = "replace" } = this.#options;
    const place = { schema: target.schema, name: rejectsName(target.name) };
    const table = quoted(place);
    const of = rejectsComment(target);
    const { comment, there } = await session.row<{ comment: string | null; there: boolean }>(
      `SELECT c.oid IS NOT NULL AS there, pg_catalog.obj_description(c.oid, 'pg_class') AS comment
       FROM (SELECT pg_catalog.to_regclass(${literal(table)}) AS oid) AS c`,
    );
    const ours = there && comment === of;
    // What is replaced as a whole takes its rejects along; else those of this very load are written anew.
    if (ours) {
      await session.all(
        `DELETE FROM ${table}${mode === "replace" ? "" : ` WHERE load = ${literal(key)}`}`,
      );
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
    await this.#flush();
    for await (const lines of this.#written()) {
      const document = literal(`[${lines.join(",")}]`);
      await session.all(
        `INSERT INTO ${table} (load, ${REJECT_NAMES}, bytes)
         SELECT ${literal(key)}, ${REJECT_NAMES}, pg_catalog.decode(bytes, 'base64')
         FROM pg_catalog.json_to_recordset(${document}) AS r (run pg_catalog.text, source pg_catalog.text,
           record bigint, line bigint, from_byte bigint, to_byte bigint, column_name pg_catalog.text,
           rule pg_catalog.text, message pg_catalog.text, raw pg_catalog.text, bytes pg_catalog.text,
           "row" pg_catalog.jsonb, refused pg_catalog.timestamptz)`,
      );
    }
  }

  /** Says that the load is over. A file that nobody asked for stays only where it is all there is of the rejects. */
  async end(): Promise<void> {
    const kept = this.#tolerance?.file !== undefined;
    if (kept) await this.#flush();
    this.#file?.close();
    this.#file = undefined;
    if (this.#path !== undefined && !kept && !this.#exceeded) {
      await Deno.remove(this.#path).catch(() => {});
    }
  }

  async #begin(tolerance: Tolerance): Promise<void> {
    this.#tolerance = tolerance;
    if (tolerance.file === undefined) return;
    this.#path = localPath(tolerance.file);
    // What an earlier load refused is not what this one does.
    await Deno.remove(this.#path).catch(() => {});
  }

  async #open(): Promise<Deno.FsFile> {
    if (this.#path === undefined) {
      this.#path = await Deno.makeTempFile({ prefix: "sluice-rejects-", suffix: ".jsonl" });
    } else await Deno.mkdir(dirname(this.#path), { recursive: true });
    const all = { write: true, read: true, create: true, truncate: true };
    return await Deno.open(this.#path, { ...all, mode: 0o600 });
  }

  /** The file's lines, some at once. */
  async *#written(): AsyncGenerator<string[]> {
    await this.#file!.seek(0, Deno.SeekMode.Start);
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(1 << 18);
    let rest = "";
    for (let n: number | null; (n = await this.#file!.read(buffer)) !== null;) {
      const lines = (rest + decoder.decode(buffer.subarray(0, n), { stream: true })).split("\n");
      rest = lines.pop()!;
      for (let i = 0; i < lines.length; i += AT_ONCE) yield lines.slice(i, i + AT_ONCE);
    }
  }
}
