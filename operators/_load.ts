import type { RecordBatch } from "apache-arrow";
// @ts-types="@types/pg"
import type pg from "pg";
import { type Context, GiveUp, SourceChanged } from "../engine/mod.ts";
import { type Attempt, beginAttempt, resolveCommit } from "./_attempt.ts";
import { connect, disconnect, lossOf } from "./_connect.ts";
import type { Copied, CopyOptions } from "./_copy_options.ts";
import { copySections, hashRows } from "./_copy_sections.ts";
import { type Fit, fitColumns } from "./_evolve.ts";
import { explain } from "./_explain.ts";
import { Flow } from "./_flow.ts";
import type { Entry } from "./_ledger.ts";
import { checkKey, dedupe } from "./_merge.ts";
import { checkSlice, findPartition, isWithin, type Slice, sliceOf } from "./_partition.ts";
import { place, type Placement, replacesWhole } from "./_placement.ts";
import { Again, BEGIN, isTaken, PATIENT, Session } from "./_session.ts";
import { stage, type Staging } from "./_stage.ts";
import { dropStaging, unregisterStaging } from "./_staging.ts";
import { columnList, nameList, quoted } from "./_table.ts";
import { readTarget, type Target, targetQuery } from "./_target.ts";

/** What is to be done with the target as it is now. */
interface Plan {
  readonly placement: Placement;
  readonly fit: Fit | undefined;
  readonly slice: Slice | undefined;
}

/** One load of batches into a table, on a session that is its own. */
export class Load {
  readonly #session: Session;
  readonly #options: CopyOptions;
  readonly #ctx: Context;
  readonly #parallel: boolean;
  /** Whether the staging table is committed before it has all rows. */
  #committed = false;
  /** Other sessions that rows go over. */
  readonly #lanes: pg.Client[] = [];
  #flow!: Flow;
  /** Whether there is a row at all. */
  #filled = false;
  #attempt!: Attempt;
  #target!: Target;
  #staging: Staging | undefined;
  /** Whether the target is ours, so that its types are, too. */
  #made = false;
  /** What is told when all goes well, once that is all there is to do. */
  #copied: Copied | undefined;

  constructor(client: pg.Client, options: CopyOptions, ctx: Context) {
    this.#session = new Session(client, ctx);
    this.#options = options;
    this.#ctx = ctx;
    this.#parallel = (options.parallel ?? 1) > 1;
  }

