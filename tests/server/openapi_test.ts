import assert from "node:assert/strict";
import { dag, engine } from "../../engine/mod.ts";
import { server } from "./_checked.ts";
import { description } from "./_description.ts";

const run = {
  ...{ run_id: "a", dag: "b", logical_date: "2021-01-01T00:00:00Z", params: {}, state: "success" },
  ...{ interval: { start: "2021-01-01T00:00:00Z", end: "2021-01-02T00:00:00Z" }, tasks: [] },
};
const { state: _, ...stateless } = run;
const json = "application/json";

/** Answers, and what is wrong with them. */
const lies: [what: string, asked: string, status: number, type: string, body: unknown, RegExp][] = [
  ["a path that is not there", "GET /api/nothing", 200, json, {}, /not described/],
  ["a method that is not", "DELETE /api/runs/a", 200, json, {}, /not described/],
  ["another success", "GET /api/runs/a", 202, json, run, /not described/],
  ["another media type", "GET /api/runs/a", 200, "text/html", run, /may not be text\/html/],
  ["a field too many", "GET /api/runs/a", 200, json, { ...run, more: 1 }, /additional properties/],
  ["a field too few", "GET /api/runs/a", 200, json, stateless, /'state'/],
  ["an unknown word", "GET /api/runs/a", 200, json, { ...run, state: "lost" }, /allowed values/],
  ["a time of no zone", "GET /api/runs/a", 200, json, {
    ...run,
    logical_date: "2021-01-01",
  }, /date-time/],
  ["an error of another form", "GET /api/runs/a", 404, json, { message: "no" }, /'error'/],
  ["an error that is a page", "GET /api/runs/a", 404, "text/html", {}, /may not be/],
  ["an error of nothing", "GET /nothing", 404, "text/plain", {}, /application\/json/],
  ["a line", "POST /api/dags/a/runs", 201, "application/x-ndjson", { state: 1 }, /must match/],
  ["an event", "GET /api/events", 200, "text/event-stream", { type: "x" }, /must match/],
  ["a body where there is none", "DELETE /api/tokens/a", 204, "", "x", /'"x"'/],
];

Deno.test("an answer that is not as described is found out", async (t) => {
  for (const [what, asked, status, type, body, says] of lies) {
    await t.step(what, () => {
      const [method, path] = asked.split(" ") as [string, string];
      assert.throws(() => {
        description.expect(method, path, status, type)(JSON.stringify(body));
      }, says);
    });
  }
  description.expect("GET", "/api/runs/a", 200, json)(JSON.stringify(run));
});

Deno.test("all schemas of the description are JSON Schema, and are there", () => {
  const { openapi, paths, components } = description.document;
  assert.equal(openapi, "3.1.0");
  const text = JSON.stringify(description.document);
  for (const [, name] of text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)) {
    assert.ok(name! in components.schemas, name);
  }
  for (const success of description.successes) {
    const [method, path, status] = success.split(" ") as [string, string, string];
    const { content = {} } = paths[path][method.toLowerCase()].responses[status];
    for (const type of Object.keys(content)) description.expect(method, path, Number(status), type);
  }
});

Deno.test("what is described is the same, whatever the DAGs", async () => {
  await using etl = await engine({ dags: [dag("greet")] });
  const answer = await server(etl).request("/api/openapi.json");
  const { paths } = await answer.json();
  for (const path of Object.keys(paths)) {
    assert.deepEqual(paths[path], description.document.paths[path]);
  }
});

Deno.test("tests have no server but the one whose answers are checked", async () => {
  const doors = [];
  for await (const { name } of Deno.readDir(new URL(".", import.meta.url))) {
    if (!name.endsWith(".ts")) continue;
    const text = await Deno.readTextFile(new URL(name, import.meta.url));
    if (/\{[^}]*\bserver\b[^}]*\} from "\.\.\/\.\.\/server\/mod\.ts"/.test(text)) doors.push(name);
  }
  assert.deepEqual(doors.sort(), ["_checked.ts", "_description.ts"]);
});
