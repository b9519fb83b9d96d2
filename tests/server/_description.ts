import assert from "node:assert/strict";
import { Ajv2020 } from "ajv";
import { engine } from "../../engine/mod.ts";
import { server, type ServerOptions } from "../../server/mod.ts";

// deno-lint-ignore no-explicit-any -- it is read as it comes
type Document = any;

/** What an API says of itself, and whether answers are like that. */
export class Description {
  readonly document: Document;
  /** The successes it was asked about, as `GET /api/runs/{id} 200`. */
  readonly seen = new Set<string>();
  readonly #ajv = new Ajv2020({ strict: true, allowUnionTypes: true });

  constructor(document: Document) {
    this.document = document;
    this.#ajv.addFormat("date", /^\d{4}-\d\d-\d\d$/);
    this.#ajv.addFormat("date-time", (text) => /Z$/.test(text) && !isNaN(Date.parse(text)));
    this.#ajv.addSchema({ ...document, $id: "api" }, undefined, false, false);
    // What stands beside the schemas in such a document is none of a validator's business.
    this.#ajv.addVocabulary(Object.keys(document));
  }

  /** The successes there may be, as `GET /api/runs/{id} 200`. */
  get successes(): string[] {
    const all: string[] = [];
    for (const [path, methods] of Object.entries<Document>(this.document.paths)) {
      for (const [method, { responses }] of Object.entries<Document>(methods)) {
        const statuses = Object.keys(responses).filter((status) => status < "400");
        all.push(...statuses.map((status) => `${method.toUpperCase()} ${path} ${status}`));
      }
    }
    return all;
  }

  /**
   * Finds what is said of an answer.
   *
   * @returns what takes each of its documents, as text: all of it, or a line, or an event's data
   * @throws when nothing is said, or something else
   */
  expect(method: string, path: string, status: number, type: string): (text: string) => void {
    const template = this.#find(method, path);
    const what = `${method} ${template ?? path} ${status}`;
    const error = ["components", "schemas", "Error"];
    if (template === undefined) {
      if (status >= 400) return this.#fits(error, what, type, "application/json");
      assert.match(
        `${method} ${type}`,
        /^GET (text\/(html|css|javascript)|image\/svg\+xml)/,
        `${what} is not described`,
      );
      return () => {};
    }
    const at = ["paths", template, method.toLowerCase(), "responses"];
    const { responses } = this.document.paths[template][method.toLowerCase()];
    const key = status in responses ? String(status) : "default";
    assert.ok(status >= 400 || key !== "default", `${what} is not described`);
    if (status < 400) this.seen.add(what);
    const { content } = responses[key];
    if (!content) return (text) => assert.equal(text, "", what);
    const known = Object.keys(content).find((media) => media.split(";")[0] === type.split(";")[0]);
    assert.ok(known, `${what} may not be ${type}`);
    return this.#fits([...at, key, "content", known, "schema"], what, type, known);
  }

  #fits(at: string[], what: string, type: string, known: string): (text: string) => void {
    assert.equal(type.split(";")[0], known.split(";")[0], what);
    if (known.startsWith("text/plain")) return () => {};
    const pointer = at.map((part) => part.replaceAll("~", "~0").replaceAll("/", "~1"));
    const $ref = `api#/${pointer.map(encodeURIComponent).join("/")}`;
    const validate = this.#ajv.getSchema($ref) ?? this.#ajv.compile({ $ref });
    return (text) => {
      const fits = validate(JSON.parse(text));
      assert.ok(fits, `${what} is not as described: ${JSON.stringify(validate.errors)}\n${text}`);
    };
  }

  #find(method: string, path: string): string | undefined {
    const parts = path.split("/");
    const fits = Object.keys(this.document.paths).filter((template) => {
      const wanted = template.split("/");
      return wanted.length === parts.length &&
        method.toLowerCase() in this.document.paths[template] &&
        wanted.every((part, i) => part.startsWith("{") ? parts[i] !== "" : part === parts[i]);
    });
    return fits.sort((a, b) => a.split("{").length - b.split("{").length)[0];
  }
}

/** What a host may lend a server, so that all routes are there. */
export const lent: ServerOptions = {
  loads: () => Promise.resolve([]),
  rejects: {
    tables: () => Promise.resolve([]),
    rows: () => Promise.resolve([]),
    replay: ({ table }) => Promise.resolve({ table, replayed: 0, rejected: 0, skipped: 0 }),
  },
  tokens: {
    role: () => undefined,
    list: () => [],
    create: () => Promise.reject(new Error("not now")),
    remove: () => Promise.resolve(true),
  },
};

/** What the API says of itself: the same, whatever the engine. */
export const description: Description = await describe();

async function describe(): Promise<Description> {
  await using etl = await engine({ dags: [] });
  return new Description(await (await server(etl, lent).request("/api/openapi.json")).json());
}
