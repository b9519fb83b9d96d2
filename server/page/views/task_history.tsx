import type { JSX } from "preact";
import type { WholeTask } from "../documents.ts";
import { words } from "../format.ts";
import { Empty } from "../parts/empty.tsx";
import { Square } from "../parts/square.tsx";
import { Moment, Took } from "../parts/time.tsx";

/** The states a task was in, the latest first. */
export function HistoryView({ task }: { readonly task: WholeTask }): JSX.Element {
  const { history } = task;
  if (history.length === 0) return <Empty title="Nothing has happened to it yet" />;
  return (
    <ol class="history">
      {history.map(({ at, state, attempt, reason }, i) => ({
        ...{ at, state, attempt, reason },
        until: history[i + 1]?.at ?? null,
      })).reverse().map(({ at, state, attempt, reason, until }, i) => (
        <li key={history.length - i}>
          <Square state={state} />
          <div>
            <strong>{words(state)}</strong>
            <span class="faint">
              {attempt > 0 && `attempt ${attempt}`}
              {until !== null && (
                <>
                  {attempt > 0 ? ", for " : "for "}
                  <Took from={at} to={until} />
                </>
              )}
            </span>
            {reason && <p class="muted">{reason}</p>}
          </div>
          <span class="number faint">
            <Moment at={at} />
          </span>
        </li>
      ))}
    </ol>
  );
}

/** What a task put out. */
export function OutputView({ task: { output, stream, state } }: {
  readonly task: WholeTask;
}): JSX.Element {
  if (output === null || output === undefined) {
    return (
      <Empty title="There is no output">
        {state === "success"
          ? "It succeeded, and put out nothing."
          : "What it puts out is here once it has succeeded."}
      </Empty>
    );
  }
  return (
    <>
      {stream && <p class="muted">A stream, which tasks behind it read from the spool.</p>}
      <pre class="json" tabIndex={0}>{JSON.stringify(output, null, 2)}</pre>
    </>
  );
}
