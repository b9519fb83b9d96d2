import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { makeHome } from "../engine/mod.ts";
import { type Account, exists, spawnProgram } from "./_postgres_programs.ts";

/** Where the parts of a server are, and as whom it runs. */
export interface Site {
  /** Holds all that follows. */
  readonly base: string;
  readonly data: string;
  readonly password: string;
  /** There while the server is to be left running. */
  readonly keep: string;
  readonly account: Account;
}

/** The folders that may hold the files of a home's server, best first. */
async function candidates(home: string): Promise<string[]> {
  const real = await Deno.realPath(home);
  const below = join(real, "postgres");
  if (Deno.uid() !== 0) return [below];
  const name = `sluice-${createHash("sha256").update(real).digest("hex").slice(0, 12)}`;
  return [below, `/var/lib/${name}`, `/var/tmp/${name}`];
}

/** The files of a home's server, if it has any. @throws {Error} when they are somebody else's */
export async function findSite(home: string): Promise<Site | undefined> {
  if (!await exists(home)) return undefined;
  for (const base of await candidates(home)) {
    if (!await exists(base)) continue;
    const { isDirectory, uid } = await Deno.lstat(base);
    if (isDirectory && uid === Deno.uid()) return site(base);
    throw new Error(
      `Cannot use ${base} for the embedded Postgres: it belongs to somebody else (user ${uid}). ` +
        "Run as that user, or name another folder with --home",
    );
  }
  return undefined;
}

/** Makes the folder for them. */
export async function makeSite(home: string, log: (message: string) => void): Promise<Site> {
  await makeHome(home);
  const account = accountOf();
  const all = await candidates(home);
  const inside = dirname(all[0]!);
  if (await mayEnter(dirname(inside), account)) await letIn(inside, account);
  for (const base of all) {
    if (!await mayEnter(dirname(base), account)) continue;
    await Deno.mkdir(base, { recursive: true, mode: 0o700 });
    await letIn(base, account);
    if (base !== all[0]) {
      log(`Postgres does not run as root, and others cannot enter ${home}: its data is in ${base}`);
    }
    return (await findSite(home))!;
  }
  throw new Error(
    `Cannot make a folder for the embedded Postgres: user ${account.uid}, as whom it must run, can enter none of ` +
      all.join(", "),
  );
}

function site(base: string): Site {
  return {
    base,
    data: join(base, "data-18"),
    password: join(base, "password"),
    keep: join(base, "keep"),
    account: accountOf(),
  };
}

/** Postgres refuses to run as root: there, as whom it runs instead. */
function accountOf(): Account {
  if (Deno.uid() !== 0) return {};
  const nobody = /^nobody:[^:]*:(\d+):(\d+):/m.exec(Deno.readTextFileSync("/etc/passwd"));
  return { uid: Number(nobody?.[1] ?? 65534), gid: Number(nobody?.[2] ?? 65534) };
}

/** Lets the server's user through a folder of ours that is closed to all others; they stay out, and none may list it. */
async function letIn(folder: string, { gid }: Account): Promise<void> {
  const { uid, mode } = await Deno.stat(folder);
  if (gid === undefined || uid !== Deno.uid() || (mode! & 0o077) !== 0) return;
  await Deno.chown(folder, uid, gid);
  await Deno.chmod(folder, 0o710);
}

async function mayEnter(folder: string, account: Account): Promise<boolean> {
  const child = spawnProgram("/bin/sh", ["-c", 'cd "$0"', folder], { cwd: "/", ...account });
  return (await child.status).success;
}

/** Runs one thing at a time among all processes that share a server: finding, making, starting, stopping it. */
export async function locked<T>(site: Site, run: () => Promise<T>): Promise<T> {
  using file = await Deno.open(join(site.base, "lock"), { create: true, write: true, mode: 0o600 });
  await file.lock(true);
  return await run();
}
