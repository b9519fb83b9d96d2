/** Has something done once, a moment after it was first asked for: many events may ask for it at once. */
export function soon(what: () => unknown, ms: number): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  return () => {
    timer ??= setTimeout(() => {
      timer = undefined;
      what();
    }, ms);
  };
}
