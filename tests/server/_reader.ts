import assert from "node:assert/strict";

/** An event, or a comment, as it came. */
export interface Sent {
  readonly id?: string;
  readonly event?: string;
  // deno-lint-ignore no-explicit-any -- a test says what it expects in it
  readonly data?: any;
  readonly comment?: string;
}

/** Reads events one by one. */
export class Reader implements AsyncDisposable {
  readonly #reader: ReadableStreamDefaultReader<string>;
  #text = "";

  constructor(answer: Response) {
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("content-type"), "text/event-stream");
    this.#reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  }

  async next(): Promise<Sent> {
    while (!this.#text.includes("\n\n")) {
      const { done, value } = await this.#reader.read();
      if (done) return { comment: "end" };
      this.#text += value;
    }
    const end = this.#text.indexOf("\n\n");
    const block = this.#text.slice(0, end);
    this.#text = this.#text.slice(end + 2);
    const fields = Object.fromEntries(
      block.split("\n").map((line) => {
        const [, name = "", value] = /^(\w*): ?(.*)$/.exec(line)!;
        return [name === "" ? "comment" : name, value];
      }),
    );
    return "data" in fields ? { ...fields, data: JSON.parse(fields.data) } : fields;
  }

  /** The next one that is an event. */
  async event(): Promise<Sent> {
    for (;;) {
      const sent = await this.next();
      if (sent.event !== undefined) return sent;
      assert.notEqual(sent.comment, "end");
    }
  }

  /** Those up to the end of a run. */
  async until(run: string): Promise<Sent[]> {
    for (const all: Sent[] = [];;) {
      const sent = await this.event();
      all.push(sent);
      const { run_id, state } = sent.data;
      if (sent.event === "run_changed" && run_id === run && state === "success") return all;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // What broke off has nothing to cancel.
    await this.#reader.cancel().catch(() => {});
  }
}
