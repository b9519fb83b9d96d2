import { createHash } from "node:crypto";
import { type Context, GiveUp, type Logger, SourceChanged } from "../engine/mod.ts";
import type { Attempt } from "./_attempt.ts";
import { BatchQueue } from "./_batch_queue.ts";
import type { Column, Copied, CopyOptions } from "./_copy_options.ts";
import { copyRows } from "./_copy_rows.ts";
import { type Bed, wayOf } from "./_copy_sections.ts";
import type { Flow } from "./_flow.ts";
import { lockKey, sourceOf } from "./_ledger.ts";
import type { Placement } from "./_placement.ts";
import { BEGIN, type Session } from "./_session.ts";
import { dropStaging, KEPT } from "./_staging.ts";
import { literal, nameList } from "./_table.ts";

/** How far a load has come: what is committed of it. */
export interface Checkpoint {
  readonly rows: number;
  /** Where they end in what is decompressed; null where that is not known. */
  readonly bytes: number | null;
  /** SHA-256 of the rows as they were copied. */
  readonly digest: string;
}

/** Bytes of rows that are committed together: what is copied again, at most, when a load is killed. */
const CHUNK_BYTES = 8 * 2 ** 20;

/** How long a session may live on whose process is dead. */
const LAST_BREATH = "2s";

