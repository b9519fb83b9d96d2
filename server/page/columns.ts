/** A column of a table. */
export interface Column {
  readonly name: string;
  readonly type: string;
}

/** A column that is not as it was. */
export interface Difference {
  readonly name: string;
  /** Its type before; undefined for a new one. */
  readonly was?: string;
  /** Whether it is not there any more. */
  readonly gone?: true;
}

/** How columns differ from those of the load before; they do not when there was none. */
export function differences(now: readonly Column[], before?: readonly Column[]): Difference[] {
  if (!before) return [];
  const known = new Map(before.map(({ name, type }) => [name, type]));
  const names = new Set(now.map(({ name }) => name));
  return [
    ...now.flatMap(({ name, type }): Difference[] => {
      const was = known.get(name);
      return was === type ? [] : [{ name, ...was === undefined ? {} : { was } }];
    }),
    ...before.filter(({ name }) => !names.has(name))
      .map(({ name, type }): Difference => ({ name, was: type, gone: true })),
  ];
}

/** A table's name as people write it, of one that is quoted as SQL has it; the usual schema is left out. */
export function nameOf(target: string): string {
  const parts = [...target.matchAll(/"((?:[^"]|"")*)"/g)].map(([, part]) =>
    part!.replaceAll('""', '"')
  );
  if (parts.length === 0) return target;
  return (parts[0] === "public" && parts.length > 1 ? parts.slice(1) : parts).join(".");
}
