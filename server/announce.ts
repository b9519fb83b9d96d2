import { join } from "node:path";

/** Where the server of a home folder is, and how to be let in. */
export interface Announcement {
  /** The process that holds the folder. */
  readonly pid: number;
  /** Its URL. */
  readonly address: string;
  /** A token of an admin. */
  readonly token: string;
}

/**
 * Says in the `engine.json` of a home folder, which its user alone may read, where its server is, so that the commands of
 * the same user find it. The store that holds the folder removes the file at its end.
 */
export async function announce(
  home: string,
  where: Omit<Announcement, "pid">,
): Promise<void> {
  const path = join(home, "engine.json");
  const aside = `${path}.${Deno.pid}`;
  const address = new URL(where.address);
  // What listens everywhere is asked here.
  if (address.hostname === "0.0.0.0") address.hostname = "127.0.0.1";
  if (address.hostname === "[::]") address.hostname = "[::1]";
  const said = { pid: Deno.pid, address: address.origin, token: where.token };
  await Deno.writeTextFile(aside, JSON.stringify(said), { mode: 0o600 });
  // At once, or not at all: others may be reading it.
  await Deno.rename(aside, path);
}

/** Where the server of a home folder is; undefined when none was announced. */
export async function announced(home: string): Promise<Announcement | undefined> {
  try {
    const { pid, address, token } = JSON.parse(await Deno.readTextFile(join(home, "engine.json")));
    return typeof address === "string" && typeof token === "string"
      ? { pid, address, token }
      : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
