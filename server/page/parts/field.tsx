import type { ComponentChildren, JSX } from "preact";

/** A field of a form, with what it is called and what it is for. */
export function Field(
  { label, hint, wrong, children }: {
    readonly label: ComponentChildren;
    readonly hint?: ComponentChildren;
    /** What is wrong with what stands in it. */
    readonly wrong?: string | undefined;
    readonly children: ComponentChildren;
  },
): JSX.Element {
  return (
    <label class="field">
      <span>{label}</span>
      {children}
      {wrong && <small class="fault">{wrong}</small>}
      {hint && <small>{hint}</small>}
    </label>
  );
}

/** A choice of yes or no. */
export function Check(
  { label, hint, checked, onChange }: {
    readonly label: ComponentChildren;
    readonly hint?: string;
    readonly checked: boolean;
    readonly onChange: (checked: boolean) => void;
  },
): JSX.Element {
  return (
    <label class="check">
      <input
        type="checkbox"
        checked={checked}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
      <span>
        {label}
        {hint && <small>{hint}</small>}
      </span>
    </label>
  );
}

/** One of a few things, all in sight. */
export function Segments<T extends string>(
  { label, options, value, onChange }: {
    readonly label: string;
    readonly options: readonly { readonly id: T; readonly label: string }[];
    readonly value: T;
    readonly onChange: (value: T) => void;
  },
): JSX.Element {
  return (
    <div class="segments" role="radiogroup" aria-label={label}>
      {options.map(({ id, label }) => (
        <label key={id} data-chosen={id === value ? "" : undefined}>
          <input
            type="radio"
            class="unseen"
            name={`segments ${options[0]!.id}`}
            checked={id === value}
            onChange={() => onChange(id)}
          />
          {label}
        </label>
      ))}
    </div>
  );
}
