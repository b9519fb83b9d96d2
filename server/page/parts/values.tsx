import type { JSX } from "preact";

/** Names and JSON values. */
export function Values(
  { values }: { readonly values: Readonly<Record<string, unknown>> },
): JSX.Element {
  return (
    <dl class="facts values">
      {Object.entries(values).map(([name, value]) => (
        <>
          <dt key={name}>{name}</dt>
          <dd class="mono">{typeof value === "string" ? value : JSON.stringify(value, null, 1)}</dd>
        </>
      ))}
    </dl>
  );
}
