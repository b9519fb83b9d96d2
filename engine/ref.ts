/** Where outputs of upstream tasks are looked up. */
export interface Scope {
  /**
   * The output of a task; a task whose output is a byte stream gives a fresh reader of it, a mapped one the list of what
   * its instances put out.
   */
  output(task: string): unknown;
  /** What an instance of a mapped task is for: its element of the list. Only there for one. */
  item?(): unknown;
}

/** What a task will have put out, once it has succeeded; reading one is what makes an edge. */
export class Ref<out O> {
  /** The tasks it reads. */
  readonly ids: readonly string[];
  /** Looks the value up in a run. */
  readonly read: (scope: Scope) => O;
  readonly #parts: readonly Ref<unknown>[] | undefined;

  /** Made by tasks, {@linkcode Ref.map} and {@linkcode all}. */
  constructor(
    ids: readonly string[],
    read: (scope: Scope) => O,
    parts?: readonly Ref<unknown>[],
  ) {
    this.ids = ids;
    this.read = read;
    this.#parts = parts;
  }

  /** The references it was made of; itself, when of none. */
  get parts(): readonly Ref<unknown>[] {
    return this.#parts ?? [this];
  }

  /** A part of it, or something made of it. */
  map<U>(fn: (output: O) => U): Ref<U> {
    return new Ref(this.ids, (scope) => fn(this.read(scope)), this.parts);
  }
}

/** Several references as one. */
export function all<const T extends readonly Ref<unknown>[]>(
  ...refs: T
): Ref<{ -readonly [K in keyof T]: T[K] extends Ref<infer O> ? O : never }> {
  return new Ref(
    refs.flatMap((ref) => ref.ids),
    (scope) => refs.map((ref) => ref.read(scope)) as never,
    refs.flatMap((ref) => ref.parts),
  );
}
