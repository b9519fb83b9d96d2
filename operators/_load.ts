import type { RecordBatch } from "apache-arrow";
// @ts-types="@types/pg"
import type pg from "pg";
import { type Context, GiveUp, SourceChanged } from "../engine/mod.ts";
import { type Attempt, beginAttempt, resolveCommit } from "./_attempt.ts";
import { connect, disconnect, lossOf } from "./_connect.ts";
import type { Copied, CopyOptions } from "./_copy_options.ts";
import { reasonsOf } from "./_constraints.ts";
import { copySections, type Fitting, hashRows } from "./_copy_sections.ts";
import { dedupe, revive } from "./_dedupe.ts";
import { type Fit, fitColumns, takenOf } from "./_evolve.ts";
import { explain } from "./_explain.ts";
import { Flow } from "./_flow.ts";
import { guard } from "./_guard.ts";
import { putRows } from "./_isolate.ts";
import { type Entry, sourceOf } from "./_ledger.ts";
import { checkKey, keyless } from "./_merge.ts";
import { checkSlice, findPartition, type Slice, sliceOf } from "./_partition.ts";
import { another, AppendedBefore, refuseFenced } from "./_prior.ts";
import { heir, place, type Placement, replacesWhole } from "./_placement.ts";
import type { Reason } from "./_reject.ts";
import { type Mark, Refusals } from "./_refusals.ts";
import { RECORD, type Refused, refuseWhere } from "./_refuse.ts";
import { Again, BEGIN, isTaken, PATIENT, Session } from "./_session.ts";
import { stage, type Staging } from "./_stage.ts";
import { dropStaging, unregisterStaging } from "./_staging.ts";
import { creating, named, quoted } from "./_table.ts";
import { readTarget, rowsOf, type Target, targetQuery } from "./_target.ts";
import { MOST_TOLD } from "./_widening.ts";

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
  readonly #refusals: Refusals;
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
  /** Whether the target is ours, and in no other's sight: so its types are ours, too. */
  #made = false;
  /** What is told when all goes well, once that is all there is to do. */
  #copied: Copied | undefined;

  constructor(client: pg.Client, options: CopyOptions, ctx: Context) {
    this.#session = new Session(client, ctx);
    this.#options = options;
    this.#ctx = ctx;
    this.#parallel = (options.parallel ?? 1) > 1;
    this.#refusals = new Refusals(options, ctx);
  }

  async run(reader: ReadableStreamDefaultReader<RecordBatch>): Promise<Copied> {
    const { mode, deleteMissing } = this.#options;
    try {
      this.#flow = await Flow.open(reader, this.#ctx, this.#options, this.#refusals);
      this.#filled = this.#flow.more;
      const { columns } = this.#flow;
      if (mode === "merge") checkKey(columns, this.#options);
      if (deleteMissing && this.#refusals.tolerant) {
        throw new GiveUp(
          `Cannot load into ${
            named(this.#options)
          }: --delete-missing (in code deleteMissing) would delete the rows whose records are refused; ` +
            `leave it out, or let rejects fail`,
        );
      }
      this.#attempt = await beginAttempt(this.#session, columns, this.#options, this.#ctx);
      await this.#refusals.ask(this.#session);
      this.#target = this.#attempt.target;
      this.#committed = this.#parallel || this.#attempt.resumable;
      return await this.#load();
    } catch (error) {
      if (this.#copied && this.#lost) return await this.#resolve(this.#copied, error);
      // Where the session still stands, the rollback is over before the failure is told.
      const final = error instanceof GiveUp || error instanceof SourceChanged;
      await this.#giveUp(!final && this.#staging?.resumable?.kept).catch(() => {});
      throw explain(error, this.#options, this.#session.client.user, this.#lost);
    } finally {
      await this.#refusals.end();
    }
  }

  /** How a connection ended, when it did not by us. */
  get #lost(): Error | undefined {
    return [this.#session.client, ...this.#lanes].map(lossOf).find((loss) => loss !== undefined);
  }

  async #load(): Promise<Copied> {
    const { mode = "replace", ifUnchanged } = this.#options;
    const { prior: known, digest } = this.#attempt, { client } = this.#session;
    if (known && await this.#compare(known)) return await this.#leave(known);
    // What is committed before the end shall not show a table that was not there.
    if (mode !== "replace" && !this.#target.existing && !this.#committed) await this.#make();
    let plan = await this.#plan();
    if (plan.placement.staging === "none") plan = await this.#takeTurns(() => this.#enter());
    if (plan.placement.staging !== "none") {
      const { fit, placed } = await this.#fit();
      const columns = fit?.columns ?? this.#flow.columns, kind = plan.placement.staging;
      const target = this.#target, committed = this.#committed, options = this.#options;
      const made = { kind, columns, placed, target, committed, options, ctx: this.#ctx };
      this.#staging = await stage(this.#session, this.#attempt, made);
    }
    const copied = await this.#copy();
    this.#refusals.count(copied);
    let rows = copied;
    if (mode === "merge" && this.#refusals.tolerant && this.#staging) {
      const reasons = keyless(this.#options);
      rows -= await refuseWhere(this.#session, this.#staging, reasons, this.#refusals);
      if (rows < copied) await this.#refusals.takeOut(this.#session, this.#staging.table, RECORD);
    }
    const duplicates = mode === "merge" && rows > 0
      ? await dedupe(client, this.#staging!.table, this.#refusals.tolerant, this.#options)
      : 0;
    await this.#refusals.check();
    if (plan.slice) await checkSlice(client, this.#staging!, plan.slice, this.#options);
    await this.#guard(rows, plan);
    const hash = digest?.digest("hex") ?? null;
    if (ifUnchanged === "skip" && known && hash === known.digest) return await this.#leave(known);
    const mark = await this.#refusals.mark();
    try {
      const { rows: kept, ...counts } = await this.#takeTurns(() =>
        this.#settle(rows, duplicates, mark, hash)
      );
      const { table } = this.#options, { widened } = this.#flow;
      const { told } = this.#refusals, resumed = this.#staging?.resumable?.resumed;
      const steps = widened.length > 0 && { widened: widened.slice(0, MOST_TOLD) };
      const unsure = sourceOf(this.#options, this.#ctx).unverified && { unverified: true as const };
      const found = { ...steps, ...resumed && { resumed }, ...unsure };
      const columns = takenOf(this.#flow.columns, (await this.#plan()).fit);
      const done = { table, rows: kept, ...told, ...columns, ...found };
      this.#copied = mode === "merge" ? { ...done, merged: counts } : done;
      await this.#session.all("COMMIT");
      return this.#copied;
    } catch (error) {
      if (!(error instanceof AppendedBefore)) throw error;
      if (hash === error.entry.digest) return await this.#leave(error.entry);
      throw another(error.entry, this.#attempt, this.#options);
    }
  }

  /**
   * Whether an earlier load was of the same source; not what cannot be said yet.
   *
   * @throws {GiveUp} where it was not, and must be
   */
  async #compare(prior: Entry): Promise<boolean> {
    const { mode, source: { sha256 } = {} } = this.#options;
    if (sha256 && sha256 === prior.sha256) return true;
    const { version, way } = sourceOf(this.#options, this.#ctx);
    if (version && version === prior.validator && way === prior.way) return true;
    if (mode !== "append") return false;
    if (!(sha256 && prior.sha256) && prior.digest) {
      await hashRows(this.#flow, this.#hashing());
      if (prior.digest === this.#attempt.digest!.digest("hex")) return true;
    }
    throw another(prior, this.#attempt, this.#options);
  }

  /** Does nothing, and says so. */
  async #leave({ rows, rejected, committed }: Entry): Promise<Copied> {
    const { table } = this.#options;
    await this.#giveUp();
    this.#ctx.log.info(
      `nothing to load into ${
        named(this.#options)
      }: the source is as it was when it was loaded, at ${committed}`,
    );
    return { table, rows, rejected, columns: this.#flow.columns, unchanged: true };
  }

  /** Rolls back, and drops what was committed unless it is to be kept for the next attempt. */
  async #giveUp(keep = false): Promise<void> {
    await this.#session.client.query("ROLLBACK");
    if (!this.#committed || !this.#staging || keep) return;
    await this.#session.client.query(`BEGIN; ${dropStaging(this.#staging.table)}; COMMIT`);
  }

  /** Looks at what is to be done with the target as it was last seen. */
  async #plan(): Promise<Plan> {
    const { mode, evolution } = this.#options;
    const options = this.#options, target = this.#target, made = this.#staging?.kind;
    const committed = this.#committed, { tolerant } = this.#refusals;
    // Without rows there are no values that a type could change.
    const fits = target.existing && this.#filled && !replacesWhole(target, options);
    const policy = this.#made ? "evolve" : evolution;
    const fit = fits ? fitColumns(this.#flow, target, policy, tolerant) : undefined;
    if (fit && mode === "merge") checkKey(fit.columns, options, "source and table have");
    const slice = mode === "partition"
      ? sliceOf(target, this.#flow.columns, options, this.#ctx)
      : undefined;
    const partition = slice && target.existing &&
      await findPartition(this.#session.client, target, slice);
    return {
      placement: place({ target, fit, slice, partition, made, committed, tolerant, options }),
      fit,
      slice,
    };
  }

  /** Makes the table; where another load was faster, looks at the one it made. */
  async #make(): Promise<void> {
    await this.#session.all("SAVEPOINT make");
    let fault: unknown;
    try {
      await this.#session.all(this.#making);
      this.#made = true;
    } catch (error) {
      if (!isTaken(error)) throw error;
      await this.#session.all("ROLLBACK TO SAVEPOINT make");
      fault = error;
    }
    await this.#find();
    if (!this.#target.existing) throw fault; // it is a type of that name that stands there
  }

  /** What makes the table, with the columns as they are known by then. */
  get #making(): string {
    return creating(this.#target, this.#flow.columns, this.#options.on);
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
    await this.#session.turn([`LOCK TABLE ${rowsOf(this.#target)} IN ROW EXCLUSIVE MODE`]);
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
    return { digest, meter, fit: () => this.#fit() };
  }

  /** How the columns go where they belong; `placed` where each row is to say where it comes from. */
  async #fit(): Promise<Fitting> {
    const { fit, placement } = await this.#plan();
    return { fit, placed: this.#refusals.tolerant && placement.filling !== undefined };
  }

  /** Writes the ledger, and puts the rows where they belong: all but the COMMIT. */
  async #settle(
    copied: number,
    beaten: number,
    mark: Mark,
    digest: string | null,
  ): Promise<Counts> {
    const refusals = this.#refusals;
    await refusals.rewind(mark);
    let rows = copied, duplicates = beaten;
    const { ledger, fence, began, instead } = this.#attempt;
    const { existing } = this.#target, staging = this.#staging;
    const makes = staging && !existing && (this.#options.mode ?? "replace") !== "replace";
    const { placement: { lock } } = await this.#plan();
    const { columns } = this.#flow, { rejected } = refusals;
    const table = heir(this.#target, staging, this.#options);
    const loaded = { fence, rows, rejected, digest, columns, table, instead };
    const entered = await this.#session.turn([
      // The table comes first, as it does for those who copy right into it: so nobody waits for each other.
      ...makes ? [this.#making] : [],
      ...staging && lock ? [`LOCK TABLE ${rowsOf(this.#target)} IN ${lock} MODE`] : [],
      ...ledger ? [ledger.turn, ledger.record(loaded, began)] : [],
    ]);
    const written = entered.find(({ command }) => command === "INSERT");
    if (written?.rowCount === 0) await refuseFenced(this.#session, this.#attempt, this.#options);
    if (!staging) {
      await refusals.write(this.#session, this.#target, ledger);
      return { rows, inserted: rows, updated: 0, deleted: 0, duplicates };
    }
    await this.#find();
    const plan = await this.#plan(), { placement, fit, slice } = plan;
    // Somebody did something to it just before it was ours.
    const same = existing?.oid === this.#target.existing?.oid && placement.lock === lock;
    if (!makes && !same) throw new Again();
    const { mode, deleteMissing } = this.#options;
    const reasons = async (errors: readonly unknown[]) =>
      fit ? await reasonsOf(this.#session, this.#target, fit, { errors, mode }) : [];
    const after = this.#committed ? [unregisterStaging(staging.table)] : [];
    const check = async () => {
      await refusals.check();
      await this.#guard(copied - (refusals.rejected - rejected), plan);
    };
    const back = async (broken: readonly Reason[], tried: readonly Refused[]) => {
      duplicates -= await revive(this.#session, staging, broken, tried, refusals, this.#options);
    };
    const options = this.#options, losses = fit?.losses ?? [], asked = { losses, reasons, check };
    const work = { staging, placement, after, ...asked, revive: beaten > 0 && back, options };
    const done = await putRows(this.#session, work, refusals);
    if (refusals.rejected > rejected) {
      rows -= refusals.rejected - rejected;
      if (ledger) await this.#session.all(ledger.mend({ rows, rejected: refusals.rejected }));
    }
    await refusals.write(this.#session, this.#target, ledger, slice);
    const count = (name: string) => done.find(({ command }) => command === name)?.rowCount;
    const inserted = count("INSERT");
    if (mode !== "merge" && inserted !== undefined && inserted !== rows) {
      throw new Error(
        `Postgres put ${inserted} rows into table ${JSON.stringify(this.#target.name)} where ` +
          `${rows} were to go; a trigger or rule of the table may have left some out`,
      );
    }
    const deleted = deleteMissing ? count("DELETE") : 0;
    const updated = count("UPDATE") ?? 0;
    return { rows, inserted: inserted ?? 0, updated, deleted: deleted ?? 0, duplicates };
  }

  #guard(rows: number, { slice }: Plan): Promise<void> {
    return guard(this.#session, rows, { into: this.#target, slice }, this.#refusals, this.#options);
  }

  #takeTurns<T>(work: () => Promise<T>): Promise<T> {
    const { patience = { minutes: 2 } } = this.#options, table = named(this.#options);
    return this.#session.takeTurns(work, { table, patience, again: () => this.#find() });
  }

  /** The answer to COMMIT was lost: finds out what it was. */
  async #resolve(copied: Copied, cause: unknown): Promise<Copied> {
    this.#ctx.signal.throwIfAborted();
    const entry = await resolveCommit(this.#attempt, this.#options, this.#ctx, cause);
    if (!entry) throw explain(cause, this.#options, this.#session.client.user, this.#lost);
    this.#ctx.log.info(
      `the answer to COMMIT was lost; the ledger has it: committed at ${entry.committed}`,
    );
    return copied;
  }
}

interface Counts {
  /** Those that were not refused. */
  readonly rows: number;
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
  readonly duplicates: number;
}
