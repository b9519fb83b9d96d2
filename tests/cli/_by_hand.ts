import assert from "node:assert/strict";
import { file } from "../../engine/mod.ts";
import { type Command, document, type Outcome, Sluice, type Told, until } from "./_sluice.ts";

/** Whether a `serve` holds the home folder while orders are given. */
export const WAYS = ["a serve holds the folder", "nobody does"] as const;
export type Way = typeof WAYS[number];

const dags = `import { dag, param } from "sluice";
export const shop = dag("shop", {
  params: {
    fail: false, n: 1, label: "x", many: [1],
    size: param({ enum: [6, 12], default: 6 }),
  },
});
const list = shop.task("list", ({ params: { n } }) => Array.from({ length: n + 1 }, (_, i) => i));
const load = shop.each("load", list, () => ({ index, params: { fail } }) => {
  if (fail && index === 1) throw new Error("there is no such shop");
});
shop.task("report", ({ params }) => params, { after: load });

export const needy = dag("needy", {
  params: { month: param({ type: "string", pattern: "^2021-" }), limit: param({ type: "integer" }) },
});
needy.task("tell", ({ params }) => params);

export const daily = dag("daily", {
  schedule: "@daily", start: "2021-01-01", end: "2021-01-07", catchup: "all", timezone: "Europe/Berlin",
  params: { fail: "" },
});
daily.task("work", ({ params, strftime }) => {
  if (params.fail === strftime("%Y-%m-%d")) throw new Error("bad day");
});

export const hourly = dag("hourly", {
  schedule: "@hourly", start: "2021-01-01", end: "2021-06-01", catchup: "all",
});
hourly.task("work", () => {});

export const slow = dag("slow");
const setup = slow.task("setup", () => {}, { setup: true });
const wait = slow.task("wait", async ({ signal }) => {
  await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
}, { after: setup });
slow.task("tidy", () => "tidied", { after: wait, teardown: setup });
`;

/** Verbs that are given in a folder with some DAGs. */
export class Shop implements AsyncDisposable {
  readonly sluice: Sluice = new Sluice();
  readonly #ways: Way;
  serving: Command | undefined;

  private constructor(way: Way) {
    this.#ways = way;
    this.sluice.file("dags/all.ts", dags);
  }

  static async open(way: Way): Promise<Shop> {
    const shop = new Shop(way);
    if (way === WAYS[0]) await shop.serve();
    return shop;
  }

  /** Whether a `serve` holds the folder. */
  get serves(): boolean {
    return this.#ways === WAYS[0];
  }

  async serve(): Promise<void> {
    this.serving = this.sluice.start(["serve", "--port", "0", "--grace", "0"]);
    await this.serving.says(/^Sluice listens on /);
  }

  /** What a verb says that changes nothing: it is run in this process, which is much quicker. */
  async tells(words: string, code = 0): Promise<Told> {
    const outcome = await this.sluice.here(words.split(" "));
    assert.equal(outcome.code, code, `${words}\n${outcome.stdout}${outcome.stderr}`);
    return outcome;
  }

  /** The document that a verb prints that changes nothing. */
  // deno-lint-ignore no-explicit-any -- a test says what it expects in it
  async look(words: string): Promise<any> {
    return document(await this.tells(`${words} --json`));
  }

  /** What a verb says, of whose exit code something is expected. */
  async says(words: string, code = 0): Promise<Outcome> {
    const outcome = await this.sluice.run(words.split(" "));
    assert.equal(outcome.code, code, `${words}\n${outcome.stdout}${outcome.stderr}`);
    return outcome;
  }

  /** The document that a verb prints. */
  // deno-lint-ignore no-explicit-any -- a test says what it expects in it
  async json(words: string, code = 0): Promise<any> {
    return document(await this.says(`${words} --json`, code));
  }

  /** A run's state, once it is there and over. */
  async settled(run: string): Promise<string> {
    await using store = await file(this.sluice.home, { mode: "read" });
    let state = "";
    await until(async () => {
      state = (await store.get(run))?.state ?? "";
      return /success|failed/.test(state);
    });
    return state;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.serving?.kill("SIGTERM");
    const outcome = await this.serving?.ended;
    await this.sluice[Symbol.asyncDispose]();
    assert.equal(outcome?.code ?? 0, 0, outcome?.stderr);
  }
}
