import type { JSX } from "preact";
import { TriggerDialog } from "../dialogs/trigger_dialog.tsx";
import type { WholeDag } from "../documents.ts";
import { openDialog } from "../overlay.ts";
import { Button } from "../parts/button.tsx";
import { Empty } from "../parts/empty.tsx";
import { Table } from "../parts/table.tsx";

/** The part of JSON Schema that params are described by. */
interface Property {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly description?: string;
  readonly default?: unknown;
}

/** What a DAG can be given, and what it takes otherwise. */
export function ParamsView({ dag }: { readonly dag: WholeDag }): JSX.Element {
  const { properties = {}, required = [] } = dag.params_schema as {
    properties?: Record<string, Property>;
    required?: readonly string[];
  };
  const rows = Object.entries(properties);
  if (rows.length === 0) {
    return (
      <Empty title="This DAG takes no params">
        <p>
          <code>{'params: { region: "eu" }'}</code>{" "}
          among its options makes one, and a field of the form that triggers it.
        </p>
      </Empty>
    );
  }
  return (
    <div class="pad">
      <div class="card scrolls">
        <Table
          keyOf={([name]) => name}
          rows={rows}
          columns={[
            { head: "Param", cell: ([name]) => <strong>{name}</strong> },
            { head: "Type", cell: ([, property]) => <span class="muted">{typeOf(property)}</span> },
            {
              head: "Default",
              cell: ([name, property]) =>
                "default" in property
                  ? (
                    <code class="value">
                      {JSON.stringify(dag.params[name] ?? property.default)}
                    </code>
                  )
                  : required.includes(name)
                  ? <span class="muted">must be given</span>
                  : <span class="faint">none</span>,
            },
            { head: "", cell: ([, { description }]) => <span class="muted">{description}</span> },
          ]}
        />
      </div>
      <p class="after-card">
        <Button icon="play" onClick={() => openDialog(<TriggerDialog dag={dag.id} />)}>
          Trigger with others
        </Button>
      </p>
    </div>
  );
}

function typeOf({ type, enum: values }: Property): string {
  if (values) return values.map((value) => JSON.stringify(value)).join(" | ");
  if (type === undefined) return "any";
  return typeof type === "string" ? type : type.join(" | ");
}
