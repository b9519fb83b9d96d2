import assert from "node:assert/strict";
import { Reader, type Sent } from "../server/_reader.ts";
import { type Command, Sluice, until } from "./_sluice.ts";
import { fetch } from "../server/_checked.ts";

const RUNS = 200;
const CLIENTS = 20;

Deno.test("of triggers that go on through a kill and a stop, each makes one run, and all of it is told once", async () => {
  await using sluice = new Sluice();
  sluice.file(
    "dags/count.ts",
    `import { dag } from "sluice";
     const count = dag("count", { params: { n: 0 }, maxActiveRuns: 8 });
     count.task("n", (run) => run.params.n);
     export default count;`,
  );
  let port = "0";
  let url = "";
  const start = async (): Promise<Command> => {
    const dags = `${sluice.folder}/dags`;
    const command = sluice.start(["serve", "--port", port, "--dags", dags, "--grace", "5"]);
    [, url = "", port = ""] = await command.says(/listens on (http:\S+:(\d+))\n/);
    return command;
  };
  let command = await start();

  const acknowledged = new Map<number, string>();
  /** Asks until it is told that there is a run, with the same key each time. */
  const trigger = async (n: number): Promise<void> => {
    const headers = { "content-type": "application/json", "idempotency-key": `n${n}` };
    const body = JSON.stringify({ params: { n } });
    for (;;) {
      try {
        const path = `${url}/api/dags/count/runs`;
        const answer = await fetch(path, { method: "POST", headers, body });
        const { run_id, error } = await answer.json();
        if (answer.status === 201) return void acknowledged.set(n, run_id);
        // What is being stopped says so.
        assert.match(`${answer.status}`, /^(429|503)$/, error?.message);
      } catch (error) {
        if (!(error instanceof TypeError || error instanceof SyntaxError)) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };

  const heard: Sent[] = [];
  let listening = true;
  /** Hears all that happens, wherever it is cut off. */
  const listen = async (): Promise<void> => {
    while (listening) {
      try {
        const last = heard.at(-1)?.id;
        const headers = last === undefined ? {} : { "last-event-id": last };
        await using reader = new Reader(await fetch(`${url}/api/events?after=0`, { headers }));
        for (;;) {
          const sent = await reader.next();
          if (sent.comment === "end") break;
          if (sent.event !== undefined) heard.push(sent);
          if (!listening) return;
        }
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const ended = () =>
    heard.filter(({ event, data }) => event === "run_changed" && data.state === "success").length;

  const listener = listen();
  const clients = Array.from({ length: CLIENTS }, async (_, client) => {
    for (let n = client; n < RUNS; n += CLIENTS) await trigger(n);
  });
  await until(() => acknowledged.size >= 40);
  command.kill("SIGKILL");
  await command.ended;
  command = await start();
  await until(() => acknowledged.size >= 120);
  command.kill("SIGTERM");
  assert.equal((await command.ended).code, 0);
  command = await start();
  await Promise.all(clients);
  await until(() => ended() >= RUNS);
  listening = false;

  const { runs } = await (await fetch(`${url}/api/runs?limit=1000`)).json();
  type Row = { run_id: string; state: string; params: { n: number } };
  const made = new Map((runs as Row[]).map(({ run_id, params }) => [params.n, run_id]));
  assert.equal(runs.length, RUNS);
  assert.deepEqual([...made].sort(byNumber), [...acknowledged].sort(byNumber));
  assert.ok((runs as Row[]).every(({ state }) => state === "success"));
  // What the last client heard is all of it, in order.
  const seen = heard.map(({ id }) => Number(id));
  assert.deepEqual(seen, [...new Set(seen)].sort((a, b) => a - b));
  const created = heard.filter(({ event }) => event === "run_created");
  assert.deepEqual(created.map(({ data }) => data.run_id).sort(), [...made.values()].sort());
  assert.equal(ended(), RUNS);
  command.kill("SIGKILL");
  await listener;
});

function byNumber([a]: [number, string], [b]: [number, string]): number {
  return a - b;
}
