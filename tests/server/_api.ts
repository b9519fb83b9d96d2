import assert from "node:assert/strict";
import { z } from "zod";

/** What answers requests. */
interface App {
  request(path: string, init?: RequestInit): Response | Promise<Response>;
}

/** An answer that was checked. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // deno-lint-ignore no-explicit-any -- a test says what it expects in it
  readonly json: any;
  readonly text: string;
}

// deno-lint-ignore no-explicit-any -- it is read as it comes
type Description = any;

/** Asks an API, and checks each answer against what the API says of itself. */
export class Api {
  readonly #app: App;
  readonly #description: Description;
  readonly #schemas = new Map<string, z.ZodType>();
  /** `GET /api/runs/{id} 200`: what was seen. */
  readonly seen = new Set<string>();

  private constructor(app: App, description: Description) {
    this.#app = app;
    this.#description = description;
  }

  static async of(app: App): Promise<Api> {
    return new Api(app, await (await app.request("/api/openapi.json")).json());
  }

  /** What can be asked for, as `GET /api/runs/{id}`. */
  get routes(): string[] {
    return Object.entries(this.#description.paths).flatMap(([path, methods]) =>
      Object.keys(methods as object).map((method) => `${method.toUpperCase()} ${path}`)
    );
  }

  get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return this.#ask(path, { headers });
  }

  delete(path: string): Promise<Answer> {
    return this.#ask(path, { method: "DELETE" });
  }

  post(path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    return this.#ask(path, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      ...body === undefined ? {} : { body: JSON.stringify(body) },
    });
  }

  async #ask(path: string, init: RequestInit): Promise<Answer> {
    const response = await this.#app.request(path, init);
    const text = await response.text();
    const { status, headers } = response;
    const json = this.check(init.method ?? "GET", path, status, headers, text);
    return { status, headers, json, text };
  }

  /** Checks an answer that was had elsewhere; gives its JSON. */
  check(method: string, path: string, status: number, headers: Headers, text: string): unknown {
    const [bare] = path.split("?") as [string];
    const template = this.#find(bare, method);
    if (template === undefined) {
      assert.equal(status, 404, `${method} ${path} is not described`);
      return JSON.parse(text);
    }
    const route = this.#description.paths[template][method.toLowerCase()];
    const described = route.responses[status] ??
      (status >= 400 ? route.responses.default : undefined);
    assert.ok(described, `${method} ${template} may not answer ${status}: ${text}`);
    this.seen.add(`${method} ${template} ${status}`);
    const type = headers.get("content-type") ?? "";
    if (!described.content) {
      assert.equal(text, "");
      return undefined;
    }
    const [bareType] = type.split(";") as [string];
    const known = Object.entries(described.content).find(([key]) => key.split(";")[0] === bareType);
    assert.ok(known, `${method} ${template} ${status} may not be ${type}`);
    const { schema } = known[1] as { schema: unknown };
    if (bareType === "text/plain") return text;
    const documents = bareType === "application/json"
      ? [text]
      : bareType === "application/x-ndjson"
      ? text.trimEnd().split("\n")
      : [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => data!);
    const values = documents.map((document) => JSON.parse(document));
    for (const value of values) this.#fits(schema, value, `${method} ${template} ${status}`);
    return bareType === "application/json" ? values[0] : values;
  }

  #fits(schema: unknown, value: unknown, what: string): void {
    const key = JSON.stringify(schema);
    let known = this.#schemas.get(key);
    if (!known) {
      const whole = JSON.stringify({
        ...schema as object,
        $defs: this.#description.components.schemas,
      }).replaceAll("#/components/schemas/", "#/$defs/");
      known = z.fromJSONSchema(JSON.parse(whole));
      this.#schemas.set(key, known);
    }
    const { success, error } = known.safeParse(value);
    assert.ok(success, `${what} is not as described: ${error?.message}\n${JSON.stringify(value)}`);
  }

  #find(path: string, method: string): string | undefined {
    const parts = path.split("/");
    const fits = Object.keys(this.#description.paths).filter((template) => {
      const wanted = template.split("/");
      return wanted.length === parts.length &&
        method.toLowerCase() in this.#description.paths[template] &&
        wanted.every((part, i) => part.startsWith("{") || part === parts[i]);
    });
    return fits.sort((a, b) => a.split("{").length - b.split("{").length)[0];
  }
}
