import { Channel } from "./_subprocess_channel.ts";
import { pack } from "./_subprocess_error.ts";
import type { FromChild, ToChild } from "./_subprocess_message.ts";

/** How to start a process. */
export interface Command {
  readonly path: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** Milliseconds from the request to end until SIGKILL. */
const GRACE = 800;
/** Characters of a line that is longer than any should be. */
const MAX_LINE = 8192;
/** Lines of stderr that an error tells. */
const LAST_LINES = 10;
/** What is printed must not come between the frames: these go over 3 and 4, and both stdout and stderr are one pipe. */
const SHELL = 'exec "$@" 3<&0 4>&1 0</dev/null 1>&2';

/** A process that does a job, the first of a process group of its own. */
export class Child {
  readonly channel: Channel<FromChild, ToChild>;
  readonly #process: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;
  readonly #listening: Promise<void>;
  readonly #last: string[] = [];
  readonly #gone: Promise<Deno.CommandStatus>;
  #killing: ReturnType<typeof setTimeout> | undefined;
  #letGo: ReturnType<typeof setTimeout> | undefined;

  /** Starts it; `onLine` gets what it prints. */
  constructor({ path, args, env }: Command, onLine: (line: string) => void) {
    this.#process = new Deno.Command("/bin/sh", {
      args: ["-c", SHELL, "sh", path, ...args],
      env,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      detached: true,
    }).spawn();
    this.channel = new Channel(this.#process.stdout, this.#process.stdin);
    this.#lines = this.#process.stderr.pipeThrough(new TextDecoderStream()).getReader();
    this.#listening = this.#listen(onLine);
    this.#gone = this.#process.status.then((status) => {
      this.#send("SIGKILL");
      // Whoever left the group may hold the pipes for ever.
      this.#letGo = setTimeout(() => {
        this.#lines.cancel();
        this.channel.cancel();
      }, GRACE);
      return status;
    });
  }

  /** Asks it to end, and makes sure of it. */
  stop(reason: unknown): void {
    this.channel.send({ type: "stop", reason: pack(reason) }).catch(() => {});
    this.#send("SIGTERM");
    this.#killSoon();
  }

  /** Lets go of it; resolves when it is gone, and all of its group, with how it went. */
  async end(): Promise<string> {
    this.#killSoon();
    // At the end of what it is told, it ends.
    this.channel.close();
    const { code, signal } = await this.#gone;
    clearTimeout(this.#killing);
    await this.#listening;
    clearTimeout(this.#letGo);
    await this.channel.cancel();
    const how = signal ? `was killed by ${signal}` : `ended with exit code ${code}`;
    if (this.#last.length === 0) return `${how}; it printed nothing`;
    return `${how}; the end of what it printed:\n${this.#last.join("\n").slice(-2000)}`;
  }

  #killSoon(): void {
    this.#killing ??= setTimeout(() => this.#send("SIGKILL"), GRACE);
  }

  #send(signal: Deno.Signal): void {
    try {
      Deno.kill(-this.#process.pid, signal);
    } catch {
      // Nobody is left.
    }
  }

  async #listen(onLine: (line: string) => void): Promise<void> {
    const say = (line: string): void => {
      onLine(line);
      if (this.#last.push(line) > LAST_LINES) this.#last.shift();
    };
    let rest = "";
    for (;;) {
      const { done, value } = await this.#lines.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop()!;
      for (const line of lines) say(line);
      if (rest.length > MAX_LINE) {
        say(rest);
        rest = "";
      }
    }
    if (rest) say(rest);
  }
}
