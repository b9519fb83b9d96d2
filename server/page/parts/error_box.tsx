import type { JSX } from "preact";
import { Button } from "./button.tsx";
import { Icon } from "./icon.tsx";

/** Says what went wrong, and lets it be tried again. */
export function ErrorBox(
  { error, retry }: { readonly error: Error | string; readonly retry?: () => void },
): JSX.Element {
  return (
    <div class="wrong" role="alert">
      <Icon name="alert" />
      <div>{typeof error === "string" ? error : error.message}</div>
      {retry && <Button kind="quiet" onClick={retry}>Try again</Button>}
    </div>
  );
}
