// What the server takes: requests a second, and how long what happens needs to reach a hundred clients. `deno task
// bench:server` writes server_results.md.
import { dag, engine, file, listen, logFiles, memory, openReceipts, server } from "sluice";
import type { Answered, Order } from "./_server_clients.ts";

const CLIENTS = 100;
const AT_ONCE = 16;

const quick = dag("quick", { params: { n: 0 }, maxActiveRuns: 16 });
const first = quick.task("first", (run) => run.params.n);
quick.task("second", (run) => run.params.n, { after: first });

const DAYS = 1000;
const days = dag("days", {
  ...{ schedule: "@daily", start: "2021-01-01", catchup: true, paused: true },
  end: Temporal.PlainDate.from("2021-01-01").add({ days: DAYS - 1 }).toString(),
});
days.task("one", () => 1);

const root = new URL(".", import.meta.url).pathname;
const home = await Deno.makeTempDir({ prefix: "sluice-bench-" });
const worker = new Worker(new URL("./_server_clients.ts", import.meta.url), { type: "module" });

function order(what: Order | "end"): Promise<Answered> {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = (event) => reject(new Error(event.message));
    worker.postMessage(what);
  });
}

const lines: string[] = [];
function say(line: string): void {
  console.log(line);
  lines.push(line);
}

function quantile(values: readonly number[], q: number): string {
  const sorted = values.toSorted((a, b) => a - b);
  return `${sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!.toFixed(1)} ms`;
}

say("# Bench of the server");
say("");
say(
  `${new Date().toISOString().slice(0, 10)}, ${navigator.hardwareConcurrency} cores, ` +
    `Deno ${Deno.version.deno}. Clients on another thread, over loopback; state in a home folder, ` +
    "on record before it is told. Written by `deno task bench:server`.",
);
say("");

for (const [name, store] of [["a home folder", await file(home)], ["memory", memory()]] as const) {
  await using _ = store;
  await using etl = await engine({ dags: [quick, days], home, store, logs: logFiles(home) });
  using receipts = openReceipts();
  await using http = await listen(server(etl, { store, receipts, maxQueuedRuns: 100_000 }).fetch);
  const { url } = http;
  const { id, done } = await etl.trigger(quick);
  await done;

  say(`## State in ${name}`);
  say("");
  say("| request | per second | median | 99 % |");
  say("| --- | --- | --- | --- |");
  const requests: [name: string, path: string, count: number, body?: string][] = [
    ["`GET /healthz`", "/healthz", 5000],
    ["`GET /api/dags`", "/api/dags", 3000],
    ["`GET /api/runs/{id}`", `/api/runs/${id}`, 3000],
    ["`GET /api/runs?limit=100`", "/api/runs?limit=100", 300],
    ["`POST /api/dags/{id}/runs`", "/api/dags/quick/runs", 500, "{}"],
  ];
  for (const [name, path, count, body] of requests) {
    const { seconds = 0, latencies = [] } = await order({
      ...{ what: "requests", url: `${url}${path}`, count, atOnce: AT_ONCE },
      ...body === undefined ? {} : { body },
    });
    const cells = [name, Math.round(count / seconds), quantile(latencies, 0.5)];
    say(`| ${[...cells, quantile(latencies, 0.99)].join(" | ")} |`);
  }
  while ((await etl.runs({ state: "queued", limit: 1 })).length > 0) await rest(50);
  while ((await etl.runs({ state: "running", limit: 1 })).length > 0) await rest(50);

  await etl.start();
  let isOver = false;
  const over = (async () => {
    await etl.unpause("days", { all: true });
    while ((await etl.runs({ dag: "days", state: "success", tasks: false })).length < DAYS) {
      await rest(500);
    }
    isOver = true;
  })();
  const busy: number[] = [];
  while (!isOver) {
    for (const path of ["/api/dags", `/api/runs/${id}`, "/api/dags/days/grid"]) {
      busy.push(
        ...(await order({ what: "requests", url: url + path, count: 5, atOnce: 1 })).latencies ??
          [],
      );
    }
  }
  await over;
  say("");
  say(
    `While ${DAYS} runs are caught up with, a request after another: median ${
      quantile(busy, 0.5)
    }, ` +
      `99 % ${quantile(busy, 0.99)} (${busy.length} of them).`,
  );

  await order({ what: "listen", url: `${url}/api/events`, clients: CLIENTS });
  for (let i = 0; i < 30; i++) {
    await (await etl.trigger(quick, { params: { n: i } })).done;
    await rest(30);
  }
  await rest(500);
  const { latencies = [] } = await order("end");
  say("");
  say(
    `Events to ${CLIENTS} clients, from the change of state until the client has it: median ` +
      `${quantile(latencies, 0.5)}, 99 % ${quantile(latencies, 0.99)}, the last ` +
      `${quantile(latencies, 1)} (${latencies.length} of them).`,
  );
  say("");
}
await Deno.writeTextFile(`${root}server_results.md`, `${lines.join("\n").trimEnd()}\n`);
worker.terminate();
await Deno.remove(home, { recursive: true });

function rest(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
