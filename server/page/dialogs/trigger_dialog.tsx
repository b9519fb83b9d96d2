import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { get, post } from "../api.ts";
import type { Preview, WholeDag } from "../documents.ts";
import { freshKey, useOrder, useSettled } from "../order.ts";
import { closeDialog, notify } from "../overlay.ts";
import { paramsOf } from "../params.ts";
import { Button } from "../parts/button.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { Bones } from "../parts/empty.tsx";
import { ErrorBox } from "../parts/error_box.tsx";
import { Field, Segments } from "../parts/field.tsx";
import { LogicalDate } from "../parts/time.tsx";
import { useResource } from "../resource.ts";
import { Steps } from "../views/task_options.tsx";
import { ParamsForm } from "./params_form.tsx";

/** Which slice of time a run is for. */
type When = "latest" | "date" | "interval";

/** Asks for params and an interval, and shows what a run of a DAG would be given, before it is triggered. */
export function TriggerDialog({ dag: id }: { readonly dag: string }): JSX.Element {
  const dag = useResource((signal) => get<WholeDag>(`/api/dags/${id}`, {}, signal), [id]);
  const when = useSignal<When>("latest");
  const dates = useSignal({ date: "", start: "", end: "" });
  const texts = useSignal<Readonly<Record<string, string>>>({});
  const key = useMemo(freshKey, []);
  const order = useOrder();
  const { schedule = null, timezone = "UTC", params_schema: schema = {} } = dag.data.value ?? {};

  const asked = ask(when.value, dates.value, () => paramsOf(schema, texts.value));
  const settled = useSettled(asked);
  const preview = useResource<Preview | undefined>(
    async () => "body" in settled ? await post(`/api/dags/${id}/preview`, settled.body) : undefined,
    [id, JSON.stringify(settled)],
  );
  const wrong = "wrong" in asked ? asked.wrong : preview.error.value?.message;

  const trigger = (): Promise<void> =>
    order.run(async () => {
      if ("wrong" in asked) throw new TypeError(asked.wrong);
      const headers = { "idempotency-key": key };
      const path = `/api/dags/${id}/runs`;
      const made = await post<{ run_id: string; note?: string }>(path, asked.body, headers);
      const to = `/dags/${id}/grid?run=${made.run_id}`;
      notify(made.note ?? `Triggered ${made.run_id}.`, "good", { label: "Open it", to });
    });
  const set = (name: string) => (event: { currentTarget: { value: string } }) => {
    dates.value = { ...dates.value, [name]: event.currentTarget.value };
  };
  const date = (name: "date" | "start" | "end", label: string, hint?: string): JSX.Element => (
    <Field label={label} hint={hint}>
      <input
        class="input"
        name={name}
        placeholder="2021-01-02 or 2021-01-02T06:00"
        value={dates.value[name]}
        onInput={set(name)}
        autocomplete="off"
      />
    </Field>
  );
  return (
    <Dialog
      title={`Trigger ${id}`}
      wide
      onSubmit={trigger}
      actions={
        <>
          <Button onClick={closeDialog}>Cancel</Button>
          <Button
            kind="primary"
            type="submit"
            icon="play"
            disabled={order.busy.value || wrong !== undefined}
          >
            Trigger
          </Button>
        </>
      }
    >
      <div class="beside">
        <div class="stack">
          <Segments<When>
            label="What it is for"
            options={[
              { id: "latest", label: schedule !== null ? "Latest complete" : "Now" },
              { id: "date", label: "A date" },
              { id: "interval", label: "An interval" },
            ]}
            value={when.value}
            onChange={(value) => when.value = value}
          />
          {when.value === "date" &&
            date("date", "Logical date", `in ${timezone}: where its interval starts`)}
          {when.value === "interval" && (
            <div class="pair">
              {date("start", "From")}
              {date("end", "To", "the first moment behind it")}
            </div>
          )}
          {dag.data.value
            ? <ParamsForm schema={schema} texts={texts} />
            : dag.error.value
            ? <ErrorBox error={dag.error.value} retry={dag.reload} />
            : <Bones height={180} />}
        </div>
        <section class="preview" aria-label="What it would do" aria-live="polite">
          {order.error.value && <ErrorBox error={order.error.value} />}
          {wrong !== undefined
            ? <ErrorBox error={wrong} />
            : preview.data.value
            ? <Previewed preview={preview.data.value} />
            : <Bones height={180} />}
        </section>
      </div>
    </Dialog>
  );
}

/** What a form asks for, or why it does not. */
type Asked = { readonly body: Readonly<Record<string, unknown>> } | { readonly wrong: string };

function ask(
  when: When,
  { date, start, end }: Readonly<Record<"date" | "start" | "end", string>>,
  read: () => Record<string, unknown>,
): Asked {
  try {
    const params = read();
    if (when === "latest") return { body: { params } };
    if (when === "date") {
      return date.trim() === ""
        ? { wrong: "Say for which date it is." }
        : { body: { params, logical_date: date.trim() } };
    }
    if (start.trim() === "" || end.trim() === "") return { wrong: "Say from when to when it is." };
    return { body: { params, interval: { start: start.trim(), end: end.trim() } } };
  } catch (error) {
    return { wrong: (error as Error).message };
  }
}

function Previewed({ preview }: { readonly preview: Preview }): JSX.Element {
  const { logical_date, interval, paused, tasks } = preview;
  // Which task reads which is no news; what is new are addresses, tables and the like.
  const told = tasks.map(({ id, steps }) => ({
    id,
    steps: steps
      .map(({ operator, options }) => ({
        operator,
        options: Object.fromEntries(
          Object.entries(options).filter(([, option]) => !("reads" in option)),
        ),
      }))
      .filter(({ options }) => Object.keys(options).length > 0),
  })).filter(({ steps }) => steps.length > 0);
  return (
    <>
      <dl class="facts">
        <dt>Logical date</dt>
        <dd>
          <LogicalDate at={logical_date} />
        </dd>
        <dt>Interval</dt>
        <dd>
          <LogicalDate at={interval.start} /> to <LogicalDate at={interval.end} />
        </dd>
      </dl>
      {paused && <p class="hint">The DAG is paused: the run waits until it is not.</p>}
      {told.map(({ id, steps }) => (
        <section key={id} class="previewed">
          <h3>{id}</h3>
          <Steps steps={steps} />
        </section>
      ))}
      {told.length === 0 && (
        <p class="faint">Its tasks are plain functions: there are no options to show.</p>
      )}
    </>
  );
}
