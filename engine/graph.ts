/** What comes after what: nodes by id, never in a circle. */
export class Graph<N> {
  #nodes: Map<string, N> = new Map();
  readonly #upstream: Map<string, readonly string[]> = new Map();
  /** Where each stands among the nodes, once they are sorted. */
  readonly #position: Map<string, number> = new Map();
  #isSorted = true;

  /** The nodes, upstream ones before those that follow them, else as they were added. */
  get nodes(): ReadonlyMap<string, N> {
    if (!this.#isSorted) this.#sort();
    return this.#nodes;
  }

  /** What comes directly before a node. */
  upstream(id: string): readonly string[] {
    return this.#upstream.get(id) ?? [];
  }

  /** Adds a node behind others that are there. */
  add(id: string, node: N, upstream: readonly string[]): void {
    this.#position.set(id, this.#nodes.size);
    this.#nodes.set(id, node);
    this.#upstream.set(id, [...new Set(upstream)]);
  }

  /** Puts a node behind others, too. @throws {TypeError} naming the way, if that closed a circle; then nothing is changed */
  follow(id: string, others: readonly string[]): void {
    if (!this.#isSorted) this.#sort();
    const position = this.#position.get(id)!;
    const late = others.filter((other) => this.#position.get(other)! >= position);
    const way = this.#way(id, late);
    if (way) {
      throw new TypeError(
        `Cannot put "${id}" behind "${way.at(-2)}": that closes the circle ${way.join(" -> ")}`,
      );
    }
    this.#upstream.set(id, [...new Set([...this.upstream(id), ...others])]);
    if (late.length > 0) this.#isSorted = false;
  }

  /** The way from a node down to one of the others and, by the edge there shall be, back. */
  #way(id: string, others: readonly string[]): string[] | undefined {
    const next = new Map(others.map((other) => [other, id]));
    // A map grows under its own iteration.
    for (const [at] of next) {
      if (at === id) {
        const way = [id];
        do way.push(next.get(way.at(-1)!)!); while (way.at(-1) !== id);
        return way;
      }
      for (const other of this.upstream(at)) if (!next.has(other)) next.set(other, at);
    }
    return undefined;
  }

  #sort(): void {
    const sorted = new Map<string, N>();
    for (const id of this.#nodes.keys()) {
      const stack = [id];
      while (stack.length > 0) {
        const top = stack.at(-1)!;
        const open = sorted.has(top) ? [] : this.upstream(top).filter((id) => !sorted.has(id));
        for (const id of open.reverse()) stack.push(id);
        if (open.length > 0) continue;
        sorted.set(top, this.#nodes.get(top)!);
        stack.pop();
      }
    }
    this.#nodes = sorted;
    [...sorted.keys()].forEach((id, position) => this.#position.set(id, position));
    this.#isSorted = true;
  }
}
