import assert from "node:assert/strict";
import { sharedPostgres } from "../_postgres.ts";

const CHILD = `
  import { connect, disconnect } from "${new URL("../../operators/_connect.ts", import.meta.url)}";
  import { CopyIn } from "${new URL("../../operators/_copy_in.ts", import.meta.url)}";
  const { signal } = new AbortController();
  const client = await connect({ url: Deno.args[0] }, { signal });
  await client.query("CREATE TEMPORARY TABLE numbers (n integer)");
  const copy = new CopyIn(client, "COPY numbers FROM STDIN");
  const rows = new TextEncoder().encode("1\\n2\\n");
  const write = async (times) => {
    for (let i = 0; i < times; i++) await copy.write(rows);
    gc();
    return Deno.memoryUsage().heapUsed;
  };
  const before = await write(1_000), after = await write(10_000);
  console.log(JSON.stringify({ rows: await copy.finish(), grown: after - before }));
  await disconnect(client);
`;

Deno.test("a COPY keeps nothing of what it has written", async () => {
  const db = await sharedPostgres();
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--ext=ts", "--v8-flags=--expose-gc", CHILD, db.url],
    cwd: new URL("../..", import.meta.url),
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  const { rows, grown } = JSON.parse(new TextDecoder().decode(stdout));
  assert.equal(rows, 22_000);
  // A hundred bytes a write would be one megabyte.
  assert.ok(grown < 1e6, `${grown} bytes more after 10,000 writes`);
});
