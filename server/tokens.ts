import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { join } from "node:path";

/** What somebody may do: look; also run DAGs; also everything else. */
export type Role = "viewer" | "runner" | "admin";

/** The roles, from the least to the most. */
export const ROLES: readonly ["viewer", "runner", "admin"] = ["viewer", "runner", "admin"];

/** A token as it is told of: never itself. */
export interface TokenEntry {
  /** Names it. */
  readonly id: string;
  /** What it allows. */
  readonly role: Role;
  /** Who has it, in words. */
  readonly name: string;
  /** When it was made: an ISO string in UTC. */
  readonly created: string;
}

/** A token that was just made: this once it is told. */
export interface NewToken extends TokenEntry {
  /** What a request must bring as `authorization: Bearer …`. */
  readonly token: string;
}

/** Who may ask. */
export interface Tokens {
  /** What a token allows; undefined: nothing. Compared in constant time. */
  role(token: string): Role | undefined;
  /** Those that are kept. */
  list(): readonly TokenEntry[];
  /** Makes one, to be kept. */
  create(role: Role, name: string): Promise<NewToken>;
  /** Forgets one; false when there is none of that id. */
  remove(id: string): Promise<boolean>;
}

/** Options for {@linkcode openTokens}. */
export interface TokensOptions {
  /** Those that hold for this time alone, and are not kept. @default {[]} */
  readonly also?: readonly { readonly token: string; readonly role: Role }[];
  /** The time. @default {the system's} */
  readonly now?: () => Temporal.Instant;
}

interface Kept extends TokenEntry {
  /** SHA-256 of the token, in hex: enough, since tokens are random. */
  readonly hash: string;
}

/** The tokens of a home folder: in `tokens.json`, hashed. */
export async function openTokens(home: string, options: TokensOptions = {}): Promise<Tokens> {
  const { also = [], now = Temporal.Now.instant } = options;
  const path = join(home, "tokens.json");
  let kept: readonly Kept[] = await read(path);
  let turn: Promise<unknown> = Promise.resolve();

  /** One change after the other, each durable before it counts. */
  function change<T>(make: (kept: readonly Kept[]) => [next: readonly Kept[], T]): Promise<T> {
    const done = turn.then(async () => {
      const [next, result] = make(kept);
      await write(path, next);
      kept = next;
      return result;
    });
    turn = done.catch(() => {});
    return done;
  }

  return {
    role(token) {
      const asked = digest(token);
      let found: Role | undefined;
      for (const { token, role } of also) if (timingSafeEqual(digest(token), asked)) found = role;
      for (const { hash, role } of kept) {
        if (timingSafeEqual(fromHex(hash), asked)) found ??= role;
      }
      return found;
    },
    list: () => kept.map(({ hash: _, ...entry }) => entry),
    create(role, name) {
      const token = makeToken();
      const hash = digest(token).toString("hex");
      const entry = { id: hash.slice(0, 12), role, name, created: now().toString() };
      return change((kept) => [[...kept, { ...entry, hash }], { ...entry, token }]);
    },
    remove: (id) =>
      change((kept) => [kept.filter((one) => one.id !== id), kept.some((one) => one.id === id)]),
  };
}

/** A token that nobody can guess. */
export function makeToken(): string {
  return `sluice_${randomBytes(32).toString("base64url")}`;
}

function digest(token: string): Uint8Array & { toString(encoding: "hex"): string } {
  return createHash("sha256").update(token).digest();
}

function fromHex(hash: string): Uint8Array {
  return Uint8Array.from(hash.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

async function read(path: string): Promise<Kept[]> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
  try {
    return JSON.parse(text).tokens.map(({ id, role, name, created, hash }: Kept) => {
      if (!ROLES.includes(role) || !/^[0-9a-f]{64}$/.test(hash)) throw new TypeError(id);
      return { id, role, name, created, hash };
    });
  } catch (cause) {
    // Nobody is let in by a file that cannot be read; nor is it overwritten.
    throw new Error(`Cannot read the tokens in "${path}": repair or remove it`, { cause });
  }
}

/** Replaces the file at once, or not at all. */
async function write(path: string, tokens: readonly Kept[]): Promise<void> {
  const aside = `${path}.new`;
  await Deno.mkdir(join(path, ".."), { recursive: true, mode: 0o700 });
  await Deno.writeTextFile(aside, JSON.stringify({ tokens }, null, 2), { mode: 0o600 });
  using file = await Deno.open(aside, { write: true });
  await file.sync();
  await Deno.rename(aside, path);
}
