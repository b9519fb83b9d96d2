import assert from "node:assert/strict";
import { Hono } from "hono";
import { guard } from "../../server/mod.ts";

const app = new Hono();
app.use(guard({ token: "sesame", hosts: ["localhost", "127.0.0.1"] }));
app.get("/", (c) => c.text("in"));

const cases: [what: string, headers: Record<string, string>, status: number][] = [
  ["the right token", { host: "localhost:8080", authorization: "Bearer sesame" }, 200],
  ["an address", { host: "127.0.0.1", authorization: "Bearer sesame" }, 200],
  ["capitals", { host: "LocalHost", authorization: "Bearer sesame" }, 200],
  ["no token", { host: "localhost" }, 401],
  ["a wrong token", { host: "localhost", authorization: "Bearer sesam" }, 401],
  ["an empty token", { host: "localhost", authorization: "Bearer " }, 400],
  ["another scheme", { host: "localhost", authorization: "Basic c2VzYW1l" }, 400],
  ["another name", { host: "evil.example", authorization: "Bearer sesame" }, 421],
  [
    "a name that begins alike",
    { host: "localhost.evil.example", authorization: "Bearer sesame" },
    421,
  ],
];

for (const [what, headers, status] of cases) {
  Deno.test(`a request with ${what} gets ${status}`, async () => {
    const answer = await app.request("/", { headers });
    assert.equal(answer.status, status);
    if (status !== 200) assert.equal(typeof (await answer.json()).error.message, "string");
  });
}
