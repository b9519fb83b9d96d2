import { checkOptions, EACH_RULES, TASK_RULES } from "./_task_options.ts";
import { Graph } from "./graph.ts";
import type { ParamsOf } from "./params.ts";
import { Ref } from "./ref.ts";
import {
  type AnyWork,
  type Each,
  type EachOptions,
  functionsOf,
  idsOf,
  Item,
  readBy,
  strangerAmong,
  Task,
  type TaskOptions,
  type Tasks,
  type Upstream,
} from "./task.ts";
import { isTemplate } from "./template.ts";
import type { Context, Work } from "./work.ts";

/** What can be added as a task: work, or a plain function of the run. */
export type Doing<O, P> =
  | Work<O, void, Context<ParamsOf<P>>>
  | ((ctx: Context<ParamsOf<P>>) => O | Promise<O>);

const ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$/;

/** Refuses what cannot be an id. @throws {TypeError} naming it and what it is for */
export function checkId(id: string, what: string): void {
  if (ID.test(id)) return;
  throw new TypeError(
    `Cannot name a ${what} ${
      JSON.stringify(id)
    }: ids start with a letter or digit and go on with ` +
      `letters, digits, "_", "." and "-", 200 at most`,
  );
}

/** What all groups of a DAG share. */
export interface Roster {
  /** The id of the DAG. */
  readonly id: string;
  /** Of the DAG. */
  readonly options: { readonly params?: unknown; readonly defaults?: TaskOptions };
  /** Its tasks. */
  readonly graph: Graph<Task<unknown>>;
  /** The paths of its groups, and whether tasks can still be added. */
  readonly groups: Map<string, "open" | "complete">;
}

/** Tasks under a name: their ids begin with it, and others can be put behind or before all of them. */
export class Group<P> implements Tasks {
  readonly #roster: Roster;
  readonly #path: string | undefined;

  /** Made by {@linkcode Group.group}. */
  constructor(roster: Roster, path?: string) {
    this.#roster = roster;
    this.#path = path;
  }

  /**
   * Adds a task. What its options and `pipe` read of other tasks becomes its edges.
   *
   * ```ts
   * const file = taxi.task("download", http({ url: (run) => run.params.url }));
   * const load = taxi.task("load", pipe(file, decompress(), csv(), copy({ table: "trips" })), { retries: 3 });
   * taxi.task("report", (run) => console.log(`${run.date}`), { after: load });
   * ```
   *
   * @throws {TypeError} when the id is taken, or what it reads or waits for is not in the DAG
   */
  task<O>(id: string, work: Doing<O, P>, options: TaskOptions = {}): Task<O> {
    return this.#add(this.#name(id, "task"), work, options);
  }

  /**
   * Adds a task that is done once for each element of a list, which is known only when it runs. Reading the handle gives
   * the list of what the instances put out.
   *
   * ```ts
   * const files = taxi.task("files", () => ["2021-01.csv.gz", "2021-02.csv.gz"]);
   * const got = taxi.each("download", files, (name) => http({ url: name.map((n) => `${BASE}/${n}`) }), { limit: 2 });
   * taxi.each("load", got, (file) => pipe(file, decompress(), csv(), copy({ table: "trips", mode: "append" })));
   * ```
   *
   * Over the handle of another mapped task, as `load` here, each instance follows the one of its index; a mapped task that
   * puts out streams can be read in no other way.
   *
   * @throws {TypeError} as {@linkcode Group.task} does, and when the list is a stream, or the work a branch
   */
  each<T, O>(
    id: string,
    list: Ref<readonly T[]> | readonly T[],
    make: (item: Ref<T>) => Doing<O, P>,
    options: EachOptions = {},
  ): Task<O[]> {
    const full = this.#name(id, "task");
    const { limit, ...rest } = options;
    const ref: Ref<readonly T[]> = list instanceof Ref ? list : new Ref([], () => list);
    const over = ref instanceof Task && ref.each ? ref.id : undefined;
    const each: Each = {
      reads: [...new Set(ref.ids)],
      list: ref,
      ...limit === undefined ? {} : { limit },
      ...over === undefined ? {} : { over },
    };
    checkOptions(`task "${full}"`, { limit }, EACH_RULES);
    const fail = (why: string): TypeError => this.#fault(full, why);
    if (list instanceof Task && !list.each && isStream(list)) {
      throw fail(`the output of "${list.id}" is a stream, and no list`);
    }
    const work = make(new Item(full, ref));
    if (typeof work !== "function" && work.decides) throw fail("a branch cannot be mapped");
    return this.#add(full, work, rest, each) as Task<unknown> as Task<O[]>;
  }

