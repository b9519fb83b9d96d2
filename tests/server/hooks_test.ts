import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { z } from "zod";
import { dag, engine, file, type Webhook } from "../../engine/mod.ts";
import { openReceipts, sign } from "../../server/mod.ts";
import { server } from "./_checked.ts";
import { Api } from "./_api.ts";

const SECRET = "the secret of the hook";
const OLD = "the secret of before it";

interface Params {
  file: string;
  rows: number;
}

function hooked(webhook: Webhook<Params>) {
  const etl = dag<Params>("incoming", { params: { file: "none", rows: 0 }, webhook });
  etl.task("show", (run) => run.params.file);
  return etl;
}

const plain = hooked({ secret: [SECRET, OLD] });
const start = Temporal.Instant.from("2026-11-21T12:00:00Z");

/** An API on a clock of its own. */
async function hooks(etl = plain) {
  const clock = { now: start };
  const host = await engine({ dags: [etl], now: () => clock.now });
  const app = server(host, { auth: () => undefined, now: () => clock.now });
  const send = async (
    body: string | Uint8Array<ArrayBuffer>,
    headers: Record<string, string>,
    name = "incoming",
  ) => {
    const answer = await app.request(`/hooks/${name}`, { method: "POST", headers, body });
    const text = await answer.text();
    return {
      status: answer.status,
      headers: answer.headers,
      text,
      json: text === "" ? undefined : JSON.parse(text),
    };
  };
  return { host, clock, app, send, [Symbol.asyncDispose]: () => host[Symbol.asyncDispose]() };
}

const signed = (body: string, secret = SECRET, at = start): Record<string, string> => {
  return { "x-sluice-signature": sign(secret, body, at) };
};
const github = (body: string, secret = SECRET): Record<string, string> => {
  const hex = createHmac("sha256", secret).update(body).digest("hex");
  return { "x-hub-signature-256": `sha256=${hex}` };
};
const hex = (text: string, secret = SECRET) =>
  createHmac("sha256", secret).update(text).digest("hex");

const body = JSON.stringify({ file: "a.csv", rows: 3 });
const t = String(start.epochMilliseconds / 1000);

Deno.test("a delivery that is signed makes a run, with its body as the params", async () => {
  await using api = await hooks();
  const { status, json, headers } = await api.send(body, signed(body));
  assert.equal(status, 201);
  assert.equal(headers.get("location"), `/api/runs/${json.run_id}`);
  const run = await api.host.done(json.run_id);
  assert.equal(run.kind, "webhook");
  assert.deepEqual(run.params, { file: "a.csv", rows: 3 });
  assert.equal(run.tasks["show"]!.output, "a.csv");
});

const refused: [what: string, headers: Record<string, string>, sent?: string][] = [
  ["no signature", {}],
  ["an empty one", { "x-sluice-signature": "" }],
  ["one of another secret", signed(body, "some other secret")],
  ["one of an empty secret", signed(body, "")],
  ["one of another body", signed(`${body} `)],
  ["the body written otherwise", signed(body), JSON.stringify(JSON.parse(body), null, 1)],
  ["the body behind a mark", signed(body), `\ufeff${body}`],
  ["one without its time", { "x-sluice-signature": `v1=${hex(`${t}.${body}`)}` }],
  ["one with two times", { "x-sluice-signature": `t=1,t=${t},v1=${hex(`${t}.${body}`)}` }],
  ["a time that was not signed", { "x-sluice-signature": `t=${t}0,v1=${hex(`${t}.${body}`)}` }],
  ["one over the body alone", { "x-sluice-signature": `t=${t},v1=${hex(body)}` }],
  ["half of one", { "x-sluice-signature": `t=${t},v1=${hex(`${t}.${body}`).slice(0, 32)}` }],
  ["one that is not hex", { "x-sluice-signature": `t=${t},v1=${"z".repeat(64)}` }],
  ["a hundred of them", {
    "x-sluice-signature": `t=${t},${`v1=${hex("x")},`.repeat(100)}v1=${hex(`${t}.${body}`)}`,
  }],
  ["two of two forms", { ...signed(body), ...github(body) }],
  ["GitHub's, of another secret", github(body, "some other secret")],
  ["GitHub's, in SHA-1", { "x-hub-signature": `sha1=${hex(body)}` }],
  ["GitHub's, of another body", github(`${body} `)],
  ["the token of nobody", { authorization: "Bearer x" }],
  ["an age of 301 seconds", signed(body, SECRET, start.subtract({ seconds: 301 }))],
  ["a time to come", signed(body, SECRET, start.add({ seconds: 301 }))],
];

for (const [what, headers, sent = body] of refused) {
  Deno.test(`a delivery with ${what} is refused, and makes no run`, async () => {
    await using api = await hooks();
    const { status, json } = await api.send(sent, headers);
    assert.equal(status, 401);
    assert.match(json.error.message, /^Cannot take this delivery/);
    assert.deepEqual(await api.host.runs(), []);
  });
}

Deno.test("whichever bit of a delivery is flipped, it is refused", async () => {
  await using api = await hooks();
  const headers = signed(body);
  const bytes = new TextEncoder().encode(body);
  for (let i = 0; i < bytes.length * 8; i++) {
    const flipped = bytes.slice();
    flipped[i >> 3]! ^= 1 << (i & 7);
    assert.equal((await api.send(flipped, headers)).status, 401);
  }
  const name = "x-sluice-signature";
  const value = headers[name]!;
  for (let i = 0; i < value.length; i++) {
    const other = value[i] === "0" ? "1" : "0";
    const flipped = value.slice(0, i) + other + value.slice(i + 1);
    const { status } = await api.send(body, { [name]: flipped });
    assert.equal(status, 401, flipped);
  }
  assert.deepEqual(await api.host.runs(), []);
});

