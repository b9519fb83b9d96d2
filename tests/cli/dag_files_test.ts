import assert from "node:assert/strict";
import { dirname } from "node:path";
import { ModuleGraph } from "../../cli/_module_graph.ts";
import { ModuleVersions } from "../../cli/_module_versions.ts";
import { plainScript } from "../../cli/_plain_script.ts";
import { type DagFiles, readDags, watchDags } from "../../cli/dag_files.ts";
import { until } from "./_sluice.ts";

/** A folder that goes when disposed of. */
class Folder implements AsyncDisposable {
  readonly path: string = Deno.makeTempDirSync({ prefix: "sluice-dag-files-" });

  write(name: string, text: string): string {
    const path = `${this.path}/${name}`;
    Deno.mkdirSync(dirname(path), { recursive: true });
    Deno.writeTextFileSync(path, text);
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

/** A module with a DAG whose only task is named as `task` says, an expression. */
const one = (id: string, task = '"t"', before = ""): string => `
  import { dag } from "sluice";
  ${before}
  const d = dag("${id}");
  d.task(${task}, () => 1);
  export default d;
`;

/** Each DAG's id and its tasks. */
function outline({ dags }: DagFiles): string[] {
  return [...dags].map(([id, { dag }]) => `${id}: ${[...dag.tasks.keys()]}`);
}

Deno.test("each module in the folder and those in it is found, and nothing else", async () => {
  await using folder = new Folder();
  const found = ["a.ts", "b.js", "c.mjs", "d.mts", "deep/er/e.ts", "mod.ts"];
  const passedOver = ["_part.ts", "x_test.ts", "y.test.ts", "z.d.ts", "_parts/p.ts", ".git/g.ts"];
  for (const name of found) folder.write(name, one(name.replaceAll("/", ".")));
  for (const name of [...passedOver, "node_modules/n.ts", "README.md", "tests.txt"]) {
    folder.write(name, "throw new Error('nobody asked')");
  }
  const { dags, faults } = await readDags(folder.path);
  assert.deepEqual(faults, []);
  assert.deepEqual([...dags.keys()], found.map((name) => name.replaceAll("/", ".")));
  assert.equal(dags.get("deep.er.e.ts")?.file, `${folder.path}/deep/er/e.ts`);
});

Deno.test("a module may export several DAGs, and lists of them; what hands them on is not where they are", async () => {
  await using folder = new Folder();
  folder.write(
    "many.ts",
    `import { dag } from "sluice";
     export const first = dag("first");
     export const rest = ["x", "y"].map((id) => dag(id));
     export { first as again };
     export const other = 5, none = null;
     export default first;`,
  );
  folder.write("index.ts", `export * from "./many.ts";`);
  const { dags, faults } = await readDags(folder.path);
  assert.deepEqual(faults, []);
  assert.deepEqual([...dags.keys()], ["first", "x", "y"]);
  assert.ok([...dags.values()].every(({ file }) => file.endsWith("/many.ts")));
});

Deno.test("a DAG that no module exports is told of, once, with its file", async () => {
  await using folder = new Folder();
  const lost = folder.write(
    "lost.ts",
    `import { dag } from "sluice";
     const lost = dag("lost");
     lost.task("t", () => 1);
     export const found = dag("found");`,
  );
  folder.write("_part.ts", one("part"));
  folder.write("a.ts", "import part from './_part.ts'; export const all = [part];");
  folder.write("b.ts", "import { found } from './lost.ts'; export const id = found.id;");
  const { dags, faults } = await readDags(folder.path);
  assert.deepEqual([...dags.keys()], ["found", "part"]);
  assert.equal(faults.length, 1, faults.join("\n"));
  assert.match(
    faults[0]!,
    /^Cannot find DAG "lost" of .*: no module exports it; write `export default`$/,
  );
  assert.ok(faults[0]!.includes(lost) || faults[0]!.includes("b.ts"), faults[0]);
  assert.deepEqual(
    (await readDags(folder.path)).faults,
    faults,
    "also when it was imported before",
  );
});

const BROKEN: Readonly<Record<string, { text: string; says: RegExp }>> = {
  "does not parse": { text: "const a = 1;\nconst b = ;", says: /b\.ts:2: .*Expression expected$/ },
  "throws": { text: "\n\nthrow new Error('not\\n today');", says: /b\.ts:3: not today$/ },
  "throws no error": { text: "throw 'today'", says: /b\.ts: today$/ },
  "imports what is not there": {
    text: "\nimport './_gone.ts';",
    says: /b\.ts:2: .*_gone\.ts"\.$/,
  },
  "imports what throws": { text: "import './_bad.ts';", says: /b\.ts: no \(.*_bad\.ts:2\)$/ },
  "names a DAG badly": {
    text: "import { dag } from 'sluice';\nexport const d = dag('a b');",
    says: /b\.ts:2: Cannot name a DAG "a b": .*$/,
  },
  "misspells an option of an operator": {
    text: one("bad").replace(
      "() => 1);",
      '\nsluice.copy({ table: "o2", mod: "append" }));',
    ).replace("import", 'import * as sluice from "sluice"; import'),
    says: /b\.ts:6: copy has no option "mod"; did you mean "mode"\?$/,
  },
  "misspells an option of a task": {
    text: one("bad").replace("() => 1);", "() => 1, { retrys: 3 });"),
    says: /b\.ts:5: task "t" has no option "retrys"; did you mean "retries"\?$/,
  },
  "has a schedule that cannot be read": {
    text: one("bad").replace('"bad"', '"bad", { schedule: "0 0 30 2 *" }'),
    says: /DAG "bad" of .*b\.ts: Cannot read the schedule "0 0 30 2 \*"/,
  },
  "makes up for all since nobody knows when": {
    text: one("bad").replace('"bad"', '"bad", { schedule: "@daily", catchup: true }'),
    says: /DAG "bad" of .*b\.ts: .*no start/,
  },
  "takes slots of a pool that is not there": {
    text: one("bad").replace("() => 1", '() => 1, { pool: "warehouse" }'),
    says: /DAG "bad" of .*b\.ts: .*no pool "warehouse"; there are default$/,
  },
  "takes more slots than its pool has": {
    text: one("bad").replace("() => 1", "() => 1, { slots: 33 }"),
    says: /DAG "bad" of .*b\.ts: .*33 slots of pool "default", which has 32$/,
  },
  "asks for an executor that is not there": {
    text: one("bad").replace("() => 1", '() => 1, { executor: "cluster" }'),
    says: /DAG "bad" of .*b\.ts: .*no executor "cluster"; there are inProcess, subprocess$/,
  },
  "has a zone that is none": {
    text: one("bad").replace('"bad"', '"bad", { schedule: "@daily", timezone: "Mars/Base" }'),
    says: /DAG "bad" of .*b\.ts: .*"Mars\/Base"/,
  },
};

for (const [what, { text, says }] of Object.entries(BROKEN)) {
  Deno.test(`a module that ${what} is told of in one line, and hides no other`, async () => {
    await using folder = new Folder();
    folder.write("a.ts", one("a"));
    folder.write("_bad.ts", "\nthrow new Error('no');");
    folder.write("b.ts", text);
    folder.write("c.ts", one("c"));
    const { dags, faults } = await readDags(folder.path);
    assert.deepEqual([...dags.keys()], ["a", "c"]);
    assert.equal(faults.length, 1, faults.join("\n"));
    assert.match(faults[0]!, says);
    assert.doesNotMatch(faults[0]!, /\n/);
  });
}

Deno.test("a module that does not get done is broken", async () => {
  await using folder = new Folder();
  const path = folder.write("a.ts", "await new Promise((resolve) => setTimeout(resolve, 300));");
  const graph = new ModuleGraph();
  await graph.add(path);
  await using versions = new ModuleVersions(50);
  await assert.rejects(versions.import(graph, path), /Cannot load .*a\.ts: it waits for something/);
  await using patient = new ModuleVersions();
  assert.deepEqual(Object.keys(await patient.import(graph, path)), []);
});

Deno.test("where the runtime knows no types, modules are imported without them", async () => {
  const typed = "interface A { b: number }\nexport const a = ({ b: 1 } as A).b satisfies number;\n";
  const plain = await plainScript(typed);
  assert.doesNotMatch(plain, /interface|as A|satisfies/);
  assert.equal(plain.split("\n")[1]!.indexOf(".b"), typed.split("\n")[1]!.indexOf(".b"));
  const { a } = await import(`data:text/javascript,${encodeURIComponent(plain)}`);
  assert.equal(a, 1);
  const more = await plainScript(
    "enum Size { small, large }\nexport const size: Size = Size.large;",
  );
  assert.equal((await import(`data:text/javascript,${encodeURIComponent(more)}`)).size, 1);

  await using folder = new Folder();
  folder.write("_rows.ts", typed);
  const path = folder.write(
    "b.ts",
    "import { a } from './_rows.ts';\nexport const b: [number, string] = [a, import.meta.filename!];\n",
  );
  const broken = folder.write("c.ts", "\nconst c: = 1;\n");
  const graph = new ModuleGraph();
  await graph.add(path);
  await graph.add(broken);
  await using versions = new ModuleVersions(10_000, true);
  assert.deepEqual((await versions.import(graph, path))["b"], [1, path]);
  await assert.rejects(versions.import(graph, broken), /^ModuleFault: Cannot load .*c\.ts:2: .+/);
});

Deno.test("an id that two modules take is refused to the second, naming both", async () => {
  await using folder = new Folder();
  const first = folder.write("1.ts", one("twice", '"one"'));
  const second = folder.write("2.ts", one("twice", '"two"'));
  const files = await readDags(folder.path);
  assert.deepEqual(outline(files), ["twice: one"]);
  assert.equal(files.faults.length, 1);
  for (const part of ['"twice"', first, second]) assert.ok(files.faults[0]!.includes(part));
});

Deno.test("what is hardly meant so is warned of", async () => {
  await using folder = new Folder();
  folder.write("a.ts", one("a").replace('"a"', '"a", { params: { unused: 1 } }'));
  const { dags, warnings } = await readDags(folder.path);
  assert.equal(dags.size, 1);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0]!, /^DAG "a": .*"unused"/);
});

