import { setTimeout as sleep } from "node:timers/promises";
import type { TestPostgres } from "../_postgres.ts";

/** What a server needs to keep what was acknowledged when it is killed; those of tests do without. */
export const KEEPING = { synchronous_commit: "on", full_page_writes: "on" } as const;

/** Milliseconds until a server that does not come up counts as dead. */
const PATIENCE = 60_000;

/** Kills a server's postmaster, and starts another in its place; disposing of it stops that one. */
export class Killer implements AsyncDisposable {
  readonly #server: TestPostgres;
  readonly #program: string;
  #child: Deno.ChildProcess | undefined;

  constructor(server: TestPostgres) {
    this.#server = server;
    this.#program = Deno.readLinkSync(`/proc/${server.pid()}/exe`);
  }

  /** Kills the postmaster, whatever it is at; what it has started ends soon after. */
  async kill(): Promise<void> {
    try {
      Deno.kill(this.#server.pid(), "SIGKILL");
    } catch { /* it has ended by itself */ }
    await this.#child?.status;
    this.#child = undefined;
  }

  /** Starts a postmaster on the same data. */
  async revive(): Promise<void> {
    const { uid, gid } = await Deno.stat(this.#server.folder);
    for (const end = performance.now() + PATIENCE; performance.now() < end;) {
      const child = new Deno.Command(this.#program, {
        args: ["-D", this.#server.folder],
        cwd: this.#server.folder,
        ...Deno.uid() === 0 ? { uid: uid!, gid: gid! } : {},
        stdin: "null",
        stdout: "null",
        stderr: "null",
      }).spawn();
      // It will not while a child of the dead one still holds the shared memory.
      const early = await Promise.race([child.status, this.ready().then(() => undefined)]);
      if (early === undefined) return void (this.#child = child);
      await sleep(50);
    }
    throw new Error("the server does not come up again");
  }

  /** Waits until the server answers. */
  async ready(): Promise<void> {
    for (const end = performance.now() + PATIENCE;;) {
      try {
        return void await this.#server.query("SELECT 1");
      } catch (error) {
        if (performance.now() > end) throw error;
        await sleep(20);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#child) return;
    this.#child.kill("SIGQUIT");
    await this.#child.status;
  }
}
