// Runs all tests, two folders at a time: most tests wait for somebody else, and leave a core idle. What a file had to say
// is printed when it is through; what failed comes at the end. `deno task test`; with arguments it is
// `deno test` with those.

import { createInterface } from "node:readline";
import { Readable } from "node:stream";

const LANES = Math.min(2, navigator.hardwareConcurrency);

const began = performance.now();
const sums = { passed: 0, failed: 0, ignored: 0 };
const errors: string[] = [];
const left = Deno.args.length > 0 ? [Deno.args] : await groups();
await Promise.all(Array.from({ length: LANES }, async () => {
  for (let args = left.shift(); args; args = left.shift()) await run(args);
}));
for (const text of errors) console.log(text);
const minutes = ((performance.now() - began) / 60_000).toFixed(1);
console.log(
  `\n${sums.failed === 0 ? "ok" : "FAILED"} | ${sums.passed} passed | ${sums.failed} failed | ` +
    `${sums.ignored} ignored (${minutes} min)`,
);
Deno.exit(sums.failed === 0 ? 0 : 1);

/** What each process tests: a folder, or the files beside the folders. The longest come first, by their text. */
async function groups(): Promise<string[][]> {
  const files: string[] = [];
  const look = async (folder: string): Promise<void> => {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      const path = `${folder}/${name}`;
      if (isDirectory) await look(path);
      else if (/_test\.tsx?$/.test(name)) files.push(path);
    }
  };
  await look("tests");
  const sized = await Promise.all(
    [...Map.groupBy(files, (path) => path.split("/").slice(1, -1)[0] ?? "")].map(
      async ([folder, paths]) => {
        const sizes = await Promise.all(paths.map(async (path) => (await Deno.stat(path)).size));
        return {
          paths: folder === "" ? paths : [`tests/${folder}/`],
          size: sizes.reduce((a, b) => a + b),
        };
      },
    ),
  );
  return sized.sort((a, b) => b.size - a.size).map(({ paths }) => paths);
}

/** Runs `deno test`, and adds up what came of it. */
async function run(args: readonly string[]): Promise<void> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", ...args],
    stdin: "null",
    stdout: "piped",
    env: { NO_COLOR: "1" },
  }).spawn();
  let block: string[] = [];
  let told: RegExpExecArray | null = null;
  let failures: string[] | undefined;
  for await (const line of createInterface({ input: Readable.fromWeb(child.stdout as never) })) {
    if (/^running \d+ tests? from /.test(line)) {
      console.log(block.join("\n"));
      block = [];
    } else if (line === " ERRORS ") failures = [];
    (failures ?? block).push(line);
    told = /^(?:ok|FAILED) \| (\d+) passed.*? \| (\d+) failed(?: \| (\d+) ignored)?/.exec(line) ??
      told;
  }
  console.log(block.join("\n"));
  const { success } = await child.status;
  const [passed = 0, failed = 0, ignored = 0] = told?.slice(1).map((text) => Number(text ?? 0)) ??
    [];
  sums.passed += passed;
  // One that ended without its sums, or badly in spite of them, is one more that failed.
  sums.failed += failed || (success && told ? 0 : 1);
  sums.ignored += ignored;
  if (failures) errors.push(failures.join("\n"));
  else if (!success) errors.push(`deno test ${args.join(" ")} ended badly`);
}
