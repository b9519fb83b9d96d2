import assert from "node:assert/strict";
import { sluice } from "../../cli/mod.ts";

const root = new URL("../../", import.meta.url).pathname;
const { tasks } = JSON.parse(await Deno.readTextFile(`${root}deno.json`));
/** The command as the tasks start it, with what they tell the runtime. */
const COMMAND: readonly string[] = [
  Deno.execPath(),
  ...tasks.sluice.replace("main.ts", `${root}main.ts`).split(" ").slice(1),
];

/** How a command ended, and what it said. */
export interface Told {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What came of a command in a process of its own. */
export interface Outcome extends Told {
  /** Milliseconds from its start to its end. */
  readonly ms: number;
  /** The largest resident size that was seen, in MiB. */
  readonly peak: number;
}

/** How to run a command. */
export interface RunOptions {
  /** Beside PATH and the like, of which only the least is handed on. */
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string | Uint8Array;
  /** A program, and its arguments, that starts the command. */
  readonly under?: readonly string[];
  /** Milliseconds until it is killed. @default {120_000} */
  readonly patience?: number;
}

/** Of a terminal. */
export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** The command line as a user has it: in processes of its own, in a folder that goes when disposed of. */
export class Sluice implements AsyncDisposable {
  readonly folder: string = Deno.makeTempDirSync({ prefix: "sluice-cli-", dir: "/tmp" });
  readonly #running = new Set<Command>();
  readonly #command: readonly string[];

  constructor(command: readonly string[] = COMMAND) {
    this.#command = command;
    // The embedded Postgres runs as somebody else when we are root.
    Deno.chmodSync(this.folder, 0o755);
  }

  /** The home folder that the commands have. */
  get home(): string {
    return `${this.folder}/home`;
  }

  /** Writes a file beside the home folder; gives its path. */
  file(name: string, content: string | Uint8Array): string {
    const path = `${this.folder}/${name}`;
    Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    Deno.writeFileSync(path, typeof content === "string" ? encode(content) : content);
    return path;
  }

  /** Starts a command. */
  start(args: readonly string[], options: RunOptions = {}): Command {
    return this.#start([...this.#command, ...args], options);
  }

