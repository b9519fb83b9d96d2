import assert from "node:assert/strict";
import { document, refusal, Sluice } from "./_sluice.ts";

const FILES = ["deno.json", "dags/hello.ts", "README.md", ".gitignore"];

Deno.test("init makes a folder whose DAG runs, and that the editor understands", async () => {
  await using sluice = new Sluice();
  const folder = `${sluice.folder}/new/pipelines`;
  const outcome = await sluice.run(["init", "new/pipelines", "--json"]);
  assert.equal(outcome.code, 0, outcome.stderr);
  assert.deepEqual(document(outcome), { folder, made: FILES, kept: [] });
  const dags = ["--dags", `${folder}/dags`];
  const { state, runs } = document(await sluice.run(["run", "hello", ...dags, "--json"]));
  assert.equal(state, "success");
  assert.match(runs.at(-1).tasks[1].output, /^greet said: Hello, \d{4}-\d\d-\d\d!$/);
  // What people do there, by way of deno.json.
  for (const args of [["check", "dags"], ["fmt", "--check"], ["task", "list"]]) {
    const { success, stderr } = await new Deno.Command(Deno.execPath(), { args, cwd: folder })
      .output();
    assert.ok(success, new TextDecoder().decode(stderr));
  }
});

Deno.test("a new folder has a task for each verb", async () => {
  await using sluice = new Sluice();
  await sluice.run(["init", "new"]);
  const { tasks } = JSON.parse(Deno.readTextFileSync(`${sluice.folder}/new/deno.json`));
  const { stdout } = await sluice.run(["--help"]);
  const verbs = [...stdout.slice(stdout.indexOf("COMMANDS")).matchAll(/^ {2}(\w+) {2}/gm)]
    .map(([, verb]) => verb);
  assert.ok(verbs.includes("load") && verbs.includes("rejects"), stdout);
  assert.deepEqual(Object.keys(tasks).sort(), ["sluice", ...verbs].sort());
  const { code, stdout: help } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "load", "--help"],
    cwd: `${sluice.folder}/new`,
  }).output();
  assert.deepEqual([code, /--into/.test(new TextDecoder().decode(help))], [0, true]);
});

Deno.test("init leaves alone what is there already", async () => {
  await using sluice = new Sluice();
  sluice.file("mine/deno.json", "{}");
  sluice.file("mine/dags/hello.ts", "mine");
  const { stdout, code } = await sluice.run(["init", "mine"]);
  assert.equal(code, 0);
  assert.match(stdout, /^made {2}mine\/README\.md$/m);
  assert.match(stdout, /^left {2}mine\/deno\.json, which was there already$/m);
  assert.match(stdout, /cd mine\n/);
  assert.equal(Deno.readTextFileSync(`${sluice.folder}/mine/deno.json`), "{}");
  assert.equal(Deno.readTextFileSync(`${sluice.folder}/mine/dags/hello.ts`), "mine");
  const again = document(await sluice.run(["init", "mine", "--json"]));
  assert.deepEqual([again.made, again.kept], [[], FILES]);
  sluice.file("taken", "a file");
  assert.match(refusal(await sluice.run(["init", "taken", "--json"]), 2), /Cannot write .*taken/);
});
