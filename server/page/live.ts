import { signal } from "@preact/signals";
import { ask, Refused, wantsToken, withQuery } from "./api.ts";
import type { DagChange, Happening, Meters } from "./documents.ts";
import { soon } from "./soon.ts";

/** How the connection to the server stands. */
export type Connection = "connecting" | "live" | "lost";

/** Whether what is shown is how things are. */
export const connection = signal<Connection>("connecting");

/** Grows when something may have been missed: what is shown has to be read anew. Before it is 1, nothing is read. */
export const epoch = signal(0);

/** Calls as soon as there is something to read, and each time it has to be read anew, until what it answers is called. */
export function onEpoch(read: () => void): () => void {
  return epoch.subscribe((n) => {
    if (n > 0) read();
  });
}

/** What stands on the meters of all attempts under way, by run, task and index. */
export const meters = signal<ReadonlyMap<string, Meters["attempts"][number]>>(new Map());

/** Names an attempt among {@linkcode meters}. */
export function meterKey(run: string, task: string, index?: number): string {
  return index === undefined ? `${run} ${task}` : `${run} ${task}[${index}]`;
}

/** What could not be loaded, in sentences. */
export const faults = signal<readonly string[]>([]);

const listeners = new Set<(event: Happening) => void>();
const dagListeners = new Set<(change: DagChange) => void>();

/** Calls for each event, until what it answers is called. */
export function onEvent(listener: (event: Happening) => void): () => void {
  return join(listeners, listener);
}

/** Calls for each DAG that is not as it was, until what it answers is called. */
export function onDag(listener: (change: DagChange) => void): () => void {
  return join(dagListeners, listener);
}

function join<T>(all: Set<T>, one: T): () => void {
  all.add(one);
  return () => all.delete(one);
}

/** Reads what events then change. Those that come meanwhile are told again behind it: the answer may be from before them. */
export async function readBehind<T>(
  read: () => Promise<T>,
  take: (answer: T) => void,
  apply: (event: Happening) => void,
  change: (change: DagChange) => void = () => {},
): Promise<void> {
  const meanwhile: (() => void)[] = [];
  const stop = [
    onEvent((event) => meanwhile.push(() => apply(event))),
    onDag((one) => meanwhile.push(() => change(one))),
  ];
  try {
    take(await read());
  } finally {
    for (const one of stop) one();
  }
  for (const tell of meanwhile) tell();
}

/** Another definition may show anywhere. */
const readAnew = soon(() => epoch.value++, 20);

/** How long nothing is read because nobody tells yet what happens, in milliseconds. */
const PATIENCE = 1000;
/** Milliseconds until it is tried again to connect: at first, and at most. */
const FIRST = 250, MOST = 5000;
/** The server says something at least every 15 s: else the connection is dead, though nobody said so. */
const SILENCE = 40_000;

/** Follows what happens, until the signal is aborted: over restarts of the server, without missing anything. */
export async function follow(end: AbortSignal): Promise<void> {
  let last: string | undefined;
  let pause = FIRST;
  const begin = (): void => void (epoch.value ||= 1);
  setTimeout(begin, PATIENCE);
  while (!end.aborted) {
    try {
      for await (const { id, type, data } of events(last, end)) {
        pause = FIRST;
        if (type === "open") {
          // What was read before may be from before what is told from here on.
          epoch.value++;
          connection.value = "live";
        } else if (type === "meters") {
          const { attempts } = JSON.parse(data) as Meters;
          meters.value = new Map(attempts.map((one) => [
            meterKey(one.run_id, one.task, one.index),
            one,
          ]));
        } else if (type === "faults") {
          ({ faults: faults.value } = JSON.parse(data) as { faults: string[] });
        } else if (type === "dag") {
          const change = JSON.parse(data) as DagChange;
          for (const listener of dagListeners) listener(change);
          if (change.defined) readAnew();
        } else if (data) {
          last = id ?? last;
          const event = JSON.parse(data) as Happening;
          for (const listener of listeners) listener(event);
        }
      }
    } catch (error) {
      if (end.aborted) return;
      // Somebody is being asked for the token.
      if (error instanceof Refused && error.status === 401) {
        await granted();
        continue;
      }
    }
    connection.value = "lost";
    begin();
    meters.value = new Map();
    // Those who lost it at once do not come back at once.
    await wait(pause * (0.75 + Math.random() / 2), end);
    pause = Math.min(2 * pause, MOST);
  }
}

/** One event of a stream of them. */
interface Piece {
  readonly id?: string;
  readonly type: string;
  readonly data: string;
}

/** One connection's events; the first, `open`, says that it stands. EventSource can bring no token, so this reads itself. */
async function* events(last: string | undefined, end: AbortSignal): AsyncGenerator<Piece, void> {
  const own = new AbortController();
  const stop = (): void => own.abort();
  end.addEventListener("abort", stop);
  let alarm = setTimeout(stop, SILENCE);
  try {
    const response = await ask(withQuery("/api/events", { meters: 1 }), {
      headers: { accept: "text/event-stream", ...last ? { "last-event-id": last } : {} },
      signal: own.signal,
    });
    yield { type: "open", data: "" };
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(alarm);
      alarm = setTimeout(stop, SILENCE);
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop()!;
      for (const block of blocks) {
        const piece = parse(block);
        if (piece) yield piece;
      }
    }
  } finally {
    clearTimeout(alarm);
    end.removeEventListener("abort", stop);
    own.abort();
  }
}

function parse(block: string): Piece | undefined {
  const fields = new Map(
    block.split("\n").map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).trimStart()];
    }),
  );
  const data = fields.get("data");
  if (data === undefined) return undefined;
  const id = fields.get("id");
  return { ...id === undefined ? {} : { id }, type: fields.get("event") ?? "message", data };
}

/** Waits until there is a token. */
async function granted(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const unsubscribe = wantsToken.subscribe((isWanted) => void (isWanted || resolve()));
  await promise;
  unsubscribe();
}

/** Waits, and not longer than until the browser says that it is on line again. */
function wait(ms: number, end: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      globalThis.removeEventListener("online", done);
      end.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    globalThis.addEventListener("online", done);
    end.addEventListener("abort", done);
  });
}
