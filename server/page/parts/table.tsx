import type { ComponentChildren, JSX } from "preact";

/** A column: its head, what stands in a row, and whether it is a number. */
export interface Column<T> {
  readonly head: string;
  readonly cell: (row: T) => ComponentChildren;
  readonly number?: boolean;
}

/** What a table is given. */
export interface TableProps<T> {
  readonly columns: readonly Column<T>[];
  readonly rows: readonly T[];
  readonly keyOf: (row: T) => string;
}

/** Rows and columns. */
export function Table<T>({ columns, rows, keyOf }: TableProps<T>): JSX.Element {
  return (
    <table class="table">
      <thead>
        <tr>
          {columns.map(({ head, number }) => (
            <th key={head} scope="col" class={number ? "number" : undefined}>{head}</th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={keyOf(row)}>
            {columns.map(({ head, cell, number }) => (
              <td key={head} class={number ? "number" : undefined}>{cell(row)}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
