import { createHash, type Hash } from "node:crypto";
import { type Context, GiveUp } from "../engine/mod.ts";
import { connect, disconnect } from "./_connect.ts";
import type { Column, CopyOptions } from "./_copy_options.ts";
import { type Entry, grants, isThere, Ledger, LOOK, type Look, makeLedger } from "./_ledger.ts";
import { BEGIN, Session } from "./_session.ts";
import { dropLeftovers } from "./_staging.ts";
import { named } from "./_table.ts";
import { readTarget, type Target, targetQuery } from "./_target.ts";

/** One attempt at a load, with its place in the ledger, its transaction begun. */
export interface Attempt {
  readonly target: Target;
  /** Undefined where there are no rights for one. */
  readonly ledger: Ledger | undefined;
  readonly fence: string;
  readonly began: string;
  /** The load that this one may turn out to be the same as. */
  readonly prior: Entry | null;
  /** What was written down of this load, and does not count as there any more. */
  readonly instead: Entry | null;
  /** Whether rows are committed as they come, so that the next attempt at the load can go on where this one stops. */
  readonly resumable: boolean;
  /** Where rows are to be hashed as they go by. */
  readonly digest: Hash | undefined;
}

/** Finds the target and the ledger, and begins. @throws {GiveUp} where there can be no ledger, and must be */
export async function beginAttempt(
  session: Session,
  columns: readonly Column[],
  options: CopyOptions,
  ctx: Context,
): Promise<Attempt> {
  const { table, schema, mode, ifUnchanged } = options;
  const [looked, found] = await session.all(`${LOOK}; ${targetQuery(table, schema)}`);
  const look = looked!.rows[0] as Look;
  const target = readTarget(found!.rows[0], table, schema);
  if (look.encoding === "SQL_ASCII") {
    ctx.log.warn(
      `database ${
        JSON.stringify(look.database)
      } has no encoding (SQL_ASCII): text is kept in the bytes of UTF-8`,
    );
  }
  const none = {
    ...{ target, ledger: undefined, fence: "0", began: "", prior: null, instead: null },
    ...{ resumable: false, digest: undefined },
  };
  if (!mayKeep(look, options, ctx)) {
    await session.all(BEGIN);
    return none;
  }
  if (!look.made) await makeLedger(session.client);
  const ledger = new Ledger(target, options, ctx);
  const drawn = await session.row<Drawn>(`${BEGIN}; ${ledger.begin}`);
  if (drawn.leftovers) {
    await session.all("COMMIT");
    for (const name of await dropLeftovers(session.client)) {
      ctx.log.info(`dropped ${name}, left by a load that died`);
    }
    await session.all(BEGIN);
  }
  // Only what may have to be known again is hashed.
  const resumable = isResumable(options, ledger, ctx);
  const digest = (ledger.recurs && mode === "append") || ifUnchanged === "skip" || resumable
    ? createHash("sha256").update(JSON.stringify(columns))
    : undefined;
  const { fence, began, prior } = drawn;
  const there = prior !== null && await isThere(session, target, prior);
  const known = there ? { prior } : { instead: prior };
  return { ...none, fence, began, ...known, ledger, resumable, digest };
}

interface Drawn extends Pick<Attempt, "fence" | "began" | "prior"> {
  readonly leftovers: boolean;
}

/** Bytes of a source beyond which to go on with a load is worth more than to be through with it a little earlier. */
const LARGE = 10e9;

/** Whether rows are to be committed as they come. */
function isResumable(options: CopyOptions, { recurs }: Ledger, { meters }: Context): boolean {
  if (options.staging) return options.staging === "committed";
  const { mode, duplicates, parallel = 1, large = LARGE } = options;
  const ordered = mode === "merge" && duplicates !== "fail";
  return recurs && parallel === 1 && !ordered && (meters.read()[0]?.length ?? 0) > large;
}

/** Whether there are the rights for a ledger; says so when there are not. */
function mayKeep(look: Look, options: CopyOptions, { log }: Context): boolean {
  const { mode, key, ifUnchanged, parallel = 1, staging } = options;
  const missing = grants(look);
  if (missing.length === 0) return true;
  const needed = mode === "merge" || mode === "partition"
    ? `mode ${mode} needs`
    : key !== undefined
    ? "a key needs"
    : ifUnchanged === "skip"
    ? "to skip what has not changed needs"
    : parallel > 1
    ? "more than one connection needs"
    : staging === "committed"
    ? "committed staging needs"
    : undefined;
  const rights = `the rights for a ledger in schema sluice: ${missing.join("; ")}`;
  if (needed) {
    throw new GiveUp(`Cannot load into ${named(options)}: ${needed} ${rights}`);
  }
  log.warn(
    `loading into ${
      named(options)
    } without a ledger, so that a load made twice is not noticed; missing are ${rights}`,
  );
  return false;
}

/**
 * What became of a load whose answer to COMMIT was lost: what the ledger says, once its session is over for sure;
 * undefined when nothing came of it.
 *
 * @throws {Error} when that cannot be found out
 */
export async function resolveCommit(
  { ledger, fence }: Attempt,
  options: CopyOptions,
  ctx: Context,
  cause: unknown,
): Promise<Entry | undefined> {
  const { signal } = ctx;
  const what = `Cannot load into ${named(options)}: the connection with Postgres was lost ` +
    `at its COMMIT, and whether it took effect is not known`;
  if (!ledger) {
    throw new Error(`${what}, since there is no ledger; look at the table`, { cause });
  }
  try {
    const client = await connect(await ctx.connection(options.connection), { signal });
    try {
      // The session that is lost has this lock until its transaction is over, one way or the other.
      await client.query(`BEGIN; SET LOCAL lock_timeout = '90s'; ${ledger.turn}`);
      const entry: Entry | undefined = (await client.query(ledger.read)).rows[0]?.entry;
      return entry?.fence === fence ? entry : undefined;
    } finally {
      await disconnect(client);
    }
  } catch (error) {
    signal.throwIfAborted();
    throw new Error(
      `${what}: ${
        (error as Error).message
      }. It did if sluice.loads has fence ${fence} for ${ledger.key}`,
      { cause },
    );
  }
}
