/**
 * Gives what comes from several sources, and nothing when none came for a while. Each is asked for more only when what it
 * gave was taken; the end of one is the end.
 */
export async function* merge<T>(
  sources: readonly AsyncIterable<T>[],
  patience: number,
): AsyncGenerator<T | undefined, void> {
  const iterators = sources.map((source) => source[Symbol.asyncIterator]());
  const came: { readonly next: Promise<IteratorResult<T>>; readonly ask: () => void }[] = [];
  let wake = (): void => {};
  for (const iterator of iterators) {
    const ask = (): void => {
      const next = iterator.next();
      const arrive = (): void => {
        came.push({ next, ask });
        wake();
      };
      next.then(arrive, arrive);
    };
    ask();
  }
  try {
    for (;;) {
      if (came.length === 0) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, patience);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      const one = came.shift();
      const { done, value } = await one?.next ?? { done: false, value: undefined };
      if (done) return;
      one?.ask();
      yield value;
    }
  } finally {
    for (const iterator of iterators) iterator.return?.();
  }
}
