import assert from "node:assert/strict";
import { dag, engine, file, logFiles } from "../../engine/mod.ts";
import { mask } from "../../server/mod.ts";
import { server } from "./_checked.ts";

const secret = "p@ss/w:rd%21";
const { text, json } = mask(() => [secret]);

const hidden: [what: string, text: string][] = [
  ["as it is", `the password is ${secret}.`],
  ["percent-encoded", `x=${encodeURIComponent(secret)}&y=1`],
  ["in base64", btoa(secret)],
  ["in base64, behind a user", btoa(`me:${secret}`)],
  ["in base64, behind another", btoa(`user:${secret}:more`)],
  ["in base64 for URLs", btoa(`u:${secret}`).replaceAll("+", "-").replaceAll("/", "_")],
  ["in JSON in JSON", JSON.stringify(JSON.stringify({ a: secret }))],
  ["in a DSN", `postgres://me:${encodeURIComponent(secret)}@db:5432/x`],
];

for (const [what, shown] of hidden) {
  Deno.test(`a secret ${what} is hidden`, () => {
    assert.match(text(shown), /\*\*\*/);
    for (const form of [secret, encodeURIComponent(secret), btoa(secret).slice(2, -4)]) {
      assert.ok(!text(shown).includes(form), text(shown));
    }
  });
}

const unknown: [text: string, masked: string][] = [
  ["postgres://me:hunter2@db/x?a=1", "postgres://me:***@db/x?a=1"],
  ["postgres://me:a@b@db/x", "postgres://me:***@db/x"],
  ["redis://:hunter2@cache:6379", "redis://:***@cache:6379"],
  ["https://example.com/a?api_key=123&page=2", "https://example.com/a?api_key=***&page=2"],
  ["https://x/y?X-Amz-Signature=abc&b=1", "https://x/y?X-Amz-Signature=***&b=1"],
  ["https://example.com/me:you", "https://example.com/me:you"],
  ["at 12:30 me@example.com said", "at 12:30 me@example.com said"],
];

for (const [shown, masked] of unknown) {
  Deno.test(`what is known of no secret is read as ${masked}`, () => {
    assert.equal(text(shown), masked);
  });
}

Deno.test("what is named like a secret is hidden, and what is only named alike is not", () => {
  const shown = { password: "a", db_password: "b", apiKey: "c", token: "d", "x-api-key": "e" };
  assert.deepEqual(Object.values(json(shown) as object), Object.keys(shown).map(() => "***"));
  const plain = { tokens: "5", passwords: "no", monkey: "m", key: "k", secret: 7, password: "" };
  assert.deepEqual(json(plain), plain);
  assert.deepEqual(json([{ [secret]: [secret] }]), [{ "***": ["***"] }]);
});

Deno.test("hiding takes no longer the more a text looks like what is hidden", () => {
  const began = performance.now();
  for (const piece of ["a://", "x:", "://a:", "?token=", "&a.b-", "@"]) text(piece.repeat(100_000));
  assert.ok(performance.now() - began < 10_000, `${performance.now() - began} ms`);
});

Deno.test("no answer tells a secret: neither of params, outputs, errors, logs nor of webhooks", async () => {
  const home = await Deno.makeTempDir({ prefix: "sluice-mask-" });
  try {
    const hook = "a secret of sixteen";
    const leaky = dag("leaky", {
      params: {
        dsn: `postgres://me:${encodeURIComponent(secret)}@db/x`,
        note: secret,
        password: "q",
      },
      webhook: { secret: hook },
    });
    leaky.task("out", ({ log, params }) => {
      log.info(`connecting to ${params.dsn}`, { with: secret, hook });
      return { [secret]: params.note, hook };
    });
    leaky.task("fail", ({ params }) => {
      throw new Error(`Cannot reach ${params.dsn}: ${btoa(`me:${secret}`)}`);
    });
    await using store = await file(home);
    const logs = logFiles(home);
    await using etl = await engine({ dags: [leaky], store, home, logs });
    const app = server(etl, { store, home, logs, secrets: () => [secret] });
    const stop = new AbortController();
    const events = await app.request("/api/events?after=0", { signal: stop.signal });
    const { id, done } = await etl.trigger("leaky");
    await done;
    const paths = [
      ...["/api/dags", "/api/dags/leaky", "/api/runs", `/api/runs/${id}`, `/api/runs/${id}?full=1`],
      ...[`/api/runs/${id}/tasks`, `/api/runs/${id}/tasks/out`, `/api/runs/${id}/tasks/fail`],
      ...[`/api/runs/${id}/why`, `/api/runs/${id}/tasks/out/attempts/1/log`, "/metrics"],
      ...[`/api/runs/${id}/tasks/out/attempts/1/log?follow=1`, `/api/runs/${secret}`],
    ];
    const told = await Promise.all(paths.map(async (path) => {
      return await (await app.request(path)).text();
    }));
    const reader = events.body!.pipeThrough(new TextDecoderStream()).getReader();
    for (let all = ""; !/event: run_changed\ndata: .*"failed"/.test(all);) {
      const { value = "" } = await reader.read();
      told.push(value);
      all += value;
    }
    await reader.cancel();
    const answer = await app.request("/api/dags/leaky/runs", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ params: { dsn: secret, [secret]: 1 } }),
    });
    assert.equal(answer.status, 400);
    told.push(await answer.text());
    assert.ok(told.join("").includes("***"));
    for (const text of told) {
      for (const form of [secret, encodeURIComponent(secret), btoa(secret).slice(2, -4), hook]) {
        assert.ok(!text.includes(form), text);
      }
    }
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