  async run(reader: ReadableStreamDefaultReader<RecordBatch>): Promise<Copied> {
    const { table, mode } = this.#options;
    this.#flow = await Flow.open(reader, this.#ctx, table);
    this.#filled = this.#flow.more;
    const { columns } = this.#flow;
    if (mode === "merge") checkKey(columns, this.#options);
    try {
      this.#attempt = await beginAttempt(this.#session, columns, this.#options, this.#ctx);
      this.#target = this.#attempt.target;
      this.#committed = this.#parallel || this.#attempt.resumable;
      return await this.#load();
    } catch (error) {
      if (this.#copied && this.#lost) return await this.#resolve(this.#copied, error);
      // Where the session still stands, the rollback is over before the failure is told.
      const final = error instanceof GiveUp || error instanceof SourceChanged;
      await this.#giveUp(!final && this.#attempt?.resumable).catch(() => {});
      throw explain(error, table, this.#lost);
    }
  }

  /** How a connection ended, when it did not by us. */
  get #lost(): Error | undefined {
    return [this.#session.client, ...this.#lanes].map(lossOf).find((loss) => loss !== undefined);
  }

  async #load(): Promise<Copied> {
    const { mode = "replace", ifUnchanged } = this.#options;
    const { prior, digest } = this.#attempt;
    const known = this.#target.existing && prior;
    if (known && await this.#compare(known)) return await this.#leave(known);
    if (mode !== "replace" && !this.#target.existing) await this.#make();
    let plan = await this.#plan();
    if (plan.placement.staging === "none") plan = await this.#takeTurns(() => this.#enter());
    if (plan.placement.staging !== "none") {
      const kind = plan.placement.staging, columns = plan.fit?.columns ?? this.#flow.columns;
      const target = this.#target, committed = this.#committed, options = this.#options;
      const made = { kind, columns, target, committed, options };
      this.#staging = await stage(this.#session, this.#attempt, made);
    }
    const rows = await this.#copy();
    const duplicates = mode === "merge" && rows > 0
      ? await dedupe(this.#session.client, this.#staging!.table, this.#options)
      : 0;
    await this.#guard(rows, plan);
    const hash = digest?.digest("hex") ?? null;
    if (ifUnchanged === "skip" && known && hash === known.digest) return await this.#leave(known);
    try {
      const counts = await this.#takeTurns(() => this.#settle(rows, hash));
      const { table } = this.#options, { columns, widened } = this.#flow;
      const resumed = this.#staging?.resumable?.resumed;
      const found = { ...widened.length > 0 && { widened }, ...resumed && { resumed } };
      const copied = { table, rows, rejected: 0, columns, ...found };
      this.#copied = mode === "merge" ? { ...copied, merged: { ...counts, duplicates } } : copied;
      await this.#session.all("COMMIT");
      return this.#copied;
    } catch (error) {
      if (!(error instanceof AppendedBefore)) throw error;
      if (hash === error.entry.digest) return await this.#leave(error.entry);
      throw this.#another(error.entry);
    }
  }

  /**
   * Whether an earlier load was of the same source; not what cannot be said yet.
   *
   * @throws {GiveUp} where it was not, and must be
   */
  async #compare(prior: Entry): Promise<boolean> {
    const { mode, source: { sha256, validator } = {} } = this.#options;
    if (sha256 && sha256 === prior.sha256) return true;
    if (validator && validator === prior.validator) return true;
    if (mode !== "append") return false;
    if (!(sha256 && prior.sha256) && prior.digest) {
      await hashRows(this.#flow, this.#hashing());
      if (prior.digest === this.#attempt.digest!.digest("hex")) return true;
    }
    throw this.#another(prior);
  }

  /** Does nothing, and says so. */
  async #leave({ rows, committed }: Entry): Promise<Copied> {
    const { table } = this.#options;
    await this.#giveUp();
    this.#ctx.log.info(
      `nothing to load into ${
        JSON.stringify(table)
      }: the source is as it was when it was loaded, at ${committed}`,
    );
    return { table, rows, rejected: 0, columns: this.#flow.columns, unchanged: true };
  }

  /** Rolls back, and drops what was committed unless it is to be kept for the next attempt. */
  async #giveUp(keep = false): Promise<void> {
    await this.#session.client.query("ROLLBACK");
    if (!this.#committed || !this.#staging || keep) return;
    await this.#session.client.query(`BEGIN; ${dropStaging(this.#staging.table)}; COMMIT`);
    if (!this.#made) return;
    const target = quoted(this.#target);
    const { filled } = await this.#session.row<{ filled: boolean }>(
      `BEGIN; SET LOCAL lock_timeout = '2s'; LOCK TABLE ${target};
      SELECT EXISTS (SELECT FROM ${target}) AS filled`,
    );
    // Another load may have found it, and filled it.
    await this.#session.all(filled ? "ROLLBACK" : `DROP TABLE ${target}; COMMIT`);
  }

  /** Looks at what is to be done with the target as it was last seen. */
  async #plan(): Promise<Plan> {
    const { mode, evolution } = this.#options;
    const options = this.#options, target = this.#target, made = this.#staging?.kind;
    const committed = this.#committed;
    // Without rows there are no values that a type could change.
    const fits = target.existing && this.#filled && !replacesWhole(target, options);
    const { columns, widened } = this.#flow;
    const policy = this.#made ? "evolve" : evolution;
    const fit = fits ? fitColumns(columns, target, policy, widened) : undefined;
    const slice = mode === "partition" && target.existing
      ? sliceOf(target, options, this.#ctx)
      : undefined;
    const partition = slice && await findPartition(this.#session.client, target, slice);
    return {
      placement: place({ target, fit, slice, partition, made, committed, options }),
      fit,
      slice,
    };
  }

  /** Makes the table; where another load was faster, looks at the one it made. */
  async #make(): Promise<void> {
    const { on } = this.#options;
    const key = on ? `, PRIMARY KEY (${nameList(on.map((name) => ({ name })))})` : "";
    const create = `CREATE TABLE ${quoted(this.#target)} (${columnList(this.#flow.columns)}${key})`;
    await this.#session.all("SAVEPOINT make");
    let fault: unknown;
    try {
      await this.#session.all(create);
      this.#made = true;
    } catch (error) {
      if (!isTaken(error)) throw error;
      await this.#session.all("ROLLBACK TO SAVEPOINT make");
      fault = error;
    }
    await this.#find();
    if (!this.#target.existing) throw fault; // it is a type of that name that stands there
  }

  async #find(): Promise<void> {
    const { schema, name } = this.#target;
    this.#target = readTarget(
      await this.#session.row(targetQuery(name, schema)),
      name,
      schema,
    );
  }

  /** Takes hold of the target, so that what was fitted to it stays so. */
  async #enter(): Promise<Plan> {
    await this.#session.turn([`LOCK TABLE ${quoted(this.#target)} IN ROW EXCLUSIVE MODE`]);
    await this.#find();
    const plan = await this.#plan();
    // Where it turns out that rows have to be cast, nothing is held while they come.
    const stays = plan.placement.staging === "none";
    await this.#session.all(stays ? PATIENT : "ROLLBACK TO SAVEPOINT turn");
    return plan;
  }

  /** Copies the rows to the staging table, or else to the target; gives how many. */
  async #copy(): Promise<number> {
    const { parallel = 1, connection } = this.#options;
    const { client } = this.#session;
    const staging = this.#staging;
    const alter = async (clauses: string): Promise<void> => {
      const sql = `ALTER TABLE ${staging!.table} ${clauses}`;
      await this.#session.all(this.#parallel ? `${BEGIN}; ${sql}; COMMIT` : sql);
    };
    if (staging?.resumable) {
      const rows = await staging.resumable.copy(this.#flow, this.#hashing(), this.#ctx.log);
      await this.#session.all(BEGIN);
      return rows;
    }
    const bed = {
      ...this.#hashing(),
      table: staging?.table ?? quoted(this.#target),
      freeze: staging !== undefined && !this.#parallel,
      alter: staging?.kind === "new" || staging?.kind === "temporary" ? alter : undefined,
    };
    if (!this.#parallel) return await copySections(this.#flow, { ...bed, clients: [client] });
    const address = await this.#ctx.connection(connection);
    const clients = this.#lanes;
    let rows: number;
    try {
      while (clients.length < parallel) clients.push(await connect(address, this.#ctx));
      rows = await copySections(this.#flow, { ...bed, clients });
    } finally {
      await Promise.all(clients.map((client) => disconnect(client)));
    }
    await this.#session.all(BEGIN);
    return rows;
  }

  #hashing() {
    const { digest } = this.#attempt, { meter } = this.#ctx;
    return { digest, meter, fit: async () => (await this.#plan()).fit };
  }

  /** Refuses too few rows, and such as would stay when the slice is loaded again. */
  async #guard(rows: number, { slice }: Plan): Promise<void> {
    const { table, mode = "replace", deleteMissing, minRows = 0, allowEmpty } = this.#options;
    const shown = JSON.stringify(table);
    if (rows < minRows) {
      throw new GiveUp(
        `Cannot load into ${shown}: the source has ${rows} rows, and at least ${minRows} were asked for (minRows)`,
      );
    }
    if (slice) await checkSlice(this.#session.client, this.#staging!, slice, this.#options);
    const empties = mode === "replace" || mode === "partition" || deleteMissing;
    if (rows > 0 || allowEmpty || !empties || !this.#target.existing) return;
    const { filled } = await this.#session.row<{ filled: boolean }>(
      `SELECT EXISTS (SELECT FROM ${quoted(this.#target)} ${
        slice ? `WHERE ${isWithin(slice)}` : ""
      }) AS filled`,
    );
    if (!filled) return;
    // An empty file is more often a fault than a wish.
    throw new GiveUp(
      `Cannot replace ${
        slice ? "a slice of " : ""
      }table ${shown}, which has rows, by none: the source has only a ` +
        `header; if that is meant, allow it (allowEmpty, --allow-empty)`,
    );
  }

  /** Writes the ledger, and puts the rows where they belong: all but the COMMIT. */
  async #settle(rows: number, digest: string | null): Promise<Counts> {
    const { ledger, fence, began } = this.#attempt;
    const { existing } = this.#target, staging = this.#staging?.table;
    const { placement: { lock } } = await this.#plan();
    const bytes = this.#ctx.meters.read()[0]?.bytes ?? 0;
    const { columns } = this.#flow;
    const entered = await this.#session.turn([
      // The table comes first, as it does for those who copy right into it: so nobody waits for each other.
      ...staging && lock ? [`LOCK TABLE ${quoted(this.#target)} IN ${lock} MODE`] : [],
      ...ledger ? [ledger.turn, ledger.record({ fence, rows, bytes, digest, columns }, began)] : [],
    ]);
    const written = entered.find(({ command }) => command === "INSERT");
    if (written?.rowCount === 0) await this.#fenced();
    if (!staging) return { inserted: rows, updated: 0, deleted: 0 };
    await this.#find();
    const { placement } = await this.#plan();
    // Somebody did something to it just before it was ours.
    if (existing?.oid !== this.#target.existing?.oid || placement.lock !== lock) throw new Again();
    const done = await this.#session.all([
      ...placement.steps(staging),
      ...this.#committed ? [unregisterStaging(staging)] : [],
    ].join(";\n"));
    const count = (name: string) => done.find(({ command }) => command === name)?.rowCount;
    const { mode, deleteMissing } = this.#options;
    const inserted = count("INSERT");
    if (mode !== "merge" && inserted !== undefined && inserted !== rows) {
      throw new Error(
        `Postgres put ${inserted} rows into table ${
          JSON.stringify(this.#target.name)
        } where ${rows} were to go; ` +
          `a trigger or rule of the table may have left some out`,
      );
    }
    const deleted = deleteMissing ? count("DELETE") : 0;
    return { inserted: inserted ?? 0, updated: count("UPDATE") ?? 0, deleted: deleted ?? 0 };
  }

  /** Another attempt has written down what this one would. */
  async #fenced(): Promise<never> {
    const { ledger, fence } = this.#attempt;
    const { entry } = await this.#session.row<{ entry: Entry }>(ledger!.read);
    if (this.#options.mode === "append") throw new AppendedBefore(entry);
    throw new GiveUp(
      `Cannot load into ${JSON.stringify(this.#options.table)}: a later attempt at the same load, ${
        ledger!.key
      }, was ` +
        `committed at ${entry.committed} (fence ${entry.fence}); this one is too late (fence ${fence}). It was rolled back`,
    );
  }

  /** Says that what was appended under a key is something else. */
  #another({ committed, rows }: Entry): GiveUp {
    const { key } = this.#attempt.ledger!;
    return new GiveUp(
      `Cannot append to ${JSON.stringify(this.#options.table)}: load ${
        JSON.stringify(key)
      } has appended ${rows} rows ` +
        `at ${committed}, and its source is not what it was; appended rows are not found again. Use mode merge or ` +
        `partition for what may change, or give the load another key`,
    );
  }

  #takeTurns<T>(work: () => Promise<T>): Promise<T> {
    const { table, patience = { minutes: 2 } } = this.#options;
    return this.#session.takeTurns(work, { table, patience, again: () => this.#find() });
  }

  /** The answer to COMMIT was lost: finds out what it was. */
  async #resolve(copied: Copied, cause: unknown): Promise<Copied> {
    this.#ctx.signal.throwIfAborted();
    const entry = await resolveCommit(this.#attempt, this.#options, this.#ctx, cause);
    if (!entry) throw explain(cause, this.#options.table, this.#lost);
    this.#ctx.log.info(
      `the answer to COMMIT was lost; the ledger has it: committed at ${entry.committed}`,
    );
    return copied;
  }
}

interface Counts {
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
}

/** The same load has been appended while this attempt was at work. */
class AppendedBefore extends Error {
  readonly entry: Entry;

  constructor(entry: Entry) {
    super("this load has been appended");
    this.entry = entry;
  }
}
