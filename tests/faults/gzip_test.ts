import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { serve } from "../cli/_sluice.ts";
import { freshDatabase, sharedPostgres } from "../_postgres.ts";
import { invariants, type State } from "./_invariants.ts";
import { begin, loadFrom, Made, type Ways } from "./_made.ts";

await sharedPostgres();
const database = await freshDatabase();

const old = new Made(1), made = new Made(2);
const before: State = { table: [old], ledger: [old] };
const loaded: State = { table: [made], ledger: [old, made] };

function zip(bytes: Uint8Array | string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(gzipSync(bytes));
}

function join(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

const whole = zip(made.bytes);

/** Serves bytes and loads them, in place of the old file; then looks at what must hold. */
async function check(
  bytes: Uint8Array<ArrayBuffer>,
  said: RegExp | undefined,
  ways?: Ways,
): Promise<void> {
  await using server = serve(() => new Response(bytes, { headers: { etag: '"2"' } }));
  const loading = loadFrom(`${server.url}/data.csv.gz`, database.url, made, ways);
  if (said) await assert.rejects(loading, said);
  else await loading;
  await invariants(database, [said ? before : loaded]);
}

Deno.test("a gzip file that lacks up to nine of its last bytes is not loaded", async () => {
  await begin(database, old);
  for (let missing = 1; missing <= 9; missing++) {
    await check(
      whole.slice(0, -missing),
      new RegExp(
        `Cannot decompress gzip: at byte ${whole.length - missing}, the data ends too early`,
      ),
    );
  }
});

Deno.test("a gzip file with a wrong sum, length, or something behind it is not loaded", async () => {
  await begin(database, old);
  const flip = (at: number) => whole.with(whole.length + at, whole.at(at)! ^ 1);
  await check(flip(-8), /the checksum \(CRC-32\) is wrong/);
  await check(flip(-1), /the length is wrong/);
  await check(join(whole, new TextEncoder().encode("n,v,note\n")), /something that is not gzip/);
  await check(join(whole, new Uint8Array(512), new Uint8Array([1])), /something that is not gzip/);
});

Deno.test("a gzip file may be of several members, be padded by zeros, or be none", async () => {
  const third = Math.floor(made.bytes.length / 3);
  const members = join(
    zip(made.bytes.subarray(0, third)),
    zip(""),
    zip(made.bytes.subarray(third)),
  );
  for (const good of [members, join(whole, new Uint8Array(1000)), made.bytes]) {
    await begin(database, old);
    await check(good, undefined);
  }
});

Deno.test("members of a gzip file may end within a quoted field, between its quotes, and within a letter", async () => {
  const text = new TextEncoder().encode('n,s\n1,"a ""quoted"", long\r\nfield"\n2,Zoë 🎈\n');
  for (let at = 1; at < text.length; at++) {
    const bytes = join(zip(text.subarray(0, at)), zip(text.subarray(at)));
    await using server = serve(() => new Response(bytes));
    await loadFrom(server.url, database.url, made);
    assert.deepEqual(
      await database.query("SELECT * FROM t ORDER BY n"),
      [{ n: 1, s: 'a "quoted", long\r\nfield' }, { n: 2, s: "Zoë 🎈" }],
      `at ${at}`,
    );
  }
});

Deno.test("a gzip bomb is not loaded, where a limit says so", async () => {
  await begin(database, old);
  const text = `n,v,note\n${`1,2,${"x".repeat(10_000)}\n`.repeat(3000)}`;
  const bomb = zip(text);
  assert.ok(text.length / bomb.length > 500);
  await check(bomb, /makes more than maxBytes \(1000000\)/, { maxBytes: 1e6 });
  await check(bomb, /makes more than maxRatio \(100\)/, { maxRatio: 100 });
});
