import { type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { LETTERS } from "../letters.ts";
import { get } from "./api.ts";
import type { Grid, GridRun, Happening, RunHead, TaskState } from "./documents.ts";
import { readBehind } from "./live.ts";
import { afterEvent } from "./runs.ts";
import { soon } from "./soon.ts";

/** How many of a DAG's runs are shown, and how many of them at first: as many as are in sight, 18 pixels each. */
const LAST = 100, FIRST = Math.min(LAST, Math.ceil(innerWidth / 18));
const NONE = LETTERS.none;
const STATES = new Map(
  Object.entries(LETTERS).map(([state, letter]) => [letter, state as TaskState]),
);

/**
 * The states of a DAG's tasks in its last runs, kept by events.
 *
 * There may be a hundred thousand of them: a state is a letter in an array, and who shows a task subscribes to that task.
 */
export class GridModel {
  readonly #dag: string;
  readonly #runs = signal<readonly GridRun[]>([]);
  readonly #tasks = signal<readonly string[]>([]);
  readonly #loaded = signal(false);
  #indexes = new Map<string, number>();
  #letters = new Map<string, string[]>();
  #changes = new Map<string, Signal<number>>();
  readonly #loadSoon = soon(() => this.load().catch(() => {}), 200);

  /** Of a DAG; it is empty until it was loaded. */
  constructor(dag: string) {
    this.#dag = dag;
  }

  /** The runs by logical date, the latest last. */
  get runs(): ReadonlySignal<readonly GridRun[]> {
    return this.#runs;
  }

  /** The ids of the tasks, in the DAG's order. */
  get tasks(): ReadonlySignal<readonly string[]> {
    return this.#tasks;
  }

  /** Whether it was. */
  get loaded(): ReadonlySignal<boolean> {
    return this.#loaded;
  }

  /** Reads all of it; at first only what is likely to be in sight. */
  async load(end?: AbortSignal): Promise<void> {
    if (!this.#loaded.peek()) {
      await this.#read(FIRST, end);
      if (FIRST === LAST || this.#runs.peek().length < FIRST) return;
    }
    await this.#read(LAST, end);
  }

  async #read(runs: number, end?: AbortSignal): Promise<void> {
    await readBehind(
      () => get<Grid>(`/api/dags/${this.#dag}/grid`, { runs }, end),
      (grid) => this.#take(grid),
      (event) => this.apply(event),
    );
  }

  #take(grid: Grid): void {
    this.#indexes = new Map(grid.tasks.map((id, i) => [id, i]));
    this.#letters = new Map(grid.runs.map(({ run_id, states }) => [run_id, [...states]]));
    this.#tasks.value = grid.tasks;
    this.#runs.value = grid.runs;
    this.#loaded.value = true;
    for (const change of this.#changes.values()) change.value++;
  }

  /** The state of a task in a run. */
  state(run: string, task: string): TaskState {
    const index = this.#indexes.get(task);
    const letter = index === undefined ? undefined : this.#letters.get(run)?.[index];
    return STATES.get(letter ?? NONE) ?? "none";
  }

  /** Grows when a state of the task changes. */
  changes(task: string): ReadonlySignal<number> {
    let change = this.#changes.get(task);
    if (!change) this.#changes.set(task, change = signal(0));
    return change;
  }

  /** Takes in what happened. */
  apply(event: Happening): void {
    if (event.dag !== this.#dag || !this.#loaded.peek()) return;
    const { run_id, task } = event;
    if (task) {
      // How the instances of a mapped task fare is counted by the server.
      if (task.index !== undefined) return this.#loadSoon();
      const index = this.#indexes.get(task.id);
      const letters = this.#letters.get(run_id);
      if (index === undefined || !letters) return this.#loadSoon();
      letters[index] = LETTERS[task.state];
      const change = this.#changes.get(task.id);
      if (change) change.value++;
    }
    if (event.type === "run_adopted" || event.mapped) this.#loadSoon();
    const make = (head: RunHead): GridRun => {
      this.#letters.set(run_id, Array(this.#tasks.peek().length).fill(NONE));
      return { ...head, states: "", mapped: {} };
    };
    this.#runs.value = afterEvent(this.#runs.peek(), event, { limit: LAST, make });
  }
}
