/// <reference lib="deno.worker" />
// The clients of server.ts, on a thread of their own: the server's is not to wait for them.

/** What to do: `requests`, so many at once of one kind, or `listen` to events. */
export type Order =
  | {
    readonly what: "requests";
    readonly url: string;
    readonly body?: string;
    readonly count: number;
    readonly atOnce: number;
  }
  | { readonly what: "listen"; readonly url: string; readonly clients: number };

/** Requests that were answered, in milliseconds each; or events that were heard, each with how late. */
export interface Answered {
  readonly ready?: true;
  readonly seconds?: number;
  readonly latencies?: readonly number[];
}

/** How long of each event, until the page says it is over. */
const lateness: number[] = [];

self.onmessage = async ({ data }: MessageEvent<Order | "end">) => {
  if (data === "end") return self.postMessage({ latencies: lateness.splice(0) });
  self.postMessage(data.what === "requests" ? await ask(data) : await listen(data));
};

async function ask(order: Order & { what: "requests" }): Promise<Answered> {
  const latencies: number[] = [];
  let left = order.count;
  const began = performance.now();
  const init: RequestInit = order.body === undefined
    ? {}
    : { method: "POST", headers: { "content-type": "application/json" }, body: order.body };
  await Promise.all(Array.from({ length: order.atOnce }, async () => {
    while (left-- > 0) {
      const at = performance.now();
      const answer = await fetch(order.url, init);
      await answer.arrayBuffer();
      if (!answer.ok) throw new Error(`${order.url} answers ${answer.status}`);
      latencies.push(performance.now() - at);
    }
  }));
  return { seconds: (performance.now() - began) / 1000, latencies };
}

async function listen({ url, clients }: Order & { what: "listen" }): Promise<Answered> {
  await Promise.all(Array.from({ length: clients }, async () => {
    const answer = await fetch(url);
    const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
    await reader.read();
    follow(reader).catch(() => {}); // the server has ended
  }));
  return { ready: true };
}

/** Takes down how late each event is: its moment is that of the change, before it was on record. */
async function follow(reader: ReadableStreamDefaultReader<string>): Promise<void> {
  for (let rest = "";;) {
    const { done, value } = await reader.read();
    if (done) return;
    const now = Temporal.Now.instant();
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop()!;
    for (const block of blocks) {
      const data = /^data: (.*)$/m.exec(block)?.[1];
      if (data === undefined) continue;
      const { at } = JSON.parse(data);
      if (at) lateness.push(now.since(Temporal.Instant.from(at)).total("milliseconds"));
    }
  }
}
