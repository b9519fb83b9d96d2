import assert from "node:assert/strict";
import { document, refusal, Sluice } from "./_sluice.ts";

const dags = `import { dag } from "${new URL("../../mod.ts", import.meta.url).pathname}";
export const monthly = dag("monthly", {
  schedule: "0 6 2 * *", start: "2021-01-01", end: "2021-03-28", catchup: true,
});
export const nightly = dag("nightly", { schedule: "30 2 * * *", timezone: "America/New_York" });
export const hourly = dag("hourly", { schedule: "@hourly" });
export const triggered = dag("triggered");
`;

function folder(): Sluice {
  const sluice = new Sluice();
  sluice.file("dags/all.ts", dags);
  return sluice;
}

const months = ["2021-01", "2021-02", "2021-03", "2021-04"];
const runs = months.slice(0, 3).map((month, i) => {
  const [start, end] = [month, months[i + 1]].map((month) => `${month}-02T06:00:00Z`);
  return { logical_date: start, interval: { start, end }, run_after: end };
});

Deno.test("simulate tells which runs would be made", async () => {
  await using sluice = folder();
  const simulate = ["simulate", "monthly", "--from", "2021-01-01", "--to", "2021-03-28", "--json"];
  const cases: Readonly<Record<string, typeof runs>> = {
    "": runs,
    "--now 2024-01-15": runs,
    "--now 2021-03-15": runs.slice(0, 2),
    "--now 2021-03-15 --catchup latest": runs.slice(1, 2),
    "--now 2021-03-15 --catchup none": [],
    "--paused-until 2021-03-15 --catchup all": runs,
    "--paused-until 2021-03-15 --catchup latest": runs.slice(1),
    "--paused-until 2021-03-15 --catchup none": runs.slice(2),
  };
  await Promise.all(
    Object.entries(cases).map(async ([flags, runs]) => {
      const outcome = await sluice.here([...simulate, ...flags.split(" ").filter((word) => word)]);
      assert.equal(outcome.code, 0, outcome.stderr);
      assert.deepEqual(document(outcome), { dag: "monthly", runs, notes: [] }, flags);
    }),
  );
});

Deno.test("simulate tells people of runs in the DAG's zone, and flags days on which clocks change", async () => {
  await using sluice = folder();
  const args = ["simulate", "nightly", "--from", "2024-03-09", "--to", "2024-03-10"];
  const { code, stdout, stderr } = await sluice.run(args);
  assert.equal(code, 0, stderr);
  assert.deepEqual(stdout.split("\n"), [
    "Sat 2024-03-09 02:30  until Sun 2024-03-10 03:30",
    "Sun 2024-03-10 03:30  until Mon 2024-03-11 02:30  clocks go forward",
    "2 runs of nightly, each made at the end of its interval; times are those of America/New_York",
    "On 2024-03-10 the clocks of America/New_York go forward from 02:00 to 03:00.",
    "",
  ]);
  const flagged = document(await sluice.run([...args, "--json"]));
  assert.deepEqual(flagged.runs.map(({ dst }: { dst?: string }) => dst), [undefined, "gap"]);
});

Deno.test("simulate tells of a year of hours, and that so many at once are held", async () => {
  await using sluice = folder();
  const year = ["simulate", "hourly", "--from", "2023-01-01", "--to", "2023-12-31", "--json"];
  const { runs, notes } = document(
    await sluice.here([...year, "--now", "2024-01-01", "--catchup", "all"]),
  );
  assert.equal(runs.length, 8760);
  assert.match(notes[0], /8,760 runs are due at once: none starts until/);
});

Deno.test("simulate says that a DAG without a schedule makes no runs", async () => {
  await using sluice = folder();
  const args = ["simulate", "triggered", "--from", "2024-01-01", "--to", "2024-01-02"];
  const { code, stdout } = await sluice.run(args);
  assert.equal(code, 0);
  assert.match(stdout, /DAG "triggered" has no schedule: it runs when it is triggered\.\n$/);
});

Deno.test("simulate refuses what it cannot read", async () => {
  await using sluice = folder();
  const range = ["--from", "2024-01-01", "--to", "2024-01-02"];
  const cases: readonly [readonly string[], RegExp][] = [
    [["nope", ...range], /Cannot find DAG "nope"; there are: .*"monthly"/],
    [["monthly", "--from", "2024-01-01"], /--to is missing/],
    [["monthly", "--from", "2024-02-01", "--to", "2024-01-01"], /it ends before it starts/],
    [["monthly", ...range, "--now", "soon"], /Cannot read the now "soon": write a date like/],
    [["monthly", ...range, "--catchup", "some"], /it is one of all, latest, none/],
  ];
  for (const [args, sentence] of cases) {
    assert.match(refusal(await sluice.here(["simulate", ...args, "--json"]), 2), sentence);
  }
});