  /** Starts a command on a terminal. What it writes is its stdout. */
  startOnTerminal(
    args: readonly string[],
    { columns, rows }: Size,
    options: RunOptions = {},
  ): Command {
    const line = [...this.#command, ...args].map((word) => `'${word.replaceAll("'", `'\\''`)}'`)
      .join(" ");
    const sized = `stty cols ${columns} rows ${rows} && ${line}`;
    return this.#start(["script", "-qec", sized, "/dev/null"], options);
  }

  /** Starts a program of the user's own. */
  program(path: string, options: RunOptions = {}): Command {
    const config = ["--config", `${root}deno.json`];
    return this.#start([Deno.execPath(), "run", "-A", ...config, path], options);
  }

  /** Runs a command to its end. */
  run(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    return this.start(args, options).ended;
  }

  /**
   * Runs a command in this process, which is much quicker: for what is refused, or only looks. Nobody sits at a terminal,
   * and stdin is not there.
   */
  async here(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<Told> {
    let stdout = "", stderr = "";
    const code = await sluice({
      process: {
        stdout: { write: (text) => void (stdout += text) },
        stderr: { write: (text) => void (stderr += text) },
        env: { HOME: this.folder, SLUICE_HOME: this.home, ...env },
      },
      command: "deno task",
      cwd: this.folder,
      screen: () => undefined,
      ask: undefined,
      signal: new AbortController().signal,
    }, args);
    return { code, stdout, stderr };
  }

  #start(words: readonly string[], options: RunOptions): Command {
    const [first, ...rest] = [...options.under ?? [], ...words];
    const command = new Command(first!, rest, this, options);
    this.#running.add(command);
    command.ended.finally(() => this.#running.delete(command)).catch(() => {});
    return command;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const command of this.#running) command.kill("SIGKILL");
    await Promise.all([...this.#running].map(({ ended }) => ended));
    // Who killed a command may have left its Postgres running.
    if (await exists(`${this.home}/postgres`)) await this.run(["db", "stop"]);
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** A command that runs. */
export class Command {
  readonly pid: number;
  readonly ended: Promise<Outcome>;
  stdout = "";
  stderr = "";
  peak = 0;
  readonly #child: Deno.ChildProcess;
  readonly #heard = new Set<() => void>();
  #over = false;

  constructor(
    program: string,
    args: readonly string[],
    { folder, home }: Sluice,
    options: RunOptions,
  ) {
    const { env = {}, stdin, patience = 120_000 } = options;
    this.#child = new Deno.Command(program, {
      args: [...args],
      cwd: folder,
      env: {
        PATH: Deno.env.get("PATH") ?? "",
        DENO_DIR: denoFolder(),
        HOME: folder,
        SLUICE_HOME: home,
        NO_COLOR: "1",
        TERM: "xterm",
        ...env,
      },
      clearEnv: true,
      stdin: stdin === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.pid = this.#child.pid;
    this.ended = this.#follow(stdin, patience);
    this.ended.catch(() => {});
  }

  /** Resolves with what matched once stderr, or on a terminal stdout, says it. */
  async says(what: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = what.exec(this.stderr) ?? what.exec(this.stdout);
      if (found) return found;
      if (this.#over) assert.fail(`it ended without ${what}:\n${this.stdout}\n${this.stderr}`);
      await new Promise<void>((resolve) => {
        const go = (): void => {
          this.#heard.delete(go);
          resolve();
        };
        this.#heard.add(go);
      });
    }
  }

  kill(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch { /* it has ended */ }
  }

  async #follow(stdin: RunOptions["stdin"], patience: number): Promise<Outcome> {
    const began = performance.now();
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.kill("SIGKILL");
    }, patience);
    const weigh = setInterval(() => this.#weigh(), 20);
    const listen = async (stream: ReadableStream<Uint8Array>, add: (text: string) => void) => {
      const decoder = new TextDecoder();
      for await (const chunk of stream) {
        add(decoder.decode(chunk, { stream: true }));
        for (const go of [...this.#heard]) go();
      }
    };
    const feed = async (): Promise<void> => {
      if (stdin === undefined) return;
      const writer = this.#child.stdin.getWriter();
      try {
        await writer.write(typeof stdin === "string" ? encode(stdin) : stdin);
        await writer.close();
      } catch { /* it does not want to read */ }
    };
    const [{ code }] = await Promise.all([
      this.#child.status,
      listen(this.#child.stdout, (text) => this.stdout += text),
      listen(this.#child.stderr, (text) => this.stderr += text),
      feed(),
    ]);
    clearTimeout(timer);
    clearInterval(weigh);
    this.#over = true;
    for (const go of [...this.#heard]) go();
    if (late) assert.fail(`it took more than ${patience} ms:\n${this.stdout}\n${this.stderr}`);
    const { peak } = this, stdout = ours(this.stdout), stderr = ours(this.stderr);
    return { code, stdout, stderr, peak, ms: performance.now() - began };
  }

  #weigh(): void {
    try {
      const status = Deno.readTextFileSync(`/proc/${this.pid}/status`);
      this.peak = Math.max(this.peak, Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024);
    } catch { /* it has ended */ }
  }
}

/** The one document on stdout. */
// deno-lint-ignore no-explicit-any -- a test says what it expects in it
export function document({ stdout, stderr }: Told): any {
  assert.match(stdout, /^[^\n]+\n$/, `one line is to be on stdout; stderr:\n${stderr}`);
  return JSON.parse(stdout);
}

/** Asserts that a command ended badly, and said why once: on stderr, and with `--json` on stdout. Gives the sentence. */
export function refusal(outcome: Told, code: number): string {
  assert.equal(outcome.code, code, outcome.stdout + outcome.stderr);
  const said = outcome.stderr.match(/^sluice: [^]*/gm) ?? [];
  assert.equal(said.length, 1, outcome.stderr);
  const sentence = said[0]!.slice("sluice: ".length).trimEnd();
  assert.doesNotMatch(sentence, /^\s+at /m, "a stack is no sentence");
  if (outcome.stdout !== "") assert.deepEqual(document(outcome), { error: { message: sentence } });
  return sentence;
}

/** What a terminal shows, what has scrolled off its top included, in the end of what was written to it. */
export function screen(written: string, { columns, rows }: Size): string[] {
  const lines: string[] = [""];
  let row = 0, column = 0;
  // deno-lint-ignore no-control-regex
  for (const [piece] of written.matchAll(/\u001b\[\d*[A-Z]|[^]/g)) {
    // deno-lint-ignore no-control-regex
    const [, number, letter] = /^\u001b\[(\d*)([A-Z])$/.exec(piece) ?? [];
    const line = lines[row]!;
    if (letter === "A") {
      row -= Number(number);
      assert.ok(row > lines.length - 1 - rows, "what has scrolled off cannot be reached");
    } else if (letter === "G") column = Math.max(0, Number(number) - 1); // the runtime's own, as it starts
    else if (letter === "K") lines[row] = number === "2" ? "" : line.slice(0, column);
    else if (letter === "J") lines.splice(row, Infinity, line.slice(0, column));
    else if (letter) assert.fail(`unknown: ${JSON.stringify(piece)}`);
    else if (piece === "\r") column = 0;
    else if (piece === "\n") lines[++row] ??= "";
    else {
      assert.ok(column < columns, `a line is too long: ${line}`);
      lines[row] = line.slice(0, column).padEnd(column) + piece + line.slice(++column);
    }
  }
  return lines.map((line) => line.trimEnd());
}

/** A server of the test, and the requests it has seen. */
export interface Served extends AsyncDisposable {
  readonly url: string;
  /** `GET /path 200`, in the order in which they were answered. */
  readonly log: string[];
}

/** Serves on a free port. */
export function serve(answer: (request: Request) => Response | Promise<Response>): Served {
  const log: string[] = [];
  const stop = new AbortController();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, signal: stop.signal, onListen() {} },
    async (request) => {
      const response = await answer(request);
      log.push(`${request.method} ${new URL(request.url).pathname} ${response.status}`);
      return response;
    },
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    log,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await server.finished;
    },
  };
}

/** Waits until something holds; how long is no claim, but keeps what never will from hanging. */
export async function until(what: () => boolean | Promise<boolean>, ms = 60_000): Promise<void> {
  for (const end = performance.now() + ms; !await what();) {
    if (performance.now() > end) assert.fail(`in ${ms} ms it did not come to: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** What a command wrote, without what the runtime says when another process has the cache that all share. */
export function ours(text: string): string {
  return text.replaceAll(
    /(?:Could not initialize cache database|Failed to open cache file) [^\n]*\n/g,
    "",
  );
}

/** Where Deno keeps its packages: the commands have another HOME. */
function denoFolder(): string {
  const { DENO_DIR, XDG_CACHE_HOME, HOME } = Deno.env.toObject();
  return DENO_DIR || `${XDG_CACHE_HOME || `${HOME}/.cache`}/deno`;
}

function encode(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
