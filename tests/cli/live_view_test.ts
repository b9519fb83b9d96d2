import assert from "node:assert/strict";
import { demoMonth } from "../../cli/_demo_data.ts";
import { gzip } from "../../cli/_gzip.ts";
import { freshDatabase, sharedPostgres } from "../_postgres.ts";
import { screen, serve, Sluice } from "./_sluice.ts";

await sharedPostgres();

const range = ["--from", "2021-01-01", "--to", "2021-03-28"];
const months = ["2021-01", "2021-02", "2021-03"] as const;

Deno.test("on a terminal, run draws its tasks and leaves their summaries", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  const seen = Promise.withResolvers<void>();
  await using server = serve(({ url }) => {
    const month = /(2021-0\d)\.csv\.gz$/.exec(url)![1] as typeof months[number];
    return new Response(ReadableStream.from((async function* () {
      yield* gzip(demoMonth(month, 20_000));
      await seen.promise;
    })()));
  });
  const size = { columns: 70, rows: 20 };
  const command = sluice.startOnTerminal(
    ["run", "yellow_taxi", ...range, "--param", `base=${server.url}`, "--database", db.url],
    size,
  );
  await command.says(/▶ download {2}running/);
  seen.resolve();
  const { code, stdout } = await command.ended;
  assert.equal(code, 0, stdout);
  const shown = screen(stdout, size);
  assert.equal(shown.length, 3 * 3 + 2, shown.join("\n"));
  for (const [i, month] of months.entries()) {
    assert.equal(shown[3 * i], `manual__${month.replace("-", "")}02T060000Z  success`);
    assert.match(shown[3 * i + 1]!, /^ {2}download {2}success/);
    assert.match(shown[3 * i + 2]!, /^ {2}load {6}success .*: 20,000 rows$/);
  }
  assert.match(shown[9]!, /^yellow_taxi: success, 3 runs, /);
});

Deno.test("on a low terminal, run draws what there is room for", async () => {
  await using sluice = new Sluice();
  sluice.file(
    "dags/many.ts",
    `import { dag } from "sluice";
    const d = dag("many", { schedule: "@daily", start: "2021-01-01" });
    const there = (path) => Deno.stat(path).then(() => true, () => false);
    d.task("sleep", async () => {
      while (!await there("go")) await new Promise((resolve) => setTimeout(resolve, 20));
    });
    export default d;`,
  );
  const size = { columns: 60, rows: 8 };
  const command = sluice.startOnTerminal(
    ["run", "many", "--from", "2021-01-01", "--to", "2021-01-12"],
    size,
  );
  await command.says(/… \d+ more lines/);
  sluice.file("go", "");
  const { code, stdout } = await command.ended;
  assert.equal(code, 0, stdout);
  const shown = screen(stdout, size);
  assert.equal(shown.filter((line) => /^manual__.* {2}success$/.test(line)).length, 12);
  assert.deepEqual(shown.slice(2 * 12), [shown.at(-2), ""], shown.join("\n"));
  assert.match(shown.at(-2)!, /^many: success, 12 runs in \d+(\.\d)? s$/);
});
