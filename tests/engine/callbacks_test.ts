import assert from "node:assert/strict";
import { dag, engine, GiveUp, type LogLine, Skip } from "../../engine/mod.ts";
import { broken, idle, time, until } from "./_rig.ts";

Deno.test("a task's callbacks are told of its success, of each retry, and of its failure, and of nothing else", async () => {
  const clock = time();
  const told: string[] = [];
  const note =
    (what: string) =>
    (event: { task: string; attempt: number; error?: { message: string } }): void => {
      told.push(
        `${what} ${event.task} ${event.attempt}${event.error ? `: ${event.error.message}` : ""}`,
      );
    };
  const callbacks = {
    onSuccess: note("success"),
    onRetry: note("retry"),
    onFailure: note("failure"),
  };
  const defaults = { ...callbacks, retries: 1, retryDelay: { minutes: 1 } };
  const d = dag("d", { defaults });
  d.task("well", idle);
  const bad = d.task("bad", broken);
  d.task("flaky", ({ attempt }) => attempt === 1 ? broken() : 1);
  d.task("final", () => {
    throw new GiveUp("never");
  });
  d.task("skipped", () => {
    throw new Skip("nothing to do");
  });
  d.task("behind", idle, { after: bad });
  await using etl = await engine({ dags: [d], ...clock });
  const { done } = await etl.trigger(d);
  await clock.settle();
  await clock.advance({ minutes: 1 });
  await done;
  assert.deepEqual(told.sort(), [
    "failure bad 2: broke",
    "failure final 1: never",
    "retry bad 1: broke",
    "retry flaky 1: broke",
    "success flaky 2",
    "success well 1",
  ]);
});

Deno.test("a DAG's callbacks are told of how each run ended, once it is on record", async () => {
  const told: string[] = [];
  const note =
    (what: string) => async ({ run }: { run: { id: string; state: string } }): Promise<void> => {
      const kept = await etl.get(run.id);
      told.push(`${what} ${run.state} ${kept!.state}`);
    };
  const d = dag("d", {
    params: { fails: false },
    onSuccess: note("success"),
    onFailure: note("failure"),
  });
  d.task("a", ({ params }) => params.fails ? broken() : 1);
  await using etl = await engine({ dags: [d] });
  await (await etl.trigger(d)).done;
  await (await etl.trigger(d, { params: { fails: true } })).done;
  const { id, done } = await etl.trigger(d);
  await done;
  await etl.mark(id, "failed");
  await until(() => told.length === 4);
  assert.deepEqual(told, [
    "success success success",
    "failure failed failed",
    "success success success",
    "failure failed failed",
  ]);
});

Deno.test("a run that is late is told of once, is marked as late, and goes on", async () => {
  const clock = time();
  const told: string[] = [];
  const hold = Promise.withResolvers<void>();
  const d = dag("d", {
    deadline: { minutes: 10 },
    onDeadline: ({ run }) => void told.push(`${run.state} ${run.late}`),
  });
  d.task("slow", () => hold.promise);
  await using etl = await engine({ dags: [d], ...clock });
  const { done } = await etl.trigger(d);
  await clock.advance({ minutes: 9 });
  assert.deepEqual(told, []);
  await clock.advance({ minutes: 1 });
  assert.deepEqual(told, ["running 2021-01-05T12:10:00Z"]);
  await clock.advance({ minutes: 30 });
  hold.resolve();
  const run = await done;
  assert.equal(run.state, "success");
  assert.equal(run.late, "2021-01-05T12:10:00Z");
  assert.equal(told.length, 1);
});

Deno.test("a callback that fails is a line of the log, and no more", async () => {
  const lines: LogLine[] = [];
  const d = dag("d", { onSuccess: () => Promise.reject(new Error("no mail")) });
  d.task("a", idle, { onSuccess: broken });
  await using etl = await engine({ dags: [d], log: (line) => lines.push(line) });
  assert.equal((await (await etl.trigger(d)).done).state, "success");
  await until(() => lines.length === 2);
  assert.deepEqual(
    lines.map(({ level, task, message }) => [level, task, message]),
    [["error", "a", "A callback failed: broke"], ["error", "", "A callback failed: no mail"]],
  );
});
