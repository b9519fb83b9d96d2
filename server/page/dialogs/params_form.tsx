import type { Signal } from "@preact/signals";
import type { JSX } from "preact";
import { faultOf, kindOf, type ParamSchema, type ParamsSchema, textOf } from "../params.ts";
import { Field } from "../parts/field.tsx";

/** What stands in the fields of a form, by param. */
export type Texts = Signal<Readonly<Record<string, string>>>;

/** A field for each param of a DAG, made of its schema. */
export function ParamsForm(
  { schema: { properties = {}, required = [] }, texts }: {
    readonly schema: ParamsSchema;
    readonly texts: Texts;
  },
): JSX.Element | null {
  const names = Object.keys(properties);
  if (names.length === 0) return null;
  return (
    <fieldset class="params">
      <legend class="unseen">Params</legend>
      {names.map((name) => {
        const schema = properties[name]!, text = texts.value[name] ?? textOf(schema);
        return (
          <Field
            key={name}
            label={
              <>
                <code>{name}</code> {required.includes(name) && <em>required</em>}
              </>
            }
            hint={hintOf(schema)}
            wrong={faultOf(schema, text)}
          >
            <Input
              name={name}
              schema={schema}
              text={text}
              onText={(text) => texts.value = { ...texts.value, [name]: text }}
            />
          </Field>
        );
      })}
    </fieldset>
  );
}

function Input(
  { name, schema, text, onText }: {
    readonly name: string;
    readonly schema: ParamSchema;
    readonly text: string;
    readonly onText: (text: string) => void;
  },
): JSX.Element {
  const given = {
    class: "input",
    name,
    value: text,
    onInput: (event: { currentTarget: { value: string } }) => onText(event.currentTarget.value),
  };
  switch (kindOf(schema)) {
    case "choice":
      return (
        <select {...given}>
          {schema.default === undefined && <option value="">Choose…</option>}
          {schema.enum!.map((value) => {
            const text = JSON.stringify(value);
            const label = typeof value === "string" ? value : text;
            return <option key={text} value={text}>{label}</option>;
          })}
        </select>
      );
    case "switch":
      return (
        <select {...given}>
          {schema.default === undefined && <option value="">Choose…</option>}
          <option value="true">true</option>
          <option value="false">false</option>
        </select>
      );
    case "number":
      return (
        <input
          {...given}
          type="number"
          step={schema.type === "integer" ? 1 : "any"}
          min={schema.minimum}
          max={schema.maximum}
        />
      );
    case "text":
      return text.includes("\n")
        ? <textarea {...given} rows={4} />
        : <input {...given} type="text" spellcheck={false} autocomplete="off" />;
    case "json":
      return <textarea {...given} class="input mono" rows={2} spellcheck={false} />;
  }
}

/** What a field takes, beside what its author says of it. */
function hintOf({ description, minimum, maximum, pattern, type }: ParamSchema): string | undefined {
  const parts = [
    description,
    minimum !== undefined && maximum !== undefined
      ? `from ${minimum} to ${maximum}`
      : minimum !== undefined
      ? `${minimum} or more`
      : maximum !== undefined
      ? `${maximum} or less`
      : undefined,
    pattern && `like ${pattern}`,
    (type === "array" || type === "object" || type === undefined) && "as JSON",
  ].filter(Boolean);
  return parts.length > 0 ? parts.join(" · ") : undefined;
}