  /**
   * Begins a group within this one; `fill` adds its tasks. A group that others were put behind or before is complete.
   *
   * ```ts
   * const extract = taxi.group("extract", (group) => {
   *   group.task("yellow", http({ url: YELLOW })); // its id is "extract.yellow"
   *   group.task("green", http({ url: GREEN }));
   * });
   * taxi.task("done", empty(), { after: extract });
   * ```
   */
  group(id: string, fill?: (group: Group<P>) => void): Group<P> {
    const path = this.#name(id, "group");
    this.#roster.groups.set(path, "open");
    const group = new Group<P>(this.#roster, path);
    fill?.(group);
    return group;
  }

  roots(): readonly Task<unknown>[] {
    const tasks = this.#complete();
    const ids = new Set(tasks.map(({ id }) => id));
    return tasks.filter(({ upstream }) => !upstream.some((id) => ids.has(id)));
  }

  leaves(): readonly Task<unknown>[] {
    const all = this.#complete();
    const others = all.filter(({ setups }) => setups.length === 0);
    // Nobody waits for teardowns, unless there is nothing else to wait for.
    const tasks = others.length > 0 ? others : all;
    const inner = new Set(tasks.flatMap(({ upstream }) => upstream));
    return tasks.filter(({ id }) => !inner.has(id));
  }

  /** Its tasks, to which none can be added any more. */
  #complete(): Task<unknown>[] {
    const { graph, groups } = this.#roster;
    const path = this.#path;
    if (path === undefined) return [...graph.nodes.values()];
    const tasks = [...graph.nodes.values()]
      .filter(({ group }) => group === path || group?.startsWith(`${path}.`));
    if (tasks.length === 0) {
      throw new TypeError(`Cannot order tasks by group "${path}": it has none yet, add them first`);
    }
    for (const other of groups.keys()) {
      if (other === path || other.startsWith(`${path}.`)) groups.set(other, "complete");
    }
    return tasks;
  }