Deno.test("a version is that of the text and of what it imports, wherever the folder is", async () => {
  const versions: (string | undefined)[] = [];
  for (const helper of ["1", "1", "2"]) {
    await using folder = new Folder();
    folder.write("a.ts", one("a", "t", `import { t } from "./parts/_t.ts";`));
    folder.write("parts/_t.ts", `export { t } from "../_u.ts";`);
    folder.write("_u.ts", `import "./a.ts"; export const t = "t${helper}";`);
    folder.write("_unread.ts", String(versions.length));
    const files = await readDags(folder.path);
    assert.deepEqual(outline(files), [`a: t${helper}`]);
    versions.push(files.dags.get("a")?.hash);
  }
  const [first, second, third] = versions;
  assert.match(first!, /^[0-9a-f]{64}$/);
  assert.equal(first, second);
  assert.notEqual(first, third);
});

/** Watches a folder; `next` fails when nothing is told of. */
class Watching implements AsyncDisposable {
  readonly #stop = new AbortController();
  readonly #iterator: AsyncIterator<DagFiles>;

  constructor({ path }: { path: string }) {
    this.#iterator = watchDags(path, this.#stop.signal)[Symbol.asyncIterator]();
  }

  async next(what: string): Promise<DagFiles> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not told of: ${what}`)), 20_000);
    });
    try {
      const { value, done } = await Promise.race([this.#iterator.next(), late]);
      assert.ok(!done);
      return value;
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#iterator.return?.();
  }
}

Deno.test("what changes in a watched folder is there soon after", async (t) => {
  await using folder = new Folder();
  await using outside = new Folder();
  folder.write("dags/a.ts", one("a", '"one"'));
  await using watching = new Watching({ path: `${folder.path}/dags` });
  const is = async (what: string, ...expected: string[]): Promise<DagFiles> => {
    const files = await watching.next(what);
    assert.deepEqual(outline(files), expected, files.faults.join("\n"));
    return files;
  };
  await is("at first", "a: one");
  await t.step("a file that is edited", async () => {
    folder.write("dags/a.ts", one("a", '"two"'));
    const { faults } = await is("edited", "a: two");
    assert.deepEqual(faults, []);
  });
  await t.step("one that is edited back", async () => {
    folder.write("dags/a.ts", one("a", '"one"'));
    await is("back", "a: one");
  });
  await t.step("one that another one takes the place of", async () => {
    folder.write("dags/a.ts~", one("a", '"three"'));
    await Deno.rename(`${folder.path}/dags/a.ts~`, `${folder.path}/dags/a.ts`);
    await is("renamed", "a: three");
  });
  await t.step("a new one, in a new folder", async () => {
    folder.write("dags/deep/b.ts", one("b", "t", 'import { t } from "../_t.ts";'));
    const { faults } = await is("new", "a: three");
    assert.match(faults.join(), /b\.ts:3: .*_t\.ts/);
  });
  await t.step("what it was missing", async () => {
    folder.write("dags/_t.ts", 'export const t: string = "b1"');
    const { faults } = await is("import", "a: three", "b: b1");
    assert.deepEqual(faults, []);
  });
  await t.step("what it imports, and only those that do are made anew", async () => {
    const before = folder.write("dags/deep/c.ts", one("c"));
    const { dags } = await is("c", "a: three", "b: b1", "c: t");
    folder.write("dags/_t.ts", 'export const t = "b2"');
    const after = await is("import", "a: three", "b: b2", "c: t");
    assert.equal(after.dags.get("c")?.dag, dags.get("c")?.dag);
    assert.notEqual(after.dags.get("b")?.hash, dags.get("b")?.hash);
    await Deno.remove(before);
    await is("c gone", "a: three", "b: b2");
  });
  await t.step("what it imports from elsewhere", async () => {
    const path = outside.write("t.ts", 'export const t = "x1"');
    folder.write("dags/_t.ts", `export { t } from "${relativeTo(folder, path)}"`);
    await is("elsewhere", "a: three", "b: x1");
    outside.write("t.ts", 'export const t = "x2"');
    await is("elsewhere, edited", "a: three", "b: x2");
  });
  await t.step("a later version knows where it is", async () => {
    folder.write(
      "dags/a.ts",
      one(
        "a",
        "new URL('x', import.meta.url).pathname.split('/').at(-2) + import.meta.dirname.length",
      ),
    );
    await is("meta", `a: dags${folder.path.length + "/dags".length}`, "b: x2");
  });
  await t.step("one that breaks keeps its DAGs as they were, and says where", async () => {
    folder.write("dags/a.ts", one("a", '"five"', "\nthrow new Error('oops');"));
    const { faults } = await is("broken", `a: dags${folder.path.length + 5}`, "b: x2");
    assert.deepEqual(faults, [`Cannot load ${folder.path}/dags/a.ts:4: oops`]);
  });
  await t.step("one that is put right again", async () => {
    folder.write("dags/a.ts", one("a", '"six"'));
    const { faults } = await is("right", "a: six", "b: x2");
    assert.deepEqual(faults, []);
  });
  await t.step("a copy does not take the place of what there was", async () => {
    folder.write("dags/0.ts", one("a", '"copy"'));
    const { faults } = await is("copy", "a: six", "b: x2");
    assert.match(faults.join(), /"a" twice: .*dags\/a\.ts has it, so that of .*0\.ts is not used/);
    await Deno.remove(`${folder.path}/dags/a.ts`);
    await is("alone", "a: copy", "b: x2");
  });
  await t.step("the folder goes and comes back", async () => {
    await Deno.rename(`${folder.path}/dags`, `${folder.path}/away`);
    const { faults } = await is("gone");
    assert.match(faults.join(), /Cannot find DAGs in .*dags/);
    await Deno.rename(`${folder.path}/away`, `${folder.path}/dags`);
    await is("back", "a: copy", "b: x2");
    // At one go: nothing is told of between one file and the next.
    Deno.removeSync(`${folder.path}/dags`, { recursive: true });
    await is("removed");
    folder.write("dags/z.ts", one("z"));
    await is("made anew", "z: t");
    folder.write("dags/z.ts", one("z", '"u"'));
    await is("and edited", "z: u");
  });
});

Deno.test("data that a module imports is watched, and folders that links are swapped in", async () => {
  await using folder = new Folder();
  // As Kubernetes mounts a ConfigMap: the files are links by way of one that is replaced.
  for (const version of ["1", "2"]) {
    const task = `name.task + "${version}"`;
    const before = 'import name from "./_name.json" with { type: "json" };';
    folder.write(`dags/..v${version}/a.ts`, one("a", task, before));
    folder.write(`dags/..v${version}/_name.json`, '{ "task": "t" }');
  }
  const link = (to: string, name: string) => Deno.symlink(to, `${folder.path}/dags/${name}`);
  await link("..v1", "..data");
  await link("..data/a.ts", "a.ts");
  await link("..data/_name.json", "_name.json");
  await using watching = new Watching({ path: `${folder.path}/dags` });
  assert.deepEqual(outline(await watching.next("at first")), ["a: t1"]);
  await link("..v2", "..new");
  await Deno.rename(`${folder.path}/dags/..new`, `${folder.path}/dags/..data`);
  assert.deepEqual(outline(await watching.next("swapped")), ["a: t2"]);
  folder.write("dags/_name.json", '{ "task": "u" }');
  assert.deepEqual(outline(await watching.next("data")), ["a: u2"]);
});

Deno.test("a folder that is not there yet is watched for", async () => {
  await using folder = new Folder();
  await using watching = new Watching({ path: `${folder.path}/not/yet` });
  const first = await watching.next("at first");
  assert.deepEqual([outline(first), first.faults], [[], []]);
  folder.write("not/yet/a.ts", one("a"));
  assert.deepEqual(outline(await watching.next("made")), ["a: t"]);
});

Deno.test("nothing is told of when nothing changed, and to stop ends it", async () => {
  await using folder = new Folder();
  const text = one("a");
  folder.write("a.ts", text);
  const stop = new AbortController();
  const seen: string[][] = [];
  const watched = (async () => {
    for await (const files of watchDags(folder.path, stop.signal)) seen.push(outline(files));
  })();
  await until(() => seen.length > 0);
  folder.write("a.ts", text);
  folder.write("README.md", "nothing");
  await new Promise((resolve) => setTimeout(resolve, 400));
  stop.abort();
  await watched;
  assert.deepEqual(seen, [["a: t"]]);
});

function relativeTo(folder: Folder, path: string): string {
  return `../../${path.slice(dirname(folder.path).length + 1)}`;
}