const accepted: [what: string, headers: Record<string, string>][] = [
  ["the secret of before", signed(body, OLD)],
  ["one signature of two", {
    "x-sluice-signature": `t=${t},v1=${hex(`${t}.${body}`, "a third one, unknown")},v1=${
      hex(`${t}.${body}`)
    }`,
  }],
  ["fields that are not known", { "x-sluice-signature": `${sign(SECRET, body, start)},v0=x` }],
  ["GitHub's form", github(body)],
  ["299 seconds", signed(body, SECRET, start.subtract({ seconds: 299 }))],
  ["a clock 299 seconds ahead", signed(body, SECRET, start.add({ seconds: 299 }))],
];

for (const [what, headers] of accepted) {
  Deno.test(`a delivery with ${what} is taken`, async () => {
    await using api = await hooks();
    assert.equal((await api.send(body, headers)).status, 201);
  });
}

Deno.test("a delivery that comes again makes no other run; once it is too old it is refused", async () => {
  await using api = await hooks();
  const { "x-sluice-signature": value } = signed(body);
  const send = (secret = SECRET) =>
    api.send(body, secret === SECRET ? { "x-sluice-signature": value! } : signed(body, secret));
  const { json: { run_id } } = await send();
  const times: [seconds: number, status: number][] = [[1, 201], [299, 201], [301, 401]];
  for (const [seconds, status] of times) {
    api.clock.now = start.add({ seconds });
    const again = await send();
    assert.equal(again.status, status, `${seconds} s`);
    if (status === 201) assert.equal(again.json.run_id, run_id);
  }
  // Signed with the other secret it is still the same delivery.
  api.clock.now = start;
  assert.equal((await send(OLD)).json.run_id, run_id);
  assert.equal((await api.host.runs()).length, 1);
});

Deno.test("what GitHub signs is taken once for ever, by whatever name it comes again", async () => {
  await using api = await hooks();
  const { json: { run_id } } = await api.send(body, { ...github(body), "x-github-delivery": "1" });
  api.clock.now = start.add({ hours: 24 * 400 });
  const again = await api.send(body, { ...github(body), "x-github-delivery": "2" });
  assert.equal(again.json.run_id, run_id);
});

Deno.test("a delivery is taken once even across restarts, and by how many at once it is brought", async () => {
  const home = await Deno.makeTempDir({ prefix: "sluice-hooks-" });
  try {
    const ids = new Set<string>();
    for (let i = 0; i < 2; i++) {
      await using store = await file(home);
      await using etl = await engine({ dags: [plain], store, home });
      using receipts = openReceipts(home);
      const app = server(etl, { store, receipts, now: () => start });
      await Promise.all(Array.from({ length: 20 }, async () => {
        const init = { method: "POST", headers: signed(body), body };
        ids.add((await (await app.request("/hooks/incoming", init)).json()).run_id);
      }));
    }
    assert.equal(ids.size, 1);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

Deno.test("a body is validated by its schema, and mapped to params or to nothing", async () => {
  const etl = hooked({
    name: "git-hub",
    secret: () => SECRET,
    body: z.object({ ref: z.string(), size: z.coerce.number() }),
    map: ({ ref, size }, { headers }) =>
      headers["x-github-event"] === "push" ? { file: ref, rows: size } : undefined,
  });
  await using api = await hooks(etl);
  const push = JSON.stringify({ ref: "main", size: "4", more: true });
  const send = (body: string, event: string) =>
    api.send(body, { ...github(body), "x-github-event": event }, "git-hub");
  const { json: { run_id } } = await send(push, "push");
  assert.deepEqual((await api.host.get(run_id))!.params, { file: "main", rows: 4 });
  assert.deepEqual((await send(JSON.stringify({ ref: "x", size: 1 }), "ping")).status, 204);
  for (const wrong of ['{"ref":1,"size":1}', "[]", "{", '"x"']) {
    assert.equal((await send(wrong, "push")).status, 400, wrong);
  }
  assert.equal((await api.host.runs()).length, 1);
});

Deno.test("params of a delivery that do not fit the DAG are refused, and can be mended", async () => {
  await using api = await hooks();
  for (const wrong of ['{"rows":"many"}', '{"what":1}', "[1]", "3", "null"]) {
    assert.equal((await api.send(wrong, signed(wrong))).status, 400, wrong);
  }
  assert.deepEqual(await api.host.runs(), []);
});

const short = hooked({ secret: ["", "short"] });
for (const secret of ["", "short"]) {
  Deno.test(`a secret that can be guessed, "${secret}", lets nobody in`, async () => {
    await using api = await hooks(short);
    assert.equal((await api.send(body, signed(body, secret))).status, 401);
  });
}

Deno.test("who does not know the secret does not get to know which webhooks there are", async () => {
  await using api = await hooks();
  const there = await api.send(body, signed(body, "some other secret"));
  const none = await api.send(body, signed(body, "some other secret"), "nothing");
  assert.deepEqual([none.status, none.text], [there.status, there.text]);
});

Deno.test("a delivery is answered as the API says, and one that is too long is not read", async () => {
  await using api = await hooks();
  const described = new Api(server(api.host, { now: () => start }));
  const { json } = await described.post("/hooks/incoming", { file: "b.csv" }, {
    ...signed('{"file":"b.csv"}'),
  });
  assert.match(json.run_id, /^webhook__/);
  assert.equal((await described.post("/hooks/incoming", {})).status, 401);
  const long = " ".repeat((1 << 20) + 1);
  assert.equal((await api.send(long, signed(long))).status, 413);
});
