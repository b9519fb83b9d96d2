import type { AnyDag } from "./dag.ts";
import type { LogLine } from "./_context.ts";
import type { Event, Run } from "./state.ts";

/** What callbacks are given. */
export interface CallbacksOptions {
  readonly log: (line: LogLine) => void;
  readonly now: () => Temporal.Instant;
}

/** Tells a DAG's callbacks of what is on record; one that fails is a line of the log, and no more. */
export class Callbacks {
  readonly #options: CallbacksOptions;

  constructor(options: CallbacksOptions) {
    this.#options = options;
  }

  /** Tells of events, which made of `before` the run. */
  tell(dag: AnyDag, before: Run, run: Run, events: readonly Event[]): void {
    for (const event of events) {
      if (event.type === "run_late") {
        const { onDeadline } = dag.options;
        if (onDeadline) this.#call(run, "", 0, () => onDeadline({ run }));
      }
      if (event.type === "run_changed" && (event.to === "success" || event.to === "failed")) {
        const { onSuccess, onFailure } = dag.options;
        const callback = event.to === "success" ? onSuccess : onFailure;
        if (callback) this.#call(run, "", 0, () => callback({ run }));
      }
      if (event.type !== "task_changed") continue;
      const { task, index, to } = event;
      // Of a mapped task its instances are told of.
      if (index === undefined && run.mapped[task]) continue;
      const old = index === undefined ? before.tasks[task] : before.mapped[task]?.[index];
      // A list that is none fails a task before it runs; who marks one as failed knows.
      const ended = old?.state === "running" || to.state === "failed" && to.error;
      if (!ended) continue;
      const { onSuccess, onFailure, onRetry } = dag.tasks.get(task)?.options ?? {};
      const callback = to.state === "success"
        ? onSuccess
        : to.state === "failed"
        ? onFailure
        : to.state === "up_for_retry"
        ? onRetry
        : undefined;
      if (!callback) continue;
      const { attempt, error } = to;
      this.#call(run, task, attempt, () =>
        callback({
          run,
          task,
          attempt,
          ...index === undefined ? {} : { index },
          ...error ? { error } : {},
        }));
    }
  }

  async #call(
    run: Run,
    task: string,
    attempt: number,
    call: () => void | Promise<void>,
  ): Promise<void> {
    try {
      await call();
    } catch (error) {
      const { log, now } = this.#options;
      const message = `A callback failed: ${error instanceof Error ? error.message : error}`;
      const at = now().toString();
      log({ at, level: "error", dag: run.dag, run: run.id, task, attempt, message });
    }
  }
}
