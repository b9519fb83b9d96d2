import assert from "node:assert/strict";
import { dag, engine } from "../../engine/mod.ts";
import type { Role } from "../../server/mod.ts";
import { server } from "./_checked.ts";
import { description, lent } from "./_description.ts";

const greet = dag("greet");
greet.task("hello", () => "hello");
const roles: Readonly<Record<string, Role>> = { look: "viewer", run: "runner", sesame: "admin" };
const options = {
  auth: (token: string | undefined) => token === undefined ? undefined : roles[token],
  hosts: ["localhost", "127.0.0.1"],
};
const bearer = (token: string) => ({ host: "localhost", authorization: `Bearer ${token}` });

const cases: [what: string, headers: Record<string, string>, status: number][] = [
  ["the right token", { ...bearer("sesame"), host: "localhost:8080" }, 200],
  ["an address", { ...bearer("sesame"), host: "127.0.0.1" }, 200],
  ["capitals in the name", { ...bearer("sesame"), host: "LocalHost" }, 200],
  ["no token", { host: "localhost" }, 401],
  ["a wrong token", bearer("sesam"), 401],
  ["an empty token", bearer(""), 401],
  ["a list of tokens", bearer("sesame, sesame"), 401],
  ["the name of a property", bearer("constructor"), 401],
  ["another scheme", { host: "localhost", authorization: "Basic c2VzYW1l" }, 401],
  ["the token elsewhere", { host: "localhost", cookie: "token=sesame", "x-token": "sesame" }, 401],
  ["another name", { ...bearer("sesame"), host: "evil.example" }, 421],
  ["no name", { ...bearer("sesame"), host: "" }, 421],
  ["a name that begins alike", { ...bearer("sesame"), host: "localhost.evil.example" }, 421],
];

for (const [what, headers, status] of cases) {
  Deno.test(`a request with ${what} gets ${status}`, async () => {
    await using etl = await engine({ dags: [greet] });
    const answer = await server(etl, {
      ...options,
      auth: (token) =>
        token !== undefined && Object.hasOwn(roles, token) ? roles[token] : undefined,
    }).request("/api/dags", { headers });
    assert.equal(answer.status, status);
    const { error } = await answer.json();
    assert.equal(typeof error?.message, status === 200 ? "undefined" : "string");
  });
}

/** Every route there is, with a path that would be found. */
function everyRoute(): { method: string; path: string; access: string }[] {
  return Object.entries(
    description.document.paths as Record<string, Record<string, { description: string }>>,
  )
    .flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { description }]) => ({
        method: method.toUpperCase(),
        path: path.replaceAll("{attempt}", "1").replaceAll(/\{\w+\}/g, "greet"),
        access: /(anyone|signs|viewer|runner|admin)/.exec(description)![0],
      }))
    );
}

Deno.test("each route lets in only the roles it is for, and those above them", async (t) => {
  await using etl = await engine({ dags: [greet] });
  const app = server(etl, { ...options, ...lent });
  const tokens = [undefined, "", "wrong", "look", "run", "sesame"];
  const ranks = ["viewer", "runner", "admin"];
  const routes = everyRoute();
  assert.ok(routes.length > 35);
  assert.deepEqual(
    routes.filter(({ access }) => access === "anyone" || access === "signs")
      .map(({ method, path }) => `${method} ${path}`),
    ["GET /healthz", "GET /readyz", "POST /hooks/greet"],
  );
  for (const { method, path, access } of routes) {
    await t.step(`${method} ${path}`, async () => {
      for (const token of tokens) {
        const headers = token === undefined ? { host: "localhost" } : bearer(token);
        const answer = await app.request(path, { method, headers });
        await answer.body?.cancel();
        const rank = ranks.indexOf(roles[token ?? ""] ?? "");
        const wanted = ranks.indexOf(access);
        if (access === "signs") assert.equal(answer.status, 401);
        else if (wanted < 0) assert.equal(answer.status, 200);
        else if (rank < 0) assert.equal(answer.status, 401, String(token));
        else if (rank < wanted) assert.equal(answer.status, 403, token);
        else assert.ok(![401, 403].includes(answer.status), `${answer.status} ${token}`);
      }
    });
  }
});