/** What an attempt must have in common with a dead one to go on with its rows, as a hash. */
export function planOf(
  kind: Placement["staging"],
  columns: readonly Column[],
  like: unknown,
  options: CopyOptions,
  ctx: Context,
): string {
  const { connection: _, patience: __, minRows: ___, allowEmpty: ____, source, ...rest } = options;
  // What was weak as it was new is the same when it is strong: the rows are compared in any case.
  const version = sourceOf(options, ctx).validator?.replace(/^W\//, "");
  return createHash("sha256")
    .update(JSON.stringify([kind, columns, like, rest, version, source?.sha256])).digest("hex");
}

/**
 * A staging table whose rows are committed chunk by chunk, each together with a {@linkcode Checkpoint} in
 * `sluice.staging`, so that the next attempt at the load goes on where this one stops.
 *
 * The source is read from its start all the same: that the rows which are there already are the same is known by their
 * hash, whatever the source, the options of its reading, or the program that read it then.
 */
export class CommittedStaging {
  readonly table: string;
  /** Where this attempt went on. */
  resumed: Copied["resumed"];
  /** Whether what is here is kept for the next attempt. */
  kept: boolean;
  /** How far an attempt before this one had come. */
  readonly #found: Checkpoint | undefined;
  readonly #session: Session;
  readonly #attempt: Attempt;

  constructor(session: Session, attempt: Attempt, table: string, found?: Checkpoint) {
    this.#session = session;
    this.#attempt = attempt;
    this.table = table;
    this.#found = found;
    this.kept = found !== undefined;
  }

  /** Takes over the rows of a dead attempt at the same, and drops those of attempts at something else. */
  static async adopt(
    session: Session,
    attempt: Attempt,
    plan: string,
  ): Promise<CommittedStaging | undefined> {
    const { target, key } = attempt.ledger!;
    const [found] = await session.all<{ name: string }>(
      `SELECT name FROM sluice.staging WHERE target = ${literal(target)} AND load_key = ${
        literal(key)
      } ORDER BY began DESC`,
    );
    let adopted: CommittedStaging | undefined;
    for (const { name } of found!.rows) {
      if (!await outlive(session, name)) continue;
      const named = `FROM sluice.staging WHERE name = ${literal(name)}`;
      const line = await session.row<Line | undefined>(
        `SELECT plan, rows, bytes, digest, pg_catalog.to_regclass(name) IS NOT NULL AS there ${named}`,
      );
      if (line && !adopted && line.there && line.plan === plan && line.digest !== null) {
        const bytes = line.bytes === null ? null : Number(line.bytes);
        const found = { rows: Number(line.rows), bytes, digest: line.digest };
        adopted = new CommittedStaging(session, attempt, name, found);
        await session.all(
          `UPDATE sluice.staging SET fence = ${attempt.fence} WHERE name = ${literal(name)}`,
        );
      } else {
        if (line) await session.all(`BEGIN; ${dropStaging(name)}; COMMIT`);
        await session.all(`SELECT pg_catalog.pg_advisory_unlock(${lockKey(name)})`);
      }
    }
    return adopted;
  }

  /**
   * Copies all rows that are not there yet; gives how many there are then.
   *
   * @throws {SourceChanged} when the rows that are there are not those of the source
   * @throws {ReadAgain} when the types of the columns do not hold for all of it
   */
  async copy(
    flow: Flow,
    bed: Pick<Bed, "fit" | "digest" | "meter">,
    log: Logger,
  ): Promise<number> {
    const columns = wayOf(flow, await bed.fit(), bed);
    const into = `${this.table} (${nameList(columns.columns)})`;
    const way = { ...columns, sql: `COPY ${into} FROM STDIN (FORMAT binary)` };
    const queue = new BatchQueue(flow);
    let rows = 0;
    if (this.#found) {
      const { rows: there, bytes, digest } = this.#found;
      rows = await copyRows(queue.rows(there), { ...way, clients: [] });
      if (rows !== there || this.#hash() !== digest) {
        throw new SourceChanged(
          `The first ${there} rows of the source are not those that an attempt before this one has copied: ` +
            `those are dropped, and the next attempt begins anew`,
        );
      }
      this.resumed = { record: there + 1, byte: bytes };
      const byte = bytes === null ? "" : `, byte ${bytes}`;
      log.info(`goes on at record ${there + 1}${byte}: the rows before it are there already`);
    }
    const clients = [this.#session.client];
    while (await queue.more()) {
      // What a crash of the server takes of this it takes whole, and the COMMIT at the end waits for all of it.
      await this.#session.all(`${BEGIN}; SET LOCAL synchronous_commit = off`);
      const chunk = queue.until(way.meter.bytes + CHUNK_BYTES, way.meter);
      rows += await copyRows(chunk, { ...way, clients });
      await this.#save(rows, queue.end);
    }
    if (flow.more) await flow.again("the rows before it are hashed already");
    return rows;
  }

  /** Commits a chunk and its checkpoint. */
  async #save(rows: number, bytes: number | undefined): Promise<void> {
    const { ledger, fence } = this.#attempt;
    const until = ledger!.recurs ? `pg_catalog.clock_timestamp() + ${literal(KEPT)}` : "NULL";
    const saved = await this.#session.all(
      `UPDATE sluice.staging SET rows = ${rows}, bytes = ${literal(bytes)}, digest = ${
        literal(this.#hash())
      }, kept_until = ${until}
       WHERE name = ${literal(this.table)} AND fence = ${fence}`,
    );
    if (saved[0]!.rowCount !== 1) {
      throw new GiveUp(`Cannot go on with the load: a later attempt at it has taken its rows over`);
    }
    await this.#session.all("COMMIT");
    this.kept = ledger!.recurs;
  }

  #hash(): string {
    return this.#attempt.digest!.copy().digest("hex");
  }
}

interface Line {
  readonly plan: string | null;
  readonly rows: string;
  readonly bytes: string | null;
  readonly digest: string | null;
  readonly there: boolean;
}

/** Takes the lock of a staging table that its owner has as long as it lives; false where it does. */
async function outlive(session: Session, name: string): Promise<boolean> {
  try {
    await session.all(
      `BEGIN; SET LOCAL lock_timeout = '${LAST_BREATH}';
       SELECT pg_catalog.pg_advisory_lock(${lockKey(name)}); COMMIT`,
    );
    return true;
  } catch (error) {
    if ((error as { code?: string }).code !== "55P03") throw error;
    await session.all("ROLLBACK");
    return false;
  }
}
