// Runs in full what `deno task test` runs a part of, one file after the other, and tells what came of it.
// `deno task soak [FILE ...]`; it takes hours, and a machine of its own.

/** The tests that do more when SLUICE_SOAK is 1. */
const FULL = [
  "tests/engine/simulation_test.ts",
  "tests/engine/kill_loop_test.ts",
  "tests/engine/file_store_crash_test.ts",
  "tests/cli/load_resume_test.ts",
  "tests/faults/commit_test.ts",
  "tests/faults/killed_test.ts",
  "tests/faults/readers_test.ts",
  "tests/faults/server_killed_test.ts",
  "tests/faults/server_test.ts",
];

const failed: string[] = [];
for (const file of Deno.args.length > 0 ? Deno.args : FULL) {
  const began = performance.now();
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", file],
    env: { SLUICE_SOAK: "1", NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder().decode(stdout);
  const count = /\d+ passed.*? \| \d+ failed/.exec(text)?.[0] ?? "it could not be run";
  console.log(`${file}: ${count}, ${Math.round((performance.now() - began) / 1000)} s`);
  for (const [, said] of text.matchAll(/^-+ output -+\n(.*?)^-+ output end -+$/gms)) {
    console.log(said!.trimEnd().replaceAll(/^/gm, "  "));
  }
  if (code === 0) continue;
  failed.push(file);
  console.log(text.slice(Math.max(0, text.indexOf("\n ERRORS "))));
  console.log(new TextDecoder().decode(stderr));
}
console.log(failed.length === 0 ? "All is well." : `Failed: ${failed.join(", ")}`);
Deno.exit(failed.length === 0 ? 0 : 1);
