import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { get, post, Refused } from "../api.ts";
import type { RefusedRow, RefusedTable } from "../documents.ts";
import { count, plural } from "../format.ts";
import { onEvent } from "../live.ts";
import { notify } from "../overlay.ts";
import { useOrder } from "../order.ts";
import { Button } from "../parts/button.tsx";
import { Bones, Empty } from "../parts/empty.tsx";
import { ErrorBox } from "../parts/error_box.tsx";
import { Check, Field } from "../parts/field.tsx";
import { Ago } from "../parts/time.tsx";
import { useResource } from "../resource.ts";
import { goQuery, place } from "../router.ts";

interface Page {
  readonly rows: readonly RefusedRow[];
  readonly next: string | null;
}

interface Outcome {
  readonly replayed: number;
  readonly rejected: number;
  readonly skipped: number;
}

/** Rows that tables refused: why, as they stood in the source, to be corrected and replayed. */
export function RejectsView(): JSX.Element {
  const { data, error, reload } = useResource(
    (signal) => get<{ tables: RefusedTable[] }>("/api/rejects", {}, signal),
    [],
  );
  useEffect(() =>
    onEvent(({ task }) => {
      if (task?.state === "success") reload();
    }), [reload]);
  if (!data.value) {
    if (error.value instanceof Refused && error.value.status === 404) {
      return <Empty title="No database is known here">The host of this page lent it none.</Empty>;
    }
    return error.value ? <ErrorBox error={error.value} retry={reload} /> : <Bones height={240} />;
  }
  const { tables } = data.value;
  if (tables.length === 0) {
    return (
      <Empty title="Nothing was refused">
        <p>
          Rows that do not fit their table are kept beside it, with their raw text and the reason,
          where a load lets some be refused.
        </p>
      </Empty>
    );
  }
  const { query } = place.value;
  const chosen =
    tables.find(({ schema, table }) =>
      table === query.get("table") && schema === (query.get("schema") ?? schema)
    ) ?? tables[0]!;
  return (
    <div class="rejects">
      <nav class="reject-tables" aria-label="Tables with rejects">
        {tables.map((one) => {
          const { schema, table, waiting } = one;
          return (
            <button
              key={`${schema}.${table}`}
              type="button"
              aria-current={one === chosen ? "true" : undefined}
              onClick={() => goQuery({ table, schema })}
            >
              <span class="clip">{schema === "public" ? table : `${schema}.${table}`}</span>
              <span class="faint">{count(waiting)}</span>
            </button>
          );
        })}
      </nav>
      <RejectedRows
        key={`${chosen.schema}.${chosen.table}`}
        table={chosen}
        onReplayed={reload}
      />
    </div>
  );
}

