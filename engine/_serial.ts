/** Makes what does one thing after the other, each when the one before has ended, however that did. */
export function serial(): <T>(what: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return <T>(what: () => Promise<T>): Promise<T> => {
    const done = last.then(what);
    last = done.catch(() => {});
    return done;
  };
}
