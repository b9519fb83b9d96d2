import type { JSX } from "preact";
import { get } from "../api.ts";
import type { Rendered, Step } from "../documents.ts";
import type { LogOf } from "../log_feed.ts";
import { Bones, Empty } from "../parts/empty.tsx";
import { ErrorBox } from "../parts/error_box.tsx";
import { useResource } from "../resource.ts";

/** What the operators of a task were given in an attempt. */
export function OptionsView({ run, task, index, attempt }: LogOf): JSX.Element {
  const { data, error, reload } = useResource(
    (signal) => {
      const path = `/api/runs/${run}/tasks/${task}/attempts/${attempt}/options`;
      return get<Rendered>(path, { index }, signal);
    },
    [run, task, index, attempt],
  );
  if (error.value) return <ErrorBox error={error.value} retry={reload} />;
  if (!data.value) return <Bones />;
  const { steps, current } = data.value;
  return (
    <div class="steps">
      {!current && (
        <p class="muted">
          The DAG has changed since this run began: these options are those it has now.
        </p>
      )}
      {steps.length === 0
        ? <Empty title="It is a plain function">It has no operator with options.</Empty>
        : <Steps steps={steps} />}
    </div>
  );
}

/** Operators, and each option as it comes out. */
export function Steps({ steps }: { readonly steps: readonly Step[] }): JSX.Element {
  return (
    <>
      {steps.map(({ operator, options }, i) => (
        <section key={i} class="step">
          <h3>{operator}</h3>
          {Object.keys(options).length === 0
            ? <p class="faint">with its defaults</p>
            : (
              <dl class="facts">
                {Object.entries(options).map(([name, option]) => (
                  <>
                    <dt key={`${name}:`}>{name}</dt>
                    <dd key={name}>
                      <Option option={option} />
                    </dd>
                  </>
                ))}
              </dl>
            )}
        </section>
      ))}
    </>
  );
}

function Option({ option }: { readonly option: Step["options"][string] }): JSX.Element {
  if ("reads" in option) {
    return <span class="faint">{`what ${option.reads.join(", ")} puts out`}</span>;
  }
  if ("unknown" in option) return <span class="faint">{option.unknown}</span>;
  const { value } = option;
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2) ?? "null";
  return text.includes("\n")
    ? <pre class="json" tabIndex={0}>{text}</pre>
    : <code class="value">{text}</code>;
}