function RejectedRows(
  { table: { schema, table, waiting, replayed, rules, last }, onReplayed }: {
    readonly table: RefusedTable;
    readonly onReplayed: () => void;
  },
): JSX.Element {
  const all = useSignal(false);
  const order = useOrder();
  const query = { schema, table, all: all.value ? 1 : 0 };
  const { data, error, reload, set } = useResource(
    (signal) => get<Page>("/api/rejects/rows", query, signal),
    [all.value],
  );
  const replay = (body: Readonly<Record<string, unknown>>): Promise<void> =>
    order.run(async () => {
      const path = "/api/rejects/replay";
      const { replayed, rejected, skipped } = await post<Outcome>(path, { schema, table, ...body });
      const parts = [
        `${plural(replayed, "row")} replayed`,
        rejected > 0 && `${count(rejected)} refused again`,
        skipped > 0 && `${count(skipped)} left out`,
      ].filter(Boolean);
      notify(`${parts.join(", ")}.`, replayed > 0 && rejected === 0 ? "good" : "plain");
      await reload();
      onReplayed();
    });
  const more = async (): Promise<void> => {
    const { rows, next } = data.value!;
    const page = await get<Page>("/api/rejects/rows", { ...query, after: next ?? undefined });
    set({ rows: [...rows, ...page.rows], next: page.next });
  };
  const page = data.value;
  return (
    <section class="reject-rows" aria-label={`Rejects of ${table}`}>
      <header>
        <p class="muted">
          {`${plural(waiting, "row")} of ${table} ${waiting === 1 ? "waits" : "wait"}`}
          {replayed > 0 && `, ${count(replayed)} were replayed`}
          {last !== null && (
            <>
              ; the last <Ago at={last} />
            </>
          )}
          .
        </p>
        <span class="load-tags">
          {Object.entries(rules).map(([rule, n]) => (
            <span key={rule} class="tag">{`${rule} ${count(n)}`}</span>
          ))}
        </span>
        <Check label="Replayed ones, too" checked={all.value} onChange={(is) => all.value = is} />
        <Button
          icon="again"
          disabled={waiting === 0 || order.busy.value}
          onClick={() => replay({})}
        >
          Replay as they are
        </Button>
      </header>
      {order.error.value && <ErrorBox error={order.error.value} />}
      {error.value && <ErrorBox error={error.value} retry={reload} />}
      {!page && !error.value && <Bones height={240} />}
      {page && (page.rows.length === 0
        ? <Empty title="None waits">All were replayed, or corrected at their source.</Empty>
        : (
          <ol class="card">
            {page.rows.map((row) => (
              <Refusal
                key={row.id}
                row={row}
                onReplay={(rows) => replay({ rows })}
              />
            ))}
          </ol>
        ))}
      {page?.next && <Button onClick={more}>Show more</Button>}
    </section>
  );
}

/** A row that was refused: why, its text, and on demand a form to correct it. */
function Refusal(
  { row, onReplay }: {
    readonly row: RefusedRow;
    readonly onReplay: (rows: readonly { id: string; row: RefusedRow["row"] }[]) => void;
  },
): JSX.Element {
  const edits = useSignal<Readonly<Record<string, string>> | undefined>(undefined);
  const { id, line, record, rule, column, message, raw, source, row: values, replayed } = row;
  return (
    <li class="refusal" data-row="" tabIndex={-1}>
      <div class="line">
        <span class="tag">{rule}</span>
        {column !== null && <strong class="clip">{column}</strong>}
        <span class="faint">{line === null ? `record ${record}` : `line ${count(line)}`}</span>
        <span class="grow" />
        {replayed !== null
          ? (
            <span class="state" data-state="success">
              replayed <Ago at={replayed} />
            </span>
          )
          : edits.value === undefined && (
            <Button
              kind="quiet"
              disabled={values === null}
              {...values === null
                ? { label: "It could not be read: correct it at its source" }
                : {}}
              onClick={() => edits.value = {}}
            >
              Edit
            </Button>
          )}
      </div>
      <p>{message}</p>
      <pre class="raw" tabIndex={0} aria-label="As it stood in the source">{raw}</pre>
      {source !== null && <p class="faint clip">{source}</p>}
      {edits.value !== undefined && values !== null && (
        <form
          class="correct"
          onSubmit={(event) => {
            event.preventDefault();
            const corrected = Object.fromEntries(
              Object.entries(values).map(([name, value]) => [name, edits.value![name] ?? value]),
            );
            edits.value = undefined;
            onReplay([{ id, row: corrected }]);
          }}
        >
          {Object.entries(values).map(([name, value]) => (
            <Field key={name} label={name}>
              <input
                class="input"
                aria-invalid={name === column}
                value={edits.value![name] ?? text(value)}
                onInput={(event) =>
                  edits.value = { ...edits.value, [name]: event.currentTarget.value }}
              />
            </Field>
          ))}
          <footer>
            <Button onClick={() => edits.value = undefined}>Leave it</Button>
            <Button kind="primary" type="submit" icon="again">Replay</Button>
          </footer>
        </form>
      )}
    </li>
  );
}

function text(value: unknown): string {
  return value === null ? "" : typeof value === "string" ? value : JSON.stringify(value);
}
