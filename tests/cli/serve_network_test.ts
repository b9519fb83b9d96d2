import assert from "node:assert/strict";
import { serve, Sluice, until } from "./_sluice.ts";
import { fetch } from "../server/_checked.ts";

/** Three tasks that ask what a param says: here, in a process of its own, and where the code means it. */
const asks = `import { dag, request } from "sluice";
const asks = dag("asks", { params: { url: "" } });
const url = (run) => run.params.url;
asks.task("here", request({ url }));
asks.task("apart", request({ url }), { executor: "subprocess" });
asks.task("meant", request({ url, network: "any" }));
export default asks;`;

const TOKEN = "sluice_test_token_of_an_admin";
const PUBLIC_ONLY = /Tasks may send requests to public addresses alone; --private-network/;

/** Starts a server that wants a token; what is public it reaches by way of a proxy. */
async function start(sluice: Sluice, proxy: string, ...flags: string[]) {
  sluice.file("dags/asks.ts", asks);
  const command = sluice.start(
    ["serve", "--port", "0", "--dags", `${sluice.folder}/dags`, ...flags],
    { env: { SLUICE_TOKEN: TOKEN, HTTP_PROXY: proxy, NO_PROXY: "127.0.0.1" } },
  );
  const [, port] = await command.says(/listens on http:\/\/\S+:(\d+)/);
  const headers = { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" };
  const ask = async (path: string, body?: unknown) => {
    const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
    return await (await fetch(`http://127.0.0.1:${port}${path}`, { headers, ...init })).json();
  };
  return {
    command,
    /** What becomes of the tasks of a run: their outputs, or what went wrong. */
    async run(url: string): Promise<Record<string, string>> {
      const { run_id } = await ask("/api/dags/asks/runs", { params: { url } });
      const told: Record<string, string> = {};
      await until(async () => {
        const { state, tasks } = await ask(`/api/runs/${run_id}`);
        for (const { id, output, error } of tasks) told[id] = error ?? output?.body;
        return state === "success" || state === "failed";
      });
      return told;
    },
  };
}

Deno.test("who starts runs by a token gets at no private address, by a redirect neither, unless the code says so", async () => {
  await using sluice = new Sluice();
  let asked = 0;
  await using inside = serve(() => {
    asked++;
    return new Response("secret");
  });
  const proxied: string[] = [];
  await using proxy = serve((request) => {
    proxied.push(request.url);
    return Response.redirect(`${inside.url}/x`);
  });
  const { command, run } = await start(sluice, proxy.url, "--host", "0.0.0.0");
  assert.match(command.stderr, PUBLIC_ONLY);
  for (const url of [`${inside.url}/x`, "http://93.184.215.14/x"]) {
    const { here, apart, meant } = await run(url);
    assert.match(here!, /^Cannot GET ".*": "127\.0\.0\.1" is a private address/);
    assert.equal(apart, here);
    assert.equal(meant, "secret");
  }
  // Those that were refused had begun with what is public.
  assert.equal(proxied.length, 3);
  assert.equal(asked, 2);
});

Deno.test("a server of this machine that wants a token refuses private addresses, too, unless it is told not to", async () => {
  await using sluice = new Sluice();
  await using inside = serve(() => new Response("secret"));
  const first = await start(sluice, inside.url);
  assert.match(first.command.stderr, PUBLIC_ONLY);
  first.command.kill("SIGTERM");
  await first.command.ended;
  const { command, run } = await start(sluice, inside.url, "--private-network");
  assert.doesNotMatch(command.stderr, PUBLIC_ONLY);
  const all = { here: "secret", apart: "secret", meant: "secret" };
  assert.deepEqual(await run(`${inside.url}/x`), all);
});
