import type { JSX } from "preact";
import { base } from "../api.ts";
import { dismiss, notices } from "../overlay.ts";
import { Button } from "./button.tsx";
import { Icon } from "./icon.tsx";

/** The messages in the corner. */
export function Notices(): JSX.Element {
  return (
    <div class="notices" role="status" aria-live="polite">
      {notices.value.map(({ id, tone, text, link }) => (
        <div key={id} class="notice" data-tone={tone}>
          {tone !== "plain" && <Icon name={tone === "good" ? "check" : "alert"} />}
          <span>
            {text} {link && <a class="link" href={base + link.to}>{link.label}</a>}
          </span>
          <Button
            kind="quiet"
            icon="close"
            label="Dismiss"
            onClick={() =>
              dismiss(id)}
          />
        </div>
      ))}
    </div>
  );
}