const ways = [
  ...["/healthz/../api/runs", "/healthz/%2e%2e/api/runs", "/healthz/..%2fapi%2fruns"],
  ...["//api/runs", "/api//runs", "/api/runs/", "/api/runs;", "/api/runs;/healthz", "/API/RUNS"],
  ...["/api/runs/healthz", "/api/runs?x=/healthz", "/api/runs%00", "/api/%72uns", "/./api/runs"],
  ...[
    "/healthz/api/runs",
    "/healthz%2f..%2fapi",
    "/nothing",
    "/assets/x",
    "/api",
    "/hooks",
    "/metrics/",
  ],
];

Deno.test("no way around leads past the guard", async (t) => {
  await using etl = await engine({ dags: [greet] });
  const app = server(etl, options);
  const lies = {
    "x-original-url": "/healthz",
    "x-rewrite-url": "/healthz",
    "x-forwarded-for": "127.0.0.1",
    "x-http-method-override": "GET",
  };
  for (const way of ways) {
    for (const method of ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"]) {
      await t.step(`${method} ${way}`, async () => {
        const answer = await app.request(way, { method, headers: { host: "localhost", ...lies } });
        assert.equal(answer.status, 401);
      });
    }
  }
});

const foreign: [what: string, headers: Record<string, string>, status: number][] = [
  ["its own page", { origin: "http://localhost:8080", "sec-fetch-site": "same-origin" }, 201],
  ["a program", {}, 201],
  ["what the user typed", { "sec-fetch-site": "none" }, 201],
  ["a page elsewhere", { origin: "https://evil.example" }, 403],
  ["a page of another port", { origin: "http://localhost:9000" }, 403],
  ["a page in a sandbox", { origin: "null" }, 403],
  ["another site", { "sec-fetch-site": "cross-site" }, 403],
  ["a neighbour site", { "sec-fetch-site": "same-site" }, 403],
  ["a form", { "content-type": "application/x-www-form-urlencoded" }, 415],
  ["text", { "content-type": "text/plain" }, 415],
];

for (const [who, headers, status] of foreign) {
  Deno.test(`a trigger by ${who} gets ${status}`, async () => {
    await using etl = await engine({ dags: [greet] });
    const answer = await server(etl, options).request("/api/dags/greet/runs", {
      method: "POST",
      headers: {
        ...bearer("run"),
        host: "localhost:8080",
        "content-type": "application/json",
        ...headers,
      },
      body: "{}",
    });
    assert.equal(answer.status, status, await answer.text());
    assert.equal((await etl.runs()).length, status === 201 ? 1 : 0);
  });
}

Deno.test("no answer leads elsewhere, whatever is asked for it", async () => {
  await using etl = await engine({ dags: [greet] });
  const app = server(etl, options);
  const elsewhere = encodeURIComponent("https://evil.example");
  for (const path of ["/", "/api/dags", "/api/runs", "/login", "/dags/greet/grid"]) {
    for (const name of ["origin", "next", "redirect", "return_to", "url"]) {
      const answer = await app.request(`${path}?${name}=${elsewhere}`, { headers: bearer("look") });
      await answer.body?.cancel();
      assert.ok(answer.status < 300 || answer.status >= 400, `${answer.status}`);
      assert.equal(answer.headers.get("location"), null);
    }
  }
});

Deno.test("every answer keeps browsers from framing it, sniffing at it and running what it has in it", async () => {
  await using etl = await engine({ dags: [greet] });
  const app = server(etl, options);
  for (const path of ["/healthz", "/api/dags", "/api/nothing", "/metrics"]) {
    for (const headers of [{ host: "localhost" }, bearer("look"), { host: "evil" }]) {
      const answer = await app.request(path, { headers });
      await answer.body?.cancel();
      const policy = answer.headers.get("content-security-policy") ?? "";
      assert.match(policy, /^default-src 'none'; script-src 'self';.* frame-ancestors 'none'$/);
      assert.doesNotMatch(policy, /unsafe|\*/);
      assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
      assert.equal(answer.headers.get("x-frame-options"), "DENY");
      assert.equal(answer.headers.get("access-control-allow-origin"), null);
      assert.equal(answer.headers.get("cache-control"), "no-store");
    }
  }
});
