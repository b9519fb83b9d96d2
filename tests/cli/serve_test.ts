import assert from "node:assert/strict";
import { networkInterfaces } from "node:os";
import { demoMonth } from "../../cli/_demo_data.ts";
import { gzip } from "../../cli/_gzip.ts";
import { freshDatabase, sharedPostgres } from "../_postgres.ts";
import { document, refusal, serve, Sluice, until } from "./_sluice.ts";

await sharedPostgres();

const trigger = (url: string, body: unknown, dag = "yellow_taxi") =>
  fetch(`${url}/api/dags/${dag}/runs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });

Deno.test("serve triggers runs over HTTP and tells of them as run does", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  await using months = serve(() =>
    new Response(gzip(demoMonth("2021-01", 1000)), { headers: { etag: '"1"' } })
  );
  const command = sluice.start(["serve", "--port", "0", "--database", db.url]);
  const [, url, port] = await command.says(/^Sluice listens on (http:\/\/127\.0\.0\.1:(\d+))\n/);
  const params = { base: months.url };
  const answer = await trigger(url!, { logical_date: "2021-01-02", params });
  assert.equal(answer.status, 201);
  const { run_id, state } = await answer.json();
  assert.match(state, /^(queued|running)$/);
  let run: Record<string, unknown> = {};
  await until(async () => {
    run = await (await fetch(`${url}/api/runs/${run_id}`)).json();
    return run["state"] === "success";
  });
  assert.deepEqual(await db.query("SELECT count(*)::int FROM yellow_taxi_2021_01"), [{
    count: 1000,
  }]);

  // The same, from the command line: in all but the times it took.
  const { runs: [same] } = document(
    await sluice.run(
      [
        "run",
        "yellow_taxi",
        "--date",
        "2021-01-02",
        "--param",
        `base=${months.url}`,
        "--json",
        "--database",
        db.url,
      ],
    ),
  );
  assert.deepEqual(timeless(run), timeless(same));

  await (await trigger(url!, {}, "nope")).body?.cancel();
  // Only this machine gets in.
  const elsewhere = Object.values(networkInterfaces()).flat()
    .find((address) => address?.family === "IPv4" && !address.internal);
  if (elsewhere) {
    await assert.rejects(Deno.connect({ hostname: elsewhere.address, port: Number(port) }));
  }
  const second = await sluice.run(["serve", "--port", port!, "--database", db.url]);
  assert.match(refusal(second, 2), new RegExp(`port ${port}`));

  command.kill("SIGTERM");
  const { code, stdout, stderr } = await command.ended;
  assert.equal(code, 0, stderr);
  assert.equal(stdout, `Sluice listens on ${url}\n`);
});

/** A run's document without what no two runs share. */
function timeless(run: Record<string, unknown>): unknown {
  return JSON.parse(
    JSON.stringify(run),
    (key, value) => key === "seconds" || key === "downloaded" ? "some" : value,
  );
}

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(`${signal} stops the server within seconds, and the run that is under way`, async () => {
    await using sluice = new Sluice();
    await using db = await freshDatabase();
    const gone = Promise.withResolvers<void>();
    await using months = serve(() => {
      const chunks = demoMonth("2021-01", 40_000);
      let n = 0;
      return new Response(
        new ReadableStream({
          pull: (controller) =>
            n++ < 12
              ? controller.enqueue(chunks.next().value as Uint8Array)
              : new Promise<void>(() => {}),
          cancel: () => gone.resolve(),
        }),
      );
    });
    const command = sluice.start(["serve", "--port", "0", "--database", db.url]);
    const [, url] = await command.says(/listens on (\S+)/);
    const answer = await trigger(url!, {
      logical_date: "2021-01-02",
      params: { base: months.url },
    });
    await answer.body?.cancel();
    await until(async () => (await db.query("SELECT FROM pg_stat_progress_copy")).length > 0);
    const since = performance.now();
    command.kill(signal);
    const { code, stderr } = await command.ended;
    assert.equal(code, 0, stderr);
    assert.ok(performance.now() - since < 3000);
    await gone.promise;
    assert.deepEqual(
      await db.query("SELECT FROM pg_class WHERE relname ~ '^(sluice_|yellow)'"),
      [],
    );
  });
}

Deno.test("serve listens for others only with a token, and asks for it", async () => {
  await using sluice = new Sluice();
  const refused = await sluice.run(["serve", "--host", "0.0.0.0", "--port", "0"]);
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /SLUICE_TOKEN/);
});