  /** The full id of something new. */
  #name(id: string, what: "task" | "group"): string {
    const { graph, groups } = this.#roster;
    const path = this.#path;
    const full = path === undefined ? id : `${path}.${id}`;
    checkId(id, what);
    checkId(full, what);
    const fail = (why: string): TypeError =>
      new TypeError(`Cannot add ${what} "${full}" to "${this.#roster.id}": ${why}`);
    if (graph.nodes.has(full) || groups.has(full)) throw fail("the id is taken");
    if (path !== undefined && groups.get(path) === "complete") {
      throw fail(`others were put behind or before group "${path}", so it is complete`);
    }
    return full;
  }

  #fault(id: string, why: string): TypeError {
    return new TypeError(`Cannot add task "${id}" to "${this.#roster.id}": ${why}`);
  }

  #add<O>(id: string, doing: Doing<O, P>, given: TaskOptions, each?: Each): Task<O> {
    const { graph, options: { defaults } } = this.#roster;
    const work: AnyWork = typeof doing === "function"
      ? {
        steps: [{ name: doing.name || "function", inputs: {}, fn: doing }],
        run: async (_, ctx) => await doing(ctx),
      }
      : doing;
    const options = { ...defaults, ...given };
    checkOptions(`task "${id}"`, options, TASK_RULES);
    const task = new Task<O>({
      id,
      work,
      options,
      ...this.#path === undefined ? {} : { group: this.#path },
      ...each ? { each } : {},
    }, graph);
    this.#checkTeardown(task, given);
    this.#checkReads(task);
    this.#checkTemplates(task);
    const upstream = [...task.reads, ...idsOf(options.after ?? []), ...task.setups];
    graph.add(id, task, upstream);
    return task;
  }

  #checkTeardown({ id, setups }: Task<unknown>, { when, setup, failsRun }: TaskOptions): void {
    if (setups.length === 0 && failsRun !== undefined) {
      throw this.#fault(id, "`failsRun` is for a teardown: name the setups it undoes, too");
    }
    if (setups.length > 0 && setup) throw this.#fault(id, "it is either a setup or a teardown");
    if (setups.length > 0 && when !== undefined) {
      throw this.#fault(id, "a teardown has no `when`: it runs if its setups succeeded");
    }
  }

  #checkReads({ id, work, options, each }: Task<unknown>): void {
    const read = readBy(work);
    const { after = [], teardown = [] } = options;
    const all = [...read, ...each ? [each.list] : [], ...[after, teardown].flat() as Upstream[]];
    const stranger = strangerAmong(all, this.#roster.graph);
    if (stranger !== undefined) {
      throw this.#fault(id, `upstream "${stranger}" is not in it`);
    }
    // The list itself may be a mapped task of streams: its instances are then followed one by one.
    const parts = [...read, ...each && each.over === undefined ? [each.list] : []]
      .flatMap((ref) => ref.parts);
    for (const part of parts) {
      if (part instanceof Item && part.task !== id) {
        throw this.#fault(id, `it reads the item of "${part.task}", which has one only there`);
      }
      if (part instanceof Task && part.each && isStream(part)) {
        throw this.#fault(
          id,
          `"${part.id}" puts out many streams, which can only be read one by one: ` +
            `map this task over its handle with \`each\``,
        );
      }
    }
  }

  #checkTemplates({ id, work }: Task<unknown>): void {
    const declared = (this.#roster.options.params ?? {}) as object;
    for (const { text, params } of functionsOf(work).filter(isTemplate)) {
      const unknown = params.find((name) => !Object.hasOwn(declared, name));
      if (unknown === undefined) continue;
      const known = Object.keys(declared).map((name) => `"${name}"`).join(", ");
      throw this.#fault(
        id,
        `the template "${text.slice(0, 80)}" names the param "${unknown}"; ` +
          (known ? `the DAG's params are ${known}` : "the DAG has none"),
      );
    }
  }
}

/** What {@linkcode chain} can order. */
export type Link = Task<unknown> | Tasks;

/**
 * Orders tasks and groups: each comes after the one before it. A list stands for all of its own; two lists in a row, of
 * the same length, are paired, as Airflow's `chain` does.
 *
 * ```ts
 * chain(create, [yellow, green], [loadYellow, loadGreen], report);
 * ```
 *
 * @throws {TypeError} when that closes a circle, naming it, or lists do not match
 */
export function chain(...links: (Link | readonly Link[])[]): void {
  links.forEach((link, i) => {
    const empty = Array.isArray(link) && link.length === 0;
    if (empty) throw new TypeError(`Cannot chain tasks: list ${i + 1} is empty`);
    if (i === 0) return;
    const before = links[i - 1]!;
    if (!isList(before) || !isList(link)) {
      for (const task of [link].flat() as Link[]) put(task, [before].flat() as Link[]);
      return;
    }
    if (before.length !== link.length) {
      throw new TypeError(
        `Cannot chain a list of ${before.length} tasks and one of ${link.length}: two lists in a ` +
          `row are paired; put a task between them, or give the order with \`after\``,
      );
    }
    link.forEach((task, j) => put(task, [before[j]!]));
  });
}

function put(link: Link, behind: readonly Link[]): void {
  for (const task of link instanceof Task ? [link] : link.roots()) task.after(behind);
}

function isList(link: Link | readonly Link[]): link is readonly Link[] {
  return Array.isArray(link);
}

/** Whether a task is known to put out a stream. */
function isStream({ work }: Task<unknown>): boolean {
  return work.steps.at(-1)?.stream === true;
}
