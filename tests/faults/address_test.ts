import assert from "node:assert/strict";
import { serve } from "../cli/_sluice.ts";
import { hasOpenssl } from "../_postgres.ts";
import { soak } from "./_soak.ts";

const root = new URL("../../", import.meta.url).pathname;

/** Downloads in a process of its own; gives what it prints. */
async function download(
  url: string,
  env: Record<string, string> = {},
  net = "--allow-net",
): Promise<string> {
  const config = `--config=${root}deno.json`;
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", config, "--no-prompt", "--allow-read", "--allow-env", net],
      ...[`${root}tests/faults/_fetch_child.ts`, url],
    ],
    env: { NO_COLOR: "1", ...env },
  }).output();
  const text = new TextDecoder();
  assert.notEqual(stdout.length, 0, text.decode(stderr));
  return text.decode(stdout).trim();
}

Deno.test({
  name: "a name that nobody knows, a proxy that is not there: each is told of after some tries",
  ignore: !soak, // it is all waiting
  async fn() {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const nobody = `http://127.0.0.1:${listener.addr.port}`;
    listener.close();
    const [unknown, proxied] = await Promise.all([
      download("http://nowhere.invalid/x.csv"),
      download("http://nowhere.invalid/x.csv", { HTTP_PROXY: nobody }),
    ]);
    const tried =
      /^Error: Cannot download "http:\/\/nowhere\.invalid\/x\.csv": .*; five more tries did not help$/;
    assert.match(unknown, tried);
    assert.match(unknown, /dns error|lookup/);
    assert.match(proxied, tried);
    assert.match(proxied, /refused/i);
  },
});

Deno.test("a redirect leads to no place that the process may not reach", async () => {
  await using inner = serve(() => new Response("secret"));
  await using outer = serve(() => Response.redirect(`${inner.url}/x`));
  const only = `--allow-net=${new URL(outer.url).host}`;
  const said = await download(outer.url, {}, only);
  assert.match(said, /^GiveUp: Cannot download ".*": Requires net access to "127\.0\.0\.1:\d+"/);
  assert.deepEqual(inner.log, []);
  assert.equal(await download(outer.url), "6 bytes");
});

Deno.test({
  name: "a certificate that has expired, or that nobody vouches for, is refused at once",
  ignore: !hasOpenssl,
  async fn() {
    const folder = await Deno.makeTempDir();
    const openssl = async (line: string): Promise<void> => {
      const { success, stderr } = await new Deno.Command("openssl", {
        args: line.split(" "),
        cwd: folder,
      }).output();
      assert.ok(success, new TextDecoder().decode(stderr));
    };
    try {
      const key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
      await openssl(`req -x509 ${key} -keyout root.key -out root.crt -days 2 -subj /CN=root`);
      await Deno.writeTextFile(`${folder}/server.ext`, "subjectAltName=DNS:localhost\n");
      await openssl(`req ${key} -keyout server.key -out server.csr -subj /CN=localhost`);
      const sign = "x509 -req -in server.csr -CA root.crt -CAkey root.key -CAcreateserial";
      const trusted = { DENO_CERT: `${folder}/root.crt` };
      for (const days of [2, 0]) {
        await openssl(`${sign} -days ${days} -extfile server.ext -out server.crt`);
        const stop = new AbortController();
        const server = Deno.serve({
          hostname: "127.0.0.1",
          port: 0,
          cert: await Deno.readTextFile(`${folder}/server.crt`),
          key: await Deno.readTextFile(`${folder}/server.key`),
          signal: stop.signal,
          onListen() {},
        }, () => new Response("fine"));
        // A certificate of no days lasts a second.
        if (days === 0) await new Promise((resolve) => setTimeout(resolve, 1100));
        const url = `https://localhost:${server.addr.port}/`;
        const known = await download(url, trusted);
        if (days > 0) {
          assert.equal(known, "4 bytes");
          assert.match(
            await download(url),
            /^GiveUp: Cannot download .*certificate: UnknownIssuer/,
          );
        } else {
          assert.match(known, /^GiveUp: Cannot download .*certificate.*expired/i);
        }
        stop.abort();
        await server.finished;
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
