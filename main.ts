import { sluice } from "./cli/mod.ts";

const stop = new AbortController();
let asked = Infinity;
const signals = Deno.build.os === "windows" ? ["SIGINT"] as const : ["SIGINT", "SIGTERM"] as const;
for (const signal of signals) {
  Deno.addSignalListener(signal, () => {
    // The second time, whoever asks does not want to wait; but by way of `deno task` one Ctrl-C comes twice.
    if (performance.now() - asked > 500) Deno.exit(130);
    asked = Math.min(asked, performance.now());
    stop.abort(new DOMException(`${signal} received`, "AbortError"));
  });
}

/** Writes all of each text; nothing more once nobody reads, as behind `| head`, which `onClosed` is told. */
function write(
  to: { writeSync(bytes: Uint8Array): number },
  onClosed: (error: Error) => void = () => {},
): (text: string) => void {
  const encoder = new TextEncoder();
  let closed = false;
  return (text) => {
    const bytes = encoder.encode(text);
    try {
      for (let done = 0; done < bytes.length && !closed;) {
        done += to.writeSync(bytes.subarray(done));
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
      closed = true;
      onClosed(error);
    }
  };
}

/** Takes a line that begins with y for yes; whatever else is typed, and the end of input, is no. */
async function ask(question: string): Promise<boolean> {
  write(Deno.stderr)(`${question} [y/N] `);
  const interrupted = Promise.withResolvers<never>();
  stop.signal.addEventListener("abort", () => interrupted.reject(stop.signal.reason));
  const line = new Uint8Array(1024);
  const length = await Promise.race([Deno.stdin.read(line), interrupted.promise]);
  return /^y/i.test(new TextDecoder().decode(line.subarray(0, length ?? 0)));
}

Deno.exit(
  await sluice({
    process: {
      // Who only waits to write more need not; what is done by then stays done.
      stdout: { write: write(Deno.stdout, (error) => stop.abort(error)) },
      stderr: { write: write(Deno.stderr) },
      env: Deno.env.toObject(),
    },
    // Built, it is a command of its own.
    command: Deno.build.standalone || !import.meta.url.endsWith(".ts") ? "sluice" : "deno task",
    cwd: Deno.cwd(),
    screen: () => Deno.stderr.isTerminal() ? Deno.consoleSize() : undefined,
    ask: Deno.stdin.isTerminal() && Deno.stderr.isTerminal() ? ask : undefined,
    signal: stop.signal,
  }, Deno.args),
);
