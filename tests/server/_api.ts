/** What answers requests. */
interface App {
  request(path: string, init?: RequestInit): Response | Promise<Response>;
}

/** An answer, read. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Of an answer by lines, all of them. */
  // deno-lint-ignore no-explicit-any -- a test says what it expects in it
  readonly json: any;
  readonly text: string;
}

/** Asks an API in few words. */
export class Api {
  readonly #app: App;

  constructor(app: App) {
    this.#app = app;
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
    const [type] = (headers.get("content-type") ?? "").split(";");
    const json = type === "application/json"
      ? JSON.parse(text)
      : type === "application/x-ndjson"
      ? text.trimEnd().split("\n").map((line) => JSON.parse(line))
      : undefined;
    return { status, headers, json, text };
  }
}
