import type { JSX } from "preact";
import { plural } from "../format.ts";

/** A task of a run, or an instance of one, as the API names it. */
export interface Instance {
  readonly run_id: string;
  readonly task: string;
  readonly index?: number;
}

/** How many are listed; of more, only how many. */
const LISTED = 200;

/** Tasks that something would happen to, run by run. */
export function InstanceList(
  { instances, verb }: { readonly instances: readonly Instance[]; readonly verb: string },
): JSX.Element {
  const runs = new Set(instances.map(({ run_id }) => run_id));
  return (
    <section class="listing" aria-label={`What is ${verb}`}>
      <p>
        {instances.length === 0
          ? `Nothing is ${verb}.`
          : `${plural(instances.length, "task")} of ${plural(runs.size, "run")} ${
            instances.length === 1 ? "is" : "are"
          } ${verb}:`}
      </p>
      {instances.length > 0 && (
        <ul tabIndex={0} aria-label="Tasks">
          {instances.slice(0, LISTED).map(({ run_id, task, index }) => {
            const name = index === undefined ? task : `${task}[${index}]`;
            return (
              <li key={`${run_id} ${name}`}>
                <strong class="clip">{name}</strong>
                <span class="faint clip">{run_id}</span>
              </li>
            );
          })}
        </ul>
      )}
    </section>
  );
}
