import {
  type Context,
  type Kept,
  type Logger,
  Meters,
  type Network,
  type Scope,
  type Work,
} from "../engine/mod.ts";

/** What a test may want to have otherwise in a {@linkcode testContext}. */
export interface TestContextOptions {
  signal?: AbortSignal;
  kept?: (key: string) => Promise<Kept | undefined>;
  log?: Logger;
  network?: Network;
  connection?: Context["connection"];
}

const silent: Logger = { info() {}, warn() {}, error() {} };

/** The context of an attempt that no engine runs. */
export function testContext(options: TestContextOptions = {}): Context {
  const meters = new Meters(() => performance.now());
  const date = Temporal.ZonedDateTime.from("2021-01-01T00:00[UTC]");
  return {
    dag: "test",
    run: "manual__20210101T000000Z",
    kind: "manual",
    task: "test",
    index: undefined,
    attempt: 1,
    date,
    interval: { start: date, end: date.add({ months: 1 }) },
    next: undefined,
    params: {},
    signal: options.signal ?? new AbortController().signal,
    log: options.log ?? silent,
    meter: meters.open("test"),
    meters,
    kept: options.kept,
    network: options.network ?? "any",
    connection: options.connection ?? ((name = "database") => {
      throw new Error(`No connection "${name}" in this test`);
    }),
    strftime: (pattern) =>
      pattern.replace(
        /%([YmdH])/g,
        (_, field) => ({ Y: "2021", m: "01", d: "01", H: "00" })[field as string]!,
      ),
    rejects: () => undefined,
    now: Temporal.Now.instant,
    runs: () => Promise.resolve([]),
  };
}

const scope: Scope = {
  output() {
    throw new Error("No upstream tasks in this test");
  },
};

/** Does a piece of work without a DAG. */
export function perform<O, I = void>(
  work: Work<O, I, Context>,
  ctx: Context = testContext(),
  input?: I,
): Promise<O> {
  return work.run(scope, ctx, input as I);
}
