import type { RefusedRow, Rejects } from "../../server/mod.ts";

/** One row that a table refused, until it is replayed. */
export function rejectsOf(): Rejects {
  let replayed: Record<string, unknown> | undefined;
  const row: RefusedRow = {
    ...{ id: "1", load: "months/load/1", run: "months/run1/load/1", source: null, record: 1 },
    ...{ line: 2, from: 8, to: 20, column: "fare", rule: "type", message: "no number <u>here</u>" },
    ...{ raw: "1,<i>two</i>", bytes: null, row: { id: 1, fare: "<i>two</i>" } },
    ...{ refused: "2021-01-02T00:00:00Z", replayed: null },
  };
  return {
    tables: () =>
      Promise.resolve([{
        ...{ schema: "public", table: "trips", rejects: "trips_rejects" },
        ...{ waiting: replayed ? 0 : 1, replayed: replayed ? 1 : 0, rules: { type: 1 }, loads: 1 },
        last: "2021-01-02T00:00:00Z",
      }]),
    rows: () => Promise.resolve(replayed ? [] : [row]),
    replay({ table, rows }) {
      replayed = rows![0]!.row as Record<string, unknown>;
      return Promise.resolve({ table, replayed: 1, rejected: 0, skipped: 0 });
    },
  };
}
