/** What one run of a command cost. */
export interface Cost {
  /** Seconds from start to end of the process. */
  readonly wall: number;
  /** CPU seconds of the command and its children. */
  readonly client: number;
  /** CPU seconds of the Postgres server meanwhile. */
  readonly server: number;
  /** Kilobytes of the largest process of the command at its peak. */
  readonly peak: number;
}

/** Runs a command line to its end and tells what it cost. @throws {Error} when it fails */
export async function measure(args: readonly string[], postmaster: number): Promise<Cost> {
  const report = await Deno.makeTempFile();
  const before = serverSeconds(postmaster);
  const { success, stderr } = await new Deno.Command("/usr/bin/time", {
    args: ["-f", "%e %U %S %M", "-o", report, ...args],
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`${args.join(" ")} failed: ${new TextDecoder().decode(stderr)}`);
  // The session's process may outlive its client by a moment.
  await new Promise((resolve) => setTimeout(resolve, 300));
  const server = serverSeconds(postmaster) - before;
  const [wall, user, system, peak] = (await Deno.readTextFile(report)).trim().split(" ").map(
    Number,
  );
  await Deno.remove(report);
  return { wall: wall!, client: user! + system!, server, peak: peak! };
}

/** CPU seconds of a Postgres server so far: of the processes that live, and of those that have ended. */
function serverSeconds(postmaster: number): number {
  let ticks = 0;
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const fields = statOf(name);
    // proc(5): fields[1] is the parent, 11 to 14 are utime, stime, and both of the children waited for.
    if (!fields || (name !== String(postmaster) && fields[1] !== String(postmaster))) continue;
    ticks += Number(fields[11]) + Number(fields[12]);
    if (name === String(postmaster)) ticks += Number(fields[13]) + Number(fields[14]);
  }
  return ticks / 100;
}

/** What /proc says of a process, from its state on: behind the name, which may hold anything. */
function statOf(pid: string): string[] | undefined {
  try {
    const text = Deno.readTextFileSync(`/proc/${pid}/stat`);
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined; // it has ended meanwhile
  }
}

/** The middle of some numbers. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The number that `percent` of some numbers do not exceed. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * percent / 100) - 1)]!;
}
