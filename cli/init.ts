import { buildCommand } from "@stricli/core";
import { dirname, isAbsolute, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as flags from "./flags.ts";
import { print, UsageError, verb, type World } from "./world.ts";

interface InitFlags {
  readonly json: boolean;
}

/** `sluice init DIR`: a folder to begin in. */
export const init = buildCommand<InitFlags, [string], World>({
  func: verb(async (world, options, folder) => {
    const path = isAbsolute(folder) ? folder : join(world.cwd, folder);
    const made: string[] = [];
    const kept: string[] = [];
    for (const [name, text] of Object.entries(files())) {
      (await write(join(path, name), text) ? made : kept).push(name);
    }
    if (options.json) print(world, JSON.stringify({ folder: path, made, kept }));
    else {
      for (const name of made) print(world, `made  ${join(folder, name)}`);
      for (const name of kept) print(world, `left  ${join(folder, name)}, which was there already`);
      print(
        world,
        `\nGo on with:\n  cd ${folder}\n  ${world.command} list\n  ${world.command} run hello`,
      );
    }
    return 0;
  }),
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [{ parse: String, placeholder: "DIR", brief: "The folder; made if not there" }],
    },
    flags: { json: flags.json },
  },
  docs: {
    brief: "Make a folder to begin in, with a first DAG",
    fullDescription: [
      "Writes a DAG of two commands, a deno.json so that editors know what `sluice` is, and a README. A file",
      "that is there already is left as it is.",
      "",
      "Examples:",
      "  sluice init pipelines",
      "  cd pipelines && sluice run hello",
    ].join("\n"),
  },
});

/** What a new folder has in it. */
function files(): Readonly<Record<string, string>> {
  return {
    "deno.json": `${JSON.stringify(configuration(), null, 2)}\n`,
    "dags/hello.ts": HELLO,
    "README.md": README,
    ".gitignore": ".sluice/\n",
  };
}

/** For editors and `deno check`; and for `deno task`, where there is no binary: the same verbs as here. */
function configuration(): Record<string, unknown> {
  if (Deno.build.standalone) return { unstable: ["temporal"] };
  const config = fileURLToPath(new URL("deno.json", Deno.mainModule));
  const main = `--config '${config}' '${fileURLToPath(Deno.mainModule)}'`;
  const here: Record<string, string> = JSON.parse(Deno.readTextFileSync(config)).tasks;
  const tasks = Object.entries(here).filter(([, command]) => / main\.[jt]s( |$)/.test(command))
    .map(([verb, command]) => [verb, command.replace(/ main\.[jt]s/, () => ` ${main}`)]);
  return { importMap: config, unstable: ["temporal"], tasks: Object.fromEntries(tasks) };
}

/** What a DAG imports. */
const PACKAGE = "sluice";

const HELLO = `import { bash, dag } from "${PACKAGE}";

/** Two commands, one after the other, each day. */
const hello = dag("hello", { schedule: "@daily", start: "2021-01-01" });

// What a command writes is its log; the last line is what the task puts out.
const greet = hello.task(
  "greet",
  bash({ command: 'echo "Hello, \${SLUICE_LOGICAL_DATE%T*}!"' }),
);

// Reading what greet puts out makes this task wait for it.
hello.task(
  "answer",
  bash({
    command: 'echo "greet said: $SAID"',
    env: { SAID: greet.map((line) => line ?? "nothing") },
  }),
);

export default hello;
`;

const README = `# Pipelines

Each module in \`dags/\` that exports a DAG is found; a name that begins with \`_\`
is for parts of others.

    sluice list             # the DAGs, when they run and how they fare
    sluice show hello       # its tasks and its next runs
    sluice run hello        # here and now
    sluice serve            # the scheduler and its API
    sluice doctor           # what this machine has, and lacks
    deno check dags         # more than is seen when they are loaded

Where there is no \`sluice\`, it is \`deno task\`. What happened is kept in
\`.sluice/\`.
`;

/** Writes a file that is not there; false when it is. @throws {UsageError} when it cannot be written */
async function write(path: string, text: string): Promise<boolean> {
  try {
    await Deno.mkdir(dirname(path), { recursive: true });
    await Deno.writeTextFile(path, text, { createNew: true });
    return true;
  } catch (error) {
    // A file may also stand where its folder is to be.
    const there = error instanceof Deno.errors.AlreadyExists;
    if (there && await Deno.lstat(path).then(() => true, () => false)) return false;
    throw new UsageError(`Cannot write ${path}: ${(error as Error).message}`, { cause: error });
  }
}
